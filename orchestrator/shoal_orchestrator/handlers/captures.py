"""Handlers of captures: what is captured where, and how."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from shoal.core.files import check_file, named_before_suffix, parent_conflict
from shoal.core.ids import token
from shoal.errors import Conflict, InvalidRequest, NotFound, Refused, ShoalError, TimedOut, Unavailable
from shoal.messages.base import Failure, Said
from shoal.messages.capture_requests import Capture, CheckFilter, StartCapture
from shoal.messages.captures import (
    CaptureBridge,
    CaptureList,
    CaptureRow,
    CapturesBegun,
    CapturesEnded,
    CaptureVM,
    ClearCaptures,
    EndBridgeCaptures,
    EndVMCaptures,
    ListCaptures,
    SetFilter,
    SetSnaplen,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.host_bridges import ports_on_hosts
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.targets import ALL
from shoal_orchestrator.handlers import collecting
from shoal_orchestrator.handlers.guests import one_guest
from shoal_orchestrator.leader import Call, Leader

_MAX_SNAPLEN = 262144
#: a file of such a name may be replaced by a new capture
_SUFFIXES = (".pcap", ".cap", ".dmp")


def _row(host: str, capture: Capture) -> CaptureRow:
    return CaptureRow(
        bridge=capture.bridge,
        path=capture.path or capture.name,
        host=host,
        vlan=capture.vlan,
        vm=capture.vm,
        index=capture.index,
        state=capture.state,
        reason=capture.reason,
    )


async def list_captures(leader: Leader, namespace: str, _: ListCaptures, __: Call) -> CaptureList:
    """What the hosts say that they capture for the namespace."""
    leader.namespace(namespace)
    found, failures = await collecting.held(leader, [namespace])
    rows = [_row(host, capture) for host, captures in found.items() for capture in captures]
    return CaptureList(items=tuple(rows), failures=tuple(failures))


# --- beginning ---------------------------------------------------------------------------------------------


async def capture_vm(leader: Leader, namespace: str, request: CaptureVM, call: Call) -> CapturesBegun:
    """Have the VM's host write what passes one of its interfaces."""
    settings = leader.namespace(namespace).capture
    record = one_guest(leader, namespace, request.vm)
    if not 0 <= request.index < len(record.ports):
        raise NotFound(f"no such interface {request.index} for {record.name}", names=(record.name,))
    port = record.ports[request.index]
    capture = Capture(
        id=token(leader.ids),
        namespace=namespace,
        bridge=port.bridge,
        vlan=port.vlan,
        interface=port.tap,
        vm=record.name,
        index=request.index,
        snaplen=settings.snaplen,
        filter=settings.filter,
    )
    return await _begin(leader, [(record.host, _into(capture, request.file))], call)


async def capture_bridge(leader: Leader, namespace: str, request: CaptureBridge, call: Call) -> CapturesBegun:
    """Have each host write what passes the namespace's segments of a bridge."""
    settings = leader.namespace(namespace).capture
    segments = sorted(set(_segments(leader.model, namespace, request.bridge)))
    if not segments:
        raise NotFound(
            f"no VM or tap of namespace {namespace} is on bridge {request.bridge}: there is nothing to capture",
            names=(request.bridge,),
        )
    begun = [
        (
            host,
            _into(
                Capture(
                    id=token(leader.ids),
                    namespace=namespace,
                    bridge=request.bridge,
                    vlan=vlan,
                    interface=segment,
                    snaplen=settings.snaplen,
                    filter=settings.filter,
                ),
                named_before_suffix(request.file, f"-{host}-{vlan}"),
            ),
        )
        for host, vlan, segment in segments
    ]
    return await _begin(leader, begun, call)


def _segments(model: Model, namespace: str, bridge: str) -> Iterator[tuple[str, int, str]]:
    """Host, VLAN and link of each segment of a bridge in which the namespace has a port."""
    for host, port in ports_on_hosts(model, namespace):
        if port.bridge == bridge and port.vlan:
            yield host, port.vlan, port.segment


def _into(capture: Capture, file: str) -> Capture:
    """The capture with its file: a path of its host, or a name among the cluster's files."""
    if file.startswith("/"):
        return replace(capture, path=file)
    return replace(capture, name=check_file(file.removeprefix("file:")))


async def _begin(leader: Leader, begun: list[tuple[str, Capture]], call: Call) -> CapturesBegun:
    """Begin all or none."""
    await _check_names(leader, [capture.name for _, capture in begun if capture.name])
    await call.once("`capture` shows what is captured")
    started = await asyncio.gather(*(_start(leader, host, capture) for host, capture in begun))
    if error := next((error for error in started if error is not None), None):
        # One that nobody has heard of may run all the same.
        doubtful = (type(None), Unavailable, TimedOut)
        pairs = zip(begun, started, strict=True)
        await collecting.drop(
            leader, collecting.by_host(pair for pair, said in pairs if isinstance(said, doubtful))
        )
        raise error
    rows = tuple(_row(host, capture) for host, capture in begun)
    reply = CapturesBegun(items=rows, notes=_notes(begun))
    await call.commit(Changes(), reply)
    return reply


async def _start(leader: Leader, host: str, capture: Capture) -> ShoalError | None:
    try:
        await leader.workers.ask(host, StartCapture(capture=capture))
    except ShoalError as error:
        return error
    leader.inventory.hosts[host].captures += 1
    return None


