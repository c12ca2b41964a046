"""Whether something fits on a worker's disk."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from shoal_worker.disk_room import OWN_BYTES, is_full, lack
from shoal_worker.hypervisor import HypervisorError


@pytest.mark.parametrize(
    ("free", "size", "fits"),
    [(OWN_BYTES, 0, True), (OWN_BYTES - 1, 0, False), (OWN_BYTES + 9, 9, True), (OWN_BYTES + 8, 9, False)],
)
def test_the_workers_own_room_stays_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, size: int, *, fits: bool
) -> None:
    """What is asked for must fit beside what the worker needs; a folder that is not there yet counts as its parent."""
    asked: list[Path] = []

    def disk_usage(path: Path) -> SimpleNamespace:
        asked.append(path)
        return SimpleNamespace(free=free)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    found = lack(tmp_path / "not" / "yet", size)
    assert (found == "") == fits
    assert fits or f"are left in {tmp_path / 'not' / 'yet'}, 16.0 MiB are needed" in found
    assert asked == [tmp_path]


def test_full_disks_are_told_from_other_errors() -> None:
    """By the number of an error, or by what programs say of it."""
    for number in (errno.ENOSPC, errno.EDQUOT):
        assert is_full(OSError(number, os.strerror(number)))
    assert is_full(
        HypervisorError("qemu-img: a.qcow2: Could not write qcow2 header: No space left on device")
    )
    assert not is_full(OSError(errno.EACCES, "Permission denied"))
    assert not is_full(HypervisorError("qemu-img: Could not open 'a.qcow2'"))
