"""Handlers of commands that save VMs and namespaces."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection
from typing import NamedTuple

from msgspec.structs import replace

from shoal.core.files import check_file
from shoal.core.ranges import expand, fold
from shoal.errors import Conflict, InvalidRequest, Refused, ShoalError, Unavailable
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord
from shoal.messages.host_requests import SavedContent, SaveGuest
from shoal.messages.saving import (
    ListSaves,
    SavedFiles,
    SaveNamespace,
    SaveProgress,
    SaveRow,
    Saves,
    SaveVM,
    ShowSave,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.failures import MOST_NAMED, in_short
from shoal_orchestrator.core.launch_script import SavedVM, launch_script
from shoal_orchestrator.core.records import NamespaceRecord, NamespaceSave
from shoal_orchestrator.core.stored_files import check_free, check_replaceable
from shoal_orchestrator.handlers.guests import PRESENT_STATES, failure_of, one_guest
from shoal_orchestrator.handlers.results import Named, name_contents
from shoal_orchestrator.handlers.vms import outcome, view_of
from shoal_orchestrator.leader import Call, Leader

FOLDER = "saved"
#: VMs of one host that are saved at once: its disk is what takes the time
_AT_ONCE = 2

Told = Callable[[int, int, str], None]


class _Names(NamedTuple):
    state: str
    disks: tuple[str, ...]


def _names(base: str, record: LaunchRecord) -> _Names:
    """The peer's names: `.hdd`, `.hdd.1` and so on."""
    count = len(record.config.disks)
    disks = [f"{base}.hdd" if number == 0 else f"{base}.hdd.{number}" for number in range(count)]
    return _Names(check_file(f"{base}.state"), tuple(map(check_file, disks)))


def _base(text: str) -> str:
    if text.startswith("/"):
        raise InvalidRequest(
            f"cannot save to `{text}`: what is saved becomes files of the cluster; `file get` brings them anywhere"
        )
    return check_file(text.removeprefix("file:"))


async def save_vm(leader: Leader, namespace: str, request: SaveVM, call: Call) -> SavedFiles:
    """Have one VM saved, and name what came of it."""
    record = one_guest(leader, namespace, request.vm)
    base = _base(request.file or f"{FOLDER}/{record.name}")
    names = _names(base, record)
    vm = f"{namespace}/{record.name}"
    for name in (names.state, *names.disks):
        check_free(leader.model.files, name, "", replace=True)
        check_replaceable(leader.model.files, name, vm)
    with leader.shelf.awaiting():
        saved = await _save(leader, record, base, call.progress)
        await name_contents(leader, [each._replace(saved_from=vm) for each in _named(names, saved)])
    reply = _reply([*names.disks, names.state], [saved])
    await call.commit(Changes(), reply)
    return reply


def _named(names: _Names, saved: SavedContent) -> list[Named]:
    # Where its devices are is in the state itself, for who restores it.
    machine = replace(saved.machine, layout={}, board="")
    found = [Named(names.state, saved.state, machine)]
    return found + [Named(name, disk) for name, disk in zip(names.disks, saved.disks, strict=True)]


def _reply(files: list[str], saved: list[SavedContent], note: str = "") -> SavedFiles:
    size = sum(each.state.size + sum(disk.size for disk in each.disks) for each in saved)
    notes = (note or f"saved to {', '.join(files)}",)
    return SavedFiles(files=tuple(files), size=size, notes=notes)


async def _save(leader: Leader, record: LaunchRecord, label: str, told: Told) -> SavedContent:
    """Ask the VM's host, and follow how far it is."""

    def come(done: int, total: int, text: str) -> None:
        if text == "saving memory":
            leader.saves.tell(record.instance, done, total)
        told(0, 0, f"{record.name}: {text}")

    leader.saves.begin(record.instance, leader.model.instances)
    completed = False
    try:
        question = SaveGuest(instance=record.instance, label=label)
        saved = await leader.workers.ask(record.host, question, come)
        if len(saved.disks) != len(record.config.disks):
            raise Unavailable(
                f"host {record.host} has saved {len(saved.disks)} of {len(record.config.disks)} disks"
            )
        completed = True
    finally:
        leader.saves.end(record.instance, completed=completed)
    return saved


