"""The cases that a scheduler is asked about: combinations of constraints, limits of hosts and namespaces, reasons."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.planner_cases import hosts, planned, vms

from shoal.core.load import Capacity, Load, Policy, Quota
from shoal.core.ranges import expand, fold
from shoal.errors import Refused, Unplaceable
from shoal_orchestrator.core.placement import (
    CoscheduleLimit,
    HostView,
    Item,
    NamespaceLimit,
    Placement,
    after,
)
from shoal_orchestrator.core.refusal import LINES
from shoal_orchestrator.core.scheduler import Partial, place, place_some


def refused(items: list[Item], views: list[HostView], **arguments: Any) -> Unplaceable:
    with pytest.raises(Unplaceable) as caught:
        place(items, views, **arguments)
    return caught.value


# ---- the cases by name


def test_six_plain_vms_on_three_equal_hosts() -> None:
    """Two each."""
    assert planned([vms("a[0-5]")], hosts("h[0-2]")) == {"h0": "a[0,3]", "h1": "a[1,4]", "h2": "a[2,5]"}


def test_three_solo_vms_on_two_hosts() -> None:
    """Unplaceable, and each host's solo VM is named."""
    error = refused([vms("s[0-2]", coschedule=0)], hosts("h[0-1]"))
    assert "`s0` allows 0 others there" in error.details[0]
    assert "`s1` allows 0 others there" in error.details[1]


def test_three_solo_vms_on_three_hosts() -> None:
    """One each."""
    assert planned([vms("s[0-2]", coschedule=0)], hosts("h[0-2]")) == {"h0": "s0", "h1": "s1", "h2": "s2"}


def test_a_solo_vm_and_four_plain_ones_on_two_hosts() -> None:
    """The solo one is alone, whichever was queued first."""
    items = [vms("p[0-3]"), vms("solo", coschedule=0)]
    assert planned(items, hosts("h[0-1]")) == {"h0": "solo", "h1": "p[0-3]"}


def test_two_that_allow_one_other_and_four_plain_ones_on_three_hosts() -> None:
    """Nobody is over its limit."""
    where = place([vms("x,y", coschedule=1), vms("p[0-3]")], hosts("h[0-2]")).hosts
    everybody = [*where[0], *where[1]]
    assert all(everybody.count(host) <= 2 for host in where[0])


def test_two_vms_colocated_with_each_other() -> None:
    """Refused, both named."""
    error = refused([vms("a", colocate="b"), vms("b", colocate="a")], hosts("h[0-1]"))
    assert str(error) == "nonexistent colocate VMs: [a, b]"


def test_a_chain_of_ten() -> None:
    """vm-0 ← … ← vm-9: all on one host."""
    chain = [vms("vm-0"), *(vms(f"vm-{i}", colocate=f"vm-{i - 1}") for i in range(1, 10))]
    assert planned(chain, hosts("h[0-2]")) == {"h0": "vm-[0-9]"}


def test_a_big_vm_queued_last() -> None:
    """It does not ruin the balance: nine vCPUs on each host."""
    assert planned([vms("p[0-9]"), vms("big", vcpus=8)], hosts("h[0-1]")) == {
        "h0": "big,p8",
        "h1": "p[0-7,9]",
    }


def test_three_vms_of_100_gb_on_two_hosts_of_64_gb() -> None:
    """With memory enforced: refused, every VM and host with the reason."""
    views = hosts("h[0-1]", quota=Quota(memory_mib=64 * 1024))
    assert refused([vms("big[0-2]", memory_mib=100 * 1024)], views).details == (
        "big[0-2]: h[0-1]: 0 of 65536 MiB of memory are promised, 102400 more are wanted",
    )


def test_the_less_loaded_host_has_too_many_vms() -> None:
    """h0 with 64 CPUs and 3 VMs, h1 with 2 CPUs and 1, coschedule 2: placed on h1."""
    views = [
        HostView(name="h0", capacity=Capacity(cpus=64, memory_mib=1), load=Load(vcpus=3, vms=3)),
        HostView(name="h1", capacity=Capacity(cpus=2, memory_mib=1), load=Load(vcpus=1, vms=1)),
    ]
    assert planned([vms("v", coschedule=2)], views, relative=True) == {"h1": "v"}
    assert planned([vms("v", coschedule=2)], views) == {"h1": "v"}


