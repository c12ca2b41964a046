"""The state of the cluster as the leader holds it: every stored record, and the indexes that decisions need.

This module refuses to know the bus, time, and what hosts report. It is changed in one way only, `apply`, with
the same records when they are decided and when they are loaded after a restart.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from shoal.core.load import Load, load_of
from shoal.core.ranges import expand, natural_order
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord
from shoal_orchestrator.core.records import (
    ClusterRecord,
    FileRecord,
    HostRecord,
    NamespaceRecord,
    PlanChunk,
    PlanRecord,
    QueueEntry,
    RequestRecord,
    SavedConfig,
)

R = TypeVar("R", bound=msgspec.Struct)
#: powers under which a VM takes its share of the host and has ports in its segments
PRESENT = frozenset({"paused", "running"})


def add_loads(one: Load, other: Load, sign: int = 1) -> Load:
    """The sum (or with `sign` -1 the difference) of two loads."""
    return Load(
        vcpus=one.vcpus + sign * other.vcpus,
        memory_mib=one.memory_mib + sign * other.memory_mib,
        nics=one.nics + sign * other.nics,
        vms=one.vms + sign * other.vms,
    )


def _vnis(tap: TapRecord) -> list[int]:
    return [vni for vni, _ in tap.trunked().values()] if tap.trunk else [tap.vni]


class Model:
    """All records by subject, and by what they are.

    `launches` holds each namespace's VMs by name; a record whose power is `gone` is not among them but in
    `leaving`, by subject, until its host has acknowledged. `ports` counts, for each VNI, the ports on each host.
    `residents` are the VMs on each host by (namespace, name).
    """

    def __init__(self) -> None:
        self.records: dict[str, msgspec.Struct] = {}
        self.sequences: dict[str, int] = {}
        self.cluster: ClusterRecord | None = None
        self.namespaces: dict[str, NamespaceRecord] = {}
        self.configs: dict[str, dict[str, SavedConfig]] = defaultdict(dict)
        self.queues: dict[str, dict[int, QueueEntry]] = defaultdict(dict)
        #: which entry has queued a name, for each namespace
        self.queued_names: dict[str, dict[str, int]] = defaultdict(dict)
        self.plans: dict[str, dict[str, PlanRecord]] = defaultdict(dict)
        self.chunks: dict[tuple[str, str], dict[int, PlanChunk]] = defaultdict(dict)
        self.files: dict[str, FileRecord] = {}
        self.hosts: dict[str, HostRecord] = {}
        self.requests: dict[str, RequestRecord] = {}
        self.launches: dict[str, dict[str, LaunchRecord]] = defaultdict(dict)
        self.instances: dict[str, LaunchRecord] = {}
        self.leaving: dict[str, LaunchRecord] = {}
        self.taps: dict[str, dict[tuple[str, str], TapRecord]] = defaultdict(dict)
        #: the uplinks of bridges, by host and interface: they are among the taps as well
        self.uplinks: dict[tuple[str, str], TapRecord] = {}
        self.segments: dict[int, SegmentRecord] = {}
        self.loads: dict[str, Load] = defaultdict(Load)
        self.residents: dict[str, dict[tuple[str, str], LaunchRecord]] = defaultdict(dict)
        self.ports: dict[int, Counter[str]] = defaultdict(Counter)
        #: VNIs whose ports have changed since `take_touched`
        self.touched: set[int] = set()
        #: instances whose records have changed since somebody counted them, see VMCounts
        self.changed_vms: set[str] = set()
        #: hosts whose records have, likewise
        self.changed_hosts: set[str] = set()
        #: queued VMs that no plan has consumed, by namespace
        self.queued_vms: Counter[str] = Counter()
        self._watches: list[set[str]] = []

    def apply(self, subject: str, record: msgspec.Struct | None) -> None:
        """Put `record` under `subject`, or remove what is there."""
        for changed in self._watches:
            changed.add(subject)
        old = self.records.pop(subject, None)
        if old is not None:
            self._unindex(subject, old)
        if record is not None:
            self.records[subject] = record
            self._index(subject, record)

    @contextlib.contextmanager
    def watched(self) -> Iterator[set[str]]:
        """Yield a set that gets the subject of every record that is changed meanwhile."""
        changed: set[str] = set()
        self._watches.append(changed)
        try:
            yield changed
        finally:
            self._watches.remove(changed)

    def take_touched(self) -> set[int]:
        """The VNIs whose ports changed since the last call."""
        touched, self.touched = self.touched, set()
        return touched

    def members(self, namespace: NamespaceRecord) -> tuple[str, ...] | None:
        """The hosts of a namespace in natural order; None: every live one."""
        return None if namespace.hosts is None else tuple(natural_order(expand(namespace.hosts)))

    def queued(self, namespace: str) -> list[QueueEntry]:
        """The entries of a namespace's queue that no running plan has consumed, oldest first."""
        return sorted((e for e in self.queues[namespace].values() if not e.plan), key=lambda e: e.entry)

    def dry_run(self, namespace: str) -> PlanRecord | None:
        """The namespace's plan that waits to be applied."""
        return next((p for p in self.plans[namespace].values() if p.state == "dry-run"), None)

    def everything_of(self, namespace: str) -> Iterator[msgspec.Struct]:
        """The leader's own records of a namespace, but for the namespace's own."""
        yield from list(self.configs[namespace].values())
        yield from list(self.queues[namespace].values())
        for plan in list(self.plans[namespace].values()):
            yield from list(self.chunks[namespace, plan.plan].values())
            yield plan

    def _index(self, subject: str, record: msgspec.Struct) -> None:
        match record:
            case LaunchRecord():
                self._index_launch(subject, record)
            case TapRecord():
                self.taps[record.namespace][record.host, record.tap] = record
                if not record.removed:
                    self._count_ports(record.host, _vnis(record), 1)
                    if record.trunk:
                        self.uplinks[record.host, record.tap] = record
            case SegmentRecord():
                self.segments[record.vni] = record
                self.touched.add(record.vni)
            case NamespaceRecord():
                self.namespaces[record.name] = record
            case QueueEntry():
                self.queues[record.namespace][record.entry] = record
                self._count_queued(record, 1)
                names = expand(record.names) if record.names else []
                self.queued_names[record.namespace].update(dict.fromkeys(names, record.entry))
            case PlanRecord():
                self.plans[record.namespace][record.plan] = record
            case PlanChunk():
                self.chunks[record.namespace, record.plan][record.chunk] = record
            case SavedConfig():
                self.configs[record.namespace][record.name] = record
            case FileRecord():
                self.files[record.name] = record
            case HostRecord():
                self.hosts[record.name] = record
                self.changed_hosts.add(record.name)
            case RequestRecord():
                self.requests[record.id] = record
            case ClusterRecord():
                self.cluster = record
            case _:
                raise TypeError(f"{type(record).__name__} is no record")

    def _unindex(self, subject: str, record: msgspec.Struct) -> None:
        match record:
            case LaunchRecord():
                self._unindex_launch(subject, record)
            case TapRecord():
                self.taps[record.namespace].pop((record.host, record.tap), None)
                if not record.removed:
                    self._count_ports(record.host, _vnis(record), -1)
                    self.uplinks.pop((record.host, record.tap), None)
            case SegmentRecord():
                self.segments.pop(record.vni, None)
            case NamespaceRecord():
                self.namespaces.pop(record.name, None)
            case QueueEntry():
                self.queues[record.namespace].pop(record.entry, None)
                self._count_queued(record, -1)
                for name in expand(record.names) if record.names else []:
                    self.queued_names[record.namespace].pop(name, None)
            case PlanRecord():
                self.plans[record.namespace].pop(record.plan, None)
            case PlanChunk():
                self.chunks[record.namespace, record.plan].pop(record.chunk, None)
            case SavedConfig():
                self.configs[record.namespace].pop(record.name, None)
            case FileRecord():
                self.files.pop(record.name, None)
            case HostRecord():
                self.hosts.pop(record.name, None)
                self.changed_hosts.add(record.name)
            case RequestRecord():
                self.requests.pop(record.id, None)
            case _:
                pass

    def _index_launch(self, subject: str, record: LaunchRecord) -> None:
        if record.power == "gone":
            self.leaving[subject] = record
            return
        self.launches[record.namespace][record.name] = record
        self.instances[record.instance] = record
        self.changed_vms.add(record.instance)
        if record.power in PRESENT:
            self.loads[record.host] = add_loads(self.loads[record.host], load_of(record.config))
            self.residents[record.host][record.namespace, record.name] = record
            self._count_ports(record.host, [port.vni for port in record.ports], 1)

    def _unindex_launch(self, subject: str, record: LaunchRecord) -> None:
        if record.power == "gone":
            self.leaving.pop(subject, None)
            return
        current = self.launches[record.namespace].get(record.name)
        if current is record:
            del self.launches[record.namespace][record.name]
        self.instances.pop(record.instance, None)
        self.changed_vms.add(record.instance)
        if record.power in PRESENT:
            self.loads[record.host] = add_loads(self.loads[record.host], load_of(record.config), -1)
            self.residents[record.host].pop((record.namespace, record.name), None)
            self._count_ports(record.host, [port.vni for port in record.ports], -1)

    def _count_queued(self, entry: QueueEntry, sign: int) -> None:
        if not entry.plan:
            self.queued_vms[entry.namespace] += sign * entry.count
            if not self.queued_vms[entry.namespace]:
                del self.queued_vms[entry.namespace]

    def _count_ports(self, host: str, vnis: list[int], by: int) -> None:
        for vni in vnis:
            if not vni:
                continue
            self.ports[vni][host] += by
            if not self.ports[vni][host]:
                del self.ports[vni][host]
            self.touched.add(vni)
