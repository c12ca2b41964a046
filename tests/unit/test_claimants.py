"""Which record of each VM is the right one: the rules of `claimants`, one test each."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.repair_cases import VM, Walked, holding, status

from shoal.messages.desired import LaunchRecord, State
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.claimants import Judged, judge
from shoal_orchestrator.core.holdings import Holding
from shoal_orchestrator.core.model import Model


def judged(stored: tuple[LaunchRecord, ...], holdings: dict[str, Holding]) -> Judged:
    model = Model()
    for record in stored:
        model.apply(subject_of(record), record)
    return judge(model, holdings)


def test_of_one_instance_the_higher_revision_counts() -> None:
    """Whoever has it, the store or the host."""
    older = replace(VM, revision=1, power="paused")
    assert judged((older,), holding(VM, vms=(status(VM),))).right == (VM,)
    assert judged((VM,), holding(older, vms=(status(older),))).right == (VM,)
    assert judged((), holding(VM)).right == (VM,)


def test_what_its_host_has_ended_for_good_is_no_more() -> None:
    """Whatever revision the store has: it never runs again, and nobody has its name."""
    ended = status(VM, "QUIT", revision=5, gone=True)
    for stored in ((VM,), (replace(VM, revision=9),), ()):
        found = judged(stored, holding(replace(VM, revision=4), vms=(ended,)))
        assert (found.right, found.over, found.ending) == ((), stored, ())


def test_what_is_to_be_gone_and_is_not_yet_stays_to_be_gone() -> None:
    """The host has heard of it, and the store has not; or the other way round."""
    gone = replace(VM, revision=5, power="gone")
    assert judged((VM,), holding(gone, vms=(status(VM),))).ending == (gone,)
    found = judged((gone,), holding(VM, vms=(status(VM),)))
    assert (found.ending, found.right) == ((gone,), ())


@pytest.mark.parametrize(
    ("state", "power"), [("RUNNING", "running"), ("PAUSED", "paused"), ("QUIT", "off"), ("ERROR", "off")]
)
def test_what_was_carried_out_without_a_record_is_as_the_host_says(state: State, power: str) -> None:
    """The host knows a later revision than the store, and has not kept the record."""
    found = judged((VM,), holding(vms=(status(VM, state, revision=7),)))
    assert [(record.revision, record.power) for record in found.right] == [(7, power)]


def test_what_the_host_has_never_heard_of_stays() -> None:
    """It was launched and not heard of yet; and on a host that was set up anew, or did not answer, nobody can tell."""
    assert judged((VM,), holding()).right == (VM,)
    assert judged((VM,), holding(incarnation="other")).right == (VM,)
    assert judged((VM,), {}).right == (VM,)


def test_of_two_instances_the_one_with_a_guest_counts() -> None:
    """Even with a lower revision. The other, which has none, is withdrawn: nobody starts it."""
    other = replace(VM, instance="i2", host="mm2", revision=9)
    holdings = {**holding(VM, vms=(status(VM),)), **holding(other, vms=(status(other, "QUIT"),), host="mm2")}
    found = judged((other,), holdings)
    assert found.right == (VM,)
    assert found.ending == (replace(other, power="gone", revision=10),)
    assert found.left_alone == ()


def test_of_two_guests_the_higher_revision_counts_and_the_other_is_left_alone() -> None:
    """Nothing that runs is ended; it has no record any more, and a person is told of it."""
    other = replace(VM, instance="i2", host="mm2", revision=9)
    holdings = {**holding(VM, vms=(status(VM),)), **holding(other, vms=(status(other),), host="mm2")}
    found = judged((VM,), holdings)
    assert (found.right, found.over, found.ending) == ((other,), (VM,), ())
    assert [(host, each.instance) for host, each in found.left_alone] == [("mm1", "i1")]


def test_an_instance_on_a_host_that_does_not_answer_gives_way_to_one_that_runs() -> None:
    """It is told that it may run there, too."""
    other = replace(VM, instance="i2", host="mm2", revision=1)
    found = judged((VM,), holding(other, vms=(status(other),), host="mm2"))
    assert (found.right, found.over, found.in_doubt) == ((other,), (VM,), (VM,))


def test_a_guest_whose_host_has_no_record_is_left_alone() -> None:
    """Nobody knows its configuration."""
    found = judged((), holding(vms=(status(VM),)))
    assert found.right == ()
    assert found.left_alone == (("mm1", status(VM)),)


def test_two_instances_on_one_host_are_its_workers_business() -> None:
    """Their record has one subject: the one that counts."""
    later = replace(VM, instance="i2", revision=4)
    found = judged((VM,), holding(VM, later, vms=(status(VM, "QUIT"), status(later))))
    assert (found.right, found.ending, found.over) == ((later,), (), ())


@pytest.mark.parametrize("hosts", [1, 30])
def test_the_clusters_vms_are_gone_through_as_often_for_many_hosts(hosts: int) -> None:
    """With 100,000 VMs, once for each of 1,000 hosts is seconds in which nobody else has a turn."""
    model = Model()
    holdings: dict[str, Holding] = {}
    model.instances, model.leaving = Walked(), Walked()
    for number in range(hosts):
        record = replace(VM, host=f"mm{number}", name=f"a{number}", instance=f"i{number}")
        leaving = replace(record, name=f"b{number}", instance=f"l{number}", power="gone")
        for each in (record, leaving):
            model.apply(subject_of(each), each)
        holdings |= holding(record, vms=(status(record),), host=record.host)
    found = judge(model, holdings)
    assert (len(found.right), len(found.ending)) == (hosts, hosts)
    assert (model.instances.walks, model.leaving.walks) == (2, 1)