async def list_saves(leader: Leader, namespace: str, _: ListSaves, __: Call) -> Saves:
    """The savings that this leader knows of."""
    leader.namespace(namespace)
    rows = []
    for record in leader.model.launches[namespace].values():
        status = leader.saves.of(record.instance)
        if status is not None:
            rows.append(
                SaveRow(id=record.id, name=record.name, status=status.status, complete=status.complete)
            )
    return Saves(items=tuple(rows))


# --- a whole namespace ---------------------------------------------------------------------------------------


async def show_save(leader: Leader, namespace: str, _: ShowSave, __: Call) -> SaveProgress:
    """How far the last `ns save` is."""
    save = leader.namespace(namespace).save
    if save is None:
        return SaveProgress()
    completed = save.completed
    if save.state == "running":
        found = [leader.model.launches[namespace].get(name) for name in expand(save.vms)]
        statuses = [leader.saves.of(vm.instance) for vm in found if vm is not None]
        completed = sum(status is not None and status.status == "completed" for status in statuses)
    notes = (f"`ns save {save.name}` failed: {save.reason}",) if save.state == "failed" else ()
    return SaveProgress(completed=completed, total=save.total, failed=save.reason, notes=notes)


async def save_namespace(leader: Leader, namespace: str, request: SaveNamespace, call: Call) -> SavedFiles:
    """Pause all VMs, have each saved, name everything at once, and let those go on that were running."""
    record = leader.namespace(namespace)
    folder = f"{FOLDER}/{_base(request.name)}"
    _check_new(leader, record, folder)
    vms = _to_save(leader, namespace)
    running = [vm.name for vm in vms if view_of(leader, vm).state == "RUNNING"]
    save = NamespaceSave(
        name=request.name,
        vms=fold(vm.name for vm in vms),
        total=len(vms),
        resume=fold(running),
    )
    paused = [replace(vm, revision=vm.revision + 1, power="paused") for vm in vms if vm.name in set(running)]
    changes = Changes()
    changes.put(replace(record, save=save), *paused)
    await call.commit(changes)
    ran = {vm.instance for vm in paused}
    try:
        reply = await _save_all(leader, namespace, vms, paused, folder, call)
    except Exception as error:
        # Whatever it is: without this the VMs would stay paused, and every further save be refused.
        unforeseen = "it failed inside the orchestrator; its log says why"
        reason = error.message if isinstance(error, ShoalError) else unforeseen
        await end_save(leader, namespace, reason, ran)
        raise
    resumed = await end_save(leader, namespace, "", ran)
    total = len(resumed)
    await leader.inventory.carried_out(resumed, lambda done: call.progress(done, total, "resuming"))
    await call.commit(Changes(), reply)
    return reply


def _check_new(leader: Leader, record: NamespaceRecord, folder: str) -> None:
    if record.save is not None and record.save.state == "running":
        raise Conflict(
            f"`ns save {record.save.name}` is under way; `ns save` shows how far it is",
            names=(record.save.name,),
        )
    if any(name == folder or name.startswith(f"{folder}/") for name in leader.model.files):
        raise Conflict(
            f"`{folder}` is in the cluster's files already; choose another name, or delete it",
            names=(folder,),
        )


def _to_save(leader: Leader, namespace: str) -> list[LaunchRecord]:
    """The VMs that have a guest, by id. Refused when there are none, or when a host is away."""
    found = sorted(leader.model.launches[namespace].values(), key=lambda vm: vm.id)
    away = [vm for vm in found if view_of(leader, vm).state == "LOST"]
    if away:
        raise Refused(
            f"cannot save the namespace: vm {away[0].name} is on host {away[0].host}, which is lost"
        )
    vms = [vm for vm in found if view_of(leader, vm).state in PRESENT_STATES]
    if not vms:
        raise Refused(f"namespace {namespace} has no VMs that could be saved")
    return vms


