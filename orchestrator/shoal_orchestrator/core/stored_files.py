"""Decisions about the cluster's files: what is listed, which names are free, which content is still needed.

This module refuses to know where content is kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from shoal.core.files import PREFIX, check_file, file_of, files_of, parent_conflict
from shoal.core.saved_machine import differences, with_saved_macs
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
        raise NotFound(
            f"no such file or directory in the cluster: `{path}`; `file list` shows what there is",
            names=(path,),
        )
    return [row for _, row in sorted(found.items())]


def _row(record: FileRecord) -> FileRow:
    return FileRow(name=record.name, size=record.size, digest=record.digest, added=record.added)


def file_named(files: dict[str, FileRecord], name: str, *, several: bool = False) -> FileRecord:
    """The file of that name. Raises NotFound, or InvalidRequest for a directory.

    With `several` the error says what means all files in it.
    """
    name = check_file(name.removeprefix(PREFIX))
    record = files.get(name)
    if record is not None:
        return record
    if any(other.startswith(f"{name}/") for other in files):
        instead = f", or `{name}/*` for all that is in it" if several else ""
        raise InvalidRequest(f"`{name}` is a directory of the cluster's files: name a file in it{instead}")
    raise NotFound(f"no such file in the cluster: `{name}`; `file list` shows what there is", names=(name,))


def is_pattern(name: str) -> bool:
    """Whether it means files by `*`, `?` or `[…]`, none of which a name can hold."""
    return any(character in name for character in "*?[")


def files_matching(files: dict[str, FileRecord], pattern: str) -> list[FileRecord]:
    """The files that a pattern means, by name: those that match, and all in directories that match.

    `*`, `?` and `[…]` stand for characters of one name, never for a `/`. Raises NotFound when there are none.
    """
    parts = pattern.removeprefix(PREFIX).strip("/").split("/")

    def matches(name: str) -> bool:
        names = name.split("/")
        return len(names) >= len(parts) and all(map(fnmatchcase, names, parts))

    found = [record for name, record in sorted(files.items()) if matches(name)]
    if not found:
        raise NotFound(
            f"no file of the cluster matches `{pattern}`; `file list` shows what there is", names=(pattern,)
        )
    return found


def check_free(files: dict[str, FileRecord], name: str, digest: str, *, replace: bool) -> None:
    """Raise Conflict when the name cannot be given to this content."""
    existing = files.get(name)
    if existing is not None and existing.digest != digest and not replace:
        raise Conflict(
            f"`{name}` is in the cluster already, with other content: add `replace`, or `as` and another name",
            names=(name,),
        )
    if trouble := parent_conflict(name, files):
        raise Conflict(f"cannot put a file as `{name}`: in the cluster {trouble}", names=(name,))


def check_new(files: dict[str, FileRecord], name: str) -> None:
    """Raise Conflict when the name is taken, whatever the content: of a disk nobody expects that it was there."""
    if name in files:
        raise Conflict(
            f"`{name}` is in the cluster already: choose another name, or remove it with `file delete {name}`",
            names=(name,),
        )
    check_free(files, name, "", replace=False)


def check_replaceable(files: dict[str, FileRecord], name: str, vm: str) -> None:
    """Raise Conflict when the name is that of a file that `vm save` has not made from this VM (its namespace/name)."""
    existing = files.get(name)
    if existing is not None and existing.saved_from != vm:
        made = f"was saved from {existing.saved_from}" if existing.saved_from else "was not made by `vm save`"
        raise Conflict(
            f"`{name}` is in the cluster already, and {made}: save {vm} under another name, or `file delete {name}`",
            names=(name,),
        )


def content_of(files: dict[str, FileRecord], config: VMConfig) -> dict[str, str]:
    """The digests, by name, of the cluster's files that a VM needs. Raises NotFound for a name without a file."""
    found = {}
    for name, field in files_of(config).items():
        record = files.get(name)
        if record is None:
            raise NotFound(
                f"cannot launch with {field} `{name}`: no such file in the cluster; put it there with "
                f"`shoal file put PATH as {name}`, or into the head's files directory, or name a file of the host "
                "by its absolute path",
                names=(name,),
            )
        found[name] = record.digest
    return found


def fitted(files: dict[str, FileRecord], config: VMConfig) -> VMConfig:
    """The configuration as a VM needs it to go on from its saved state: with the MAC addresses that its guest has.

    Raises InvalidRequest when it is another machine. A state of which the cluster knows no machine is its host's to
    check.
    """
    record = files.get(file_of(config.state)) if config.state else None
    if record is None or record.machine is None:
        return config
    if found := differences(record.machine, config):
        raise InvalidRequest(
            f"cannot launch from state `{record.name}`: the VM is not as it was saved; set with `vm config`: "
            + "; ".join(found)
        )
    return with_saved_macs(config, record.machine)


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
