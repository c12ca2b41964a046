"""Records as they are stored: which type a subject has, and its bytes.

This module refuses to know the store. What programs of other kinds read is MessagePack, the leader's own is JSON.
"""

from __future__ import annotations

import msgspec

from shoal import codec, subjects
from shoal.bus.protocol import Write
from shoal.errors import Refused
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord
from shoal_orchestrator.core import records

#: a message with its headers may have 1 MiB
MAX_RECORD_BYTES = 1000 * 1024

_KINDS: dict[str, type[msgspec.Struct]] = {
    "launch": LaunchRecord,
    "tap": TapRecord,
    "tunnel": SegmentRecord,
    "cluster": records.ClusterRecord,
    "namespace": records.NamespaceRecord,
    "config": records.SavedConfig,
    "file": records.FileRecord,
    "queue": records.QueueEntry,
    "host": records.HostRecord,
    "request": records.RequestRecord,
}


def record_kind(subject: str) -> type[msgspec.Struct] | None:
    """The type of what is stored under a subject; None for kinds that this version does not know."""
    kind, names = subjects.parse_record(subject)
    if kind == "plan" and len(names) == 3:
        return records.PlanRecord if names[2] == "0" else records.PlanChunk
    return _KINDS.get(kind)


def record_write(subject: str, record: msgspec.Struct | None) -> Write:
    """A record as it is stored; None is an empty body. Refused when it is too large: its batch would end the term."""
    if record is None:
        return Write(subject, b"")
    shared = isinstance(record, (LaunchRecord, SegmentRecord, TapRecord))
    body = codec.encode(record, "msgpack" if shared else "json")
    if len(body) > MAX_RECORD_BYTES:
        raise Refused(
            f"cannot store `{subject}`: it has {len(body)} bytes, and at most {MAX_RECORD_BYTES} are stored; "
            "do it in smaller parts"
        )
    return Write(subject, body)
