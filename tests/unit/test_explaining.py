"""Why a VM is where it is: host by host."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.core.load import Capacity, Load, Quota
from shoal.core.ranges import expand
from shoal.errors import NotFound
from shoal_orchestrator.core.explaining import Explanation, explain
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item, NamespaceLimit


def host(name: str, **changes: Any) -> HostView:
    return HostView(name=name, **{"capacity": Capacity(cpus=4, memory_mib=8192), **changes})


def vms(names: str, **changes: Any) -> Item:
    return Item(names=tuple(expand(names)), **changes)


def told(explanation: Explanation) -> dict[str, str]:
    return {verdict.host: verdict.reason for verdict in explanation.hosts}


def test_a_queued_vm_is_told_host_by_host() -> None:
    """Least loaded first, with the load under the policy, and why not where it does not fit."""
    views = [
        host("h1", load=Load(vcpus=3, vms=3)),
        host("h2", accepting=False, reason="h2 is draining"),
        host("h3", load=Load(vcpus=1, vms=1), limits=(CoscheduleLimit("hermit", 0),)),
    ]
    explanation = explain("a", [vms("a", vcpus=2), vms("b")], views)
    assert explanation.would_go == "h1"
    assert told(explanation) == {
        "h2": "h2 is draining",
        "h3": "`hermit` allows 0 others there (coschedule), it would have 1",
        "h1": "",
    }
    assert list(told(explanation)) == ["h2", "h3", "h1"]
    verdict = explanation.hosts[-1]
    assert (verdict.committed, verdict.capacity, verdict.rank, verdict.vms, verdict.feasible) == (
        3,
        4,
        3,
        3,
        True,
    )


def test_a_placed_vm_does_not_stand_in_its_own_way() -> None:
    """Its own load and limit are taken off its host first: a solo VM fits where it is."""
    views = [
        host("h1", load=Load(vcpus=2, memory_mib=2048, vms=1), limits=(CoscheduleLimit("solo", 0),)),
        host("h2", load=Load(vcpus=1, vms=1)),
    ]
    explanation = explain("solo", [vms("solo", vcpus=2, coschedule=0)], views, at="h1")
    assert explanation.at == explanation.would_go == "h1"
    assert [verdict.committed for verdict in explanation.hosts] == [0, 1]
    assert told(explanation)["h2"] == "allows 0 others on its host (coschedule), there it would have 1"


def test_policies_say_what_they_sum_up() -> None:
    """The load and the rank are those of the policy."""
    views = [host("h1", load=Load(memory_mib=1024, nics=3, vms=1))]
    verdict = explain("a", [vms("a")], views, "memload").hosts[0]
    assert (verdict.committed, verdict.capacity, verdict.rank) == (1024, 8192, -7168)
    verdict = explain("a", [vms("a")], views, "memload", relative=True).hosts[0]
    assert verdict.rank == 0.125
    verdict = explain("a", [vms("a")], views, "netcommit").hosts[0]
    assert (verdict.committed, verdict.capacity, verdict.rank) == (3, 0, 3)


def test_who_is_bound_to_a_host_is_told_why() -> None:
    """Pinned and colocated VMs: the other hosts are out of the question, whatever their load."""
    views = [host("h1"), host("h2", load=Load(vcpus=9, vms=9))]
    explanation = explain("a", [vms("a", schedule="h2"), vms("b", colocate="a")], views)
    assert (explanation.because, explanation.would_go, explanation.together) == ("schedule", "h2", "b")
    assert told(explanation) == {"h1": "must go to `h2` (schedule)", "h2": ""}
    explanation = explain("b", [vms("b", colocate="old")], views, residents={"old": "h2"})
    assert explanation.because == "colocated with `old`"
    assert told(explanation)["h1"] == "must go to `h2` (colocated with `old`)"


def test_a_vm_that_goes_nowhere_is_told_so() -> None:
    """Circles, namespace limits, full hosts: no host, and the reason."""
    views = [host("h1", quota=Quota(vms=0))]
    explanation = explain("a", [vms("a")], views)
    assert explanation.would_go == ""
    assert explanation.notes == ("a: h1: 0 of 0 VMs are promised, 1 more are wanted",)
    explanation = explain("a", [vms("a", colocate="b"), vms("b", colocate="a")], views)
    assert explanation.notes == ("`b`, with which it is colocated, does not exist or follows it",)
    limit = NamespaceLimit(namespace="ns", quota=Quota(vms=0))
    explanation = explain("a", [vms("a")], [host("h1")], limit=limit)
    assert explanation.notes == (
        "a: namespace ns may have 0 VMs (ns limit vms): 0 are promised, 1 more are wanted",
    )


def test_an_unknown_vm_is_not_explained() -> None:
    """Only VMs of the demand are."""
    with pytest.raises(NotFound, match="vm not found: x"):
        explain("x", [vms("a")], [host("h1")])
