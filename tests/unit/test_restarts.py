"""VMs that have ended come back only where they would be let in."""

from typing import Any, Literal

from shoal.core.load import Capacity, Load, Quota
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, NamespaceLimit
from shoal_orchestrator.core.restarts import restart_problems

ROOM = Capacity(cpus=4, memory_mib=8192)


def vm(
    name: str, host: str = "mm1", *, power: Literal["off", "running"] = "off", **fields: Any
) -> LaunchRecord:
    return LaunchRecord(
        namespace="red",
        name=name,
        id=0,
        instance=f"i-{name}",
        revision=1,
        power=power,
        host=host,
        incarnation="",
        uuid="",
        config=VMConfig(**fields),
    )


def problems(*vms: LaunchRecord, limit: NamespaceLimit | None = None, **host: Any) -> dict[str, str]:
    view = HostView(name="mm1", capacity=ROOM, **host)
    return restart_problems(vms, {"mm1": view}, {}, limit)


def test_a_vm_comes_back_where_there_is_room() -> None:
    """Without limits nothing stands against it, whatever host its configuration names."""
    assert problems(vm("a", schedule="elsewhere")) == {}


def test_those_before_count_for_those_after() -> None:
    """Of three VMs on a host that takes two, the third is refused."""
    found = problems(vm("a"), vm("b"), vm("c"), quota=Quota(vms=2))
    assert list(found) == ["i-c"]
    assert "2" in found["i-c"]


def test_coschedule_limits_are_obeyed_both_ways() -> None:
    """A VM that wants to be alone does not join others, and nobody joins one that does."""
    assert list(problems(vm("a", coschedule=0), load=Load(vms=1, vcpus=1))) == ["i-a"]
    alone = (CoscheduleLimit("solo", 0),)
    assert list(problems(vm("a"), load=Load(vms=1, vcpus=1), limits=alone)) == ["i-a"]
    assert list(problems(vm("a", coschedule=0), vm("b"))) == ["i-b"]


def test_a_host_that_takes_nothing_refuses_also_what_failed_there() -> None:
    """A new instance on a draining host is something new, even where the share is still promised."""
    found = problems(vm("a"), vm("b", power="running"), accepting=False, reason="mm1 is draining")
    assert found == {"i-a": "mm1 is draining", "i-b": "mm1 is draining"}


def test_what_failed_keeps_its_share() -> None:
    """A VM that is still promised its share does not need another one."""
    full = Quota(vms=1)
    assert problems(vm("a", power="running"), quota=full, load=Load(vms=1)) == {}
    assert list(problems(vm("a"), quota=full, load=Load(vms=1))) == ["i-a"]


def test_the_namespaces_limit_counts() -> None:
    """One more of two vCPUs fits, the next does not."""
    limit = NamespaceLimit(namespace="red", quota=Quota(vcpus=2), used=Load(vcpus=1))
    assert list(problems(vm("a"), vm("b"), limit=limit)) == ["i-b"]
