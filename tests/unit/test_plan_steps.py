"""A plan launches each of its VMs once, also when another leader goes on with it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal.core.vmconfig import VMConfig
from shoal_orchestrator.core import launching
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.launching import SLICE, Progress
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord, PlanRecord, QueueEntry

PLAN = PlanRecord(namespace="red", plan="p", revision=1, state="running", entries=(0,), total=1000)
HOSTS = ("mm1", "mm10", "mm2")


def entry(count: int) -> QueueEntry:
    """So many VMs, a0 and so on."""
    return QueueEntry(
        namespace="red", entry=0, count=count, names=f"a[0-{count - 1}]", config=VMConfig(), plan="p"
    )


def slices(
    model: Model, plan: PlanRecord, hosts: Sequence[str]
) -> list[tuple[list[tuple[str, str, int]], Progress]]:
    """Host, name and id of what is launched, slice by slice, and how far the plan has come with each."""
    found = launching.launches(model, plan, [entry(len(hosts))], [hosts], random.Random(1))
    return [([(r.host, r.name, r.id) for r in records], at) for records, at in found]


def empty() -> Model:
    """A namespace and its hosts."""
    model, changes = Model(), Changes()
    changes.put(NamespaceRecord(name="red", hosts="mm[1-2,10]"))
    changes.put(*(HostRecord(name=host, incarnation="i") for host in HOSTS))
    for subject, record in changes.writes.items():
        model.apply(subject, record)
    return model


def test_slices_say_how_far_the_plan_has_come() -> None:
    """A host's VMs stand together, each with the id of its place; the progress is the last one's host and number."""
    found = slices(empty(), PLAN, [HOSTS[number % 2] for number in range(1000)])
    assert [(len(vms), at) for vms, at in found] == [
        (400, Progress("mm1", 400)),
        (400, Progress("mm10", 300)),
        (200, Progress("mm10", 500)),
    ]
    assert found[0][0][:2] == [("mm1", "a0", 0), ("mm1", "a2", 2)]
    assert found[1][0][100:102] == [("mm10", "a1", 1), ("mm10", "a3", 3)]


def test_what_was_published_is_not_launched_again() -> None:
    """A VM of an earlier slice that was killed and forgotten since stays forgotten when the plan is resumed."""
    where = ["mm1"] * 1000
    resumed = slices(empty(), replace(PLAN, reached="mm1", published=400), where)
    assert [vms[0][1] for vms, _ in resumed] == ["a400", "a800"]
    assert slices(empty(), replace(PLAN, reached="mm1", published=1000), where) == []
    assert slices(empty(), replace(PLAN, reached="mm10", published=0), where) == []


def test_names_that_are_there_are_passed_over() -> None:
    """Where a name has a record by now, its VM is not launched; the others are."""
    model = empty()
    ((first, *_), _) = next(launching.launches(model, PLAN, [entry(3)], [["mm1"] * 3], random.Random(1)))
    model.apply("shoal.launch.mm1.red.a0", first)
    assert [vm[1] for vm in slices(model, PLAN, ["mm1"] * 3)[0][0]] == ["a1", "a2"]


@given(st.lists(st.sampled_from([*HOSTS, ""]), min_size=1, max_size=2 * SLICE + 50), st.data())
def test_the_next_leader_goes_on_where_the_last_slice_ended(hosts: list[str], data: st.DataObject) -> None:
    """Whatever was stored of the slices: what follows is the rest, each VM that has a host once.

    Also when a part of the plan is lost meanwhile: then its VMs are missing, and no other comes twice.
    """
    whole = slices(empty(), PLAN, hosts)
    assert sorted(vm for vms, _ in whole for vm in vms) == sorted(
        (host, f"a{number}", number) for number, host in enumerate(hosts) if host
    )
    stored = data.draw(st.integers(0, len(whole)))
    before = [vm for vms, _ in whole[:stored] for vm in vms]
    at = whole[stored - 1][1] if stored else Progress("", 0)
    lost = data.draw(st.sampled_from([*HOSTS, "none"]))
    left = ["" if host == lost else host for host in hosts]
    after = slices(empty(), replace(PLAN, reached=at.reached, published=at.published), left)
    assert [vm for vms, _ in after for vm in vms] == [
        vm for vms, _ in whole[stored:] for vm in vms if vm[0] != lost
    ]
    assert not {vm[1] for vms, _ in after for vm in vms} & {vm[1] for vm in before}
