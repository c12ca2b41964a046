"""Names for what workers have put into the file store: screenshots, captures, saved VMs.

Refuses to know what the content is, and never holds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from shoal.core.files import check_file
from shoal.core.saved_machine import SavedMachine
from shoal.errors import Unavailable
from shoal.messages.host_requests import Content
from shoal_orchestrator.clock import now_text
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import FileRecord
from shoal_orchestrator.core.stored_files import check_free, check_new, check_replaceable
from shoal_orchestrator.leader import Leader


class Named(NamedTuple):
    """Content and the name that it is to have; `machine` for a saved state, `saved_from` the VM that alone replaces it."""

    name: str
    content: Content
    machine: SavedMachine | None = None
    saved_from: str = ""


async def name_content(leader: Leader, name: str, content: Content, *, replace: bool = True) -> None:
    """Give content a name among the cluster's files; see `name_contents`."""
    await name_contents(leader, [Named(name, content)], replace=replace)


async def name_contents(leader: Leader, wanted: Sequence[Named], *, replace: bool = True) -> None:
    """Give each content its name among the cluster's files, all or none; what had a name before loses it.

    Conflict when a name is that of a directory, or without `replace` that of a file; Unavailable when content is gone
    again.
    """
    files = leader.model.files
    async with leader.shelf.lock:
        for name, content, *_ in wanted:
            if not await leader.shelf.holds(content.digest, content.size):
                raise Unavailable(f"the content for `{name}` is not in the file store any more; try again")
        # From here to the commit nothing is waited for: what is found is what is replaced.
        for name, content, _, saved_from in wanted:
            if replace:
                check_free(files, check_file(name), content.digest, replace=True)
            else:
                check_new(files, check_file(name))
            if saved_from:
                check_replaceable(files, name, saved_from)
        changes = Changes()
        lost = set()
        for name, content, machine, saved_from in wanted:
            before = files.get(name)
            if before is not None and before.digest != content.digest:
                lost.add(before.digest)
            changes.put(
                FileRecord(
                    name=name,
                    digest=content.digest,
                    size=content.size,
                    added=now_text(),
                    machine=machine,
                    saved_from=saved_from,
                )
            )
        await leader.commit(changes)
    for digest in lost:
        await leader.shelf.release(digest)
