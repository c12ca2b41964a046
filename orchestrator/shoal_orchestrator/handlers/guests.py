"""Handlers of commands that reach into running VMs: QMP, screenshots, `vm top`."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable

from msgspec.structs import replace

from shoal import codec
from shoal.core.files import check_file
from shoal.errors import Conflict, InvalidRequest, NotFound, ShoalError, Unavailable
from shoal.messages.base import Failure, Said
from shoal.messages.desired import LaunchRecord
from shoal.messages.guests import AskQEMU, Pictured, Screenshot, ShowTop, Top, TopRow
from shoal.messages.host_requests import MeasureGuests, RunQMP, TakeScreenshot, Usage
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.targets import ALL
from shoal_orchestrator.core.wrong_state import STATE_ERROR, state_error
from shoal_orchestrator.handlers.results import name_content
from shoal_orchestrator.handlers.vms import targets, view_of
from shoal_orchestrator.leader import Call, Leader

#: the states in which a VM has a guest
PRESENT_STATES = ("BUILDING", "RUNNING", "PAUSED")
_LONGEST_SAMPLE_S = 3600
#: the language takes quotes away, so that JSON has to stand in quotes of another kind
_QUOTED = """expected JSON in single quotes, such as '{"execute": "query-status"}'"""


def failure_of(record: LaunchRecord, error: ShoalError, *, alone: bool) -> Failure:
    """What failed for one VM; of several (not `alone`) it is named, as hosts and not people wrote the message."""
    message = error.message if alone else f"{record.name}: {error.message}"
    return replace(codec.failure_of(error, message=message), names=(record.name,))


def with_guests(leader: Leader, namespace: str, target: str) -> tuple[list[LaunchRecord], list[Failure]]:
    """The VMs that a word means and that have a guest; named ones that have none are failures.

    Raises what is wrong with a single one.
    """
    found, failures = targets(leader, namespace, target)
    present = [record for record in found if view_of(leader, record).state in PRESENT_STATES]
    if target != ALL:
        here = {record.instance for record in present}
        failures += [
            state_error(record, STATE_ERROR, view_of(leader, record).state)
            for record in found
            if record.instance not in here
        ]
    if not present and len(failures) == 1:
        raise codec.error_of(failures[0])
    return present, failures


def one_guest(leader: Leader, namespace: str, name: str) -> LaunchRecord:
    """The VM of that name (or id), which has a guest. NotFound or Conflict otherwise."""
    found, _ = with_guests(leader, namespace, name)
    if len(found) != 1:
        raise NotFound(f"vm not found: {name}: this command takes one VM", names=(name,))
    return found[0]


async def ask_qemu(leader: Leader, namespace: str, request: AskQEMU, call: Call) -> Said:
    """QEMU's answer, sorted and compact."""
    try:
        command = json.loads(request.command)
    except ValueError as error:
        raise InvalidRequest(f"invalid JSON: {error}; {_QUOTED}") from error
    if not isinstance(command, dict) or "execute" not in command:
        raise InvalidRequest(f"invalid QMP command: {_QUOTED}")
    record = one_guest(leader, namespace, request.vm)
    await call.once(f"ask the VM again with `vm qmp {request.vm} …`")
    question = RunQMP(instance=record.instance, command=json.dumps(command))
    answer = await leader.workers.ask(record.host, question, call.progress)
    try:
        shown = json.loads(answer.text)
    except ValueError as error:
        raise Unavailable(f"the answer of QEMU is no JSON: {answer.text[:200]}") from error
    if isinstance(shown, dict):
        shown.pop("id", None)  # libvirt's own numbering
    reply = Said(text=json.dumps(shown, sort_keys=True, separators=(",", ":")))
    await call.commit(Changes(), reply)
    return reply


async def take_screenshot(leader: Leader, namespace: str, request: Screenshot, call: Call) -> Pictured:
    """Have the picture put into the file store, and name it; or have it written on the VM's host."""
    if request.maximum < 0:
        raise InvalidRequest(f"invalid maximum `{request.maximum}`: expected a number of pixels")
    record = one_guest(leader, namespace, request.vm)
    name = request.file or f"screenshots/{namespace}/{record.name}.png"
    path = name if name.startswith("/") else ""
    if not path:
        name = check_file(name.removeprefix("file:"))
        if name in leader.model.files and not name.endswith(".png"):
            raise Conflict(
                f"cannot write the screenshot to `{name}`: the cluster has a file of that name; delete it, or "
                "choose another name (one that ends in .png is replaced)",
                names=(name,),
            )
    question = TakeScreenshot(instance=record.instance, label=name, longest=request.maximum, path=path)
    with leader.shelf.awaiting():
        content = await leader.workers.ask(record.host, question, call.progress)
        if not path:
            await name_content(leader, name, content)
    where = f"{path} on host {record.host}" if path else f"the cluster's file {name}: `file get {name}`"
    reply = Pictured(name=name, size=content.size, notes=(f"the screenshot is {where}",))
    await call.commit(Changes(), reply)
    return reply


async def show_top(leader: Leader, namespace: str, request: ShowTop, call: Call) -> Top:
    """Have all hosts measure at the same time."""
    if not 0 < request.duration <= _LONGEST_SAMPLE_S:
        raise InvalidRequest(
            f"invalid duration `{request.duration}`: expected 1 to {_LONGEST_SAMPLE_S} seconds"
        )
    found, _ = with_guests(leader, namespace, ALL)
    by_host: defaultdict[str, dict[str, LaunchRecord]] = defaultdict(dict)
    for record in found:
        by_host[record.host][record.instance] = record
    measured = await asyncio.gather(
        *(_measure(leader, host, vms, request.duration, call) for host, vms in by_host.items())
    )
    rows = [row for rows, _ in measured for row in rows]
    return Top(items=tuple(rows), failures=tuple(failure for _, of in measured for failure in of))


async def _measure(
    leader: Leader, host: str, vms: dict[str, LaunchRecord], duration_s: int, call: Call
) -> tuple[list[TopRow], list[Failure]]:
    question = MeasureGuests(instances=tuple(vms), duration_s=duration_s)
    try:
        answer = await leader.workers.ask(host, question, call.progress)
    except ShoalError as error:
        return [], [codec.failure_of(error, host)]
    return list(_rows(vms, answer.items)), []


def _rows(vms: dict[str, LaunchRecord], usages: Iterable[Usage]) -> Iterable[TopRow]:
    for usage in usages:
        record = vms.get(usage.instance)
        if record is not None:
            yield TopRow(
                name=record.name,
                namespace=record.namespace,
                host=record.host,
                virtual=usage.virtual,
                resident=usage.resident,
                shared=usage.shared,
                cpu=usage.cpu,
                guest_cpu=usage.guest_cpu,
                cpu_s=usage.cpu_s,
                processes=usage.processes,
                rx_bytes_s=usage.rx_bytes_s,
                tx_bytes_s=usage.tx_bytes_s,
            )
