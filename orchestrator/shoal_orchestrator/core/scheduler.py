"""The planner: which VM goes to which host.

This module refuses to know queue, store, time and chance: a placement follows from its arguments alone.

The rule (DESIGN.md section 4): units in planning order (`units`), each to the least loaded host that it fits on,
ties by fewest VMs, then by natural order of host names. If that leaves units over, two more attempts are made:
limited units are packed together as tightly as they allow, which leaves whole hosts to the rest; and small demands
are searched.

What is guaranteed:

1. A placement satisfies every constraint: schedule, coschedule (of VMs of the demand and of those that are there),
   colocate over chains, quotas of hosts, limits of the namespace, hosts that take nothing. On one host as on many.
2. Without coschedule limits, quotas and pins among the demand and on the hosts, it is the naive rule: one unit
   after the other to the least loaded host. (Equal to that loop in every step, though not done that way.)
3. `Unplaceable` is right, that is, there is no placement, in these cases of any size:
   a. there is one host, or all units are pinned, or no unit is limited and all are alike;
   b. no VM that is there is limited, no host has a quota, and each unit that is not pinned is one VM, limited to
      any numbers, while pinned units are not limited;
   and for every demand with hosts ** units <= 100,000 (8 units on 4 hosts, 16 on 2; hosts that take VMs, units
   that are not pinned), which is searched to the end. In practice that holds for much larger demands, since equal
   units and equal hosts are tried once.

What is given up: beyond that the attempts are heuristics, and a placement that exists may be missed where limits,
quotas and groups compete for the last room (bin packing: no quick way is known to be always right). Where a second
or third attempt was needed, hosts are loaded as evenly as that attempt makes them, not as evenly as possible.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from shoal.core.load import DEFAULT_POLICY, Load, Policy
from shoal.errors import Refused, Unplaceable
from shoal_orchestrator.core.allowance import exceeded, trim, wanted_by
from shoal_orchestrator.core.attempts import Attempt, pack, spread
from shoal_orchestrator.core.ledger import Ledger
from shoal_orchestrator.core.placement import HostView, Item, NamespaceLimit, Placement, Residents
from shoal_orchestrator.core.refusal import Reason, fold_slots, reasons, unplaceable
from shoal_orchestrator.core.search import search
from shoal_orchestrator.core.units import Demand, make_demand


class Partial(msgspec.Struct, frozen=True):
    """What could be placed; VMs that are left over have the host "", and `reasons` tell why."""

    placement: Placement
    reasons: tuple[Reason, ...] = ()


def place(
    items: Sequence[Item],
    hosts: Sequence[HostView],
    policy: Policy = DEFAULT_POLICY,
    *,
    relative: bool = False,
    residents: Residents | None = None,
    limit: NamespaceLimit | None = None,
) -> Placement:
    """Place all VMs of `items` on `hosts`, or none.

    Raises Refused without hosts or VMs, and Unplaceable, with the reason for each VM and host in its details, for
    hosts and VMs that do not exist, circular colocation, more than the namespace may have, and a demand for which
    no placement was found.
    """
    demand = _demand(items, hosts, policy, residents)
    if demand.homeless:
        raise Unplaceable(f"nonexistent colocate VMs: [{', '.join(sorted(demand.homeless))}]")
    if limit is not None:
        broken = exceeded(limit, limit.used, wanted_by(demand.batches, Load()))
        if broken:
            raise Unplaceable(broken[0], details=tuple(broken))
    first = _attempt(demand, hosts, policy, relative=relative)
    if spread(first):
        return first.placement()
    _check_pins(first)
    for method in (pack, search) if first.hopeful() else ():
        another = _attempt(demand, hosts, policy, relative=relative)
        if method(another):
            return another.placement()
    raise unplaceable(first)


def place_some(
    items: Sequence[Item],
    hosts: Sequence[HostView],
    policy: Policy = DEFAULT_POLICY,
    *,
    relative: bool = False,
    residents: Residents | None = None,
    limit: NamespaceLimit | None = None,
) -> Partial:
    """Place all VMs of `items` on `hosts`, or as many as were found room for, and the reasons for the others.

    VMs that are colocated are placed together or left over together. If all can be placed, it is as by `place`.
    Otherwise as many are as in the better of two quick attempts: that is not always the most that is possible.
    Raises Refused without hosts or VMs.
    """
    demand = _demand(items, hosts, policy, residents)
    why = [
        Reason(
            fold_slots(demand, slots), "", f"colocated with `{target}`, which does not exist or follows it"
        )
        for target, slots in demand.homeless.items()
    ]
    if limit is not None:
        kept, others = trim(demand.batches, limit)
        demand = replace(demand, batches=kept)
        why += [Reason(fold_slots(demand, slots), "", reason) for slots, reason in others]
    tried: list[Attempt] = []
    for method in (spread, pack, search):
        attempt = _attempt(demand, hosts, policy, relative=relative)
        if method(attempt):
            return Partial(attempt.placement(), tuple(why))
        if method is not search:
            tried.append(attempt)
    best = min(tried, key=lambda attempt: sum(len(slots) for _, slots in attempt.left))
    return Partial(best.placement(), (*why, *reasons(best)))


def _demand(
    items: Sequence[Item], hosts: Sequence[HostView], policy: Policy, residents: Residents | None
) -> Demand:
    if not hosts:
        raise Refused("namespace must contain at least one host to launch VMs")
    if not any(item.size for item in items):
        raise Refused("namespace must contain at least one queued VM to launch VMs")
    return make_demand(items, residents or {}, policy)


def _attempt(demand: Demand, hosts: Sequence[HostView], policy: Policy, *, relative: bool) -> Attempt:
    return Attempt(demand, Ledger(hosts, policy, relative=relative, room_for=demand.total))


def _check_pins(attempt: Attempt) -> None:
    lost = attempt.lost_pin()
    if lost is not None:
        # the peer's words, which have no place for the reason
        why = f"VMs {lost.because} must go to `{lost.pins[0]}`, which is not in the namespace"
        raise Unplaceable(
            f"VM scheduled on unknown host: `{lost.pins[0]}`", details=(why,) if lost.because else ()
        )
