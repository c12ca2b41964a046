"""Which records a worker keeps in its journal, in case the store that they came from is lost.

This module refuses to know the journal. What is kept is never acted on: it is shown to a leader that rebuilds records.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from shoal.messages.desired import LaunchRecord, TapRecord
from shoal_worker.core.actions import Outcome, TapOutcome, VMKey


def records_to_keep(
    wanted: Iterable[LaunchRecord], kept: Mapping[str, LaunchRecord], outcomes: Mapping[str, Outcome]
) -> Iterator[LaunchRecord]:
    """The records that are newer than what is kept of their instance; none of what is to be gone, or is."""
    for record in wanted:
        before = kept.get(record.instance)
        if record.power == "gone" or (before is not None and before.revision >= record.revision):
            continue
        outcome = outcomes.get(record.instance)
        if outcome is None or not (outcome.gone or outcome.revision > record.revision):
            yield record


def taps_to_keep(
    wanted: Iterable[TapRecord], kept: Mapping[VMKey, TapRecord], outcomes: Mapping[VMKey, TapOutcome]
) -> Iterator[TapRecord]:
    """Likewise of host taps, which have no instance: a removed one may begin anew at any revision."""
    for record in wanted:
        key = (record.namespace, record.tap)
        outcome = outcomes.get(key)
        over = outcome is not None and outcome.revision > record.revision
        if not record.removed and not over and kept.get(key) != record:
            yield record


def records_to_drop(
    kept: Iterable[LaunchRecord],
    names: Mapping[VMKey, str],
    outcomes: Collection[str],
    guests: Collection[str],
) -> Iterator[str]:
    """The instances that were replaced before anything was done about them. `names`: VM → the instance that is wanted."""
    for record in kept:
        wanted = names.get((record.namespace, record.name), record.instance)
        if wanted != record.instance and record.instance not in outcomes and record.instance not in guests:
            yield record.instance
