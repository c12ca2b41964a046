"""Stores what was rebuilt, in an order that can be broken off at any point and begun anew.

Refuses to know how it was worked out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec.structs import replace

from shoal import subjects
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import RequestRecord
from shoal_orchestrator.core.repairing import Rebuilt
from shoal_orchestrator.core.stored_records import record_kind
from shoal_orchestrator.store import Store


async def store_rebuilt(
    store: Store, rebuilt: Rebuilt, outcome: RequestRecord | None, *, anew: str, lost: Sequence[str]
) -> None:
    """Store the changes and, last of all, what the request came to (`outcome`).

    `anew` is the id of the store that this one becomes; workers that obeyed this one, or one of those `lost`, obey it.
    Then all is stored: a leader that saw the store go backwards has in memory what the store has not, and the store may
    have what was deleted since. Empty: it stays the store that it is.
    """
    changes, last = Changes(), Changes()
    changes.writes.update(rebuilt.changes.writes)
    if outcome is not None:
        last.put(outcome)
    if not anew:
        if rebuilt.cluster != store.model.cluster:
            last.put(rebuilt.cluster)
        # Without a pause: everything else goes on, and what was worked out is right for this moment.
        stored = store.submit(changes, force=True), store.submit(last, force=True)
        await asyncio.gather(*stored)
        return
    records = store.model.records
    for subject in await store.subjects_stored():
        known = record_kind(subject) is not None and subject not in store.unreadable
        if known and subject not in records:
            changes.writes.setdefault(subject, None)
    for subject, record in records.items():
        if subject != subjects.CLUSTER:
            changes.writes.setdefault(subject, record)
    await store.submit(changes, force=True)
    last.put(replace(rebuilt.cluster, store=anew, frozen=""))
    before = store.fence
    succeeds = tuple(dict.fromkeys((*before.succeeds, before.store, *lost)))
    await store.become(replace(before, store=anew, epoch=before.epoch + 1, succeeds=succeeds), last)
