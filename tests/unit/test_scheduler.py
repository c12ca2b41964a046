"""The planner on the cases that people ask about."""

from __future__ import annotations

import pytest
from tests.unit.planner_cases import hosts, planned, refusal, vms

from shoal.core.load import POLICIES, Capacity, Load, Quota
from shoal.errors import InvalidRequest, Unplaceable
from shoal_orchestrator.core.placement import CoscheduleLimit, HostView, Item
from shoal_orchestrator.core.scheduler import place

# ---- what people ask about


def test_equal_vms_are_spread_evenly() -> None:
    """Six plain VMs on three equal hosts are two each, and the order of names follows the order of hosts."""
    assert planned([vms("a[0-5]")], hosts("h[1-3]")) == {"h1": "a[0,3]", "h2": "a[1,4]", "h3": "a[2,5]"}
    assert planned([vms("vm[0-3]")], hosts("mm[0-3]")) == {f"mm{i}": f"vm{i}" for i in range(4)}


def test_hosts_are_taken_in_natural_order() -> None:
    """In a tie host2 comes before host10, in whatever order the hosts are given."""
    assert planned([vms("a[0-1]")], hosts("host[10,2,1]")) == {"host1": "a0", "host2": "a1"}


def test_solo_vms_have_hosts_of_their_own() -> None:
    """Three VMs with coschedule 0 do not fit on two hosts, and are one each on three."""
    solo = [vms("s[0-2]", coschedule=0)]
    assert planned(solo, hosts("h[1-3]")) == {"h1": "s0", "h2": "s1", "h3": "s2"}
    error = refusal(solo, hosts("h[1-2]"))
    assert str(error) == "too many VMs scheduled on h1 for coschedule requirement of 1"
    assert error.details == (
        "s2: h1: `s0` allows 0 others there (coschedule), it would have 1",
        "s2: h2: `s1` allows 0 others there (coschedule), it would have 1",
    )


@pytest.mark.parametrize("order", [1, -1])
def test_a_solo_vm_keeps_its_host_to_itself(order: int) -> None:
    """A solo VM and four plain ones on two hosts: the solo one is alone, queued first or last."""
    items = [vms("solo", coschedule=0), vms("p[0-3]")][::order]
    assert planned(items, hosts("h[1-2]")) == {"h1": "solo", "h2": "p[0-3]"}


def test_a_pinned_solo_vm_is_alone_on_its_host() -> None:
    """`schedule host50` with coschedule 0: on host50, and nothing else of the batch goes there."""
    items = [vms("p[0-30]"), vms("solo", schedule="host50", coschedule=0)]
    assert planned(items, hosts("host[1-10],host50"))["host50"] == "solo"


def test_coschedule_three_is_four_together() -> None:
    """quad[0-3] with coschedule 3 fit on one host; a fifth is one too many."""
    assert planned([vms("quad[0-3]", coschedule=3)], hosts("h")) == {"h": "quad[0-3]"}
    error = refusal([vms("quad[0-4]", coschedule=3)], hosts("h"))
    assert str(error) == "too many VMs scheduled on h for coschedule requirement of 4"


def test_limits_hold_for_those_that_come_later() -> None:
    """x and y with coschedule 1, and four plain VMs on three hosts: nobody is over its limit."""
    assert planned([vms("x,y", coschedule=1), vms("p[0-3]")], hosts("h[1-3]"))


def test_limited_vms_move_together_when_the_rest_needs_room() -> None:
    """Where spreading limited VMs would leave no room, they share hosts as their limits allow."""
    assert planned([vms("x,y", coschedule=1), vms("p[0-9]")], hosts("h[1-2]")) == {
        "h1": "x,y",
        "h2": "p[0-9]",
    }


def test_colocated_vms_go_together() -> None:
    """b colocated with a: the same host; with coschedule 1 nobody else joins them."""
    views = hosts("h[1-2]")
    assert planned([vms("a"), vms("b", colocate="a"), vms("c[0-2]")], views) == {
        "h1": "a,b,c2",
        "h2": "c[0-1]",
    }
    assert planned([vms("a"), vms("b", colocate="a", coschedule=1), vms("c[0-2]")], views) == {
        "h1": "a,b",
        "h2": "c[0-2]",
    }


def test_a_vm_follows_one_that_runs_already() -> None:
    """Colocated with a resident: its host, however loaded."""
    views = [*hosts("h1"), *hosts("h2", load=Load(vcpus=9, vms=9))]
    assert planned([vms("b", colocate="a")], views, residents={"a": "h2"}) == {"h2": "b"}
    assert planned([vms("c", colocate="b"), vms("b", colocate="a")], views, residents={"a": "h2"}) == {
        "h2": "b,c"
    }
    error = refusal([vms("b", colocate="a")], views, residents={"a": "h9"})
    assert str(error) == "VM scheduled on unknown host: `h9`"
    assert "colocated with `a`" in error.details[0]


def test_a_chain_goes_together_in_any_order() -> None:
    """vm-0 ← … ← vm-9 are all on one host, whatever order they were queued in."""
    chain = [vms("vm-0"), *(vms(f"vm-{i}", colocate=f"vm-{i - 1}") for i in range(1, 10))]
    for items in (chain, chain[::-1]):
        assert planned([*items, vms("o[0-3]")], hosts("h[1-3]"))["h1"] == "vm-[0-9]"


def test_a_leader_may_be_one_of_a_group() -> None:
    """Followers join the one VM of a group that they name; the group's others are spread."""
    items = [vms("w[0-5]"), vms("f[0-1]", colocate="w3")]
    assert planned(items, hosts("h[1-3]"))["h1"] == "f[0-1],w3"


