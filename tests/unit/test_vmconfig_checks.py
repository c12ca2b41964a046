"""Configurations that programs make are held to what words can say."""

from __future__ import annotations

import pytest

from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig
from shoal.core.vmconfig_checks import check_config
from shoal.errors import InvalidRequest

UUID = "5ce2d0d5-9e3b-4f9a-8f3c-0d7f1f0a3a11"

GOOD = [
    VMConfig(),
    VMConfig(uuid=UUID, vcpus=4, memory_mib=1, schedule="mm1", coschedule=0, serial_ports=2),
    VMConfig(colocate="a", tags={"role": "web"}, append=("console=ttyS0",), qemu_append=("-no-reboot",)),
    VMConfig(
        networks=(
            NetSpec("LAN"),
            NetSpec("7", bridge="mega_bridge", mac="00:11:22:33:44:55", driver="virtio"),
        )
    ),
    VMConfig(disks=(DiskSpec("file:a.qcow2"), DiskSpec("/b", driver="ide", cache="none"))),
]
BAD = [
    (VMConfig(vcpus=0), "invalid vcpus: `0`; expected 1 or more"),
    (VMConfig(vcpus=-1), "invalid vcpus"),
    (VMConfig(memory_mib=0), "invalid memory"),
    (VMConfig(memory_mib=2**41), "invalid memory: .* is out of range"),
    (VMConfig(coschedule=-2), "invalid coschedule"),
    (VMConfig(serial_ports=-1), "invalid serial-ports"),
    (VMConfig(uuid="x"), "invalid UUID"),
    (VMConfig(schedule="a b"), "a b"),
    (VMConfig(schedule="mm1", colocate="a"), "schedule and colocate"),
    (VMConfig(networks=(NetSpec(""),)), "VLAN|alias"),
    (VMConfig(networks=(NetSpec("9999"),)), "invalid VLAN"),
    (VMConfig(networks=(NetSpec("LAN", mac="foo"),)), "invalid MAC address: `foo`"),
    (VMConfig(networks=(NetSpec("LAN", driver="foo"),)), "driver of an interface: `foo`; there are e1000"),
    (VMConfig(networks=(NetSpec("LAN", bridge="a b"),)), "a b"),
    (VMConfig(disks=(DiskSpec(""),)), "no path"),
    (VMConfig(disks=(DiskSpec("/a", driver="foo"),)), "driver of disk /a: `foo`"),
    (VMConfig(disks=(DiskSpec("/a", cache="foo"),)), "cache of disk /a: `foo`"),
    (VMConfig(disks=(DiskSpec("/a"), DiskSpec("/a"))), "specified twice"),
]


@pytest.mark.parametrize("config", GOOD)
def test_what_words_can_say_passes(config: VMConfig) -> None:
    """With each kind of field."""
    check_config(config)


@pytest.mark.parametrize(("config", "told"), BAD)
def test_what_no_words_would_say_is_refused_by_name(config: VMConfig, told: str) -> None:
    """The error has the field and the value."""
    with pytest.raises(InvalidRequest, match=told):
        check_config(config)
