"""What a host holds, in pages: the latest record of each VM and tap, and what is known of them.

This module refuses to know the bus, and who asks. Records in memory are those that were last read; the journal's
outlive the worker, and a store that was lost. Of one instance the higher revision counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from shoal import codec
from shoal.messages.desired import LaunchRecord, SegmentRecord, State, TapRecord, TapStatus, VMStatus
from shoal.messages.repair_requests import HeldRecords
from shoal_worker.core.actions import Outcome, TapOutcome, VMKey
from shoal_worker.core.desired import DesiredState
from shoal_worker.core.diff import alive
from shoal_worker.hypervisor import Guest

Item = LaunchRecord | TapRecord | SegmentRecord | VMStatus | TapStatus
#: what the items of a page weigh at most, as they are sent: well below a message's 1 MiB
PAGE_BYTES = 400 * 1024
_STATES: Mapping[str, State] = {
    "running": "RUNNING",
    "paused": "PAUSED",
    "shutoff": "QUIT",
    "failed": "ERROR",
}


def held_items(
    desired: DesiredState,
    journaled: Iterable[LaunchRecord],
    journaled_taps: Iterable[TapRecord],
    outcomes: Mapping[str, Outcome],
    tap_outcomes: Mapping[VMKey, TapOutcome],
    guests: Iterable[Guest],
) -> dict[str, Item]:
    """Everything that the host holds, by a key that orders the pages."""
    items: dict[str, Item] = {}
    for record in (*journaled, *desired.launches()):
        _take(items, f"launch {record.instance}", record)
    for tap in (*journaled_taps, *desired.taps()):
        _take(items, f"tap {tap.namespace}/{tap.tap}", tap)
    items.update((f"segment {segment.vni}", segment) for segment in desired.segments())
    there = {guest.instance: guest for guest in guests}
    for instance in outcomes.keys() | there.keys():
        items[f"vm {instance}"] = _status(outcomes.get(instance), there.get(instance))
    for (namespace, name), outcome in tap_outcomes.items():
        items[f"was {namespace}/{name}"] = TapStatus(
            namespace=namespace, tap=name, revision=outcome.revision, up=False, gone=outcome.gone
        )
    return items


def _take(items: dict[str, Item], key: str, record: LaunchRecord | TapRecord) -> None:
    held = items.get(key)
    if held is None or (isinstance(held, type(record)) and held.revision <= record.revision):
        items[key] = record


def _status(outcome: Outcome | None, guest: Guest | None) -> VMStatus:
    known = guest or outcome
    assert known is not None
    living = guest is not None and alive(guest)
    state: State = "ERROR"
    if guest is not None and (living or outcome is None):
        state = _STATES[guest.state]
    elif outcome is not None:
        state = outcome.state
    return VMStatus(
        namespace=known.namespace,
        name=known.name,
        instance=known.instance,
        revision=outcome.revision if outcome is not None else known.revision,
        state=state,
        pid=guest.pid if guest is not None and living else 0,
        gone=outcome is not None and outcome.gone,
    )


def page_of(items: Mapping[str, Item], after: str, host: HeldRecords) -> HeldRecords:
    """The page after a key, and which key the next one follows. `host` is a page without items."""
    chosen: list[Item] = []
    size, last, more = 0, "", False
    for key in sorted(key for key in items if key > after):
        weight = len(codec.encode(items[key]))
        if chosen and size + weight > PAGE_BYTES:
            more = True
            break
        chosen.append(items[key])
        size, last = size + weight, key
    return msgspec.structs.replace(
        host,
        launches=tuple(item for item in chosen if isinstance(item, LaunchRecord)),
        taps=tuple(item for item in chosen if isinstance(item, TapRecord)),
        segments=tuple(item for item in chosen if isinstance(item, SegmentRecord)),
        vms=tuple(item for item in chosen if isinstance(item, VMStatus)),
        tap_states=tuple(item for item in chosen if isinstance(item, TapStatus)),
        next=last if more else "",
    )
