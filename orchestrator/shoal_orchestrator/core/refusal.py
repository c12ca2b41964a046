"""Why VMs could not be placed: for each VM and each host a reason, folded into lines that a person can act on.

This module refuses to know how hosts are chosen; it looks at the hosts as the planner left them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shoal.core.ranges import fold
from shoal.errors import Unplaceable

if TYPE_CHECKING:
    from shoal_orchestrator.core.attempts import Attempt
    from shoal_orchestrator.core.placement import Item
    from shoal_orchestrator.core.units import Batch, Member

#: how many lines of reasons one refusal shows
LINES = 40


def unplaceable(attempt: Attempt) -> Unplaceable:
    """Return the error for an attempt that left VMs over.

    Its first line is the peer's where a coschedule limit is the reason; `details` have a line for each VMs, hosts
    and reason, VMs and hosts folded.
    """
    ledger = attempt.ledger
    headline = ""
    details: list[str] = []
    for batch, members in attempt.left:
        hosts = [ledger.index[batch.pin]] if batch.pin else range(len(ledger.hosts))
        reasons: dict[str, list[str]] = {}
        for number in sorted(hosts, key=ledger.key):
            reason = why_not(attempt, batch, number)
            reasons.setdefault(reason, []).append(ledger.names[number])
            if not headline and "coschedule" in reason:
                most = ledger.cap[number] if batch.limit < 0 else min(ledger.cap[number], batch.limit + 1)
                headline = (
                    f"too many VMs scheduled on {ledger.names[number]} for coschedule requirement of {most}"
                )
        vms = fold_members(attempt.items, members)
        pinned = f" ({batch.because or 'schedule'})" if batch.pin else ""
        details += [f"{vms}{pinned}: {fold(names)}: {reason}" for reason, names in reasons.items()]
    if not headline:
        vms = fold_members(attempt.items, [member for _, members in attempt.left for member in members])
        headline = f"no host has room for {vms}: {details[0].split(': ', 1)[1]}"
    if len(details) > LINES:
        details = [*details[:LINES], f"and {len(details) - LINES} more reasons"]
    return Unplaceable(headline, details=tuple(details))


def why_not(attempt: Attempt, batch: Batch, number: int) -> str:
    """Return why a unit of the batch does not fit on a host, in words."""
    ledger = attempt.ledger
    host = ledger.hosts[number]
    if not host.accepting:
        return host.reason or "takes no new VMs"
    others = ledger.vms[number] + batch.size - 1
    if others + 1 > ledger.cap[number]:
        owner = _owner(attempt, number)
        return f"{owner} allows {ledger.cap[number] - 1} others there (coschedule), it would have {others}"
    if 0 <= batch.limit < others:
        return f"allows {batch.limit} others on its host (coschedule), there it would have {others}"
    return ledger.over_quota(number, batch.load) or "does not fit together with the other VMs of this plan"


def fold_members(items: Sequence[Item], members: Sequence[Member]) -> str:
    """Return the names of VMs, folded; those without names are counted."""
    names = [items[item].name(index) for item, index in members]
    unnamed = names.count("")
    parts = [fold(filter(None, names)), f"{unnamed} VMs without names" if unnamed else ""]
    return ",".join(filter(None, parts))


def _owner(attempt: Attempt, number: int) -> str:
    """Return the VM whose limit is the cap of a host: a resident, or one of this plan."""
    owner = attempt.ledger.owner[number]
    if isinstance(owner, str):
        return f"`{owner}`"
    limit = attempt.ledger.cap[number] - 1
    for unit in attempt.batches[owner].units():
        for item, index in unit:
            if attempt.placed[item][index] == number and attempt.items[item].coschedule == limit:
                return (
                    f"`{attempt.items[item].name(index)}`"
                    if attempt.items[item].names
                    else "a VM of this plan"
                )
    return "a VM of this plan"
