"""Makes a host's segments and taps what the desired state asks for, and removes what nobody needs any more.

Refuses to know netlink and guests: it is told which instances have ended and which taps guests still use. One
link's failure never stops the others; it is the reason of whoever needs that link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from shoal.messages.desired import LaunchRecord, SegmentStatus, TapRecord
from shoal_worker.core import links
from shoal_worker.core.actions import TapOutcome, VMKey
from shoal_worker.core.desired import DesiredState
from shoal_worker.core.statuses import segment_status
from shoal_worker.core.wanted import Wanted, kept, links_of, unneeded, wanted_links
from shoal_worker.network import Links, Network, NetworkError


class HostLinks:
    """The links of one host. `underlay` is the address that tunnels end at."""

    def __init__(self, network: Network, desired: DesiredState, underlay: str, log: Any) -> None:
        self._network = network
        self._desired = desired
        self._underlay = underlay
        self._log = log
        self._observed = Links()
        self._wanted = Wanted(Links(), {}, {})
        self._computed: tuple[int, frozenset[str]] | None = None
        self._applied: dict[int, int] = {}
        #: what the kernel refused, by link
        self._failed: dict[str, str] = {}
        #: why the network cannot be seen at all
        self.trouble = ""

    # --- doing -------------------------------------------------------------------------------------------

    async def ensure(self, ended: frozenset[str]) -> None:
        """Make and mend what is wanted, segments before taps. Removes no link that somebody may use."""
        try:
            self._observed = await self._network.observe()
        except NetworkError as error:
            if not self.trouble:
                self._log.error("network-unseen", error=str(error))
            self.trouble = str(error)
            return
        self.trouble = ""
        if self._computed != (self._desired.version, ended):
            self._wanted = wanted_links(self._desired, self._underlay, ended)
            self._computed = (self._desired.version, ended)
        failed: dict[str, str] = {}
        for action in links.diff(kept(self._wanted.links, self._observed), self._observed):
            await self._apply(action, failed)
        for name, reason in failed.items():
            if self._failed.get(name) != reason:
                self._log.error("link-refused", link=name, error=reason)
        self._failed = failed
        for record in self._desired.segments():
            if record.segment in self._wanted.links.segments and record.segment not in failed:
                self._applied[record.vni] = record.revision

    async def _apply(self, action: links.Action, failed: dict[str, str]) -> None:
        names: Iterable[str] = ()
        try:
            match action:
                case links.Remove(names=names):
                    await self._network.remove(action.names)
                case links.EnsureSegment(segment=segment):
                    names = (segment.segment,)
                    await self._network.ensure_segment(segment)
                case links.EnsureGuestTap(tap=guest_tap):
                    names = (guest_tap.tap,)
                    await self._network.ensure_guest_tap(guest_tap)
                case links.EnsureHostTap(tap=host_tap):
                    names = (host_tap.tap,)
                    await self._network.ensure_host_tap(host_tap)
        except NetworkError as error:
            failed.update(dict.fromkeys(names, str(error)))

    async def remove_unneeded(self, in_use: Callable[[frozenset[str]], Iterable[str]]) -> None:
        """Remove what is neither wanted nor used. `in_use` tells which of some guest taps guests still use."""
        if self.trouble:
            return
        wanted, observed = self._wanted.links, self._observed
        doubtful = frozenset(observed.guest_taps.keys() - wanted.guest_taps.keys())
        removed = [tap for tap in self._desired.taps() if tap.removed]
        names = unneeded(wanted, observed, in_use(doubtful) if doubtful else (), removed)
        if not names:
            return
        try:
            await self._network.remove(names)
        except NetworkError as error:
            self._log.error("links-not-removed", links=sorted(names), error=str(error))
            self._failed.update(dict.fromkeys(names, str(error)))
            return
        self._observed = Links(
            segments={name: link for name, link in observed.segments.items() if name not in names},
            guest_taps={name: link for name, link in observed.guest_taps.items() if name not in names},
            host_taps={name: link for name, link in observed.host_taps.items() if name not in names},
        )

    # --- telling -----------------------------------------------------------------------------------------

    def waiting(self) -> dict[VMKey, str]:
        """The VMs that cannot be created yet, and what they wait for."""
        if not self.trouble:
            return self._wanted.waiting
        return {
            (record.namespace, record.name): self.trouble
            for record in self._desired.launches()
            if record.ports
        }

    def broken(self) -> dict[VMKey, str]:
        """The VMs that cannot be created, because a link that they need was refused."""
        if not self._failed:
            return {}
        found = {}
        for record in self._desired.launches():
            reason = self._reason(record)
            if reason:
                found[record.namespace, record.name] = reason
        return found

    def _reason(self, record: LaunchRecord) -> str:
        return next((self._failed[name] for name in links_of(record) if name in self._failed), "")

    def tap(self, record: TapRecord, before: TapOutcome | None) -> tuple[TapOutcome | None, str]:
        """What came of a host tap's record, and why it is not what it should be (empty: it is)."""
        revision = before.revision if before is not None else 0
        gone = before is not None and before.gone
        reason = ""
        if self.trouble:
            reason = self.trouble
        elif record.removed:
            reason = self._failed.get(record.tap, "")
            if record.tap not in self._observed.host_taps or record.tap in self._wanted.links.host_taps:
                revision, gone = record.revision, True
        else:
            gone = False
            reason = self._wanted.waiting_taps.get((record.namespace, record.tap), "")
            if not reason:
                revision = record.revision
                reason = self._failed.get(record.segment, "") or self._failed.get(record.tap, "")
        if not revision:
            return None, reason
        return TapOutcome(namespace=record.namespace, tap=record.tap, revision=revision, gone=gone), reason

    def segments(self) -> dict[int, SegmentStatus]:
        """What our parts of the segments are."""
        found = {}
        wanted, observed = self._wanted.links.segments, self._observed.segments
        for record in self._desired.segments():
            name, reason = record.segment, self._failed.get(record.segment, "") or self.trouble
            present = name in observed or (name in wanted and not reason)
            if not present:
                self._applied.pop(record.vni, None)
            applied = self._applied.get(record.vni, 0)
            found[record.vni] = segment_status(record, applied, present=present, reason=reason)
        return found
