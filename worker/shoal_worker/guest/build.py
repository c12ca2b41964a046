"""Makes the image of the small guest from Debian's kernel package and a static busybox, and keeps it.

The kernel is downloaded and unpacked, never installed. Kernel and modules are kept beside the result, so that a
changed init script or busybox costs no second download. This module refuses to know QEMU and libvirt.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from shoal_worker.guest import GuestImage, image_in
from shoal_worker.guest.initrd import APPLETS, MODULES, initrd
from shoal_worker.guest.kernel_package import BuildError, KernelFiles, fetch

_MODULES, _RECIPE = "modules", "recipe"
_PT_INTERP = 3


def build(folder: Path, say: Callable[[str], None]) -> GuestImage:
    """Build into `folder` (absolute) whatever is missing or out of date; `say` is told of what takes time.

    Raises BuildError, one line, when a program, a package or the space for it is missing.
    """
    busybox = _busybox()
    init = resources.files("shoal_worker.guest").joinpath("init.sh").read_bytes()
    recipe = hashlib.sha256(b"\0".join((init, busybox, repr((MODULES, APPLETS)).encode()))).hexdigest()
    image = image_in(folder)
    if image is not None and _read(folder / _RECIPE) == recipe.encode():
        return image
    try:
        kernel = _kept_kernel(folder)
        if kernel is None:
            kernel = _fetch_into(folder, say)
        say("packing the initrd")
        _write(folder / "initrd.gz", initrd(busybox, kernel.modules, init))
        _write(folder / _RECIPE, recipe.encode())
    except OSError as error:
        raise BuildError(f"cannot write the guest image into {folder}: {error.strerror or error}") from error
    image = image_in(folder)
    assert image is not None
    return image


def _fetch_into(folder: Path, say: Callable[[str], None]) -> KernelFiles:
    with tempfile.TemporaryDirectory(prefix="shoal-guest-") as scratch:
        kernel = fetch(Path(scratch), MODULES, say)
    shutil.rmtree(folder / _MODULES, ignore_errors=True)
    (folder / _MODULES).mkdir(parents=True)
    for name, module in kernel.modules.items():
        _write(folder / _MODULES / f"{name}.ko", module)
    _write(folder / "vmlinuz", kernel.image)  # last: it says that the modules are complete
    return kernel


def _kept_kernel(folder: Path) -> KernelFiles | None:
    image = _read(folder / "vmlinuz")
    modules = {path.stem: path.read_bytes() for path in sorted((folder / _MODULES).glob("*.ko"))}
    return KernelFiles(image, modules) if image and modules else None


def _busybox() -> bytes:
    path = shutil.which("busybox")
    if path is None:
        raise BuildError("no program busybox: install a static one (Debian: busybox-static)")
    binary = Path(path).read_bytes()
    if not is_static(binary):
        raise BuildError(f"{path} is not statically linked: install a static one (Debian: busybox-static)")
    listing = subprocess.run([path, "--list"], capture_output=True, text=True, check=False).stdout.split()
    missing = sorted(set(APPLETS) - set(listing))
    if missing:
        raise BuildError(f"{path} lacks {', '.join(missing)}: install a fuller one (Debian: busybox-static)")
    return binary


def is_static(binary: bytes) -> bool:
    """Whether an ELF64 little-endian program runs without a loader: no PT_INTERP segment (elf(5))."""
    if len(binary) < 64 or binary[:6] != b"\x7fELF\x02\x01":
        return False
    (table,) = struct.unpack_from("<Q", binary, 32)
    size, count = struct.unpack_from("<HH", binary, 54)
    if table + size * count > len(binary):
        return False
    kinds = [struct.unpack_from("<I", binary, table + size * number)[0] for number in range(count)]
    return _PT_INTERP not in kinds


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _write(path: Path, content: bytes) -> None:
    """Write whole or not at all: a guest may be booting from the old file."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(content)
    draft.replace(path)