async def _save_all(
    leader: Leader,
    namespace: str,
    vms: list[LaunchRecord],
    paused: list[LaunchRecord],
    folder: str,
    call: Call,
) -> SavedFiles:
    await leader.inventory.carried_out(paused, lambda done: call.progress(done, len(paused), "pausing"))
    failures = [trouble for vm in paused if (trouble := outcome(leader, vm, "PAUSED")) is not None]
    if failures:
        raise _together(failures)
    ran = {vm.instance for vm in paused}
    with leader.shelf.awaiting():
        saved = await _each_saved(leader, vms, folder, call)
        names = [_names(f"{folder}/{vm.name}", vm) for vm in vms]
        script = launch_script(
            leader.namespace(namespace),
            [SavedVM(vm, vm.instance in ran, *of) for vm, of in zip(vms, names, strict=True)],
        )
        content = await leader.shelf.put(script.encode(), f"{folder}/launch.mm")
        named = [each for of, found in zip(names, saved, strict=True) for each in _named(of, found)]
        await name_contents(leader, [*named, Named(f"{folder}/launch.mm", content)])
    files = [each.name for each in named]
    note = f"to go on from it: `file get {folder}/launch.mm`, then `read launch.mm`"
    return _reply([*files, f"{folder}/launch.mm"], saved, note)


async def _each_saved(leader: Leader, vms: list[LaunchRecord], folder: str, call: Call) -> list[SavedContent]:
    """Have each VM saved, a few at a time on each host. One that fails is enough: nothing is named then."""
    gates: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))
    done = 0

    async def one(vm: LaunchRecord) -> SavedContent | Failure:
        nonlocal done
        async with gates[vm.host]:
            try:
                saved = await _save(leader, vm, f"{folder}/{vm.name}", lambda *_: None)
            except ShoalError as error:
                return failure_of(vm, error, alone=False)
        done += 1
        call.progress(done, len(vms), "saving VMs")
        return saved

    call.progress(0, len(vms), "saving VMs")
    found = await asyncio.gather(*map(one, vms))
    failures = [each for each in found if isinstance(each, Failure)]
    if failures:
        raise _together(failures)
    return [each for each in found if isinstance(each, SavedContent)]


def _together(failures: list[Failure]) -> ShoalError:
    texts = sorted(failure.message for failure in in_short(failures))
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    return Refused(
        f"nothing was saved: {texts[0]}{more}",
        details=tuple(texts[1:]),
        names=tuple(name for failure in failures for name in failure.names)[:MOST_NAMED],
    )


async def end_save(
    leader: Leader, namespace: str, reason: str, paused: Collection[str] | None = None
) -> list[LaunchRecord]:
    """Let the VMs go on that a save has paused, and write down how it ended; `reason` empty: well.

    `paused` are their instances; a leader that did not pause them itself (None) knows only their names.
    """
    record = leader.model.namespaces.get(namespace)
    if record is None or record.save is None or record.save.state != "running":
        return []
    save = replace(
        record.save,
        state="failed" if reason else "completed",
        reason=reason,
        completed=0 if reason else record.save.total,
    )
    changes = Changes()
    found = [leader.model.launches[namespace].get(name) for name in expand(save.resume)]
    resumed = [
        replace(vm, revision=vm.revision + 1, power="running")
        for vm in found
        if vm is not None and vm.power == "paused" and (paused is None or vm.instance in paused)
    ]
    # That it has ended comes last: of several batches the next leader does the rest.
    changes.put(*resumed, replace(record, save=save))
    await leader.commit(changes)
    return resumed


async def end_abandoned_save(leader: Leader, namespace: str) -> None:
    """End a save that a predecessor has begun."""
    await end_save(leader, namespace, "an orchestrator ended while it saved; save again")
