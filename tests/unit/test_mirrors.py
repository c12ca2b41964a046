"""Mirrors: who gets copies of whose traffic, and what is refused."""

from __future__ import annotations

import itertools

import pytest

from shoal.core.vmconfig import VMConfig
from shoal.errors import Conflict, NotFound
from shoal.messages.desired import LaunchRecord, Port, TapRecord
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.mirrors import (
    between_taps,
    between_vms,
    check,
    cleared,
    ends,
    mirrored,
    mirrors,
    mirrors_of,
)
from shoal_orchestrator.core.model import Model


def vm(name: str, host: str = "mm1", *, bridge: str = "lan") -> LaunchRecord:
    ports = tuple(
        Port(bridge=bridge, vlan=101, segment="s", tap=f"{name}-{number}", mac="m", driver="e1000")
        for number in range(2)
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


def tap(name: str, host: str = "mm1") -> TapRecord:
    return TapRecord(
        namespace="red", tap=name, revision=1, host=host, incarnation="i", bridge="lan", vlan=101, segment="s"
    )


def model_of(*records: LaunchRecord | TapRecord) -> Model:
    model = Model()
    for record in records:
        model.apply(subject_of(record), record)
    return model


def mirror(model: Model, source: str, target: str) -> None:
    """Make a mirror, as the handler does."""
    one, other = between_taps(model, "red", (source, target), "")
    check(model, "red", one, other)
    after = mirrored(other.record, [other.tap], one.tap)
    model.apply(subject_of(after), after)


def test_a_mirror_is_a_setting_of_the_tap_that_gets_the_copies() -> None:
    """Only the target's record changes, by one revision, and clearing gives it back as it was."""
    model = model_of(vm("a"), vm("b"))
    mirror(model, "a-0", "b-1")
    assert [end.name for end in mirrors(model, "red")] == ["b:1"]
    assert model.launches["red"]["a"] == vm("a")
    ((before, after),) = cleared(mirrors(model, "red"))
    assert after.revision == before.revision + 1 == 3
    model.apply(subject_of(after), after)
    assert not mirrors(model, "red")


def test_two_mirrors_of_one_vm_are_cleared_by_one_revision() -> None:
    """A record that has several mirrors is written once."""
    model = model_of(vm("a"), vm("b"))
    mirror(model, "a-0", "b-0")
    mirror(model, "a-1", "b-1")
    assert len(cleared(mirrors(model, "red"))) == 1


@pytest.mark.parametrize("chain", [("a-0", "b-0"), ("a-0", "b-0", "a-1", "h")])
def test_no_chain_of_mirrors_ends_where_it_began(chain: tuple[str, ...]) -> None:
    """Copies of copies are fine, a loop is refused."""
    model = model_of(vm("a"), vm("b"), tap("h"))
    for source, target in itertools.pairwise(chain):
        mirror(model, source, target)
    with pytest.raises(Conflict, match="for ever"):
        mirror(model, chain[-1], chain[0])


def test_a_mirror_of_a_tap_that_is_gone_is_free() -> None:
    """A tap whose source has left may become the mirror of another one."""
    model = model_of(vm("a"), vm("b"), vm("c"))
    mirror(model, "a-0", "b-0")
    with pytest.raises(Conflict, match="already a mirror"):
        mirror(model, "c-0", "b-0")
    model.apply(subject_of(vm("a")), None)
    mirror(model, "c-0", "b-0")


def test_mirrors_of_a_host_tap_are_found_by_host_and_name() -> None:
    """A tap of the same name on another host has mirrors of its own."""
    model = model_of(vm("a"), vm("b", "mm2"), tap("h"), tap("h", "mm2"))
    mirror(model, "h", "a-0")
    mirror(model, "h", "b-0")
    assert [end.name for end in mirrors_of(model, "red", [tap("h")])] == ["a:0"]
    assert len(list(ends(model, "red"))) == 6


def test_vms_have_to_share_host_and_bridge() -> None:
    """The peer's words for VMs apart, on different bridges, and for a name that is none."""
    model = model_of(vm("a"), vm("b", "mm2"), vm("c", bridge="other"))
    with pytest.raises(Conflict, match=r"^vms are not colocated or invalid vm name: b$"):
        between_vms(model, "red", ("a", "0"), ("b", "0"))
    with pytest.raises(NotFound, match=r"^vms are not colocated or invalid vm name: d$"):
        between_vms(model, "red", ("d", "0"), ("a", "0"))
    with pytest.raises(Conflict, match=r"^interfaces on different bridges: lan and other$"):
        between_vms(model, "red", ("a", "0"), ("c", "0"))
