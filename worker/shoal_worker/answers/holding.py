"""Answers with everything that this host holds, for records that are rebuilt.

Refuses to know the bus, and what becomes of it.
"""

from __future__ import annotations

from shoal.messages.repair_requests import HeldRecords, ListHeld
from shoal_worker.answering import Told
from shoal_worker.answers.desk import Desk
from shoal_worker.core.holding import held_items, page_of


async def list_held(desk: Desk, request: ListHeld, _: Told) -> HeldRecords:
    """A page of it, as it is now: guests are looked at anew, as nothing is done while the worker holds itself back."""
    survey = await desk.hypervisor.survey()
    journal = desk.journal
    items = held_items(
        desk.desired,
        journal.records.values(),
        journal.tap_records.values(),
        journal.outcomes,
        journal.taps,
        survey.guests,
    )
    claim = desk.claim()
    host = HeldRecords(
        incarnation=claim.incarnation,
        role=claim.role,
        underlay=claim.underlay,
        machine=claim.machine,
        version=claim.version,
        seen_store=journal.seen.store,
    )
    return page_of(items, request.after, host)
