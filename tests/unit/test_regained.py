"""What namespaces must be, given the VMs and taps in them: nothing that is in use is given out twice."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.repair_cases import CLUSTER, PORT, TAP, VM

from shoal.messages.desired import LaunchRecord, Port, TapRecord
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import BridgeRecord, NamespaceRecord
from shoal_orchestrator.core.regained import Regained


def vm(*ports: Port, **more: object) -> LaunchRecord:
    return replace(VM, ports=ports, **more)


def regained(
    vms: list[LaunchRecord], *namespaces: NamespaceRecord, taps: tuple[TapRecord, ...] = ()
) -> Regained:
    model = Model()
    for record in namespaces:
        model.apply(subject_of(record), record)
    found = Regained(model, CLUSTER)
    found.take(vms, taps)
    return found


def test_a_namespace_is_regained_from_its_vms() -> None:
    """Its hosts are theirs, ids go on after the highest, aliases and keys are what the ports say."""
    private = replace(PORT, bridge="lan", vni=5 * 4096 + 101)
    found = regained([vm(PORT, private, id=4), vm(id=2, name="b", host="mm2")])
    assert found.changed() == [
        NamespaceRecord(
            name="red",
            hosts="mm[1-2]",
            next_id=5,
            aliases={"LAN": 101},
            bridges={"lan": BridgeRecord(key=5)},
        )
    ]
    assert (found.cluster, found.troubles) == (CLUSTER, [])


def test_a_namespace_that_fits_is_not_changed() -> None:
    """Also one that has more than its VMs need, and one that spans every live host."""
    red = NamespaceRecord(
        name="red", hosts="mm[1-9]", next_id=50, aliases={"LAN": 101, "X": 9}, queueing=True
    )
    assert regained([vm(PORT)], red).changed() == []
    assert regained([vm(PORT)], replace(red, hosts=None)).changed() == []


def test_plain_numbers_are_kept_from_aliases() -> None:
    """A VLAN that a port or tap names by number is blacklisted, unless it is an alias's; disconnected ones are none."""
    named = vm(PORT, replace(PORT, vlan=300, alias=""), replace(PORT, vlan=0, alias="OFF"))
    found = regained([named], taps=(TAP,))
    assert found.cluster.blacklist == (7, 50, 300)
    [red] = found.changed()
    assert red.bridges == {"lan": BridgeRecord(key=3)}
    assert red.aliases == {"LAN": 101}


def test_another_namespaces_alias_is_its_own() -> None:
    """`blue//LAN` in a VM of red is an alias of blue, which then must exist."""
    found = regained([vm(replace(PORT, alias="blue//LAN"))])
    assert {record.name: record.aliases for record in found.changed()} == {"red": {}, "blue": {"LAN": 101}}


def test_what_does_not_fit_together_is_told_and_left() -> None:
    """An alias with another number, and a key that another bridge has, are nobody's to decide."""
    blue = NamespaceRecord(name="blue", bridges={"other": BridgeRecord(key=5)})
    red = NamespaceRecord(name="red", hosts="mm1", next_id=1, aliases={"LAN": 7})
    found = regained([vm(replace(PORT, bridge="lan", vni=5 * 4096 + 101))], blue, red)
    assert found.changed() == []
    assert [about for about, _ in found.troubles] == ["bridge red/lan", "vlan red//LAN"]


def test_a_bridge_that_nobody_uses_gets_the_key_of_the_vms() -> None:
    """Somebody made it anew in a store that knew nothing."""
    red = NamespaceRecord(name="red", hosts="mm1", next_id=1, bridges={"lan": BridgeRecord(key=1)})
    found = regained([vm(replace(PORT, bridge="lan", vni=5 * 4096 + 101))], red)
    [changed] = found.changed()
    assert changed.bridges == {"lan": BridgeRecord(key=5)}


def test_hosts_are_expanded_once_for_each_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many VMs there are: of 100,000, each would sort a thousand names."""
    asked: list[str] = []
    members = Model.members

    def counted(model: Model, namespace: NamespaceRecord) -> tuple[str, ...] | None:
        asked.append(namespace.name)
        return members(model, namespace)

    monkeypatch.setattr(Model, "members", counted)
    red, blue = NamespaceRecord(name="red", hosts="mm[1-9]"), NamespaceRecord(name="blue", hosts="mm1")
    vms = [
        vm(namespace=name, name=f"a{number}", id=number, host=f"mm{number % 20}")
        for name in ("red", "blue")
        for number in range(100)
    ]
    found = regained(vms, red, blue)
    assert sorted(asked) == ["blue", "red"]
    assert [record.hosts for record in found.changed()] == ["mm[0-19]", "mm[0-19]"]


def test_a_trouble_of_many_vms_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose key it is takes a look at all bridges: not for each VM that says the same."""
    asked: list[int] = []
    holder = Regained._holder

    def counted(self: Regained, key: int) -> str:
        asked.append(key)
        return holder(self, key)

    monkeypatch.setattr(Regained, "_holder", counted)
    blue = NamespaceRecord(name="blue", bridges={"other": BridgeRecord(key=5)})
    lan = replace(PORT, bridge="lan", vni=5 * 4096 + 101)
    found = regained([vm(lan, name=f"a{number}", id=number) for number in range(100)], blue)
    assert asked == [5]
    assert [about for about, _ in found.troubles] == ["bridge red/lan"]
