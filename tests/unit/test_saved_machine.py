"""The hardware of a saved guest: what a configuration has to agree with, and what it takes from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.core.saved_machine import SavedNic, differences, machine_of, with_saved_macs
from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig

NICS = (SavedNic(driver="e1000", mac="00:16:3e:00:00:01"), SavedNic(driver="virtio", mac="00:16:3e:00:00:02"))
CONFIG = VMConfig(
    memory_mib=80,
    vcpus=2,
    kernel="k",
    append=("quiet",),
    disks=(DiskSpec("a"), DiskSpec("b", driver="virtio")),
    networks=(NetSpec(vlan="LAN"), NetSpec(vlan="DMZ", driver="virtio")),
)


@given(
    st.builds(
        VMConfig,
        memory_mib=st.integers(1, 4096),
        vcpus=st.integers(1, 8),
        serial_ports=st.integers(0, 3),
        vga=st.sampled_from(["std", "qxl"]),
        kernel=st.sampled_from(["", "k"]),
    )
)
def test_a_configuration_agrees_with_itself(config):
    """What was launched from a configuration goes on from the same one."""
    assert differences(machine_of(config, ()), config) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"memory_mib": 128}, "memory: 128, saved with 80"),
        ({"vcpus": 1}, "vcpus: 1, saved with 2"),
        ({"kernel": ""}, "kernel: none, saved with one"),
        ({"machine": "q35"}, "machine: q35, saved with unset"),
        ({"cdrom": "c.iso"}, "cdrom: a drive, saved with none"),
        ({"disks": (DiskSpec("a"),)}, "disks: 1 (default), saved with 2 (default, virtio)"),
        ({"networks": ()}, "networks: none, saved with 2 (e1000, virtio)"),
    ],
)
def test_each_difference_is_told(changes, told):
    """Other hardware is named with both values, in the words of `vm config`."""
    assert differences(machine_of(CONFIG, NICS), replace(CONFIG, **changes)) == [told]


def test_what_no_guest_sees_may_differ():
    """Paths, tags, hosts and VLANs are not of the hardware."""
    other = replace(
        CONFIG,
        kernel="other",
        append=(),
        tags={"a": "b"},
        schedule="mm1",
        disks=(DiskSpec("x"), DiskSpec("y", "virtio", "none")),
        networks=(NetSpec(vlan="1", bridge="b"), NetSpec(vlan="2", driver="virtio")),
    )
    assert differences(machine_of(CONFIG, NICS), other) == []


def test_a_guest_keeps_its_mac_addresses():
    """Interfaces without a MAC address get the saved one; one that the user has written stays."""
    chosen = replace(CONFIG, networks=(NetSpec(vlan="A", mac="00:16:3e:ff:00:00"), CONFIG.networks[1]))
    found = with_saved_macs(chosen, machine_of(CONFIG, NICS))
    assert [net.mac for net in found.networks] == ["00:16:3e:ff:00:00", "00:16:3e:00:00:02"]
    assert with_saved_macs(VMConfig(), machine_of(CONFIG, NICS)) == VMConfig()
