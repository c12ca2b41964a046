"""Looks into disk images with qemu-img, refuses what could lead QEMU astray, and makes overlays.

An image may be hostile: its header can name any file of the host as its backing file, or as the file of its data.
So qemu-img runs with limits and only reads headers, backing files must lie in the image's own folder, and QEMU is
later given the whole chain with formats, never to probe by itself. This module refuses to know libvirt and guests.
All functions block: call them on a thread.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from shoal.messages.disks import ImageRow
from shoal_worker.core.domain_xml import Layer
from shoal_worker.hypervisor import HypervisorError

_FORMATS = ("raw", "qcow2")
_LONGEST_CHAIN = 8
_TIMEOUT_S = 30.0
#: limits for a program that reads a hostile header (prlimit(1)): bytes of address space, seconds of processor
_LIMITS = ("prlimit", f"--as={1 << 30}", "--cpu=20")


def inspect(image: str, *, alone: bool = False) -> tuple[Layer, ...]:
    """Read the image's format and backing chain, from the top (absolute path) down. `alone`: it may have none.

    Raises HypervisorError for an image that is neither raw nor qcow2, that keeps its data in another file, or whose
    backing file is not a plain file in the folder of the image.
    """
    folder = Path(image).resolve().parent
    chain: list[Layer] = []
    path = image
    while True:
        form, backing, backing_form = _read_header(path)
        chain.append(Layer(path, form))
        if not backing:
            return tuple(chain)
        if alone:
            raise HypervisorError(
                f"disk image {image} is refused: it needs a backing file, {backing!r}, and a file of the cluster "
                "must not need others; `qemu-img convert` makes one that does not"
            )
        path = _contained(path, backing, folder)
        if backing_form == "raw":
            # What looks like a header in there was written by a guest: it is not to be read.
            return (*chain, Layer(path, "raw"))
        if len(chain) == _LONGEST_CHAIN:
            raise HypervisorError(
                f"disk image {image} is refused: it has over {_LONGEST_CHAIN} backing files"
            )


def make_overlay(base: Layer, overlay: Path) -> None:
    """Make an empty qcow2 image on top of `base`, which is never written to."""
    _qemu_img(
        f"make an overlay of disk {base.path}",
        *("create", "-q", "-f", "qcow2", "-F", base.format, "-b", base.path, str(overlay)),
    )


def make_empty(form: str, size: int, image: Path) -> None:
    """Make an empty image of `size` bytes."""
    _qemu_img(f"make disk image {image}", "create", "-q", "-f", form, str(image), str(size))


def look(image: str) -> tuple[ImageRow, ...]:
    """What an image (absolute path) is, and those beneath it: see `inspect`."""
    rows = []
    for layer, below in itertools.zip_longest(chain := inspect(image), chain[1:]):
        purpose = f"read disk image {layer.path}"
        told = ("--force-share", "--output=json", "-f", layer.format, layer.path)
        header: dict[str, Any] = msgspec.json.decode(_qemu_img(purpose, "info", *told))
        rows.append(
            ImageRow(
                image=layer.path,
                format=layer.format,
                virtual=int(header.get("virtual-size", 0)),
                actual=int(header.get("actual-size", 0)),
                backing=below.path if below is not None else "",
                used=_is_written_to(layer, purpose),
            )
        )
    return tuple(rows)


def _is_written_to(layer: Layer, purpose: str) -> bool:
    """Whether somebody writes to the image: then it cannot be opened without sharing it. A raw image never tells."""
    try:
        _qemu_img(purpose, "info", "-f", layer.format, layer.path)
    except HypervisorError as error:
        if "lock" in str(error):
            return True
        raise
    return False


def _contained(image: str, backing: str, folder: Path) -> str:
    where = f"disk image {image} is refused: its backing file {backing!r}"
    if ":" in backing.partition("/")[0]:
        raise HypervisorError(f"{where} is not a plain file")
    path = Path(image).parent / backing
    resolved = path.resolve()
    if not resolved.is_relative_to(folder):
        raise HypervisorError(f"{where} lies outside the folder {folder}")
    if not resolved.is_file():
        raise HypervisorError(f"{where} does not exist")
    return str(resolved)


def _read_header(path: str) -> tuple[str, str, str]:
    """Return the image's format, its backing file and that one's format (empty without one)."""
    # --force-share: the image may be in use by a guest.
    answer = _qemu_img(f"read disk image {path}", "info", "--force-share", "--output=json", path)
    header: dict[str, Any] = msgspec.json.decode(answer)
    form = str(header.get("format"))
    if form not in _FORMATS:
        raise HypervisorError(f"disk image {path} is of format {form}, not one of {', '.join(_FORMATS)}")
    if header.get("format-specific", {}).get("data", {}).get("data-file"):
        raise HypervisorError(f"disk image {path} is refused: it keeps its data in another file")
    backing = str(header.get("backing-filename") or "")
    backing_form = str(header.get("backing-filename-format", ""))
    if backing and backing_form not in _FORMATS:
        raise HypervisorError(
            f"disk image {path} does not say the format of its backing file: qemu-img rebase -u -F raw|qcow2"
        )
    return form, backing, backing_form


def _qemu_img(purpose: str, *arguments: str) -> bytes:
    try:
        done = subprocess.run(
            [*_LIMITS, "qemu-img", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )
    except FileNotFoundError as error:
        raise HypervisorError(f"cannot {purpose}: no program {error.filename!r}") from error
    except subprocess.TimeoutExpired as error:
        raise HypervisorError(f"cannot {purpose}: qemu-img took over {_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())
        raise HypervisorError(f"cannot {purpose}: {reason or f'qemu-img ended with {done.returncode}'}")
    return done.stdout
