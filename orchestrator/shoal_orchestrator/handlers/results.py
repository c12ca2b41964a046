"""Names for what workers have put into the file store: screenshots, captures, saved VMs.

Refuses to know what the content is, and never holds it.
"""

from __future__ import annotations

from shoal.core.files import check_file
from shoal.errors import Unavailable
from shoal.messages.host_requests import Content
from shoal_orchestrator.clock import now_text
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import FileRecord
from shoal_orchestrator.core.stored_files import check_free
from shoal_orchestrator.leader import Leader


async def name_content(leader: Leader, name: str, content: Content) -> None:
    """Give content a name among the cluster's files; what had it before loses it.

    Conflict when the name is that of a directory, Unavailable when the content is gone again.
    """
    name = check_file(name)
    files = leader.model.files
    async with leader.shelf.lock:
        check_free(files, name, content.digest, replace=True)
        if not await leader.shelf.holds(content.digest, content.size):
            raise Unavailable(f"the content for `{name}` is not in the file store any more; try again")
        before = files.get(name)
        changes = Changes()
        changes.put(FileRecord(name=name, digest=content.digest, size=content.size, added=now_text()))
        await leader.commit(changes)
    if before is not None and before.digest != content.digest:
        await leader.shelf.release(before.digest)
