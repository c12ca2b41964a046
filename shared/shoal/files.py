"""The cluster's files from a program's side: put, get, list, delete.

Refuses to know the command language. Content goes straight to the store and never through the orchestrator, which
only knows names and digests.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from shoal.bus.protocol import BlobStore
from shoal.core.files import check_file, size_text
from shoal.core.qcow2 import HEAD_BYTES, needs_others
from shoal.errors import Conflict, InvalidRequest, NotFound, PermissionDenied, StoreUnavailable
from shoal.messages.base import Reply, Request
from shoal.messages.files import DeleteFile, FileAnswer, FileRow, GetFile, ListFiles, PutFile

_READ_BYTES = 1024 * 1024
#: how often content is sent again that vanished between its sending and its naming
_TRIES = 3

T = TypeVar("T")
#: sends a request to the leader
Call = Callable[[Request[Any]], Awaitable[Reply]]
#: called with (done, total, text)
ProgressCallback = Callable[[int, int, str], None]


class ClusterFiles:
    """The files of a cluster."""

    def __init__(self, call: Call, blobs: BlobStore) -> None:
        self._call = call
        self._blobs = blobs

    async def list(self, path: str = "") -> list[FileRow]:
        """The files and directories at the top, in a directory, or one file. NotFound when there is no such path."""
        found: list[FileRow] = []
        request = ListFiles(path=path)
        while True:
            page: Any = await self._call(request)
            found.extend(page.items)
            if not page.next:
                return found
            request = ListFiles(path=path, after=page.next)

    async def delete(self, name: str) -> None:
        """Delete a file. NotFound when there is none."""
        await self._call(DeleteFile(name=name))

    async def put(
        self,
        path: str | Path,
        name: str = "",
        *,
        replace: bool = False,
        progress: ProgressCallback | None = None,
    ) -> FileAnswer:
        """Put a local file under `name`, or its own name; nothing is sent that the cluster has already.

        NotFound, InvalidRequest or PermissionDenied when the file cannot be read; Conflict when the name is taken
        with other content (unless `replace`) or the file changes meanwhile; StoreUnavailable without space for it.
        """
        path = str(path)
        name = check_file(name or Path(path).name)
        source, size = await asyncio.to_thread(_open_source, path)
        with source:
            await asyncio.to_thread(_check_image, source, path)
            digest = await _digest(source, path, _progress(progress, size, f"reading {path}"))
            request = PutFile(path=path, name=name, replace=replace, digest=digest, size=size)
            for _ in range(_TRIES):
                answer: Any = await self._call(request)
                if not answer.wanted:
                    return answer  # type: ignore[no-any-return]  # the reply of PutFile
                await asyncio.to_thread(source.seek, 0)
                parts = _parts(source, path, _progress(progress, size, f"sending {name}"))
                async with contextlib.aclosing(parts):
                    await self._blobs.put(digest, parts, label=name)
                request = PutFile(path=path, name=name, replace=replace, digest=digest, size=size, sent=True)
        raise StoreUnavailable(f"cannot put `{path}`: its content is gone from the store again and again")

    async def get(
        self, name: str, path: str | Path = "", *, progress: ProgressCallback | None = None
    ) -> FileAnswer:
        """Get a file into `path`: a file to be, or a directory; the current one by default.

        It appears whole or not at all. NotFound when there is no such file, Conflict when something else is at
        `path`, Damaged when the content is not what was put.
        """
        answer: Any = await self._call(GetFile(name=name))
        target = Path(path) if path else Path()
        if target.is_dir():
            target /= name.rpartition("/")[2]
        if await asyncio.to_thread(_is_there, target, answer.digest):
            return answer  # type: ignore[no-any-return]  # the reply of GetFile
        draft = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            await asyncio.to_thread(_check_space, target, answer.size)
            await self._receive(answer, draft, _progress(progress, answer.size, f"getting {name}"))
            await asyncio.to_thread(draft.replace, target)
        except OSError as error:
            raise _refused("write", str(target), error) from error
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        return answer  # type: ignore[no-any-return]  # the reply of GetFile

    async def _receive(self, answer: FileAnswer, draft: Path, told: Callable[[int], None]) -> None:
        with await asyncio.to_thread(draft.open, "xb") as file:
            async with contextlib.aclosing(self._blobs.read(answer.digest)) as parts:
                async for part in parts:
                    await asyncio.to_thread(file.write, part)
                    told(len(part))


def _progress(progress: ProgressCallback | None, total: int, text: str) -> Callable[[int], None]:
    """A function that is told how many more bytes were done, and says the sum in MiB."""
    done = 0

    def more(size: int) -> None:
        nonlocal done
        done += size
        if progress is not None:
            progress(0, 0, f"{text}: {size_text(done)} of {size_text(total)}")

    return more


def _open_source(path: str) -> tuple[BinaryIO, int]:
    """Open a regular file that is to be put, and its size."""
    try:
        # not blocking: opening a pipe would wait for a writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _refused("read", path, error) from error
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        return os.fdopen(descriptor, "rb"), found.st_size
    os.close(descriptor)
    kind = "a directory: put its files one by one" if stat.S_ISDIR(found.st_mode) else "not a regular file"
    raise InvalidRequest(f"cannot put `{path}`: it is {kind}")


def _check_image(source: BinaryIO, path: str) -> None:
    """InvalidRequest for a disk image that needs other files: on a host these would be that host's."""
    if needed := needs_others(source.read(HEAD_BYTES)):
        raise InvalidRequest(
            f"cannot put `{path}`: it is a qcow2 image that needs {needed}, and a file of the cluster must not need "
            "others; `qemu-img convert -O qcow2` makes one that does not"
        )
    source.seek(0)


async def _digest(source: BinaryIO, path: str, told: Callable[[int], None]) -> str:
    digest = hashlib.sha256()

    def step() -> int:
        part = source.read(_READ_BYTES)
        digest.update(part)
        return len(part)

    while size := await _reading(path, step):
        told(size)
    return digest.hexdigest()


async def _parts(source: BinaryIO, path: str, told: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    while part := await _reading(path, lambda: source.read(_READ_BYTES)):
        yield part
        told(len(part))


async def _reading(path: str, step: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(step)
    except OSError as error:
        raise _refused("read", path, error) from error


def _is_there(target: Path, digest: str) -> bool:
    """Whether the file is there already with this content. Conflict when it has other content."""
    if not os.path.lexists(target):
        return False
    try:
        if target.is_file():
            with target.open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() == digest:
                    return True
    except OSError as error:
        raise _refused("read", str(target), error) from error
    raise Conflict(
        f"cannot write `{target}`: something else is there; remove it, or add `to` and another path",
        names=(str(target),),
    )


def _check_space(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise OSError(errno.ENOSPC, f"too little space: {size_text(size)} needed, {size_text(free)} free")


def _refused(what: str, path: str, error: OSError) -> InvalidRequest | NotFound | PermissionDenied:
    text = f"cannot {what} `{path}`: {error.strerror or error}"
    if isinstance(error, FileNotFoundError):
        return NotFound(f"cannot {what} `{path}`: no such file or directory", names=(path,))
    return PermissionDenied(text) if isinstance(error, PermissionError) else InvalidRequest(text)
