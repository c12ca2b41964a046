"""Gets Debian's kernel for virtual machines: resolves its package, downloads it, and takes out what is needed.

Nothing is installed: the package is read as an archive. This module refuses to know what becomes of the kernel.
"""

from __future__ import annotations

import lzma
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec

#: a package without content, which depends on the current kernel's package
METAPACKAGE = "linux-image-cloud-amd64"
_KERNEL_DEPENDENCY = re.compile(r"^Depends: .*?(linux-image-[a-z0-9.+-]+)", re.MULTILINE)


class BuildError(Exception):
    """The guest image cannot be made. One line: what is missing, and what to do."""


class KernelFiles(msgspec.Struct, frozen=True):
    """The kernel to boot (bzImage) and the modules (name → content of its .ko file) that it has."""

    image: bytes
    modules: dict[str, bytes]


def fetch(scratch: Path, modules: tuple[str, ...], say: Callable[[str], None]) -> KernelFiles:
    """Download the kernel package into `scratch` and read kernel and `modules` out of it.

    Modules that the kernel does not have are left out. Raises BuildError.
    """
    for program in ("apt-cache", "apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise BuildError(f"no program {program}: the guest's kernel is taken from a package of Debian's")
    package = _resolve()
    say(f"downloading {package}")
    # Without the sandbox's user, which cannot write into a folder of ours.
    _run(
        scratch, f"download {package}", "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package
    )
    archives = list(scratch.glob("*.deb"))
    if len(archives) != 1:
        raise BuildError(f"cannot download {package}: apt-get left {len(archives)} files")
    say(f"unpacking {package}")
    return _unpack(archives[0], modules)


def kernel_dependency(record: str) -> str | None:
    """Read the name of the kernel's package from what `apt-cache show` prints of the metapackage."""
    match = _KERNEL_DEPENDENCY.search(record)
    return match[1] if match else None


def _resolve() -> str:
    command = ["apt-cache", "show", "--no-all-versions", METAPACKAGE]
    record = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    package = kernel_dependency(record)
    if package is None:
        raise BuildError(
            f"apt does not know the package {METAPACKAGE}: run apt-get update (on Debian, amd64)"
        )
    return package


def _unpack(archive: Path, modules: tuple[str, ...]) -> KernelFiles:
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    try:
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as tar,
        ):
            kernel = _select(tar, modules)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as error:
        raise BuildError(f"cannot read {archive.name}: {str(error) or 'it ends too early'}") from error
    if not kernel.image or "virtio_net" not in kernel.modules:
        raise BuildError(
            f"{archive.name} holds no kernel with virtio_net: it is not what was expected of Debian"
        )
    return kernel


def _select(tar: tarfile.TarFile, modules: tuple[str, ...]) -> KernelFiles:
    image = b""
    found: dict[str, bytes] = {}
    for member in tar:
        path = PurePosixPath(member.name)
        name, _, packing = path.name.partition(".ko")
        content = tar.extractfile(member) if member.isfile() else None
        if content is None:
            continue
        if path.parent.name == "boot" and path.name.startswith("vmlinuz-"):
            image = content.read()
        elif name in modules and path.name in (f"{name}.ko", f"{name}.ko.xz"):
            found[name] = lzma.decompress(content.read()) if packing else content.read()
    return KernelFiles(image, found)


def _run(folder: Path, purpose: str, *command: str) -> None:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        errors = [line.strip() for line in done.stderr.splitlines() if line.startswith("E:")]
        reason = "; ".join(errors) or f"status {done.returncode}"
        raise BuildError(f"cannot {purpose}: {reason} (run apt-get update if the package is out of date)")
