"""Handlers of commands about the cluster's files: their names. Content does not pass through here."""

from __future__ import annotations

from shoal.core.files import check_digest, check_file
from shoal.errors import InvalidRequest
from shoal.messages.base import Done
from shoal.messages.files import DeleteFile, FileAnswer, Files, GetFile, ListFiles, PutFile
from shoal_orchestrator.clock import now_text
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import FileRecord
from shoal_orchestrator.core.stored_files import (
    check_free,
    file_named,
    files_matching,
    is_pattern,
    listing,
    users_of,
)
from shoal_orchestrator.handlers.paging import page
from shoal_orchestrator.leader import Call, Leader


async def list_files(leader: Leader, _: str, request: ListFiles, __: Call) -> Files:
    """A directory, in pages, or one file."""
    rows = listing(leader.model.files.values(), request.path)
    shown, last = page(rows, request.after or None, request.limit, key=lambda row: row.name)
    return Files(items=tuple(shown), next=last.name if last else "")


async def put_file(leader: Leader, _: str, request: PutFile, call: Call) -> FileAnswer:
    """Give a name to content; asks for the content first where it is not there.

    `replace` asks for it anyway, once: what is there may be damaged.
    """
    if not request.digest:
        raise InvalidRequest(
            "cannot put a file from here: `shoal file put` reads it where the prompt runs, and sends it"
        )
    name, digest = check_file(request.name), check_digest(request.digest)
    files = leader.model.files
    check_free(files, name, digest, replace=request.replace)
    answer = FileAnswer(name=name, digest=digest, size=request.size, wanted=True)
    if request.replace and not request.sent:
        await call.commit(Changes(), answer)
        return answer
    async with leader.shelf.lock:
        if not await leader.shelf.holds(digest, request.size):
            await call.commit(Changes(), answer)
            return answer
        check_free(files, name, digest, replace=request.replace)
        before = files.get(name)
        answer = FileAnswer(name=name, digest=digest, size=request.size)
        changes = Changes()
        if before is None or before.digest != digest:
            changes.put(FileRecord(name=name, digest=digest, size=request.size, added=now_text()))
        await call.commit(changes, answer)
    if before is not None and before.digest != digest:
        await leader.shelf.release(before.digest)
    return answer


async def get_file(leader: Leader, _: str, request: GetFile, __: Call) -> FileAnswer:
    """Which content a name stands for."""
    record = file_named(leader.model.files, request.name)
    return FileAnswer(name=record.name, digest=record.digest, size=record.size)


async def delete_file(leader: Leader, _: str, request: DeleteFile, call: Call) -> Done:
    """Forget a name, or all that a pattern means, and the content that no VM has."""
    files = leader.model.files
    several = is_pattern(request.name)
    records = (
        files_matching(files, request.name) if several else [file_named(files, request.name, several=True)]
    )
    changes = Changes()
    changes.delete(*records)
    notes = [f"deleted {len(records)} file{'s' * (len(records) > 1)}"] if several else []
    notes += [
        f"VMs that have {record.name}: {users}; its content is kept until they are flushed"
        for record in records
        if (users := users_of(leader.model, record.digest))
    ]
    reply = Done(notes=tuple(notes))
    await call.commit(changes, reply)
    for digest in {record.digest for record in records}:
        await leader.shelf.release(digest)
    return reply
