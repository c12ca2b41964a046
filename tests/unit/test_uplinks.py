"""Uplinks: which VLANs they carry, and which there may be."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shoal.core.ifnames import plain_bridge, segment_bridge
from shoal.core.vmconfig import VMConfig
from shoal.errors import Conflict, Refused
from shoal.messages.desired import LaunchRecord, Port, TapRecord
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.keys import vni
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import BridgeRecord, ClusterRecord, HostRecord, NamespaceRecord
from shoal_orchestrator.core.segments import segment_changes
from shoal_orchestrator.core.uplinks import new_uplink, uplink_changes, vlans_in_use

RED = NamespaceRecord(name="red", bridges={"lan": BridgeRecord(key=3)})


def vm(name: str, host: str, *vlans: int, bridge: str = "lan", key: int = 3) -> LaunchRecord:
    ports = tuple(
        Port(
            bridge=bridge,
            vlan=vlan,
            vni=vni(key, vlan) if key >= 0 else 0,
            segment="s",
            tap=f"{name}-{number}",
            mac="m",
            driver="e1000",
        )
        for number, vlan in enumerate(vlans)
    )
    return LaunchRecord(
        namespace="red",
        name=name,
        id=0,
        instance=name,
        revision=1,
        power="running",
        host=host,
        incarnation="i",
        uuid="u",
        config=VMConfig(),
        ports=ports,
    )


def model_of(*vms: LaunchRecord) -> Model:
    model = Model()
    hosts = [
        HostRecord(name=name, incarnation="i", underlay=f"10.0.0.{n}")
        for n, name in enumerate(("mm1", "mm2"))
    ]
    for record in (RED, *hosts, *vms):
        model.apply(subject_of(record), record)
    return model


def uplink(model: Model, bridge: str = "lan", interface: str = "eth1", host: str = "mm1") -> TapRecord:
    """Make an uplink, as the handler does."""
    record = new_uplink(model, RED, bridge, interface, host, "i")
    model.apply(subject_of(record), record)
    return record


def test_an_uplink_of_a_stretched_bridge_carries_what_any_host_uses() -> None:
    """Its host joins every segment of the bridge, also those of VMs elsewhere, and of no other bridge."""
    model = model_of(vm("a", "mm2", 7, 8), vm("b", "mm2", 9, bridge="mega_bridge", key=0))
    record = uplink(model)
    assert record.trunked() == {
        7: (vni(3, 7), segment_bridge(vni(3, 7))),
        8: (vni(3, 8), segment_bridge(vni(3, 8))),
    }
    found = segment_changes(model, ClusterRecord(store="s", head="h"), model.take_touched())
    assert {record.vlan: set(record.peers) for record in found} == {
        7: {"mm1", "mm2"},
        8: {"mm1", "mm2"},
        9: {"mm2"},
    }


def test_an_uplink_follows_what_is_in_use_and_keeps_nothing_alive() -> None:
    """VLANs come and go with their other users; what is right is not written again."""
    model = model_of(vm("a", "mm2", 7))
    record = uplink(model)
    assert not list(uplink_changes(model))
    later = vm("b", "mm1", 8)
    model.apply(subject_of(later), later)
    (changed,) = uplink_changes(model)
    assert (changed.vlans, changed.revision) == ((7, 8), 2)
    model.apply(subject_of(changed), changed)
    for gone in (later, vm("a", "mm2", 7)):
        model.apply(subject_of(gone), None)
    (changed,) = uplink_changes(model)
    assert changed == replace(record, vlans=(), revision=3)
    model.apply(subject_of(changed), changed)
    assert not any(hosts for hosts in model.ports.values())


def test_an_uplink_of_a_plain_bridge_carries_what_its_host_uses() -> None:
    """A plain bridge is each host's own."""
    model = model_of(vm("a", "mm1", 7, bridge="p", key=-1), vm("b", "mm2", 8, bridge="p", key=-1))
    assert uplink(model, "p").trunked() == {7: (0, plain_bridge("p", 7))}
    assert vlans_in_use(model, uplink(model, "p", host="mm2")) == (8,)


def test_a_second_uplink_of_a_stretched_bridge_would_be_a_loop() -> None:
    """On whatever host; a plain bridge has one on each, and one interface serves one bridge."""
    model = model_of()
    uplink(model)
    with pytest.raises(Refused, match="eth1 on mm1; a second one would be a loop"):
        uplink(model, interface="eth2", host="mm2")
    with pytest.raises(Conflict, match="it is an uplink of lan already"):
        uplink(model, "plain")
    uplink(model, "plain", host="mm2")
    uplink(model, "plain", "eth2")
