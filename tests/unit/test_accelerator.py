"""KVM or TCG: the decision and its memory, with a probe that is a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal_worker import accelerator
from shoal_worker.accelerator import Accelerator, choose_accelerator
from shoal_worker.guest import GuestImage
from shoal_worker.hypervisor import HypervisorError

IMAGE = GuestImage(kernel=Path("/vmlinuz"), initrd=Path("/initrd.gz"))


class World:
    """What the module asks the machine, as a test wants it."""

    def __init__(self) -> None:
        self.boots = True
        self.version = "QEMU 7"
        self.boot_id = "b1"
        self.probes = 0

    async def probe(self, kind: str, image: GuestImage, *, timeout_s: float) -> bool:
        assert (kind, image, timeout_s) == ("kvm", IMAGE, 10.0)
        self.probes += 1
        return self.boots

    async def ask_version(self) -> str:
        return self.version


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    found = World()
    device = tmp_path / "kvm"
    device.write_text("")
    monkeypatch.setattr(accelerator, "_DEVICE", device)
    monkeypatch.setattr(accelerator, "guest_boots", found.probe)
    monkeypatch.setattr(accelerator, "_emulator_version", found.ask_version)
    monkeypatch.setattr(accelerator, "_boot_id", lambda: found.boot_id)
    return found


async def test_kvm_that_works(world: World, tmp_path: Path) -> None:
    """A guest that comes up under KVM decides for it, without a warning."""
    assert await choose_accelerator("auto", cache=tmp_path, image=IMAGE) == Accelerator(kind="kvm")
    assert world.probes == 1


async def test_kvm_that_hangs(world: World, tmp_path: Path) -> None:
    """A guest that does not come up under KVM decides for TCG, with a warning each time though one probe."""
    world.boots = False
    for _ in "twice":
        chosen = await choose_accelerator("auto", cache=tmp_path / "new", image=IMAGE)
        assert chosen.kind == "tcg"
        assert "was not up in it after 10 s" in chosen.warnings[0]
    assert world.probes == 1


@pytest.mark.parametrize(("attribute", "value"), [("version", "QEMU 8"), ("boot_id", "b2")])
async def test_probe_again(world: World, tmp_path: Path, attribute: str, value: str) -> None:
    """After a reboot or an upgrade of QEMU it is probed anew."""
    await choose_accelerator("auto", cache=tmp_path, image=IMAGE)
    setattr(world, attribute, value)
    world.boots = False
    assert (await choose_accelerator("auto", cache=tmp_path, image=IMAGE)).kind == "tcg"
    assert world.probes == 2


async def test_damaged_memory(world: World, tmp_path: Path) -> None:
    """A memory that cannot be read is made anew; one that cannot be written costs only the next probe."""
    (tmp_path / "kvm.json").write_text("{")
    assert (await choose_accelerator("auto", cache=tmp_path, image=IMAGE)).kind == "kvm"
    (tmp_path / "file").write_text("")
    assert (await choose_accelerator("auto", cache=tmp_path / "file", image=IMAGE)).kind == "kvm"
    assert world.probes == 2


async def test_nothing_to_probe_with(world: World, tmp_path: Path) -> None:
    """Without the small guest, or without /dev/kvm, it is TCG with a warning that says why."""
    chosen = await choose_accelerator("auto", cache=tmp_path, image=None)
    assert chosen.kind == "tcg"
    assert "shoal guest build" in chosen.warnings[0]
    accelerator._DEVICE.unlink()
    chosen = await choose_accelerator("auto", cache=tmp_path, image=IMAGE)
    assert chosen.kind == "tcg"
    assert "cannot be opened" in chosen.warnings[0]
    assert world.probes == 0


async def test_explicit_setting(world: World, tmp_path: Path) -> None:
    """What was asked for is taken unprobed; KVM without a device is refused."""
    assert await choose_accelerator("tcg", cache=tmp_path, image=None) == Accelerator(kind="tcg")
    assert await choose_accelerator("kvm", cache=tmp_path, image=None) == Accelerator(kind="kvm")
    accelerator._DEVICE.unlink()
    with pytest.raises(HypervisorError, match="use auto or tcg"):
        await choose_accelerator("kvm", cache=tmp_path, image=None)
    assert world.probes == 0
