"""A demand and hosts as a JSON document, and where the planner puts the VMs.

This module refuses to know files and terminals: bytes come in, an answer goes out.

The planner is the cluster's own (`core.scheduler`). VMs that fit nowhere do not keep the others from being placed,
since a person who plans a purchase wants to see both.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from shoal.core.load import DEFAULT_POLICY, Capacity, Load, Quota, parse_policy
from shoal.core.names import check_host, check_vms, is_integer
from shoal.core.ranges import expand, fold
from shoal.core.vmconfig import VMConfig
from shoal.errors import InvalidRequest
from shoal_orchestrator.core.placement import HostView, Item
from shoal_orchestrator.core.scheduler import place_some

#: VMs of one entry, as in one `vm launch`
MAX_VMS = 100_000
_DEFAULT = VMConfig()

_Amount = Annotated[int, msgspec.Meta(ge=0)]
_Limit = Annotated[int, msgspec.Meta(ge=-1)]


class Committed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is promised on a host already."""

    vcpus: _Amount = 0
    memory_mib: _Amount = 0
    nics: _Amount = 0
    vms: _Amount = 0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most that may be promised on a host; -1 is no limit."""

    vcpus: _Limit = -1
    memory_mib: _Limit = -1
    vms: _Limit = -1


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A host. `limit` is the most VMs that it takes, or what it takes of each; nothing: any number."""

    name: str
    cpus: _Amount = 0
    memory_mib: _Amount = 0
    committed: Committed = Committed()
    limit: Limits | _Limit | None = None


class VMs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Equal VMs: `names` is a range, or a number of VMs, which are called vm-0, vm-1 and so on."""

    names: str
    vcpus: _Amount = _DEFAULT.vcpus
    memory_mib: _Amount = _DEFAULT.memory_mib
    nics: _Amount = 0
    schedule: str = ""
    coschedule: _Limit = _DEFAULT.coschedule
    colocate: str = ""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked."""

    load: str = DEFAULT_POLICY
    relative: bool = False
    hosts: tuple[Host, ...] = ()
    vms: tuple[VMs, ...] = ()


class Unplaced(msgspec.Struct, frozen=True, omit_defaults=True):
    """VMs (folded) that do not go to hosts (folded, none: all of them), and why; `because`: why only there."""

    vms: str
    hosts: str
    reason: str
    because: str = ""


class Answer(msgspec.Struct, frozen=True):
    """Where the VMs go: host → names (folded); and those that fit nowhere."""

    placements: dict[str, str]
    unplaceable: tuple[Unplaced, ...]


def decode(text: bytes) -> Document:
    """Read a document. Raises InvalidRequest, in one line, for what is no such document."""
    try:
        return msgspec.json.decode(text, type=Document)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}; correct it as in docs/scheduling.md") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{error}; expected JSON as in docs/scheduling.md") from None


def answer(document: Document) -> Answer:
    """Place the VMs of a document.

    Raises InvalidRequest for names that are none, stand there twice, or are no host of the document, for a load
    policy that does not exist, and for schedule and colocate together.
    """
    policy = parse_policy(document.load)
    views = [_view(host) for host in document.hosts]
    known: set[str] = set()
    for view in views:
        if view.name in known:
            raise InvalidRequest(f"host `{view.name}` stands in `hosts` twice: remove one")
        known.add(view.name)
    items = _items(document.vms)
    for item in items:
        if item.schedule and item.schedule not in known:
            raise InvalidRequest(
                f"VM `{item.name(0)}` has the schedule `{item.schedule}`, which is not in `hosts`: add or correct it"
            )
    if not items:
        return Answer({}, ())
    if not views:
        everything = fold([name for item in items for name in item.names])
        return Answer({}, (Unplaced(everything, "", "there are no hosts"),))
    partial = place_some(items, views, policy, relative=document.relative)
    placed = partial.placement.by_host(items)
    return Answer(
        {view.name: fold(placed[view.name]) for view in views if view.name in placed},
        tuple(Unplaced(why.vms, why.hosts, why.reason, why.because) for why in partial.reasons),
    )


def _view(host: Host) -> HostView:
    committed, limit = host.committed, host.limit
    if isinstance(limit, Limits):
        quota = Quota(vcpus=limit.vcpus, memory_mib=limit.memory_mib, vms=limit.vms)
    else:
        quota = Quota(vms=-1 if limit is None else limit)
    return HostView(
        name=check_host(host.name),
        capacity=Capacity(cpus=host.cpus, memory_mib=host.memory_mib),
        load=Load(
            vcpus=committed.vcpus, memory_mib=committed.memory_mib, nics=committed.nics, vms=committed.vms
        ),
        quota=quota,
    )


def _items(entries: tuple[VMs, ...]) -> list[Item]:
    items: list[Item] = []
    number = 0
    seen: set[str] = set()
    for entry in entries:
        if is_integer(entry.names):
            count = int(entry.names)
            if not 0 < count <= MAX_VMS:
                raise InvalidRequest(f"invalid number of vms: {count}; expected 1 to {MAX_VMS}")
            names = [f"vm-{n}" for n in range(number, number + count)]
            number += count
        else:
            names = expand(entry.names, limit=MAX_VMS)
            check_vms(names)
        if not names:
            raise InvalidRequest("`names` of an entry of `vms` is empty: name its VMs, as in `vm[0-9]`")
        for name in names:
            if name in seen:
                raise InvalidRequest(
                    f"VM `{name}` is named twice: names are unique, correct one of the entries"
                )
            seen.add(name)
        items.append(
            Item(
                names=tuple(names),
                vcpus=entry.vcpus,
                memory_mib=entry.memory_mib,
                nics=entry.nics,
                schedule=entry.schedule,
                coschedule=entry.coschedule,
                colocate=entry.colocate,
            )
        )
    return items
