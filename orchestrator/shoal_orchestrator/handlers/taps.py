"""Handlers of commands about host taps."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable, Callable

from shoal.core.names import check_interface
from shoal.core.vmconfig import NetSpec
from shoal.errors import Conflict, InvalidRequest, NotFound, Refused, Unavailable
from shoal.messages.base import Done, Said
from shoal.messages.desired import TapRecord
from shoal.messages.taps import CreateTap, DeleteTap, ListTaps, TapRow, Taps
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.clearing import removed
from shoal_orchestrator.core.mirrors import cleared, mirrors_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.networks import allocate, check_shared, connect, vlan_records, vlans_of
from shoal_orchestrator.handlers.hosts import unknown_host
from shoal_orchestrator.leader import Call, Leader

TAP_PREFIX = "mega_tap"
#: how long a new tap is waited for to get its address by DHCP
LEASE_S = 15.0


async def list_taps(leader: Leader, namespace: str, _: ListTaps, __: Call) -> Taps:
    """The namespace's host taps."""
    leader.namespace(namespace)
    rows = []
    for tap in leader.model.taps[namespace].values():
        if tap.removed or tap.trunk:
            continue
        seen = leader.inventory.hosts.get(tap.host)
        status = seen.taps.get((namespace, tap.tap)) if seen else None
        ip = status.ip if status and status.ip else tap.ip
        rows.append(
            TapRow(bridge=tap.bridge, tap=tap.tap, vlan=tap.vlan, host=tap.host, ip=ip, alias=tap.alias)
        )
    return Taps(items=tuple(rows))


def _taken(model: Model, host: str) -> set[str]:
    return {name for taps in model.taps.values() for (owner, name) in taps if owner == host}


def _name(model: Model, host: str, wanted: str) -> str:
    taken = _taken(model, host)
    if wanted:
        if wanted in taken:
            raise Conflict("tap already on bridge", details=(f"{wanted} exists on {host}",), names=(wanted,))
        return check_interface(wanted)
    number = next(n for n in range(len(taken) + 1) if f"{TAP_PREFIX}{n}" not in taken)
    return f"{TAP_PREFIX}{number}"


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        raise InvalidRequest(
            f"invalid address `{text}`: expected ADDRESS/PREFIX, such as 10.0.0.254/24"
        ) from None
    return str(found)


async def create_tap(leader: Leader, namespace: str, request: CreateTap, call: Call) -> Said:
    """Give a host an interface in a VLAN, and wait until it is up."""
    record = leader.namespace(namespace)
    host = request.host if request.host not in ("", "localhost") else leader.cluster.head
    claimed = leader.model.hosts.get(host)
    if claimed is None:
        raise unknown_host(host)
    if call.repeat and not request.tap:
        raise Unavailable(
            "an orchestrator ended while it did this, and it may be done: `tap` shows what there is"
        )
    made = leader.model.taps[namespace].get((host, request.tap))
    if call.repeat and made is not None and not made.removed:
        return await _made(leader, made, request, call)
    if leader.inventory.state(host) != "alive":
        raise Refused(f"cannot create a tap on {host}: it is {leader.inventory.state(host)}")
    name = _name(leader.model, host, request.tap)
    vlans = allocate(vlans_of(leader.model), namespace, [NetSpec(vlan=request.vlan)])
    check_shared(leader.model, vlans, record, request.bridge, request.vlan)
    at = connect(record, vlans, request.bridge, request.vlan)
    tap = TapRecord(
        namespace=namespace,
        tap=name,
        revision=1,
        host=host,
        incarnation=claimed.incarnation,
        bridge=at.bridge,
        vlan=at.vlan,
        alias=at.alias,
        vni=at.vni,
        segment=at.segment,
        ip=_address(request.ip),
        dhcp=request.dhcp,
    )
    changes = Changes()
    changes.put(*vlan_records(leader.model, vlans), tap)
    await call.commit(changes)
    return await _made(leader, tap, request, call)


async def _made(leader: Leader, tap: TapRecord, request: CreateTap, call: Call) -> Said:
    """Wait until a tap is up that was stored, by us or by a predecessor that died then."""
    namespace, host, name = tap.namespace, tap.host, tap.tap
    await tap_settled(leader, tap)
    seen = leader.inventory.hosts[host].taps.get((namespace, name))
    if seen is not None and not seen.up and seen.reason:
        # What cannot be made is not left wanted: the user tries again with something else.
        await remove_taps(leader, tap)
        raise Refused(f"cannot create tap `{name}` on {host}: {seen.reason}")
    notes: tuple[str, ...] = ()
    if request.ip and "/" not in request.ip:
        length = 64 if ":" in request.ip else 24
        notes = (
            f"nothing but the address itself is on the net {tap.ip}: write {request.ip}/{length} to reach others there",
        )
    if tap.dhcp and not await _addressed(leader, tap, call):
        notes = (f"no DHCP server has answered in VLAN {request.vlan} so far; the tap goes on asking",)
    reply = Said(text=name, notes=notes)
    await call.commit(Changes(), reply)
    return reply


async def _addressed(leader: Leader, tap: TapRecord, call: Call) -> bool:
    """Wait for a while until a tap has got its address."""

    def got() -> bool:
        seen = leader.inventory.hosts[tap.host].taps.get((tap.namespace, tap.tap))
        return seen is not None and bool(seen.ip)

    call.progress(0, 0, "waiting for a DHCP server")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEASE_S):
            await leader.inventory.wait_for(got)
    return got()


async def tap_settled(leader: Leader, tap: TapRecord) -> None:
    """Wait until a tap's host has carried out its record, or says nothing any more."""

    def done() -> bool:
        seen = leader.inventory.hosts[tap.host]
        status = seen.taps.get((tap.namespace, tap.tap))
        return (status is not None and status.revision >= tap.revision) or seen.state in ("suspect", "lost")

    await leader.inventory.wait_for(done)


async def remove_taps(
    leader: Leader, *taps: TapRecord, commit: Callable[[Changes], Awaitable[None]] | None = None
) -> None:
    """Remove host taps and uplinks, and wait until their hosts have, or are not alive.

    `commit` stores it; without one it is stored as nobody's request.
    """
    changes = Changes()
    changes.put(*(removed(leader.model, tap) for tap in taps))
    gone = {(tap.host, tap.tap) for tap in taps}
    for namespace in {tap.namespace for tap in taps}:
        mirrors = mirrors_of(leader.model, namespace, taps)
        changes.put(*(after for _, after in cleared(end for end in mirrors if end.place not in gone)))
    await (commit or leader.commit)(changes)
    await leader.inventory.wait_for(
        lambda: all(
            (tap.host, tap.tap) not in leader.model.taps[tap.namespace]
            or leader.inventory.state(tap.host) != "alive"
            for tap in taps
        )
    )


async def delete_tap(leader: Leader, namespace: str, request: DeleteTap, call: Call) -> Done:
    """Remove a tap, or all of the namespace's, and wait until the hosts have."""
    leader.namespace(namespace)
    here = [tap for tap in leader.model.taps[namespace].values() if not tap.removed and not tap.trunk]
    chosen = here if request.tap == "all" else [tap for tap in here if tap.tap == request.tap]
    if not chosen and request.tap != "all" and not call.repeat:
        elsewhere = any(request.tap == name for taps in leader.model.taps.values() for _, name in taps)
        raise NotFound(
            "not a host tap in active namespace" if elsewhere else "not a host tap", names=(request.tap,)
        )
    await remove_taps(leader, *chosen, commit=call.commit)
    await call.commit(Changes(), Done())
    return Done()
