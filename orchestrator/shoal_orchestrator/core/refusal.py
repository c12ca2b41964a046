"""Why VMs could not be placed: for each VM and each host a reason, folded into lines that a person can act on.

This module refuses to know how hosts are chosen; it looks at the hosts as the planner left them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from shoal.core.ranges import fold
from shoal.errors import Unplaceable

if TYPE_CHECKING:
    from shoal_orchestrator.core.attempts import Attempt
    from shoal_orchestrator.core.units import Batch, Demand

#: how many lines of reasons one refusal shows; where there are more, they are told in fewer words first
LINES = 40
#: how many pairs of batches and hosts are asked for a reason: some tenths of a second
PAIRS = 400_000
_UNNAMED = "a VM of this plan"


class Reason(msgspec.Struct, frozen=True):
    """Why `vms` (folded) do not go to `hosts` (folded); `because` tells why they could go nowhere else.

    Without hosts it holds for all of them.
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
    details = [str(reason) for reason in reasons(attempt)]
    headline = _headline(attempt)
    if not headline:
        vms = _fold_left(attempt, range(len(attempt.left)))
        headline = f"no host has room for {vms}: {details[0].split(': ', 1)[1]}"
    return Unplaceable(headline, details=tuple(details))


def reasons(attempt: Attempt) -> list[Reason]:
    """Return the reasons for all VMs that an attempt left over: each pair of a VM and a host is in one of them.

    If that takes more than `LINES` lines, numbers are left out, so that more hosts have the same reason. What is
    still beyond is counted, and named in the last line.
    """
    lines = _find(attempt, brief=False)
    if len(lines) > LINES:
        lines = _find(attempt, brief=True)
    folded: dict[tuple[int, ...], str] = {}
    found: list[Reason] = []
    for (because, hosts, why), groups in list(lines.items())[:LINES]:
        key = tuple(groups)
        if key not in folded:
            # the same VMs have several reasons, on several hosts
            folded[key] = _fold_left(attempt, groups)
        found.append(Reason(folded[key], fold(hosts), why, because))
    if len(lines) > LINES:
        everybody = _fold_left(attempt, range(len(attempt.left)))
        found.append(Reason(everybody, "", f"and {len(lines) - LINES} more reasons like these"))
    return found


def _fold_left(attempt: Attempt, groups: Iterable[int]) -> str:
    return fold_slots(attempt.demand, [slot for group in groups for slot in attempt.left[group][1]])


def _find(attempt: Attempt, *, brief: bool) -> dict[tuple[str, tuple[str, ...], str], list[int]]:
    """Return (because, hosts, reason) → who was left over for it, by number."""
    ledger = attempt.ledger
    owners = {} if brief else _owners(attempt)
    lines: dict[tuple[str, tuple[str, ...], str], list[int]] = {}
    asked = 0
    for group, (batch, _) in enumerate(attempt.left):
        because = (batch.because or "schedule") if batch.pins else ""
        hosts: dict[str, list[str]] = {}
        if batch.pins and batch.pins[0] not in ledger.index:
            hosts["is not in the namespace"] = [batch.pins[0]]
        elif asked > PAIRS:
            lines.setdefault((because, (), "left over too, for reasons like these"), []).append(group)
        else:
            candidates = _candidates(attempt, batch)
            asked += len(candidates)
            for number in candidates:
                why = _briefly(attempt, batch, number) if brief else why_not(attempt, batch, number, owners)
                hosts.setdefault(why, []).append(ledger.names[number])
        for why, names in hosts.items():
            lines.setdefault((because, tuple(names), why), []).append(group)
    return lines


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
    if batch.pins:
        return [ledger.index[pin] for pin in batch.pins[:1] if pin in ledger.index]
    return sorted(range(len(ledger.hosts)), key=ledger.keys().__getitem__)


def why_not(attempt: Attempt, batch: Batch, number: int, owners: Mapping[int, str] | None = None) -> str:
    """Return why a unit of the batch does not fit on a host, in words.

    `owners` names for hosts the VM whose limit is in the way; without it those that are there already are found.
    """
    ledger = attempt.ledger
    host = ledger.hosts[number]
    if not host.accepting:
        return host.reason or "takes no new VMs"
    others = ledger.vms[number] + batch.size - 1
    if others + 1 > ledger.cap[number]:
        there = ledger.owner[number]
        owner = f"`{there}`" if isinstance(there, str) else (owners or {}).get(number, _UNNAMED)
        return f"{owner} allows {ledger.cap[number] - 1} others there (coschedule), it would have {others}"
    if 0 <= batch.limit < others:
        return f"allows {batch.limit} others on its host (coschedule), there it would have {others}"
    return ledger.over_quota(number, batch.load) or "does not fit together with the other VMs of this plan"


def _briefly(attempt: Attempt, batch: Batch, number: int) -> str:
    """Return why a unit of the batch does not fit on a host, without numbers and names."""
    ledger = attempt.ledger
    if not ledger.hosts[number].accepting:
        return "takes no new VMs"
    others = ledger.vms[number] + batch.size - 1
    if others + 1 > ledger.cap[number]:
        return "a VM there allows fewer others (coschedule)"
    if 0 <= batch.limit < others:
        return f"allows {batch.limit} others on its host (coschedule), there it would have more"
    if ledger.over_quota(number, batch.load):
        return "more would be promised than the host may have"
    return "does not fit together with the other VMs of this plan"


def _owners(attempt: Attempt) -> dict[int, str]:
    """Return the VM whose limit is the cap of a host, for those that have one: a resident, or one of this plan."""
    ledger = attempt.ledger
    numbers = {label: number for number, label in enumerate(attempt.labels[:-1])}
    found: dict[int, str] = {}
    for batch in {owner for owner in ledger.owner if isinstance(owner, int)}:
        for slot in attempt.batches[batch].slots:
            number = numbers.get(attempt.placed[slot], -1)
            if number < 0 or number in found or ledger.owner[number] != batch:
                continue
            item, index = attempt.demand.item(slot)
            if item.coschedule == ledger.cap[number] - 1:
                found[number] = f"`{item.name(index)}`" if item.names else _UNNAMED
    return found


def fold_slots(demand: Demand, slots: Iterable[int]) -> str:
    """Return the names of VMs, folded; those without names are counted."""
    names = list(map(demand.name, slots))
    unnamed = names.count("")
    parts = [fold(filter(None, names)), f"{unnamed} VMs without names" if unnamed else ""]
    return ",".join(filter(None, parts))
