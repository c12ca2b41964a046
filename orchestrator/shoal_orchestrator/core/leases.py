"""The fence and the lease as records, and when a standby may take the lead.

This module refuses to know the bus, processes and real time: moments are numbers of the caller's clock, and whether a
process is gone is the caller's to say. Taking the lead early is never wrong, only rude: the server refuses the
writes of whoever does not hold the fence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from shoal import codec
from shoal.bus.protocol import Stored
from shoal.errors import InvalidRequest

#: an idle leader renews its lease so often
LEASE_INTERVAL_S = 5.0
#: a standby takes over when fence and lease have not changed for so long
LEASE_S = 15.0

_R = TypeVar("_R", bound=msgspec.Struct)


class Deposed(Exception):
    """Another orchestrator took the fence: this one has nothing to say any more."""


class FenceRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who leads: the store's id, a counter of terms, a nonce of the term, and the process that `holder` names.

    `succeeds` are the ids of stores that were lost, and that this one was rebuilt from.
    """

    store: str
    epoch: int
    nonce: str
    holder: str = ""
    succeeds: tuple[str, ...] = ()


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The leader's pulse: first message of every batch. `released`: the term has ended, anyone may take the next."""

    epoch: int
    counter: int
    nonce: str
    released: bool = False


class Lead(NamedTuple):
    """Fence and lease as they are stored, None where nothing is."""

    fence: Stored | None = None
    lease: Stored | None = None


class LeaseWatch:
    """What a standby has seen of the lead. `patience_s` is how long nothing may change before it is free."""

    def __init__(self, gone: Callable[[str], bool], *, patience_s: float = LEASE_S) -> None:
        self._gone = gone
        self._patience_s = patience_s
        self._seen: Lead | None = None
        self._since = 0.0

    def free(self, found: Lead, now: float) -> str:
        """Why the lead may be taken, given what is stored now; empty while it may not.

        Both must have been read just now: an old answer looks like a leader that is silent.
        """
        if found != self._seen:
            self._seen, self._since = found, now
        if found.fence is None:
            return "nobody has led yet"
        fence = read_fence(found.fence)
        if fence is None:
            # Nobody can renew a lease under a fence that cannot be read; its sequence still fences the others.
            return "the fence cannot be read"
        if fence.holder and self._gone(fence.holder):
            return f"the leader's process {fence.holder} has ended"
        pulse = _decoded(found.lease, LeaseRecord) if found.lease else None
        if pulse is not None and pulse.released and pulse.nonce == fence.nonce:
            return "the leader has handed over"
        if now - self._since >= self._patience_s:
            return f"the leader has been silent for {self._patience_s:g} s"
        return ""


def read_fence(stored: Stored | None) -> FenceRecord | None:
    """The fence as it is stored; None when there is none, or it cannot be read."""
    return _decoded(stored, FenceRecord) if stored else None


def released(body: bytes) -> bool:
    """Whether a lease, as it is stored, says that its term has ended."""
    pulse = _decoded(Stored("", 0, body), LeaseRecord)
    return pulse is not None and pulse.released


def _decoded(stored: Stored, kind: type[_R]) -> _R | None:
    try:
        return codec.decode(stored.body, kind)
    except InvalidRequest:
        return None
