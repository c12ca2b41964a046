"""Handlers of commands about disk images. Images are made and looked at by workers; here they get their names."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from msgspec.structs import replace

from shoal.core.files import check_file, file_of, size_text
from shoal.core.ids import token
from shoal.core.qcow2 import parse_size
from shoal.errors import InvalidRequest, Refused, ShoalError
from shoal.messages.base import Done, Said
from shoal.messages.disks import CreateDisk, ImageRow, Images, ShowDisk, SnapshotDisk
from shoal.messages.host_requests import Content, HostRequest, Medium
from shoal.messages.image_requests import CopyImage, LookAtImage, MakeImage
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.stored_files import check_new, file_named, users_of
from shoal_orchestrator.handlers.offering import offered
from shoal_orchestrator.handlers.results import name_content
from shoal_orchestrator.leader import Call, Leader

#: a raw image is stored byte by byte, zeros too
_LARGEST_RAW = 1 << 30
#: hosts that are asked before it is given up
_TRIES = 4

A = TypeVar("A", bound=msgspec.Struct)


async def _ask_head(leader: Leader, question: HostRequest[A], call: Call) -> A:
    return await leader.workers.ask(leader.cluster.head, question, call.progress)


async def _ask_any(leader: Leader, question: HostRequest[A], call: Call) -> A:
    """Ask the head, or another host where the head has no qemu-img. Raises what the first one refused with."""
    head = leader.cluster.head
    hosts = [head, *(host for host in leader.live_hosts() if host != head)]
    errors: list[ShoalError] = []
    for host in hosts[:_TRIES]:
        try:
            return await leader.workers.ask(host, question, call.progress)
        except ShoalError as error:
            errors.append(error)
    raise errors[0]


def _new(leader: Leader, name: str) -> str:
    """A name that no file of the cluster has: images are not replaced by accident.

    It may be taken while the image is made: whoever names the image does so without `replace`.
    """
    name = check_file(name)
    check_new(leader.model.files, name)
    return name


async def create_disk(leader: Leader, _: str, request: CreateDisk, call: Call) -> Done:
    """Have an empty image made."""
    size = parse_size(request.size)
    if request.image.startswith("/"):
        await _ask_head(leader, MakeImage(form=request.form, size=size, path=request.image), call)
    else:
        name = _new(leader, file_of(request.image))
        if request.form == "raw" and size > _LARGEST_RAW:
            raise InvalidRequest(
                f"cannot keep a raw image of {size_text(size)} in the cluster's files: it is stored zero by zero; "
                "create it as qcow2, or at an absolute path of the head"
            )
        question = MakeImage(form=request.form, size=size, label=name)
        with leader.shelf.awaiting():
            content = await _ask_any(leader, question, call)
            await name_content(leader, name, content, replace=False)
    await call.commit(Changes(), Done())
    return Done()


async def snapshot_disk(leader: Leader, _: str, request: SnapshotDisk, call: Call) -> Said:
    """Give content a second name, or have an image of the head copied or laid over."""
    source, target = request.image, request.target
    chosen = target or f"snapshot{token(leader.ids, 32)}"
    if not source.startswith("/"):
        if chosen.startswith("/"):
            raise Refused(
                f"cannot make {chosen} on top of a file of the cluster: `file get` brings a copy to any path"
            )
        await offered(leader, [file_of(source)], call)
        record = file_named(leader.model.files, source)
        content = Content(digest=record.digest, size=record.size)
        await name_content(leader, file_of(chosen), content, replace=False)
    elif chosen.startswith("/"):
        await _ask_head(leader, CopyImage(source=source, path=chosen), call)
    else:
        name = _new(leader, file_of(chosen))
        with leader.shelf.awaiting():
            content = await _ask_head(leader, CopyImage(source=source, label=name), call)
            await name_content(leader, name, content, replace=False)
    reply = Said(text="" if target else chosen)
    await call.commit(Changes(), reply)
    return reply


async def show_disk(leader: Leader, _: str, request: ShowDisk, call: Call) -> Images:
    """Have an image looked at; one of the cluster's is shown under its name."""
    if request.image.startswith("/"):
        chain = await _ask_head(leader, LookAtImage(medium=Medium(path=request.image)), call)
        items = chain.items
    else:
        name = file_of(request.image)
        await offered(leader, [name], call)
        record = file_named(leader.model.files, name)
        medium = Medium(name=record.name, digest=record.digest)
        chain = await _ask_any(leader, LookAtImage(medium=medium), call)
        used = users_of(leader.model, record.digest) > 0
        items = tuple(_shown(row, record.name, used=used) for row in chain.items)
    return Images(items=items if request.recursive else items[:1])


def _shown(row: ImageRow, name: str, *, used: bool) -> ImageRow:
    return replace(row, image=name, used=used)
