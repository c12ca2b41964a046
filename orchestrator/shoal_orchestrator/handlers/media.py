"""Handlers of commands that change what is plugged into running VMs: CD-ROMs and USB drives."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from msgspec.structs import replace

from shoal import codec
from shoal.core.files import file_of, files_of
from shoal.core.ranges import fold
from shoal.errors import InvalidRequest, ShoalError
from shoal.messages.base import Failure
from shoal.messages.desired import LaunchRecord
from shoal.messages.guests import (
    AddHotplug,
    ChangeCDROM,
    DriveRow,
    EjectCDROM,
    ListHotplug,
    PluggedDrives,
    RemoveHotplug,
)
from shoal.messages.host_requests import (
    ChangeMedium,
    Drive,
    HostRequest,
    ListDrives,
    Medium,
    PlugDrive,
    Text,
    UnplugDrives,
)
from shoal.messages.vms import Changed
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.stored_files import file_named
from shoal_orchestrator.core.targets import ALL
from shoal_orchestrator.handlers.guests import failure_of, with_guests
from shoal_orchestrator.handlers.offering import offered
from shoal_orchestrator.leader import Call, Leader

_AT_ONCE = 64


async def _medium(leader: Leader, path: str, call: Call) -> Medium:
    """What a path means: a file of the hosts, or one of the cluster with the content that it has now."""
    name = file_of(path)
    if not name:
        return Medium(path=path)
    await offered(leader, [name], call)
    return Medium(name=name, digest=file_named(leader.model.files, name).digest)


async def _ask_each(
    leader: Leader, records: Iterable[LaunchRecord], question: HostRequest[Text], call: Call
) -> tuple[list[LaunchRecord], list[Failure]]:
    """Ask the host of each VM; the VMs for which it was done, and a failure for each other."""
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def one(record: LaunchRecord) -> Failure | None:
        async with at_once:
            try:
                await leader.workers.ask(
                    record.host, replace(question, instance=record.instance), call.progress
                )
            except ShoalError as error:
                return failure_of(record, error, alone=len(asked) == 1)
        return None

    asked = list(records)
    answers = await asyncio.gather(*map(one, asked))
    done = [record for record, failure in zip(asked, answers, strict=True) if failure is None]
    return done, [failure for failure in answers if failure is not None]


async def _tell(call: Call, changes: Changes, done: list[LaunchRecord], failures: list[Failure]) -> Changed:
    reply = Changed(vms=fold(vm.name for vm in done), count=len(done), failures=tuple(failures))
    await call.commit(changes, reply)
    return reply


async def change_cdrom(leader: Leader, namespace: str, request: ChangeCDROM, call: Call) -> Changed:
    """Change the medium in running VMs; what was changed is in their configuration from then on."""
    medium = await _medium(leader, request.path, call)
    question = ChangeMedium(instance="", medium=medium, force=request.force)
    return await _change(leader, namespace, request.target, question, call)


async def eject_cdrom(leader: Leader, namespace: str, request: EjectCDROM, call: Call) -> Changed:
    """Take the medium out of running VMs; with `all` only of those that have one."""
    return await _change(
        leader, namespace, request.target, ChangeMedium(instance="", force=request.force), call
    )


async def _change(leader: Leader, namespace: str, target: str, question: ChangeMedium, call: Call) -> Changed:
    found, failures = with_guests(leader, namespace, target)
    if question.medium is None:
        full = [vm for vm in found if vm.config.cdrom]
        empty = [] if target == ALL else [vm for vm in found if not vm.config.cdrom]
        alone = len(found) == 1
        failures += [failure_of(vm, InvalidRequest("no cdrom inserted"), alone=alone) for vm in empty]
        found = full
    done, refused = await _ask_each(leader, found, question, call)
    changes = Changes()
    for record in done:
        # The record may have changed while its host was asked.
        current = leader.model.instances.get(record.instance)
        if current is not None:
            changes.put(_holding(current, question.medium))
    return await _tell(call, changes, done, [*failures, *refused])


def _holding(record: LaunchRecord, medium: Medium | None) -> LaunchRecord:
    """The VM with that medium in its configuration, and the files that it needs then."""
    path = (medium.path or medium.name) if medium is not None else ""
    config = replace(record.config, cdrom=path)
    kept = files_of(config)
    files = {name: digest for name, digest in record.files.items() if name in kept}
    if medium is not None and medium.digest:
        files[medium.name] = medium.digest
    return replace(record, config=config, files=files)


async def add_hotplug(leader: Leader, namespace: str, request: AddHotplug, call: Call) -> Changed:
    """Plug an image into running VMs."""
    medium = await _medium(leader, request.file, call)
    found, failures = with_guests(leader, namespace, request.target)
    await call.once("`vm hotplug` shows the drives")
    question = PlugDrive(instance="", medium=medium, version=request.version, serial=request.serial)
    done, refused = await _ask_each(leader, found, question, call)
    return await _tell(call, Changes(), done, [*failures, *refused])


async def remove_hotplug(leader: Leader, namespace: str, request: RemoveHotplug, call: Call) -> Changed:
    """Take drives out of running VMs; with `all` VMs those that have none are left alone."""
    if request.disk != ALL and not (request.disk.isascii() and request.disk.isdecimal()):
        raise InvalidRequest(f"invalid disk: `{request.disk}`")
    number = None if request.disk == ALL else int(request.disk)
    found, failures = with_guests(leader, namespace, request.target)
    done, refused = await _ask_each(leader, found, UnplugDrives(instance="", number=number), call)
    if request.target == ALL:
        refused = [failure for failure in refused if "hotplug device" not in failure.message]
    return await _tell(call, Changes(), done, [*failures, *refused])


async def list_hotplug(leader: Leader, namespace: str, request: ListHotplug, _: Call) -> PluggedDrives:
    """What the hosts say, with the names that the cluster's files have."""
    found, failures = with_guests(leader, namespace, request.target)
    by_host: defaultdict[str, dict[str, LaunchRecord]] = defaultdict(dict)
    for record in found:
        by_host[record.host][record.instance] = record

    async def ask(host: str) -> tuple[Drive, ...]:
        try:
            return (await leader.workers.ask(host, ListDrives(instances=tuple(by_host[host])))).items
        except ShoalError as error:
            failures.append(codec.failure_of(error, host))
            return ()

    names = {record.digest: record.name for record in leader.model.files.values()}
    rows = [
        DriveRow(
            vm=by_host[host][drive.instance].name,
            id=drive.number,
            # The hosts keep the cluster's files under their digests.
            file=names.get(drive.file.rpartition("/")[2], drive.file),
            version=drive.version,
            host=host,
        )
        for host, drives in zip(by_host, await asyncio.gather(*map(ask, by_host)), strict=True)
        for drive in drives
    ]
    return PluggedDrives(items=tuple(rows), failures=tuple(failures))
