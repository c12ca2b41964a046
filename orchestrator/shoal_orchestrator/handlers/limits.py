"""Handlers of what a namespace may be promised, and of why a VM is where it is."""

from __future__ import annotations

from msgspec.structs import replace

from shoal.core.load import Quota, parse_policy
from shoal.errors import InvalidRequest
from shoal.messages.events import NamespaceChanged
from shoal.messages.schedule import Explained, ExplainedHost, ExplainVM, LimitRow, Limits, SetLimit
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.demand import item_of_vm, items_of, promised_to, residents_of
from shoal_orchestrator.core.explaining import Explanation, HostVerdict, explain
from shoal_orchestrator.core.model import PRESENT
from shoal_orchestrator.handlers.planning import limit_of, views
from shoal_orchestrator.leader import Call, Leader

_FIELDS = {"vcpus": "vcpus", "memory": "memory_mib", "vms": "vms"}


async def set_limit(leader: Leader, namespace: str, request: SetLimit, call: Call) -> Limits:
    """Show or set the namespace's limits."""
    record = leader.namespace(namespace)
    if request.resource and request.resource not in _FIELDS:
        raise InvalidRequest(f"invalid resource: `{request.resource}`; expected {', '.join(_FIELDS)}")
    used = promised_to(leader.model, namespace)
    if request.most is None:
        wanted = [request.resource] if request.resource else list(_FIELDS)
        return Limits(items=tuple(_row(resource, record.limits, used) for resource in wanted))
    if not request.resource:
        raise InvalidRequest("`most` is for one resource: name it (vcpus, memory, vms)")
    if request.most < -1:
        raise InvalidRequest(f"invalid limit: {request.most}; expected a number, or -1 for no limit")
    limits = replace(record.limits, **{_FIELDS[request.resource]: request.most})
    changes = Changes()
    changes.put(replace(record, limits=limits))
    change = f"limit {request.resource} {request.most}"
    changes.tell(NamespaceChanged(namespace=namespace, name=namespace, change=change))
    row = _row(request.resource, limits, used)
    notes: tuple[str, ...] = ()
    if 0 <= row.limit < row.used:
        notes = (f"{row.used} are promised already: nothing is taken away, and nothing new fits",)
    reply = Limits(notes=notes)
    await call.commit(changes, reply)
    return reply


def _row(resource: str, limits: Quota, used: object) -> LimitRow:
    field = _FIELDS[resource]
    return LimitRow(resource=resource, limit=getattr(limits, field), used=getattr(used, field))


async def explain_vm(leader: Leader, namespace: str, request: ExplainVM, _: Call) -> Explained:
    """Ask the planner about one VM."""
    record = leader.namespace(namespace)
    model = leader.model
    placed = model.launches[namespace].get(request.vm)
    items = items_of(model.queued(namespace), leader.cluster.head)
    residents = residents_of(model, namespace)
    limit = limit_of(leader, record)
    at = ""
    notes: tuple[str, ...] = ()
    if placed is not None:
        items = [item_of_vm(placed, leader.cluster.head)]
        residents.pop(placed.name, None)
        # Launched again, it would need no more than it has.
        limit = None
        at = placed.host if placed.power in PRESENT else ""
        if not at:
            notes = (f"it has ended; `vm start {placed.name}` launches it again on {placed.host}",)
    found = explain(
        request.vm,
        items,
        views(leader, record),
        parse_policy(record.policy),
        relative=record.relative,
        residents=residents,
        limit=limit,
        at=at,
    )
    policy = found.policy + (" relative" if found.relative else "")
    return Explained(
        vm=found.vm,
        host=found.at,
        would_go=found.would_go,
        together=found.together,
        because=found.because,
        policy=policy,
        items=tuple(_verdict(found, host) for host in found.hosts),
        notes=(_sentence(found, policy), *notes, *found.notes),
    )


def _sentence(found: Explanation, policy: str) -> str:
    if found.at:
        text = f"{found.vm} is on {found.at}"
        if found.would_go == found.at:
            text += ", and would be placed there again"
        elif found.would_go:
            text += f"; placed now, it would go to {found.would_go}"
        else:
            text += "; placed now, it would find no host"
    else:
        text = f"{found.vm} would go to {found.would_go}" if found.would_go else f"{found.vm} finds no host"
    text += f" (load policy {policy}"
    text += f"; together with {found.together}" if found.together else ""
    return text + (f"; bound by {found.because})" if found.because else ")")


def _verdict(found: Explanation, host: HostVerdict) -> ExplainedHost:
    if not host.feasible:
        verdict = host.reason
    elif host.host == found.at:
        verdict = "it is here"
    else:
        verdict = "it would go here" if host.host == found.would_go else "it fits"
    return ExplainedHost(
        host=host.host,
        committed=host.committed,
        capacity=host.capacity,
        vms=host.vms,
        feasible=host.feasible,
        verdict=verdict,
    )