def _notes(begun: list[tuple[str, Capture]]) -> tuple[str, ...]:
    def where(host: str, capture: Capture) -> str:
        return f"{capture.path} on host {host}" if capture.path else f"{capture.name}, when the capture ends"

    return tuple(f"packets go to {where(host, capture)}" for host, capture in begun)


async def _check_names(leader: Leader, names: list[str]) -> None:
    """Raise Conflict where a file of that name cannot be, or would be lost although it is no capture."""
    files = leader.model.files
    for name in names:
        if trouble := parent_conflict(name, files):
            raise Conflict(f"cannot capture to `{name}`: in the cluster {trouble}", names=(name,))
        if name in files and not name.endswith(_SUFFIXES):
            raise Conflict(
                f"cannot capture to `{name}`: the cluster has a file of that name; delete it, or choose another name",
                names=(name,),
            )
    if names:
        everywhere, _ = await collecting.held(leader, leader.model.namespaces)
        taken = {capture.name for captures in everywhere.values() for capture in captures}
        for name in names:
            if name in taken or parent_conflict(name, taken - {""}):
                raise Conflict(
                    f"cannot capture to `{name}`: another capture will become a file of that name",
                    names=(name,),
                )


# --- how ---------------------------------------------------------------------------------------------------


async def set_snaplen(leader: Leader, namespace: str, request: SetSnaplen, call: Call) -> Said:
    """Show or set how much of each packet is kept."""
    settings = leader.namespace(namespace).capture
    if request.size is None:
        return Said(text=str(settings.snaplen))
    if not 0 <= request.size <= _MAX_SNAPLEN:
        raise InvalidRequest(f"invalid snaplen `{request.size}`: expected 0 (all) to {_MAX_SNAPLEN} bytes")
    return await _set(leader, namespace, call, snaplen=request.size)


async def set_filter(leader: Leader, namespace: str, request: SetFilter, call: Call) -> Said:
    """Show or set which packets are kept; a host reads the filter first."""
    record = leader.namespace(namespace)
    if not request.bpf:
        return Said(text=record.capture.filter)
    expression = " ".join(request.bpf).strip()
    if expression:
        alive = [host for host in leader.hosts_of(record) if leader.inventory.state(host) == "alive"]
        if not alive:
            raise Refused("cannot check the filter: no host of the namespace is alive")
        await leader.workers.ask(alive[0], CheckFilter(filter=expression))
    return await _set(leader, namespace, call, filter=expression)


async def _set(leader: Leader, namespace: str, call: Call, **changed: int | str) -> Said:
    """Change these settings alone: others may have been set since the request came."""
    record = leader.namespace(namespace)
    changes = Changes()
    changes.put(replace(record, capture=replace(record.capture, **changed)))
    reply = Said(text="")
    await call.commit(changes, reply)
    return reply


# --- ending ------------------------------------------------------------------------------------------------


async def _end(
    leader: Leader,
    namespace: str,
    call: Call,
    wanted: Callable[[Capture], bool],
    missing: NotFound | None = None,
) -> CapturesEnded:
    """End the namespace's captures that are wanted. Raises `missing` when there are none."""
    leader.namespace(namespace)
    found, failures = await collecting.held(leader, [namespace])
    chosen = collecting.by_host((host, c) for host, captures in found.items() for c in captures if wanted(c))
    if not chosen and missing is not None and not call.repeat and not failures:
        raise missing
    collected = await collecting.end(leader, chosen, call.progress)
    return await _told(call, sum(map(len, chosen.values())), collected, failures)


async def _told(
    call: Call, count: int, collected: collecting.Collected, failures: Iterable[Failure]
) -> CapturesEnded:
    reply = CapturesEnded(
        count=count,
        files=tuple(collected.files),
        notes=tuple(collected.notes),
        failures=(*failures, *collected.failures),
    )
    await call.commit(Changes(), reply)
    return reply


async def end_vm_captures(
    leader: Leader, namespace: str, request: EndVMCaptures, call: Call
) -> CapturesEnded:
    """End captures of VMs' interfaces."""

    def wanted(capture: Capture) -> bool:
        named = bool(capture.vm) and request.vm in (ALL, capture.vm)
        return named and request.index in (None, capture.index)

    if request.vm == ALL:
        return await _end(leader, namespace, call, wanted)
    text = f"vm not found: {request.vm}"
    if request.vm in leader.model.launches[namespace]:
        at = "" if request.index is None else f" at interface {request.index}"
        text = f"no capture of vm {request.vm}{at}"
    return await _end(leader, namespace, call, wanted, NotFound(text, names=(request.vm,)))


async def end_bridge_captures(
    leader: Leader, namespace: str, request: EndBridgeCaptures, call: Call
) -> CapturesEnded:
    """End captures of segments."""

    def wanted(capture: Capture) -> bool:
        return not capture.vm and request.bridge in (ALL, capture.bridge)

    if request.bridge == ALL:
        return await _end(leader, namespace, call, wanted)
    missing = NotFound(f"no capture of bridge {request.bridge}", names=(request.bridge,))
    return await _end(leader, namespace, call, wanted, missing)


async def clear_captures(leader: Leader, namespace: str, request: ClearCaptures, call: Call) -> CapturesEnded:
    """End all; there are no others than of packets."""
    return await _end(leader, namespace, call, lambda _: request.kind != "netflow")
