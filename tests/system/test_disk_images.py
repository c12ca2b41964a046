"""Looking into disk images, kind ones and hostile ones, with the real qemu-img."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.waiting import wait_until

from shoal_worker.core.domain_xml import Layer
from shoal_worker.disk_images import inspect, look, make_overlay
from shoal_worker.hypervisor import HypervisorError
from shoal_worker.image_copying import flatten
from shoal_worker.qemu_images import QemuImages


@pytest.fixture(autouse=True)
def tools(need: Callable[[str, bool], None]) -> None:
    for tool in ("qemu-img", "qemu-nbd", "prlimit"):
        need(tool, shutil.which(tool) is not None)


def qemu_img(*words: str | Path) -> None:
    subprocess.run(["qemu-img", *words], check=True, capture_output=True)


def make(path: Path, form: str, *more: str | Path) -> Path:
    qemu_img("create", "-q", "-f", form, *more, path, "1M")
    return path


def overlay(path: Path, base: str | Path, form: str = "qcow2") -> Path:
    """An overlay whose base need not exist, as an attacker would write it."""
    qemu_img("create", "-q", "-u", "-f", "qcow2", "-F", form, "-b", base, path, "1M")
    return path


def test_plain_images(tmp_path: Path) -> None:
    """Raw and qcow2 images are one layer of their format."""
    for form in ("raw", "qcow2"):
        path = make(tmp_path / f"a.{form}", form)
        assert inspect(str(path)) == (Layer(str(path), form),)


def test_chain_in_one_folder(tmp_path: Path) -> None:
    """Backing files beside the image, named relatively or not, are its chain."""
    base = make(tmp_path / "base.img", "raw")
    middle = overlay(tmp_path / "middle.qcow2", "base.img", "raw")
    top = overlay(tmp_path / "top.qcow2", middle)
    assert inspect(str(top)) == (
        Layer(str(top), "qcow2"),
        Layer(str(middle), "qcow2"),
        Layer(str(base), "raw"),
    )


def test_raw_backing_file_is_not_looked_into(tmp_path: Path) -> None:
    """What a guest wrote into a raw image, a qcow2 header with a backing file, leads nowhere."""
    base = overlay(tmp_path / "base.img", "/etc/shadow", "raw")
    top = overlay(tmp_path / "top.qcow2", base, "raw")
    assert inspect(str(top))[1:] == (Layer(str(base), "raw"),)


@pytest.mark.parametrize(
    ("backing", "reason"),
    [
        ("/etc/shadow", "outside the folder"),
        ("../secret.img", "outside the folder"),
        ("link.img", "outside the folder"),
        ("missing.img", "does not exist"),
        ("nbd://127.0.0.1/x", "not a plain file"),
        ('json:{"driver":"raw","file":{"driver":"file","filename":"/etc/shadow"}}', "not a plain file"),
    ],
)
def test_hostile_backing_file(tmp_path: Path, backing: str, reason: str) -> None:
    """A backing file that is not a plain file in the image's folder is refused, by whatever way it is named."""
    folder = tmp_path / "store"
    folder.mkdir()
    (tmp_path / "secret.img").write_bytes(b"secret")
    (folder / "link.img").symlink_to("../secret.img")
    with pytest.raises(HypervisorError, match=reason):
        inspect(str(overlay(folder / "top.qcow2", backing, "raw")))


def test_hostile_second_layer(tmp_path: Path) -> None:
    """The rule holds for every layer of the chain."""
    overlay(tmp_path / "middle.qcow2", "/etc/shadow", "raw")
    with pytest.raises(HypervisorError, match=r"middle\.qcow2 is refused: .* outside"):
        inspect(str(overlay(tmp_path / "top.qcow2", "middle.qcow2")))


def test_loop_of_backing_files(tmp_path: Path) -> None:
    """A chain that bites its tail is refused and not followed for ever."""
    overlay(tmp_path / "a.qcow2", "b.qcow2")
    with pytest.raises(HypervisorError, match="over 8 backing files"):
        inspect(str(overlay(tmp_path / "b.qcow2", "a.qcow2")))


def test_data_in_another_file(tmp_path: Path) -> None:
    """An image that keeps its data elsewhere could name any file of the host, and is refused."""
    path = make(tmp_path / "a.qcow2", "qcow2", "-o", f"data_file={tmp_path}/data.raw,data_file_raw=on")
    with pytest.raises(HypervisorError, match="keeps its data in another file"):
        inspect(str(path))