@pytest.mark.parametrize(
    ("items", "names"),
    [
        ([vms("a", colocate="b"), vms("b", colocate="a")], "a, b"),
        ([vms("a", colocate="a")], "a"),
        ([vms("a[0-2]", colocate="a1")], "a1"),
        ([vms("a", colocate="x"), vms("b", colocate="a"), vms("c")], "a, x"),
        ([vms("a", colocate="b"), vms("b", colocate="c"), vms("c", colocate="a"), vms("d")], "a, b, c"),
    ],
)
def test_colocation_without_an_end_is_refused(items: list[Item], names: str) -> None:
    """VMs colocated with each other, with themselves, or with nobody are named."""
    error = refusal(items, hosts("h[1-2]"))
    assert isinstance(error, Unplaceable)
    assert str(error) == f"nonexistent colocate VMs: [{names}]"


def test_a_big_vm_queued_last_does_not_ruin_the_balance() -> None:
    """Ten small VMs and one of eight vCPUs: nine vCPUs on each host."""
    items = [vms("p[0-9]"), vms("big", vcpus=8)]
    assert planned(items, hosts("h[1-2]")) == {"h1": "big,p8", "h2": "p[0-7,9]"}


def test_quotas_are_refused_with_reasons() -> None:
    """Three VMs of 100 GB on two hosts of 64 GB, memory enforced: refused, each VM and host with the reason."""
    error = refusal([vms("big[0-2]", memory_mib=100_000)], hosts("h[1-2]", quota=Quota(memory_mib=64_000)))
    assert isinstance(error, Unplaceable)
    assert error.details == (
        "big[0-2]: h[1-2]: 0 of 64000 MiB of memory are promised, 100000 more are wanted",
    )


def test_the_next_feasible_host_is_taken() -> None:
    """The less loaded host has too many VMs for the limit: the other one is taken, also relative to CPUs."""
    views = [
        HostView(name="h0", capacity=Capacity(cpus=64, memory_mib=1), load=Load(vcpus=3, vms=3)),
        HostView(name="h1", capacity=Capacity(cpus=2, memory_mib=1), load=Load(vcpus=4, vms=1)),
    ]
    for relative in (False, True):
        assert planned([vms("v", coschedule=2)], views, relative=relative) == {"h1": "v"}
        assert planned([vms("v")], views, relative=relative) == {"h0": "v"}


def test_a_pin_onto_a_full_host_names_who_fills_it() -> None:
    """Pinned to a host whose VM wants to be alone: refused with that VM's name."""
    views = [*hosts("h0", load=Load(vms=1), limits=(CoscheduleLimit("hermit", 0),)), *hosts("h1")]
    error = refusal([vms("v", schedule="h0")], views)
    assert str(error) == "too many VMs scheduled on h0 for coschedule requirement of 1"
    assert error.details == (
        "v (schedule): h0: `hermit` allows 0 others there (coschedule), it would have 1",
    )
    assert planned([vms("v[0-1]")], views) == {"h1": "v[0-1]"}


def test_hosts_that_take_nothing_get_nothing() -> None:
    """Suspect, lost and draining hosts get no VM; a demand for which none is left is told why."""
    away = hosts("h1", accepting=False, reason="h1 is draining")
    assert planned([vms("a[0-3]")], [*away, *hosts("h2")]) == {"h2": "a[0-3]"}
    assert refusal([vms("a")], away).details == ("a: h1: h1 is draining",)
    assert str(refusal([vms("a", schedule="h1")], away)) == "no host has room for a: h1: h1 is draining"


def test_what_is_missing_is_said_in_the_peers_words() -> None:
    """No hosts, no VMs, an unknown host, contradictory constraints."""
    assert str(refusal([vms("a")], [])) == "namespace must contain at least one host to launch VMs"
    assert str(refusal([], hosts("h"))) == "namespace must contain at least one queued VM to launch VMs"
    assert str(refusal([vms("a", schedule="x")], hosts("h"))) == "VM scheduled on unknown host: `x`"
    with pytest.raises(InvalidRequest, match="cannot specify schedule and colocate"):
        place([vms("b"), vms("a", schedule="h", colocate="b")], hosts("h"))


def test_vms_without_names_are_placed_and_counted() -> None:
    """VMs launched by number have places in the plan before they have names."""
    placement = place([Item(count=5)], hosts("h[1-2]"))
    assert placement.hosts == (("h1", "h2", "h1", "h2", "h1"),)
    error = refusal([Item(count=2, coschedule=0)], hosts("h1"))
    assert error.details == (
        "1 VMs without names: h1: a VM of this plan allows 0 others there (coschedule), it would have 1",
    )


def test_policies_look_at_different_loads() -> None:
    """The same hosts in another order under each policy; memload takes the one with most memory left."""
    views = [
        HostView(name="h1", capacity=Capacity(cpus=8, memory_mib=1000), load=Load(vcpus=1, nics=5, vms=1)),
        HostView(
            name="h2",
            capacity=Capacity(cpus=8, memory_mib=2000),
            load=Load(vcpus=2, nics=4, memory_mib=1500, vms=1),
        ),
        HostView(
            name="h3",
            capacity=Capacity(cpus=8, memory_mib=9000),
            load=Load(vcpus=3, nics=6, memory_mib=7000, vms=1),
        ),
    ]
    chosen = {policy: planned([vms("v")], views, policy=policy) for policy in POLICIES}
    assert chosen == {"cpucommit": {"h1": "v"}, "netcommit": {"h2": "v"}, "memload": {"h3": "v"}}
    assert planned([vms("v")], views, policy="memload", relative=True) == {"h1": "v"}
