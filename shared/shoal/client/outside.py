"""What can be found of a cluster in which no orchestrator answers: the server, its streams, who led last.

Refuses to know hosts and VMs: only a leader does.
"""

from __future__ import annotations

import base64
import contextlib
import json

from shoal import codec, subjects
from shoal.bus.protocol import Bus
from shoal.bus.server_version import NEEDED, is_too_old
from shoal.bus.store_check import check_store
from shoal.errors import ShoalError, Unavailable
from shoal.messages.doctor import Diagnosis, Finding, worst_first

_PROBE_S = 2.0
_READ_S = 3.0


async def is_led(bus: Bus) -> bool:
    """Whether an orchestrator answers, or is there and slow."""
    try:
        await bus.request(subjects.CONSOLE, b"version", timeout_s=_PROBE_S)
    except Unavailable:
        return False
    except ShoalError:
        return True
    return True


async def from_outside(bus: Bus, server_version: str) -> Diagnosis:
    """What is wrong, as far as the server tells. Nothing is raised but PermissionDenied."""
    found = [
        Finding(
            severity="error",
            object="orchestrator",
            found=f"none answers{await _last_led(bus)}",
            do="start one (`shoal orchestrator`) and see its log; after a crash a standby leads within 20 s",
        )
    ]
    if is_too_old(server_version):
        found.append(
            Finding(
                severity="error",
                object="nats-server",
                found=f"it is of version {server_version}: no orchestrator can use it",
                do=f"install {NEEDED} or newer",
            )
        )
    found.extend(await check_store(bus))
    return Diagnosis(items=worst_first(tuple(found)), checked="the server, the streams")


async def _last_led(bus: Bus) -> str:
    """Which term was the last, in words; empty when there was none or it cannot be read."""
    ask = json.dumps({"last_by_subj": subjects.FENCE}).encode()
    with contextlib.suppress(ShoalError, ValueError, KeyError, TypeError):
        subject = f"$JS.API.STREAM.MSG.GET.{subjects.STATE_STREAM}"
        said = json.loads((await bus.request(subject, ask, timeout_s=_READ_S)).body)
        fence = codec.decode(base64.b64decode(said["message"]["data"]), dict)
        return f"; the last one led in epoch {fence['epoch']} of store {fence['store']}"
    return ""
