"""Decisions about the cluster's files: what is listed, which names are free, which content is still needed.

This module refuses to know where content is kept.
"""

from __future__ import annotations

from collections.abc import Iterable

from shoal.core.files import PREFIX, check_file, files_of, parent_conflict
from shoal.core.vmconfig import VMConfig
from shoal.errors import Conflict, InvalidRequest, NotFound
from shoal.messages.files import FileRow
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import FileRecord


def listing(files: Iterable[FileRecord], path: str) -> list[FileRow]:
    """What is directly under `path` (empty: at the top), by name; a file's path lists that file.

    Raises InvalidRequest for what cannot be a path, NotFound when there is nothing.
    """
    path = path.removeprefix(PREFIX).rstrip("/") if path not in ("", "/", ".") else ""
    if path:
        check_file(path)
    prefix = f"{path}/" if path else ""
    found: dict[str, FileRow] = {}
    for record in files:
        if record.name == path:
            return [_row(record)]
        if not record.name.startswith(prefix):
            continue
        first, slash, _ = record.name[len(prefix) :].partition("/")
        name = prefix + first
        found[name] = FileRow(name=name, directory=True) if slash else _row(record)
    if path and not found:
        raise NotFound(f"no such file or directory in the cluster: `{path}`; `file list` shows what there is")
    return [row for _, row in sorted(found.items())]


def _row(record: FileRecord) -> FileRow:
    return FileRow(name=record.name, size=record.size, digest=record.digest, added=record.added)


def file_named(files: dict[str, FileRecord], name: str) -> FileRecord:
    """The file of that name. Raises NotFound, or InvalidRequest for a directory."""
    name = check_file(name.removeprefix(PREFIX))
    record = files.get(name)
    if record is not None:
        return record
    if any(other.startswith(f"{name}/") for other in files):
        raise InvalidRequest(f"`{name}` is a directory of the cluster's files: name a file in it")
    raise NotFound(f"no such file in the cluster: `{name}`; `file list` shows what there is")


def check_free(files: dict[str, FileRecord], name: str, digest: str, *, replace: bool) -> None:
    """Raise Conflict when the name cannot be given to this content."""
    existing = files.get(name)
    if existing is not None and existing.digest != digest and not replace:
        raise Conflict(
            f"`{name}` is in the cluster already, with other content: add `replace`, or `as` and another name"
        )
    if trouble := parent_conflict(name, files):
        raise Conflict(f"cannot put a file as `{name}`: in the cluster {trouble}")


def content_of(files: dict[str, FileRecord], config: VMConfig) -> dict[str, str]:
    """The digests, by name, of the cluster's files that a VM needs. Raises NotFound for a name without a file."""
    found = {}
    for name, field in files_of(config).items():
        record = files.get(name)
        if record is None:
            raise NotFound(
                f"cannot launch with {field} `{name}`: no such file in the cluster; put it there with "
                f"`shoal file put PATH as {name}`, or name a file of the host by its absolute path"
            )
        found[name] = record.digest
    return found


def needed(model: Model) -> set[str]:
    """The digests that a name, a queued VM or a VM stands for."""
    found = {record.digest for record in model.files.values()}
    for queue in model.queues.values():
        for entry in queue.values():
            found.update(entry.files.values())
    for launch in model.instances.values():
        found.update(launch.files.values())
    return found


def users_of(model: Model, digest: str) -> int:
    """How many VMs, queued or launched, have this content."""
    launched = sum(digest in record.files.values() for record in model.instances.values())
    queued = sum(
        entry.count
        for queue in model.queues.values()
        for entry in queue.values()
        if not entry.plan and digest in entry.files.values()
    )
    return launched + queued