def test_a_pin_onto_a_full_host() -> None:
    """Refused, and the VM whose limit it is is named."""
    views = [*hosts("h0", load=Load(vms=2), limits=(CoscheduleLimit("hermit", 1),)), *hosts("h1")]
    error = refused([vms("v", schedule="h0")], views)
    assert error.details == (
        "v (schedule): h0: `hermit` allows 1 others there (coschedule), it would have 2",
    )


# ---- every combination, on one host as on many


@pytest.mark.parametrize("many", ["", ",h[1-3]"], ids=["one host", "many hosts"])
@pytest.mark.parametrize("pin", ["", "h0"])
@pytest.mark.parametrize("limit", [-1, 0, 1, 2])
@pytest.mark.parametrize("followers", [0, 1, 2])
def test_schedule_coschedule_and_colocate_hold_together(
    many: str, pin: str, limit: int, followers: int
) -> None:
    """A leader, pinned or not, limited or not, with followers: placed exactly when its group is within its limit."""
    items = [vms("leader", schedule=pin, coschedule=limit)]
    items += [vms(f"f[0-{followers - 1}]", colocate="leader")] if followers else []
    views = hosts(f"h0{many}")
    if 0 <= limit < followers:
        error = refused(items, views)
        assert str(error) == f"too many VMs scheduled on h0 for coschedule requirement of {limit + 1}"
    else:
        assert set(place(items, views).of(items).values()) == {"h0"}


@pytest.mark.parametrize("many", ["", ",h[1-3]"], ids=["one host", "many hosts"])
def test_a_followers_limit_counts_for_its_group(many: str) -> None:
    """A limit of a follower keeps others away from the whole group, or refuses it."""
    views = hosts(f"h0{many}")
    items = [vms("a"), vms("b", colocate="a", coschedule=1)]
    assert planned(items, views) == {"h0": "a,b"}
    assert "coschedule requirement of 2" in str(refused([*items, vms("c", colocate="b")], views))


def test_later_batches_obey_limits_of_vms_that_are_there() -> None:
    """What was placed keeps its limit: the next demand finds the host closed."""
    first = [vms("solo", coschedule=0)]
    views = hosts("h[0-1]")
    later = after(views, first, place(first, views))
    assert later[0].load == first[0].load
    assert later[0].limits == (CoscheduleLimit("solo", 0),)
    assert planned([vms("p[0-3]")], later) == {"h1": "p[0-3]"}
    assert after(later, [], Placement()) == later


# ---- limits of hosts and namespaces


@pytest.mark.parametrize(
    ("quota", "changes", "words"),
    [
        (Quota(vcpus=5), {"vcpus": 2}, "4 of 5 vCPUs are promised, 2 more are wanted"),
        (Quota(memory_mib=5000), {}, "4096 of 5000 MiB of memory are promised, 2048 more are wanted"),
        (Quota(vms=2), {}, "2 of 2 VMs are promised, 1 more are wanted"),
    ],
)
def test_a_hosts_quota_is_refused_and_not_only_ranked(
    quota: Quota, changes: dict[str, int], words: str
) -> None:
    """Two VMs fit on each host and a third does not: four are placed evenly, five are refused with numbers."""
    views = hosts("h[0-1]", quota=quota)
    assert planned([vms("a[0-3]", **changes)], views) == {"h0": "a[0,2]", "h1": "a[1,3]"}
    assert refused([vms("a[0-4]", **changes)], views).details == (f"a4: h[0-1]: {words}",)


