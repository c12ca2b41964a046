"""What must hold: at every moment (no VM twice), and once all is quiet again (what is desired is what is there).

Refuses to know how it came about. It looks past the programs, at the guests and links themselves and at what is stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.simulation.machines import Remains
from tests.simulation.trace import Trace

from shoal import codec, subjects
from shoal.bus.memory_streams import MemoryStreams
from shoal.bus.protocol import Stored
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord
from shoal_orchestrator.leader import Leader
from shoal_worker.core.actions import Outcome
from shoal_worker.hypervisor import Guest

_PRESENT = ("paused", "running")


class Oracle:
    """Watches all hosts, and every batch that is stored."""

    def __init__(self, trace: Trace, hosts: Mapping[str, Remains]) -> None:
        self._trace = trace
        self._hosts = hosts
        #: the host and instance of each living guest, by namespace and name; one, or else
        self._alive: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self._on: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
        self._where: dict[str, set[str]] = defaultdict(set)
        self._wanted: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self.violations: list[str] = []
        #: instances whose guest was made to die, and those that somebody wanted to end
        self.crashed: set[str] = set()
        #: the names that captures were to have whose recording was made to die
        self.died: set[str] = set()
        self._ending: set[str] = set()

    def violate(self, text: str) -> None:
        """Something that must never be."""
        self._trace.note(f"!!! {text}")
        self.violations.append(text)

    # --- at every moment ---------------------------------------------------------------------------------

    def look(self, host: str) -> None:
        """The guests of a host have changed."""
        now = {guest.instance: (guest.namespace, guest.name) for guest in self._hosts[host].living()}
        before = self._on[host]
        self._on[host] = now
        for instance in before.keys() - now.keys():
            self._where[instance].discard(host)
            self._alive[before[instance]].pop(host, None)
            self._trace.note(f"guest {'/'.join(before[instance])} ({instance[:6]}) is no more", host)
            if instance not in self.crashed and instance not in self._ending:
                self.violate(f"{before[instance]} was ended on {host}, and nobody had asked for it")
        for instance in now.keys() - before.keys():
            key = now[instance]
            self._where[instance].add(host)
            self._alive[key][host] = instance
            self._trace.note(f"guest {'/'.join(key)} ({instance[:6]}) is there", host)
            if len(self._where[instance]) > 1:
                self.violate(f"instance {instance} of {key} has a guest on {sorted(self._where[instance])}")
            if len(self._alive[key]) > 1:
                self.violate(f"{key} has a guest on {sorted(self._alive[key])}")

    def stored(self, batch: Sequence[Stored]) -> None:
        """A batch was stored: no name is desired on two hosts after it."""
        touched = set()
        for stored in batch:
            kind, names = subjects.parse_record(stored.subject)
            if kind != "launch":
                continue
            host, *rest = names
            key = (rest[0], rest[1])
            record = codec.decode(stored.body, LaunchRecord) if stored.body else None
            if record is not None and record.power not in _PRESENT:
                self._ending.add(record.instance)
            # A name that stands for another instance from now on; after the store went back it may not have stood for it.
            for before in (self._wanted[key].get(host), self._alive[key].get(host)):
                if before is not None and (record is None or record.instance != before):
                    self._ending.add(before)
            if record is None or record.power == "gone":
                self._wanted[key].pop(host, None)
            else:
                self._wanted[key][host] = record.instance
            touched.add(key)
        for key in sorted(touched):
            if len(self._wanted[key]) > 1:
                self.violate(f"{key} is desired on {sorted(self._wanted[key])}")

    def went_back(self, streams: MemoryStreams) -> None:
        """The store is an older one: what is wanted is what it says."""
        self._wanted.clear()
        for stored in streams.stored.values():
            kind, names = subjects.parse_record(stored.subject)
            record = codec.decode(stored.body, LaunchRecord) if kind == "launch" and stored.body else None
            if record is not None and record.power != "gone":
                self._wanted[names[1], names[2]][names[0]] = record.instance

    # --- when all is quiet -------------------------------------------------------------------------------

    def unsettled(
        self, streams: MemoryStreams, leader: Leader | None, workers: Mapping[str, Any]
    ) -> list[str]:
        """What is not as it should be by now; empty when all is well. `workers`: the parts of each, by host."""
        if leader is None:
            return ["nobody leads"]
        found = []
        for name, remains in self._hosts.items():
            records = list(_records(streams, name))
            launches = [record for record in records if isinstance(record, LaunchRecord)]
            taps = [record for record in records if isinstance(record, TapRecord)]
            parts = workers.get(name)
            if parts is None:
                found.append(f"{name}: its worker does not work")
                continue
            found += [f"{name}: {text}" for text in _guests_wrong(remains, launches, parts)]
            found += [f"{name}: {text}" for text in _links_wrong(remains, launches, taps)]
            found += [f"{name}: {text}" for text in _view_wrong(remains, launches, parts, leader)]
            found += [f"{name}: {text}" for text in _taps_untold(name, taps, leader)]
            found += [f"{name}: {text}" for text in _captures_wrong(remains, parts)]
        found += _stale(streams)
        return found


def _records(streams: MemoryStreams, host: str) -> Iterable[LaunchRecord | TapRecord]:
    kinds: tuple[type[LaunchRecord | TapRecord], ...] = (LaunchRecord, TapRecord)
    for filter_, kind in zip(subjects.host_filters(host), kinds, strict=True):
        more = True
        sequence = 1
        while more:
            page, more = streams.page(filter_, sequence, "oracle")
            for stored in page:
                sequence = stored.sequence + 1
                if stored.body:
                    yield codec.decode(stored.body, kind)


def _guests_wrong(remains: Remains, launches: Sequence[LaunchRecord], parts: Any) -> Iterator[str]:
    guests = remains.guests.guests
    wanted = {record.instance for record in launches}
    for instance, orphan in guests.items():
        if instance not in wanted:
            yield f"an orphan: {orphan.namespace}/{orphan.name} ({instance[:6]}) is {orphan.state}"
    for record in launches:
        guest = guests.get(record.instance)
        outcome: Outcome | None = parts.host.journal.outcomes.get(record.instance)
        who = f"{record.namespace}/{record.name} ({record.instance[:6]}, revision {record.revision})"
        if record.incarnation != remains.incarnation:
            continue
        if record.power not in _PRESENT:
            if guest is not None and guest.pid:
                yield f"{who} is to be {record.power}, and its guest is {guest.state}"
            if record.power == "gone":
                yield f"{who}: its tombstone is still stored"
            continue
        if _given_up(record, guest, outcome):
            continue
        if guest is None or guest.state != record.power:
            yield f"{who} is to be {record.power}, and its guest is {guest.state if guest else 'not there'}"


def _given_up(record: LaunchRecord, guest: Guest | None, outcome: Outcome | None) -> bool:
    """Whether it has ended with a reason that can be read."""
    if outcome is None or outcome.revision < record.revision or (guest is not None and guest.pid):
        return False
    return (outcome.state == "ERROR" and bool(outcome.reason)) or outcome.state == "QUIT"


def _links_wrong(
    remains: Remains, launches: Sequence[LaunchRecord], taps: Sequence[TapRecord]
) -> Iterator[str]:
    living = {guest.instance for guest in remains.living()}
    present = [record for record in launches if record.power in _PRESENT]
    needed = {port.tap for record in present if record.instance in living for port in record.ports}
    segments = {port.segment for record in present for port in record.ports if port.vlan}
    segments |= {tap.segment for tap in taps if not tap.removed}
    host_taps = {tap.tap for tap in taps if not tap.removed}
    kernel = remains.kernel
    for kind, there, should in (
        ("tap", kernel.guest_taps.keys(), needed),
        ("segment", kernel.segments.keys(), segments),
        ("host tap", kernel.host_taps.keys(), host_taps),
    ):
        if surplus := there - should:
            yield f"{kind}s that nobody needs: {sorted(surplus)}"
        if missing := should - there:
            yield f"{kind}s are missing: {sorted(missing)}"


def _captures_wrong(remains: Remains, parts: Any) -> Iterator[str]:
    kernel, recorder = remains.kernel, remains.recorder
    links = {*kernel.segments, *kernel.guest_taps, *kernel.host_taps}
    listed = {capture.id: capture for capture in parts.captures.listed()}
    running = recorder.running()
    if nobodys := running.keys() - listed.keys():
        yield f"recordings that belong to no capture: {sorted(nobodys)}"
    if left := recorder.drafts() - running.keys() - listed.keys():
        yield f"drafts of captures are left: {sorted(left)}"
    for key, capture in listed.items():
        who = f"the capture {capture.name} of {capture.interface}"
        if capture.state == "ended":
            yield f"{who} waits to be collected"
        elif capture.interface not in links:
            yield f"{who} goes on, and the link is not there"
        elif (capture.state == "running") != (key in running):
            yield f"{who} is {capture.state}, and its recording is not"


def _taps_untold(host: str, taps: Sequence[TapRecord], leader: Leader) -> Iterator[str]:
    seen = leader.inventory.hosts[host].taps
    for tap in taps:
        status = seen.get((tap.namespace, tap.tap))
        if tap.removed:
            yield f"the tap {tap.namespace}/{tap.tap} is still on its way out"
        elif status is None or not status.up:
            yield f"the leader has the tap {tap.namespace}/{tap.tap} as {status}"


def _view_wrong(
    remains: Remains, launches: Sequence[LaunchRecord], parts: Any, leader: Leader
) -> Iterator[str]:
    host = remains.name
    state = leader.inventory.state(host)
    if state != "alive":
        yield f"the leader has it as {state}"
    held, counted = parts.desired.counted(), leader.inventory.acknowledgements.counts.of(host)
    if held != counted:
        yield f"the worker holds {held}, and the leader counts {counted}"
    for record in launches:
        guest = remains.guests.guests.get(record.instance)
        runs = guest is not None and guest.state == "running"
        status = leader.inventory.status(record)
        if record.power != "gone" and (status is None or runs != (status.state == "RUNNING")):
            yield (
                f"the leader has {record.namespace}/{record.name} as {status.state if status else 'unknown'}, "
                f"and its guest is {guest.state if guest else 'not there'}"
            )
        if leader.model.instances.get(record.instance) != record:
            yield f"the leader knows another record of {record.namespace}/{record.name} than is stored"


def _stale(streams: MemoryStreams) -> Iterator[str]:
    ports: dict[int, set[str]] = defaultdict(set)
    segments = {}
    for subject, stored in streams.stored.items():
        kind = subjects.parse_record(subject).kind
        if not stored.body:
            continue  # deleted; a purge that was lost is made up for by the next leader
        if kind == "launch":
            record = codec.decode(stored.body, LaunchRecord)
            if record.power in _PRESENT:
                for port in record.ports:
                    if port.vni and port.vlan:
                        ports[port.vni].add(record.host)
        elif kind == "tap":
            tap = codec.decode(stored.body, TapRecord)
            if tap.vni and not tap.removed:
                ports[tap.vni].add(tap.host)
        elif kind == "tunnel":
            segment = codec.decode(stored.body, SegmentRecord)
            segments[segment.vni] = set() if segment.removed else set(segment.peers)
            if segment.removed:
                yield f"the segment {segment.vni} is still on its way out"
    for vni in ports.keys() | segments.keys():
        if ports.get(vni, set()) != segments.get(vni, set()):
            yield f"segment {vni} spans {sorted(segments.get(vni, ()))}, and has ports on {sorted(ports.get(vni, ()))}"