def test_other_formats(tmp_path: Path) -> None:
    """Formats that we do not carry out are refused by name."""
    with pytest.raises(HypervisorError, match="is of format vmdk"):
        inspect(str(make(tmp_path / "a.vmdk", "vmdk")))


def test_overlay(tmp_path: Path) -> None:
    """An overlay names its base and the base's format, and is read back as a chain."""
    base = make(tmp_path / "base.img", "raw")
    make_overlay(Layer(str(base), "raw"), tmp_path / "top.qcow2")
    assert inspect(str(tmp_path / "top.qcow2"))[1:] == (Layer(str(base), "raw"),)
    with pytest.raises(HypervisorError, match=r"cannot make an overlay of disk /nowhere"):
        make_overlay(Layer("/nowhere", "raw"), tmp_path / "no.qcow2")


def test_what_is_no_image(tmp_path: Path) -> None:
    """A path that cannot be read is an error in one line."""
    with pytest.raises(HypervisorError, match="cannot read disk image") as caught:
        inspect(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_file_of_the_cluster_stands_alone(tmp_path: Path) -> None:
    """An image that may need no others is refused with a backing file, even one beside it; one without is fine."""
    base = make(tmp_path / "base.img", "raw")
    top = overlay(tmp_path / "top.qcow2", "base.img", "raw")
    with pytest.raises(HypervisorError, match=r"needs a backing file, 'base\.img'"):
        inspect(str(top), alone=True)
    assert inspect(str(base), alone=True) == (Layer(str(base), "raw"),)


def test_looking(tmp_path: Path) -> None:
    """Each image of a chain is shown with its sizes and the one beneath it; one that is written to is in use."""
    base = make(tmp_path / "base.img", "raw")
    top = overlay(tmp_path / "top.qcow2", base, "raw")
    upper, lower = look(str(top))
    assert (upper.format, upper.virtual, upper.backing, upper.used) == ("qcow2", 1 << 20, str(base), False)
    assert (lower.image, lower.format, lower.backing) == (str(base), "raw", "")
    with subprocess.Popen(["qemu-nbd", "-k", str(tmp_path / "nbd.sock"), "-f", "qcow2", str(top)]) as writer:
        try:
            wait_until(lambda: look(str(top))[0].used, "the image is in use")
        finally:
            writer.terminate()


async def test_images_of_the_head(tmp_path: Path) -> None:
    """Empty images, overlays beside their base and copies that need no other are made; nothing is replaced."""
    images = QemuImages(tmp_path / "drafts")
    base = tmp_path / "base.qcow2"
    await images.create("qcow2", 1 << 20, str(base))
    with pytest.raises(HypervisorError, match="something is there already"):
        await images.create("raw", 1 << 20, str(base))
    top = tmp_path / "top.qcow2"
    await images.overlay(str(base), str(top))
    assert [row.image for row in await images.look(str(top))] == [str(top), str(base)]
    (tmp_path / "other").mkdir()
    with pytest.raises(HypervisorError, match="only need images in its own folder"):
        await images.overlay(str(base), str(tmp_path / "other/top.qcow2"))
    qemu_img("bitmap", "--add", str(top), "unused")  # a header that differs from that of an empty image
    copy = await images.copy(str(top))
    assert [row.backing for row in await images.look(copy)] == [""]
    assert b"".join([part async for part in images.read(copy)]).startswith(b"QFI")
    await images.discard(copy)
    assert list((tmp_path / "drafts").iterdir()) == []


async def test_a_copy_has_what_the_chain_has(tmp_path: Path) -> None:
    """What is in base and overlay together is in the copy; a header that a guest wrote into a raw base leads nowhere."""
    base = overlay(tmp_path / "base.img", "/etc/shadow", "raw")
    top = overlay(tmp_path / "top.qcow2", base, "raw")
    await flatten((Layer(str(top), "qcow2"), Layer(str(base), "raw")), tmp_path / "copy.qcow2")
    qemu_img("convert", "-f", "qcow2", "-O", "raw", tmp_path / "copy.qcow2", tmp_path / "copy.raw")
    content = base.read_bytes()
    assert (tmp_path / "copy.raw").read_bytes()[: len(content)] == content
    with pytest.raises(HypervisorError, match="cannot copy disk /nowhere"):
        await flatten((Layer("/nowhere", "raw"),), tmp_path / "no.qcow2")
