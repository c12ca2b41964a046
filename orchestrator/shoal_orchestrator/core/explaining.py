"""Why is a VM where it is, or where would it go: for each host its load and whether the VM fits there.

This module refuses to know how hosts are chosen among those that fit: it asks the planner.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from shoal.core.load import DEFAULT_POLICY, Load, Policy, rank
from shoal.core.ranges import expand, fold
from shoal.errors import NotFound
from shoal_orchestrator.core.attempts import Attempt
from shoal_orchestrator.core.ledger import Ledger
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item, NamespaceLimit, Residents
from shoal_orchestrator.core.refusal import why_not
from shoal_orchestrator.core.scheduler import place_some
from shoal_orchestrator.core.units import Batch, Demand, make_demand


class HostVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A host in the eyes of one VM.

    `committed` is what the policy sums up there (vCPUs, network interfaces, or MiB of memory), `capacity` what the
    host has of it (0 for interfaces), `rank` the number by which hosts are compared, lower first. `reason` tells
    why the VM does not fit.
    """

    host: str
    committed: int
    capacity: int
    rank: float
    vms: int
    feasible: bool
    reason: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a VM is on the host `at` ("": it is queued), and where it would go now ("": nowhere).

    `together` are the VMs that share its host by colocation (folded), `because` why only one host comes into
    question. `hosts` stand in the order in which they are tried.
    """

    vm: str
    at: str
    together: str
    because: str
    would_go: str
    policy: Policy
    relative: bool
    notes: tuple[str, ...] = ()
    hosts: tuple[HostVerdict, ...] = ()


def explain(
    vm: str,
    items: Sequence[Item],
    hosts: Sequence[HostView],
    policy: Policy = DEFAULT_POLICY,
    *,
    relative: bool = False,
    residents: Residents | None = None,
    limit: NamespaceLimit | None = None,
    at: str = "",
) -> Explanation:
    """Return where `vm` fits, host by host, and where the planner puts it.

    For a queued VM `items` is the queue; hosts are judged as they are before any of it is placed, and `would_go` is
    the outcome for the whole queue. For a VM that is placed, `items` is its own item and `at` its host: its own
    load and limit are taken off that host first, as if it were launched again now.
    Raises NotFound for a VM that is not in `items`, Refused without hosts.
    """
    own = next((item for item in items if vm in item.names), None)
    if own is None:
        raise NotFound(f"vm not found: {vm}", names=(vm,))
    views = [_without(host, vm, own.load) if host.name == at else host for host in hosts]
    if at and limit is not None:
        limit = replace(limit, used=_less(limit.used, own.load))
    partial = place_some(items, views, policy, relative=relative, residents=residents, limit=limit)
    would_go = partial.placement.of(items)[vm]
    demand = make_demand(items, residents or {}, policy)
    attempt = Attempt(demand, Ledger(views, policy, relative=relative, room_for=demand.total))
    batch, slots = _unit_of(demand, vm)
    if batch is None:
        lost = f"`{own.colocate}`, with which it is colocated, does not exist or follows it"
        return Explanation(
            vm=vm,
            at=at,
            together="",
            because="",
            would_go="",
            policy=policy,
            relative=relative,
            notes=(lost,),
        )
    own_reasons = (str(reason) for reason in partial.reasons if vm in expand(reason.vms))
    return Explanation(
        vm=vm,
        at=at,
        together=fold([name for name in map(demand.name, slots) if name and name != vm]),
        because=(batch.because or "schedule") if batch.pins else "",
        would_go=would_go,
        policy=policy,
        relative=relative,
        notes=() if would_go else tuple(own_reasons),
        hosts=tuple(_verdicts(attempt, batch, policy, relative=relative)),
    )


def _verdicts(attempt: Attempt, batch: Batch, policy: Policy, *, relative: bool) -> Iterator[HostVerdict]:
    """Judge each host for a unit of the batch, in the order in which hosts are tried."""
    ledger = attempt.ledger
    pin = batch.pins[0] if batch.pins else ""
    for number in sorted(range(len(ledger.hosts)), key=ledger.keys().__getitem__):
        view = ledger.hosts[number]
        reason = "" if ledger.room(number, batch.load, batch.limit) else why_not(attempt, batch, number)
        if pin and view.name != pin:
            reason = f"must go to `{pin}` ({batch.because or 'schedule'})"
        yield _verdict(view, policy, relative, reason)


def _without(host: HostView, vm: str, load: Load) -> HostView:
    own = next((limit for limit in host.limits if limit.vm == vm), None)
    limits: list[CoscheduleLimit] = list(host.limits)
    if own is not None:
        # one only: VMs of other namespaces may have the same name
        limits.remove(own)
    return replace(host, load=_less(host.load, load), limits=tuple(limits))


def _less(load: Load, own: Load) -> Load:
    return Load(
        vcpus=max(0, load.vcpus - own.vcpus),
        memory_mib=max(0, load.memory_mib - own.memory_mib),
        nics=max(0, load.nics - own.nics),
        vms=max(0, load.vms - own.vms),
    )


def _unit_of(demand: Demand, vm: str) -> tuple[Batch | None, Sequence[int]]:
    """Return the batch of a VM's unit, as one unit, and the unit's slots."""
    number, item = next((n, item) for n, item in enumerate(demand.items) if vm in item.names)
    slot = demand.starts[number] + item.names.index(vm)
    for batch in demand.batches:
        if slot in batch.slots:
            unit = batch.slots.index(slot) // batch.size
            part = batch.part(slice(unit, unit + 1))
            return part, part.slots
    return None, ()


def _verdict(view: HostView, policy: Policy, relative: bool, reason: str) -> HostVerdict:
    load, capacity = view.load, view.capacity
    committed, has = {
        "cpucommit": (load.vcpus, capacity.cpus),
        "netcommit": (load.nics, 0),
        "memload": (load.memory_mib, capacity.memory_mib),
    }[policy]
    return HostVerdict(
        host=view.name,
        committed=committed,
        capacity=has,
        rank=rank(policy, relative, load, capacity),
        vms=load.vms,
        feasible=not reason,
        reason=reason,
    )