def test_quotas_are_kept_by_large_groups() -> None:
    """A thousand VMs on hosts of uneven quotas fill each up to its quota and no further."""
    views = [*hosts("h[0-8]", quota=Quota(vcpus=100)), *hosts("h9", quota=Quota(vcpus=100, vms=50))]
    sizes = {host: len(expand(names)) for host, names in planned([vms("a[0-949]")], views).items()}
    assert sizes == {**{f"h{n}": 100 for n in range(9)}, "h9": 50}
    assert str(refused([vms("a[0-950]")], views)).startswith("no host has room for a950: ")


@pytest.mark.parametrize(
    ("quota", "words"),
    [
        (Quota(vcpus=9), "9 vCPUs (ns limit vcpus): 4 are promised, 6 more are wanted"),
        (
            Quota(memory_mib=7000),
            "7000 MiB of memory (ns limit memory): 1024 are promised, 6144 more are wanted",
        ),
        (Quota(vms=4), "4 VMs (ns limit vms): 2 are promised, 3 more are wanted"),
    ],
)
def test_a_namespaces_limit_counts_all_its_vms(quota: Quota, words: str) -> None:
    """What the namespace has and what is demanded are added up; the refusal names the limit and the numbers."""
    used = Load(vcpus=4, memory_mib=1024, vms=2)
    limit = NamespaceLimit(namespace="foo", quota=quota, used=used)
    error = refused([vms("a[0-2]", vcpus=2)], hosts("h[0-1]"), limit=limit)
    assert str(error) == f"namespace foo may have {words}"
    assert planned([vms("a[0-1]", vcpus=2)], hosts("h[0-1]"), limit=limit)


def test_a_host_that_has_too_much_already_takes_what_adds_nothing() -> None:
    """VMs without memory go to a host whose memory is overcommitted: they do not make it worse."""
    views = hosts("h", load=Load(memory_mib=9000, vms=1), quota=Quota(memory_mib=8192))
    assert planned([vms("a", memory_mib=0)], views) == {"h": "a"}
    assert "9000 of 8192 MiB" in str(refused([vms("a", memory_mib=1)], views))


# ---- part of a demand


def part(items: list[Item], views: list[HostView], **arguments: Any) -> tuple[dict[str, str], list[str]]:
    partial = place_some(items, views, **arguments)
    assert isinstance(partial, Partial)
    placed = {host: fold(names) for host, names in partial.placement.by_host(items).items()}
    return placed, [str(reason) for reason in partial.reasons]


def test_what_can_be_placed_is() -> None:
    """Three solo VMs on two hosts: two are placed, one is left over with the reasons."""
    items = [vms("s[0-2]", coschedule=0)]
    placed, why = part(items, hosts("h[0-1]"))
    assert placed == {"h0": "s0", "h1": "s1"}
    assert why == [
        "s2: h0: `s0` allows 0 others there (coschedule), it would have 1",
        "s2: h1: `s1` allows 0 others there (coschedule), it would have 1",
    ]
    assert place_some(items, hosts("h[0-1]")).placement.left() == [(2,)]


def test_pins_to_unknown_hosts_and_circles_are_left_over() -> None:
    """Neither keeps the others from being placed."""
    items = [vms("a", schedule="x"), vms("b", colocate="c"), vms("c", colocate="b"), vms("d")]
    placed, why = part(items, hosts("h"))
    assert placed == {"h": "d"}
    assert why == [
        "b: colocated with `c`, which does not exist or follows it",
        "c: colocated with `b`, which does not exist or follows it",
        "a (schedule): x: is not in the namespace",
    ]


def test_colocated_vms_are_left_over_together() -> None:
    """A group that does not fit is not torn apart."""
    items = [vms("a"), vms("b", colocate="a"), vms("p")]
    placed, why = part(items, hosts("h", quota=Quota(vms=1)))
    assert placed == {"h": "p"}
    assert why == ["a,b: h: 1 of 1 VMs are promised, 2 more are wanted"]


def test_pinned_vms_stay_as_far_as_there_is_room() -> None:
    """Of VMs pinned to one host the first ones stay."""
    items = [vms("a[0-3]", schedule="h0"), vms("b", schedule="h1")]
    placed, why = part(items, hosts("h[0-1]", quota=Quota(vms=2)))
    assert placed == {"h0": "a[0-1]", "h1": "b"}
    assert why == ["a[2-3] (schedule): h0: 2 of 2 VMs are promised, 1 more are wanted"]


