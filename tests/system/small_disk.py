"""A file system of its own, small enough to be filled: a tmpfs, which is unmounted whatever happens."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

MIB = 1 << 20


class SmallDisk:
    """The file system mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    @property
    def free(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.path).free

    def fill(self, left: int = 0) -> None:
        """Take all space but `left` bytes."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while (more := self.free - left) > 0:
                file.write(bytes(min(more, MIB)))

    @contextlib.contextmanager
    def full_of_files(self, left: int = 0) -> Iterator[None]:
        """For a while only `left` more files, folders or links can be made, however much space there is."""
        used = os.statvfs(self.path)
        self._remount(f"nr_inodes={used.f_files - used.f_ffree + left}")
        try:
            yield
        finally:
            self._remount(f"nr_inodes={used.f_files}")

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", self.path], check=True)

    @contextlib.contextmanager
    def filled(self, left: int = 0) -> Iterator[None]:
        """Full for a while; what is filled meanwhile is given back as well."""
        try:
            self.fill(left)
            yield
        finally:
            self._filler.unlink(missing_ok=True)

    def files(self) -> set[str]:
        """Every file, but for the filler."""
        found = (path for path in self.path.rglob("*") if path.is_file() and path != self._filler)
        return {str(path.relative_to(self.path)) for path in found}


@contextlib.contextmanager
def mounted(size: int) -> Iterator[SmallDisk]:
    """Mount one of `size` bytes; its path is short, since sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "shoal-test", folder], check=True
        )
        try:
            yield SmallDisk(Path(folder))
        finally:
            # lazily: what a failed test left open must not keep it in the tree
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def disk(need: Callable[[str, bool], None]) -> Iterator[SmallDisk]:
    """64 MiB."""
    need("root", os.geteuid() == 0)
    need("mount", shutil.which("mount") is not None)
    with mounted(64 * MIB) as found:
        yield found
