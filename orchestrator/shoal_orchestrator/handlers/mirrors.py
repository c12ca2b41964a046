"""Handlers of commands about mirrors: taps that get copies of another tap's traffic."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from shoal.errors import NotFound, Refused
from shoal.messages.base import Done
from shoal.messages.desired import LaunchRecord, TapRecord
from shoal.messages.taps import ClearMirrors, ClearTaps, DeleteTap, MirrorTap
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.failures import MOST_NAMED, in_short
from shoal_orchestrator.core.mirrors import (
    End,
    between_taps,
    between_vms,
    check,
    cleared,
    interface,
    mirrored,
    mirrors,
)
from shoal_orchestrator.handlers.port_changes import PortChange, carry_out_or_take_back
from shoal_orchestrator.handlers.taps import delete_tap, tap_settled
from shoal_orchestrator.leader import Call, Leader

ALL = "all"


async def mirror_tap(leader: Leader, namespace: str, request: MirrorTap, call: Call) -> Done:
    """Copy what passes through one tap to another, and wait until it is so."""
    leader.namespace(namespace)
    model = leader.model
    if request.source_index:
        source, target = between_vms(
            model,
            namespace,
            (request.source, request.source_index),
            (request.target, request.target_index),
        )
    else:
        source, target = between_taps(model, namespace, (request.source, request.target), request.bridge)
    if not (call.repeat and target.port.mirror == source.tap):
        check(model, namespace, source, target)
        await _change(leader, call, [(target.record, mirrored(target.record, [target.tap], source.tap))])
    await call.commit(Changes(), Done())
    return Done()


async def clear_mirrors(leader: Leader, namespace: str, request: ClearMirrors, call: Call) -> Done:
    """End mirrors: the one that goes to a tap or to an interface of a VM, or all; and wait until they have ended."""
    leader.namespace(namespace)
    chosen = _chosen(leader, namespace, request)
    named = request.target and ALL not in (request.index, request.target)
    if named and not chosen and not call.repeat:
        raise NotFound("not a valid mirror", names=(request.target,))
    await _change(leader, call, cleared(chosen))
    await call.commit(Changes(), Done())
    return Done()


async def clear_taps(leader: Leader, namespace: str, _: ClearTaps, call: Call) -> Done:
    """End all mirrors and remove all host taps, and wait until the hosts have."""
    leader.namespace(namespace)
    await _change(leader, call, cleared(mirrors(leader.model, namespace)))
    return await delete_tap(leader, namespace, DeleteTap(tap=ALL), call)


def _chosen(leader: Leader, namespace: str, request: ClearMirrors) -> list[End]:
    found = mirrors(leader.model, namespace)
    if request.index == ALL:
        if request.target not in leader.model.launches[namespace]:
            raise NotFound(f"vm not found: {request.target}", names=(request.target,))
        return [
            end for end in found if isinstance(end.record, LaunchRecord) and end.record.name == request.target
        ]
    if request.index:
        wanted = interface(leader.model, namespace, request.target, request.index)
        return [end for end in found if end.place == wanted.place]
    return found if request.target in ("", ALL) else [end for end in found if end.tap == request.target]


async def _change(
    leader: Leader,
    call: Call,
    pairs: Sequence[tuple[LaunchRecord | TapRecord, LaunchRecord | TapRecord]],
) -> None:
    """Change VMs and host taps; raises Refused when a host's kernel does not do it, and takes that back."""
    vms = [
        PortChange(before, after)
        for before, after in pairs
        if isinstance(before, LaunchRecord) and isinstance(after, LaunchRecord)
    ]
    if vms:
        reply = await carry_out_or_take_back(leader, call, vms, [], "change the mirrors", record=False)
        if reply.failures:
            raise Refused(
                reply.failures[0].message,
                details=tuple(failure.message for failure in in_short(reply.failures)[1:]),
                names=tuple(name for failure in reply.failures for name in failure.names)[:MOST_NAMED],
            )
    for before, after in pairs:
        if isinstance(before, TapRecord) and isinstance(after, TapRecord):
            await _change_tap(leader, call, before, after)


async def _change_tap(leader: Leader, call: Call, before: TapRecord, after: TapRecord) -> None:
    current = leader.model.taps[before.namespace].get((before.host, before.tap))
    if current is None or current.removed or current.mirror != before.mirror:
        return  # another command has changed it while VMs' hosts were waited for: that one decides
    after = replace(current, revision=current.revision + 1, mirror=after.mirror)
    changes = Changes()
    changes.put(after)
    await call.commit(changes)
    await tap_settled(leader, after)
    status = leader.inventory.hosts[after.host].taps.get((after.namespace, after.tap))
    if status is None or status.up or not status.reason:
        return
    current = leader.model.taps[after.namespace].get((after.host, after.tap))
    if current == after:
        undo = Changes()
        undo.put(replace(after, revision=after.revision + 1, mirror=before.mirror))
        await leader.commit(undo)
    raise Refused(f"cannot change the mirror {after.tap} on {after.host}: {status.reason}")
