"""From the queue to launch records: what may be queued, what a plan fixes when it begins, and each VM's record.

This module refuses to know how hosts are chosen and how records are stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from shoal.core.ids import Ids, token, uuid
from shoal.core.names import check_distinct, check_vms, is_integer
from shoal.core.ranges import expand, fold
from shoal.core.vmconfig import VMConfig
from shoal.core.vmconfig_text import unsupported
from shoal.errors import Conflict, InvalidRequest, NotFound
from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.demand import names_of
from shoal_orchestrator.core.failures import MOST_NAMED
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.networks import allocate, check_shared, ports_of, vlan_records, vlans_of
from shoal_orchestrator.core.records import NamespaceRecord, PlanRecord, QueueEntry
from shoal_orchestrator.core.stored_files import content_of, fitted

#: launch records in one batch, with room for the segments that go with them
SLICE = 400
MAX_VMS = 100_000


def new_entry(
    model: Model, record: NamespaceRecord, text: str, config: VMConfig, *, by: str = ""
) -> QueueEntry:
    """The queue entry for `text`: a name, a range of names, or a number of VMs; `by` is who asks.

    Raises InvalidRequest for bad names and for configurations that are not carried out, Conflict for names and
    UUIDs that are taken, NotFound for files that the cluster does not have.
    """
    refused = unsupported(config)
    if refused:
        raise InvalidRequest(
            f"cannot launch with these fields of vm config, which are not carried out yet: {', '.join(refused)}"
        )
    if is_integer(text):
        names: list[str] = []
        count = _count(text)
    else:
        names = expand(text, limit=MAX_VMS)
        count = len(names)
        if not names:
            raise InvalidRequest("no VMs to launch")
        check_vms(names)
        check_distinct(names)
        _check_free(model, record.name, names)
    _check_uuid(model, record.name, config.uuid, count)
    files = content_of(model.files, config)
    config = fitted(model.files, config)
    return QueueEntry(
        namespace=record.name,
        entry=record.next_entry,
        count=count,
        names="" if is_integer(text) else text,
        config=config,
        files=files,
        by=by,
    )


def _count(text: str) -> int:
    count = int(text)
    if count <= 0:
        raise InvalidRequest("invalid number of vms (must be > 0)")
    if count > MAX_VMS:
        raise InvalidRequest(f"invalid number of vms (at most {MAX_VMS} in one launch)")
    return count


def _check_free(model: Model, namespace: str, names: Sequence[str]) -> None:
    existing, queued = model.launches[namespace], model.queued_names[namespace]
    if existing.keys().isdisjoint(names) and queued.keys().isdisjoint(names):
        return
    taken = [name for name in names if name in existing or name in queued]
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for name in taken:
        launched = existing.get(name)
        by = launched.by if launched else model.queues[namespace][queued[name]].by
        if by:
            holders[f"{'launched' if launched else 'queued'} by {by}"].append(name)
    word = "exists" if taken[0] in existing else "queued"
    raise Conflict(
        f"vm already {word} with name `{taken[0]}`",
        details=tuple(f"{fold(those)}: {told}" for told, those in sorted(holders.items())),
        names=tuple(taken[:MOST_NAMED]),
    )


def _check_uuid(model: Model, namespace: str, wanted: str, count: int) -> None:
    if not wanted:
        return
    if count > 1:
        raise InvalidRequest("cannot launch multiple VMs with a pre-configured UUID")
    if any(record.uuid == wanted for record in model.instances.values()):
        raise Conflict(f"vm already exists with UUID `{wanted}`", names=(wanted,))
    if any(entry.config.uuid == wanted for entry in model.queues[namespace].values()):
        raise Conflict(f"vm already queued with UUID `{wanted}`", names=(wanted,))


def begin(
    model: Model, record: NamespaceRecord, plan: PlanRecord, entries: Sequence[QueueEntry]
) -> tuple[PlanRecord, Changes]:
    """Fix what a plan's VMs share before any of them is launched: their ids, and the VLANs of their nets.

    Returns the plan's head and the changes of namespaces. Raises Conflict for an alias that another namespace
    uses on a bridge that both share.
    """
    vlans = vlans_of(model)
    for entry in entries:
        vlans = allocate(vlans, record.name, entry.config.networks)
    for entry in entries:
        for net in entry.config.networks:
            check_shared(model, vlans, record, net.bridge, net.vlan)
    total = sum(entry.count for entry in entries)
    first = _first_id(model, record, entries, total)
    changes = Changes()
    changes.put(*vlan_records(model, vlans, replace(record, next_id=first + total)))
    return replace(plan, first_id=first), changes


def _first_id(model: Model, record: NamespaceRecord, entries: Sequence[QueueEntry], total: int) -> int:
    """The first of `total` free ids, such that no VM without a name gets one that is taken (`vm-3`)."""
    first = record.next_id
    if all(entry.names for entry in entries):
        return first
    taken = {*model.launches[record.name], *model.queued_names[record.name]}
    while any(f"vm-{number}" in taken for number in range(first, first + total)):
        first += 1
    return first


class Progress(NamedTuple):
    """How far a plan has come: see `PlanRecord`."""

    reached: str
    published: int


class _Place(NamedTuple):
    number: int
    name: str
    entry: QueueEntry


def launches(
    model: Model,
    plan: PlanRecord,
    entries: Sequence[QueueEntry],
    hosts: Sequence[Sequence[str]],
    ids: Ids,
) -> Iterator[tuple[list[LaunchRecord], Progress]]:
    """The launch records of a plan, in slices, and how far it has come with each of them.

    That belongs into the slice's batch: what is before it is never launched again, even if it has been killed and
    forgotten since. A host's VMs stand together, so that it hears of all of them at once. VMs whose name has a record
    are passed over, and those without a host (a chunk of the plan was lost): their entries say who they are. Evaluated
    lazily: between two slices the model takes the first one in.
    """
    record = model.namespaces[plan.namespace]
    vlans = vlans_of(model)
    batch: list[LaunchRecord] = []
    at = Progress(plan.reached, plan.published)
    places = _by_host(plan, entries, hosts)
    for host in sorted(places):
        if host < plan.reached:
            continue
        known = plan.published if host == plan.reached else 0
        for done, place in enumerate(places[host][known:], known + 1):
            if place.name in model.launches[plan.namespace]:
                continue
            instance = token(ids, 96)
            config = place.entry.config
            at = Progress(host, done)
            batch.append(
                LaunchRecord(
                    namespace=plan.namespace,
                    name=place.name,
                    id=place.number,
                    instance=instance,
                    revision=1,
                    power="paused",
                    host=host,
                    incarnation=_incarnation(model, host),
                    uuid=config.uuid or uuid(ids),
                    config=config,
                    ports=ports_of(record, vlans, config.networks, instance, ids),
                    plan=plan.plan,
                    request=plan.request,
                    files=place.entry.files,
                    by=place.entry.by,
                )
            )
            if len(batch) == SLICE:
                yield batch, at
                batch = []
    if batch:
        yield batch, at


def _by_host(
    plan: PlanRecord, entries: Sequence[QueueEntry], hosts: Sequence[Sequence[str]]
) -> dict[str, list[_Place]]:
    """The VMs of each host, in the order of the plan."""
    found: defaultdict[str, list[_Place]] = defaultdict(list)
    number = plan.first_id
    for entry, of_entry in zip(entries, hosts, strict=True):
        names = names_of(entry)
        for index, host in enumerate(of_entry):
            if host:
                found[host].append(_Place(number, names[index] if names else f"vm-{number}", entry))
            number += 1
    return found


def _incarnation(model: Model, host: str) -> str:
    record = model.hosts.get(host)
    if record is None:
        raise NotFound(f"host {host} is not known to the cluster", names=(host,))
    return record.incarnation
