"""Tells of each request while it is carried out: its id on every line of the log, its outcome and time in the metrics.

Refuses to know what a request does. What is begun for it later, in tasks of their own, bears the same id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from shoal.errors import ShoalError
from shoal.messages.base import Reply, Request
from shoal_orchestrator.leader import Leader
from shoal_orchestrator.measures import REQUEST_SECONDS, REQUESTS

LOG = structlog.get_logger("shoal.requests")

R = TypeVar("R", bound=Reply)


async def tell(
    leader: Leader, name: str, namespace: str, request: Request[Any], work: Callable[[], Awaitable[R]]
) -> R:
    """Do `work` for a request that the log knows by `name`: its id, or one of ours when it came without.

    Requests that only read are counted, and not logged unless they fail inside.
    """
    loop = asyncio.get_running_loop()
    begun, outcome = loop.time(), "abandoned"
    command = type(request).__name__
    say = LOG.debug if request.reads else LOG.info
    with bound_contextvars(request=name):
        say("request-begun", command=command, namespace=namespace)
        error = ""
        leader.requests_running += 1
        try:
            reply = await work()
            outcome = "partly" if reply.failures else "ok"
        except ShoalError as refused:
            outcome, error = refused.kind, refused.message
            raise
        except Exception:
            outcome = ShoalError.kind
            raise
        else:
            return reply
        finally:
            took_s = loop.time() - begun
            leader.requests_running -= 1
            leader.metrics.count(REQUESTS, request.noun, request.verb, outcome)
            leader.metrics.observe(REQUEST_SECONDS, took_s, request.noun, request.verb)
            more = {"error": error} if error else {}
            say("request-ended", command=command, outcome=outcome, seconds=round(took_s, 3), **more)
