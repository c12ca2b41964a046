"""Why VMs could not be placed: for each VM and each host a reason, folded into lines that a person can act on.

This module refuses to know how hosts are chosen; it looks at the hosts as the planner left them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from shoal.core.ranges import fold
from shoal.errors import Unplaceable

if TYPE_CHECKING:
    from shoal_orchestrator.core.attempts import Attempt
    from shoal_orchestrator.core.units import Batch, Demand

#: how many lines of reasons one refusal shows
LINES = 40
_UNNAMED = "a VM of this plan"


class Reason(msgspec.Struct, frozen=True):
    """Why `vms` (folded) do not go to `hosts` (folded); `because` tells why they could go nowhere else.

    Without hosts it is a remark on what was left unsaid.
    """

    vms: str
    hosts: str
    reason: str
    because: str = ""

    def __str__(self) -> str:
        because = f" ({self.because})" if self.because else ""
        hosts = f"{self.hosts}: " if self.hosts else ""
        return f"{self.vms}{because}: {hosts}{self.reason}"


def unplaceable(attempt: Attempt) -> Unplaceable:
    """Return the error for an attempt that left VMs over.

    Its first line is the peer's where a coschedule limit is the reason; `details` have a line for each VMs, hosts
    and reason, VMs and hosts folded.
    """
    headline = _headline(attempt)
    details = [str(reason) for reason in reasons(attempt)]
    if not headline:
        vms = fold_slots(attempt.demand, [slot for _, slots in attempt.left for slot in slots])
        headline = f"no host has room for {vms}: {details[0].split(': ', 1)[1]}"
    return Unplaceable(headline, details=tuple(details))


def reasons(attempt: Attempt) -> Iterator[Reason]:
    """Return the reasons for all VMs that an attempt left over.

    After `LINES` of them the other VMs are only named: to ask every host for each of them would take much longer
    than the attempt did.
    """
    told = 0
    untold: list[int] = []
    owners = _owners(attempt)
    for batch, slots in attempt.left:
        if told >= LINES:
            untold += slots
            continue
        vms = fold_slots(attempt.demand, slots)
        because = (batch.because or "schedule") if batch.pin else ""
        found: dict[str, list[str]] = {}
        for number in _candidates(attempt, batch):
            why = _why_not(attempt, batch, number, owners)
            found.setdefault(why, []).append(attempt.ledger.names[number])
        if not found:
            found["is not in the namespace"] = [batch.pin]
        for why, names in found.items():
            told += 1
            if told <= LINES:
                yield Reason(vms, fold(names), why, because)
        if told > LINES:
            yield Reason(vms, "", f"and {told - LINES} more reasons", because)
    if untold:
        yield Reason(fold_slots(attempt.demand, untold), "", "left over too, for reasons like these")


def _headline(attempt: Attempt) -> str:
    """The peer's words, for the first VM and host where a coschedule limit is in the way; empty if there is none."""
    ledger = attempt.ledger
    for batch, _ in attempt.left[:LINES]:
        for number in _candidates(attempt, batch):
            most = ledger.cap[number] if batch.limit < 0 else min(ledger.cap[number], batch.limit + 1)
            if ledger.hosts[number].accepting and ledger.vms[number] + batch.size > most:
                return (
                    f"too many VMs scheduled on {ledger.names[number]} for coschedule requirement of {most}"
                )
    return ""


def _candidates(attempt: Attempt, batch: Batch) -> Sequence[int]:
    """The hosts that a batch could go to, the least loaded first."""
    ledger = attempt.ledger
    if batch.pin:
        return [ledger.index[batch.pin]] if batch.pin in ledger.index else []
    return sorted(range(len(ledger.hosts)), key=ledger.keys().__getitem__)


def _why_not(attempt: Attempt, batch: Batch, number: int, owners: dict[int, str]) -> str:
    """Return why a unit of the batch does not fit on a host, in words."""
    ledger = attempt.ledger
    host = ledger.hosts[number]
    if not host.accepting:
        return host.reason or "takes no new VMs"
    others = ledger.vms[number] + batch.size - 1
    if others + 1 > ledger.cap[number]:
        owner = owners.get(number, _UNNAMED)
        return f"{owner} allows {ledger.cap[number] - 1} others there (coschedule), it would have {others}"
    if 0 <= batch.limit < others:
        return f"allows {batch.limit} others on its host (coschedule), there it would have {others}"
    return ledger.over_quota(number, batch.load) or "does not fit together with the other VMs of this plan"


def _owners(attempt: Attempt) -> dict[int, str]:
    """Return the VM whose limit is the cap of a host, for those that have one: a resident, or one of this plan."""
    ledger = attempt.ledger
    found = {number: f"`{owner}`" for number, owner in enumerate(ledger.owner) if isinstance(owner, str)}
    for batch in {owner for owner in ledger.owner if isinstance(owner, int)}:
        for slot in attempt.batches[batch].slots:
            number = attempt.placed[slot]
            if number < 0 or number in found or ledger.owner[number] != batch:
                continue
            item, index = attempt.demand.item(slot)
            if item.coschedule == ledger.cap[number] - 1:
                found[number] = f"`{item.name(index)}`" if item.names else _UNNAMED
    return found


def fold_slots(demand: Demand, slots: Sequence[int]) -> str:
    """Return the names of VMs, folded; those without names are counted."""
    names = list(map(demand.name, slots))
    unnamed = names.count("")
    parts = [fold(filter(None, names)), f"{unnamed} VMs without names" if unnamed else ""]
    return ",".join(filter(None, parts))