def test_a_namespace_gets_what_its_limit_allows() -> None:
    """The first VMs of the plan's order are placed, the others told of the limit."""
    limit = NamespaceLimit(namespace="foo", quota=Quota(vcpus=5))
    placed, why = part([vms("a[0-3]"), vms("big", vcpus=3)], hosts("h"), limit=limit)
    assert placed == {"h": "a[0-1],big"}
    assert why == [
        "a[2-3]: namespace foo may have 5 vCPUs (ns limit vcpus): 5 are promised, 1 more are wanted"
    ]


# ---- reasons


def test_every_vm_and_host_has_one_reason() -> None:
    """Hosts that refuse for different reasons are told apart, each once."""
    views = [
        *hosts("h0", accepting=False, reason="h0 is draining"),
        *hosts("h[1-2]", load=Load(vms=1), limits=(CoscheduleLimit("hermit", 0),)),
        *hosts("h[3-5]", quota=Quota(memory_mib=100)),
    ]
    assert sorted(refused([vms("a[0-1]")], views).details) == [
        "a[0-1]: h0: h0 is draining",
        "a[0-1]: h[1-2]: `hermit` allows 0 others there (coschedule), it would have 1",
        "a[0-1]: h[3-5]: 0 of 100 MiB of memory are promised, 2048 more are wanted",
    ]


def test_many_reasons_are_told_briefly() -> None:
    """A hundred hosts of which each refuses with numbers of its own are one line without numbers."""
    views = [view for n in range(100) for view in hosts(f"h{n}", load=Load(vcpus=n), quota=Quota(vcpus=n))]
    assert refused([vms("a[0-1]")], views).details == (
        "a[0-1]: h[0-99]: more would be promised than the host may have",
    )


def test_reasons_beyond_number_are_counted() -> None:
    """A thousand VMs pinned to full hosts: the first lines, and who else."""
    views = hosts("h[0-999]", quota=Quota(vms=0))
    items = [vms(f"a{n}", schedule=f"h{n}") for n in range(1000)]
    details = refused(items, views).details
    assert len(details) == LINES + 1
    assert details[0] == "a0 (schedule): h0: more would be promised than the host may have"
    assert details[-1] == f"a[0-999]: and {1000 - LINES} more reasons like these"


# ---- load


@pytest.mark.parametrize(
    ("policy", "relative", "host"),
    [
        ("cpucommit", False, "h1"),
        ("cpucommit", True, "h2"),
        ("netcommit", False, "h3"),
        ("netcommit", True, "h3"),
        ("memload", False, "h2"),
        ("memload", True, "h1"),
    ],
)
def test_each_policy_has_its_own_least_loaded_host(policy: Policy, relative: bool, host: str) -> None:
    """The sum of vCPUs, of interfaces, the memory that is left; or what they are of the host's capacity."""
    views = [
        HostView(
            name="h1",
            capacity=Capacity(cpus=2, memory_mib=4000),
            load=Load(vcpus=2, memory_mib=1000, nics=5, vms=1),
        ),
        HostView(
            name="h2",
            capacity=Capacity(cpus=64, memory_mib=64_000),
            load=Load(vcpus=8, memory_mib=32_000, nics=4, vms=1),
        ),
        HostView(
            name="h3",
            capacity=Capacity(cpus=4, memory_mib=8000),
            load=Load(vcpus=3, memory_mib=8000, nics=1, vms=1),
        ),
    ]
    assert planned([vms("v")], views, policy=policy, relative=relative) == {host: "v"}


def test_without_hosts_or_vms_the_peers_words() -> None:
    """Also when part of a demand would do."""
    with pytest.raises(Refused, match="at least one host"):
        place_some([vms("a")], [])
    with pytest.raises(Refused, match="at least one queued VM"):
        place_some([], hosts("h"))
