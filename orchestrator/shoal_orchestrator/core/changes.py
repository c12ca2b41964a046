"""A set of changes to the state: what a decision of the core comes to.

This module refuses to know how changes are stored. Nothing here is applied: the shell gives the whole set to the
store, which applies and commits it.
"""

from __future__ import annotations

import msgspec

from shoal import subjects
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord
from shoal.messages.events import Event
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


def subject_of(record: msgspec.Struct) -> str:
    """The subject under which a record is stored. Raises TypeError for what is no record."""
    match record:
        case LaunchRecord():
            return subjects.launch(record.host, record.namespace, record.name)
        case TapRecord():
            return subjects.tap(record.host, record.namespace, record.tap)
        case SegmentRecord():
            return subjects.tunnel(record.vni)
        case NamespaceRecord():
            return subjects.namespace_record(record.name)
        case QueueEntry():
            return subjects.queue_record(record.namespace, record.entry)
        case SavedConfig():
            return subjects.config_record(record.namespace, record.name)
        case PlanRecord():
            return subjects.plan_record(record.namespace, record.plan)
        case PlanChunk():
            return subjects.plan_record(record.namespace, record.plan, record.chunk)
        case FileRecord():
            return subjects.file_record(record.name)
        case HostRecord():
            return subjects.host_record(record.name)
        case RequestRecord():
            return subjects.request_record(record.slot)
        case ClusterRecord():
            return subjects.CLUSTER
        case _:
            raise TypeError(f"{type(record).__name__} is no record")


class Changes:
    """Records to write (or, as None, to delete) by subject, and the events that tell of it.

    Later writes of the same subject replace earlier ones. `atomic` sets of at most 900 records are committed
    together; larger ones go in slices, in order, so the record that makes the rest recoverable comes first.
    """

    def __init__(self) -> None:
        self.writes: dict[str, msgspec.Struct | None] = {}
        self.events: list[Event] = []

    def put(self, *records: msgspec.Struct) -> None:
        """Write records."""
        for record in records:
            self.writes[subject_of(record)] = record

    def put_first(self, record: msgspec.Struct) -> None:
        """Write a record before all others: it is in the first batch."""
        self.writes = {subject_of(record): record, **self.writes}

    def delete(self, *records: msgspec.Struct) -> None:
        """Delete records."""
        for record in records:
            self.writes[subject_of(record)] = None

    def tell(self, *events: Event) -> None:
        """Publish these events once the changes are stored."""
        self.events.extend(events)

    def gather_hosts(self) -> None:
        """Have the launch commands of one host stand together: it hears of them at once, however many batches they fill.

        All else stays where it is.
        """
        places = [at for at, record in enumerate(self.writes.values()) if isinstance(record, LaunchRecord)]
        items = list(self.writes.items())
        commands = sorted((items[at] for at in places), key=lambda item: _host(item[1]))
        for at, command in zip(places, commands, strict=True):
            items[at] = command
        self.writes = dict(items)

    def ask_as(self, request: str) -> None:
        """Write into every launch command which request asks for it."""
        for subject, record in self.writes.items():
            if isinstance(record, LaunchRecord) and record.request != request:
                self.writes[subject] = msgspec.structs.replace(record, request=request)

    def __bool__(self) -> bool:
        return bool(self.writes or self.events)


def _host(record: msgspec.Struct | None) -> str:
    return record.host if isinstance(record, LaunchRecord) else ""
