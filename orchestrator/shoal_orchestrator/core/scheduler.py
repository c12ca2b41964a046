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
from shoal_orchestrator.core.refusal import unplaceable
from shoal_orchestrator.core.search import search
from shoal_orchestrator.core.units import Batch, make_batches


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
    if not hosts:
        raise Refused("namespace must contain at least one host to launch VMs")
    demanded = sum(item.size for item in items)
    if not demanded:
        raise Refused("namespace must contain at least one queued VM to launch VMs")
    batches = make_batches(items, residents or {}, policy)

    def attempt() -> Attempt:
        return Attempt(items, batches, Ledger(hosts, policy, relative=relative, room_for=demanded))

    first = attempt()
    _check_pins(batches, first.ledger)
    if spread(first):
        return first.placement()
    for again, method in ((attempt(), pack), (attempt(), search)):
        if method(again):
            return again.placement()
    raise unplaceable(first)


def _check_pins(batches: Sequence[Batch], ledger: Ledger) -> None:
    for batch in batches:
        if batch.pin and batch.pin not in ledger.index:
            # the peer's words, which have no place for the reason
            why = f"VMs {batch.because} must go to `{batch.pin}`, which is not in the namespace"
            raise Unplaceable(
                f"VM scheduled on unknown host: `{batch.pin}`", details=(why,) if batch.because else ()
            )
