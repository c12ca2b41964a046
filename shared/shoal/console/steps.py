"""Lines that do nothing but change the working configuration: several of them can be sent as one request.

This module refuses to know the session and how a request is sent. Each request is a round trip and a commit, which is
what a script of many such lines takes its time for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shoal.console.answers import Outcome, failed
from shoal.errors import error_class
from shoal.messages.base import Request
from shoal.messages.config import ClearConfig, ConfigStep, Configured, ConfigureVM


def step_of(request: Request[Any]) -> ConfigStep | None:
    """The change that a request asks for; None when it shows something, or does anything else."""
    match request:
        case ClearConfig(field=field, key=key):
            return ConfigStep(clear=True, field=field, key=key)
        case ConfigureVM(field="tag", values=(_,)):
            return None
        case ConfigureVM(field=field, values=values) if values:
            return ConfigStep(field=field, values=values)
    return None


def outcomes_of(reply: Configured) -> Sequence[Outcome]:
    """What each change that was looked at led to, as if its line had been sent by itself."""
    outcomes = [Outcome()] * reply.looked_at
    for one in reply.failed:
        failure = one.failure
        outcomes[one.step] = failed(error_class(failure.kind)(failure.message, details=failure.details))
    return outcomes
