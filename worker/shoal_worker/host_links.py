"""Makes a host's segments and taps what the desired state asks for, and removes what nobody needs any more.

Refuses to know netlink and guests: it is told which instances have ended and which taps guests still use. One
link's failure never stops the others; it is the reason of whoever needs that link.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from shoal.messages.desired import LaunchRecord, SegmentStatus, TapRecord
from shoal_worker.captures import Captures
from shoal_worker.core import links
from shoal_worker.core.actions import TapOutcome, VMKey
from shoal_worker.core.desired import DesiredState
from shoal_worker.core.statuses import segment_status
from shoal_worker.core.wanted import Wanted, kept, links_about, links_of, unneeded, wanted_links
from shoal_worker.leases import Leases, SimulatedLeases
from shoal_worker.network import Links, Network, NetworkError


class HostLinks:
    """The links of one host. `underlay` is the address that tunnels end at. `captured` is told before links go.

    `leases` gets addresses for taps that ask for one.
    """

    def __init__(
        self,
        network: Network,
        desired: DesiredState,
        underlay: str,
        log: Any,
        *,
        captured: Captures | None = None,
        leases: Leases | None = None,
    ) -> None:
        self._network = network
        self._desired = desired
        self._underlay = underlay
        self._log = log
        self._captured = captured
        self._leases = leases or SimulatedLeases()
        self._observed = Links()
        self._wanted = Wanted(Links(), {}, {}, {})
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
            self._wanted = wanted_links(self._desired, self._underlay, ended, self._wanted.parts)
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
        await self._leases.ensure(
            frozenset(
                tap.tap
                for tap in self._desired.taps()
                if tap.dhcp and tap.tap in self._wanted.links.host_taps and tap.tap not in failed
            )
        )

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
                case links.EnsureUplink(uplink=uplink):
                    names = (uplink.interface,)
                    await self._network.ensure_uplink(uplink)
        except NetworkError as error:
            failed.update(dict.fromkeys(names, str(error)))
        except Exception as error:  # noqa: BLE001  # one link's fault must not stop the others
            reason = f"making it failed inside the worker: {type(error).__name__}: {error}"
            if any(self._failed.get(name) != reason for name in names):
                self._log.exception("link-failed", links=sorted(names))
            failed.update(dict.fromkeys(names, reason))

    async def remove_unneeded(self, in_use: Callable[[frozenset[str]], Iterable[str]]) -> None:
        """Remove what is neither wanted nor used. `in_use` tells which of some guest taps guests still use."""
        if self.trouble:
            return
        wanted, observed = self._wanted.links, self._observed
        doubtful = frozenset(observed.guest_taps.keys() - wanted.guest_taps.keys())
        removed = [tap for tap in self._desired.taps() if tap.removed]
        names = unneeded(wanted, observed, in_use(doubtful) if doubtful else (), removed)
        if self._captured is not None:
            there = (observed.segments, observed.guest_taps, observed.host_taps)
            await self._captured.missing({name for links in there for name in links})
            await self._captured.leave(names)
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
            uplinks={name: link for name, link in observed.uplinks.items() if name not in names},
        )

    def there(self) -> Links:
        """What was seen, or made, last."""
        return self._observed

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
            reason = self._reason(links_of(record))
            if reason:
                found[record.namespace, record.name] = reason
        return found

    def refused(self, record: LaunchRecord) -> str:
        """What the kernel refuses of the links that a VM's record asks for; empty if nothing."""
        return self._reason(links_about(record)) if self._failed else ""

    def _reason(self, names: Iterable[str]) -> str:
        return next((self._failed[name] for name in names if name in self._failed), "")

    def tap(self, record: TapRecord, before: TapOutcome | None) -> tuple[TapOutcome | None, str]:
        """What came of a host tap's record, and why it is not what it should be (empty: it is)."""
        revision = before.revision if before is not None else 0
        gone = before is not None and before.gone
        reason = ""
        if self.trouble:
            reason = self.trouble
        elif record.removed:
            reason = self._failed.get(record.tap, "")
            there, wanted = self._observed, self._wanted.links
            known, asked = (
                (there.uplinks, wanted.uplinks) if record.trunk else (there.host_taps, wanted.host_taps)
            )
            if record.tap not in known or record.tap in asked:
                revision, gone = record.revision, True
        else:
            gone = False
            reason = self._wanted.waiting_taps.get((record.namespace, record.tap), "")
            if not reason:
                revision = record.revision
                reason = self._reason((record.segment, record.tap, record.mirror))
            if not reason and record.dhcp:
                reason = self._leases.trouble(record.tap)
        if not revision:
            return None, reason
        return TapOutcome(namespace=record.namespace, tap=record.tap, revision=revision, gone=gone), reason

    def address(self, record: TapRecord) -> str:
        """The address of a host tap: the one that its record gives it, or that it got by DHCP."""
        return self._leases.address(record.tap) if record.dhcp and not record.removed else record.ip

    def seeking(self) -> bool:
        """Whether a host tap waits for an address."""
        return any(tap.dhcp and not tap.removed and not self.address(tap) for tap in self._desired.taps())

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
