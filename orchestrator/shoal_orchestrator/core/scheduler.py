"""The planner: which VM goes to which host.

This module refuses to know queue, store, time and chance: a placement follows from its arguments alone.

The rule (DESIGN.md section 4): units in planning order (`units`), each to the least loaded host that it fits on,
ties by fewest VMs, then by natural order of host names. If that leaves units over, two more attempts are made:
limited units are packed together as tightly as they allow, which leaves whole hosts to the rest; and small demands
are searched.

What is guaranteed: a placement satisfies every constraint, on one host as on many. `Unplaceable` is right, that
is, there is no placement, whenever hosts ** units <= 20,000 (7 units on 4 hosts, 14 on 2), and in practice for
much larger demands, since equal units and equal hosts are tried once. Beyond that the attempts are heuristics: a
placement that exists may be missed where several limits, quotas and groups compete for the last room.
"""

from __future__ import annotations

from collections.abc import Sequence

from shoal.core.load import DEFAULT_POLICY, Policy
from shoal.errors import Refused, Unplaceable
from shoal_orchestrator.core.attempts import Attempt, pack, spread
from shoal_orchestrator.core.ledger import Ledger
from shoal_orchestrator.core.placement import HostView, Item, Placement, Residents
from shoal_orchestrator.core.refusal import Reason, reasons, unplaceable
from shoal_orchestrator.core.search import search
from shoal_orchestrator.core.units import Batch, Demand, make_demand


def place(
    items: Sequence[Item],
    hosts: Sequence[HostView],
    policy: Policy = DEFAULT_POLICY,
    *,
    relative: bool = False,
    residents: Residents | None = None,
) -> Placement:
    """Place all VMs of `items` on `hosts`, or none.

    Raises Refused without hosts or VMs, and Unplaceable, with the reason for each VM and host in its details, for
    hosts and VMs that do not exist, circular colocation, and a demand for which no placement was found.
    """
    demand = _demand(items, hosts, policy, residents)
    _check_pins(demand.batches, hosts)
    placed, failed = _solve(demand, hosts, policy, relative=relative)
    if placed is None:
        raise unplaceable(failed[0])
    return placed.placement()


def place_some(
    items: Sequence[Item],
    hosts: Sequence[HostView],
    policy: Policy = DEFAULT_POLICY,
    *,
    relative: bool = False,
    residents: Residents | None = None,
) -> tuple[Placement, tuple[Reason, ...]]:
    """Place all VMs of `items` on `hosts`, or as many as were found room for, and the reasons for the others.

    A VM that is left over has the host ""; VMs that are colocated are placed together or left over together. No
    reasons: all were placed. How many are left over is not the least number possible.
    Raises Refused without hosts or VMs, and Unplaceable for colocation that is circular or leads nowhere.
    """
    demand = _demand(items, hosts, policy, residents)
    placed, failed = _solve(demand, hosts, policy, relative=relative)
    if placed is not None:
        return placed.placement(), ()
    best = min(failed, key=lambda attempt: sum(len(slots) for _, slots in attempt.left))
    return best.placement(), tuple(reasons(best))


def _demand(
    items: Sequence[Item], hosts: Sequence[HostView], policy: Policy, residents: Residents | None
) -> Demand:
    if not hosts:
        raise Refused("namespace must contain at least one host to launch VMs")
    if not any(item.size for item in items):
        raise Refused("namespace must contain at least one queued VM to launch VMs")
    return make_demand(items, residents or {}, policy)


def _solve(
    demand: Demand, hosts: Sequence[HostView], policy: Policy, *, relative: bool
) -> tuple[Attempt | None, list[Attempt]]:
    """Return the attempt that placed all, or None, and those before it that show what they left over."""
    failed: list[Attempt] = []
    for method in (spread, pack, search):
        attempt = Attempt(demand, Ledger(hosts, policy, relative=relative, room_for=demand.total))
        if method(attempt):
            return attempt, failed
        if attempt.left:
            failed.append(attempt)
    return None, failed


def _check_pins(batches: Sequence[Batch], hosts: Sequence[HostView]) -> None:
    known = {host.name for host in hosts}
    for batch in batches:
        if batch.pin and batch.pin not in known:
            # the peer's words, which have no place for the reason
            why = f"VMs {batch.because} must go to `{batch.pin}`, which is not in the namespace"
            raise Unplaceable(
                f"VM scheduled on unknown host: `{batch.pin}`", details=(why,) if batch.because else ()
            )
