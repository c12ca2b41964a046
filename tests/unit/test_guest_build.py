"""Making and keeping the image of the small guest."""

from __future__ import annotations

import lzma
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from shoal_worker.cache_folder import cache_folder
from shoal_worker.guest import build as build_module
from shoal_worker.guest import command_line, image_in
from shoal_worker.guest.__main__ import main
from shoal_worker.guest.build import build, is_static
from shoal_worker.guest.initrd import APPLETS
from shoal_worker.guest.kernel_package import BuildError, KernelFiles, kernel_dependency


def elf(*kinds: int) -> bytes:
    """The start of an ELF64 program with segments of these kinds (elf(5))."""
    header = b"\x7fELF\x02\x01".ljust(32, b"\0") + struct.pack(
        "<QQIHHHHHH", 64, 0, 0, 64, 56, len(kinds), 0, 0, 0
    )
    return header + b"".join(struct.pack("<I", kind).ljust(56, b"\0") for kind in kinds)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Stand in for Debian's package and busybox; returns what was downloaded."""
    downloads: list[str] = []

    def fetch(*_: object) -> KernelFiles:
        downloads.append("kernel")
        return KernelFiles(b"bzImage", {"virtio_net": b"module"})

    programs = tmp_path / "programs"
    programs.mkdir()
    busybox = programs / "busybox"
    busybox.write_text("#!/bin/sh\nprintf '%s\\n' " + " ".join(APPLETS) + "\n")
    busybox.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(build_module, "fetch", fetch)
    monkeypatch.setattr(build_module, "is_static", lambda _: True)
    return downloads


def test_built_once(fetched: list[str], tmp_path: Path) -> None:
    """The first build downloads and packs, the second does nothing and says nothing."""
    said: list[str] = []
    folder = tmp_path / "guest"
    image = build(folder, said.append)
    assert image == image_in(folder)
    assert fetched == ["kernel"]
    assert said
    before = image.initrd.stat().st_mtime_ns
    said.clear()
    assert build(folder, said.append) == image
    assert (fetched, said, image.initrd.stat().st_mtime_ns) == (["kernel"], [], before)


def test_new_busybox_needs_no_download(fetched: list[str], tmp_path: Path) -> None:
    """When busybox or the init script changed the initrd is packed again around the kernel that is kept."""
    folder = tmp_path / "guest"
    before = build(folder, print).initrd.read_bytes()
    with (tmp_path / "programs/busybox").open("a") as busybox:
        busybox.write("# newer\n")
    assert build(folder, print).initrd.read_bytes() != before
    assert fetched == ["kernel"]


@pytest.mark.usefixtures("fetched")
def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that cannot be is an error in one line that names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match=r"cannot write the guest image into .*/file/guest: Not a directory"):
        build(tmp_path / "file/guest", print)


@pytest.mark.usefixtures("fetched")
def test_command_prints_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """stdout is the two paths and nothing else; progress is on stderr."""
    assert main(["build", "--output", str(tmp_path / "guest")]) == 0
    out, err = capsys.readouterr()
    assert out == f"kernel {tmp_path}/guest/vmlinuz\ninitrd {tmp_path}/guest/initrd.gz\n"
    assert "initrd" in err


def test_missing_busybox(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without busybox the command fails in one line that says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["build", "--output", str(tmp_path / "guest")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "shoal guest build: no program busybox: install a static one (Debian: busybox-static)\n"


def test_missing_apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without Debian's tools the error says that the kernel comes from Debian."""
    monkeypatch.setattr(build_module, "_busybox", lambda: b"")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="no program apt-cache"):
        build(tmp_path / "guest", print)


def test_poor_busybox(fetched: list[str], tmp_path: Path) -> None:
    """A busybox without a needed applet is refused by the applet's name."""
    (tmp_path / "programs/busybox").write_text("#!/bin/sh\necho sh\n")
    with pytest.raises(BuildError, match=r"lacks .*nc, "):
        build(tmp_path / "guest", print)
    assert fetched == []


def test_unpacking_a_package(tmp_path: Path, need: object) -> None:
    """Kernel and wanted modules are read out of a package, packed modules unpacked, others left."""
    from shoal_worker.guest.kernel_package import _unpack

    assert callable(need)
    need("dpkg-deb", shutil.which("dpkg-deb") is not None)
    tree = tmp_path / "package"
    modules = tree / "lib/modules/6.1/kernel/drivers"
    for folder in (tree / "DEBIAN", tree / "boot", modules):
        folder.mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    (tree / "boot/vmlinuz-6.1").write_bytes(b"kernel")
    (tree / "boot/config-6.1").write_bytes(b"config")
    (modules / "virtio_net.ko").write_bytes(b"net")
    (modules / "virtio.ko.xz").write_bytes(lzma.compress(b"bus"))
    (modules / "other.ko").write_bytes(b"other")
    subprocess.run(["dpkg-deb", "-b", tree, tmp_path / "x.deb"], check=True, capture_output=True)
    kernel = _unpack(tmp_path / "x.deb", ("virtio", "virtio_net", "e1000"))
    assert kernel == KernelFiles(b"kernel", {"virtio": b"bus", "virtio_net": b"net"})
    (tmp_path / "broken.deb").write_bytes(b"!<arch>\n")
    with pytest.raises(BuildError, match=r"cannot read broken\.deb"):
        _unpack(tmp_path / "broken.deb", ("virtio",))


@pytest.mark.parametrize(
    ("record", "package"),
    [
        (
            "Package: x\nDepends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.1-1)\n",
            "linux-image-6.1.0-50-cloud-amd64",
        ),
        ("Depends: libc6, linux-image-6.12.1+deb13-cloud-amd64\n", "linux-image-6.12.1+deb13-cloud-amd64"),
        ("Package: x\n", None),
        ("", None),
    ],
)
def test_kernel_dependency(record: str, package: str | None) -> None:
    """The kernel's package is what the metapackage depends on."""
    assert kernel_dependency(record) == package


def test_is_static() -> None:
    """A program is static when it names no loader; what is no program is not."""
    assert is_static(elf(1, 2, 6))
    assert not is_static(elf(1, 3))
    assert not is_static(elf(1, 3)[:70])
    assert not is_static(b"#!/bin/sh\n" * 10)
    assert not is_static(Path("/bin/sh").read_bytes())


def test_command_line() -> None:
    """Name and addresses stand in the words that the guest's init script reads."""
    assert "shoal.name=red/vm1" in command_line("red/vm1")
    assert not any(word.startswith("shoal.ip=") for word in command_line("red/vm1"))
    assert command_line("red/vm1", "10.0.0.1/24", "10.1.0.1/24")[-1] == "shoal.ip=10.0.0.1/24,10.1.0.1/24"


def test_cache_folder() -> None:
    """The cache is the machine's for root, the user's for others, and XDG_CACHE_HOME has the last word."""
    assert cache_folder({}, root=True) == Path("/var/cache/shoal")
    assert cache_folder({}, root=False) == Path.home() / ".cache/shoal"
    assert cache_folder({"XDG_CACHE_HOME": "/c"}, root=True) == Path("/c/shoal")
    assert cache_folder({"XDG_CACHE_HOME": "relative"}, root=True) == Path("/var/cache/shoal")
