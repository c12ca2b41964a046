"""Plugging interfaces of VMs in and out."""

import pytest

from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.errors import NotFound
from shoal.messages.desired import LaunchRecord, Port
from shoal_orchestrator.core.networks import Connection
from shoal_orchestrator.core.reconnecting import connected, disconnected

NETS = (NetSpec(vlan="LAN", bridge="lan"), NetSpec(vlan="200"))
PORTS = (
    Port(
        bridge="lan",
        vlan=100,
        alias="LAN",
        vni=4196,
        segment="shb-1-100",
        tap="sht-a-0",
        mac="02:00:00:00:00:01",
        driver="e1000",
    ),
    Port(bridge="mega_bridge", vlan=200, segment="x", tap="sht-a-1", mac="02:00:00:00:00:02", driver="e1000"),
)
VM = LaunchRecord(
    namespace="red",
    name="web",
    id=0,
    instance="i",
    revision=3,
    power="running",
    host="mm1",
    incarnation="",
    uuid="",
    config=VMConfig(networks=NETS),
    ports=PORTS,
)
DMZ = Connection(bridge="lan", vlan=101, vni=4197, segment="shb-1-101", alias="DMZ")


def test_only_the_plug_changes() -> None:
    """The next revision is in the new VLAN; MAC, tap, driver and the other interface are as before."""
    moved = connected(VM, 0, DMZ, "DMZ")
    assert (moved.revision, moved.power, moved.instance) == (4, "running", "i")
    port = moved.ports[0]
    assert (port.bridge, port.vlan, port.vni, port.segment, port.alias) == (
        "lan",
        101,
        4197,
        "shb-1-101",
        "DMZ",
    )
    assert (port.mac, port.tap, port.driver) == (PORTS[0].mac, PORTS[0].tap, PORTS[0].driver)
    assert moved.ports[1] == PORTS[1]
    assert moved.config.networks == (NetSpec(vlan="DMZ", bridge="lan"), NETS[1])


def test_an_unplugged_interface_remembers_its_bridge() -> None:
    """It is in no segment, and everything else stays."""
    port = disconnected(VM, 1).ports[1]
    assert (port.vlan, port.vni, port.segment, port.alias) == (0, 0, "", "")
    assert (port.bridge, port.tap, port.mac) == ("mega_bridge", "sht-a-1", PORTS[1].mac)
    # on a private bridge too: nothing of the tunnel's segment is left
    port = disconnected(VM, 0).ports[0]
    assert (port.vlan, port.vni, port.segment, port.alias, port.bridge) == (0, 0, "", "", "lan")


@pytest.mark.parametrize("index", [-1, 2])
def test_an_interface_that_is_not_there_is_refused(index: int) -> None:
    """The error says how many there are."""
    with pytest.raises(NotFound, match=r"no network .+, VM only has 2 networks"):
        disconnected(VM, index)
    with pytest.raises(NotFound, match=r"no network .+, VM only has 2 networks"):
        connected(VM, index, DMZ, "DMZ")
