"""What is to be done about a host's VMs, as a function of records, guests and earlier outcomes."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, Power, State
from shoal_worker.core.actions import Action, Create, Destroy, Outcome, Pause, Resume, Settle, Work
from shoal_worker.core.diff import alive, diff, failed
from shoal_worker.core.statuses import orphan_status, vm_status
from shoal_worker.hypervisor import Guest, GuestState


def record(instance: str = "i1", revision: int = 1, power: Power = "paused", name: str = "a") -> LaunchRecord:
    return LaunchRecord(
        namespace="foo",
        name=name,
        id=0,
        instance=instance,
        revision=revision,
        power=power,
        host="h",
        incarnation="inc",
        uuid="u",
        config=VMConfig(),
    )


def guest(state: GuestState = "paused", instance: str = "i1", name: str = "a", reason: str = "") -> Guest:
    return Guest(namespace="foo", name=name, instance=instance, revision=1, state=state, pid=7, reason=reason)


def outcome(state: State = "BUILDING", revision: int = 1, instance: str = "i1", **more: Any) -> Outcome:
    made = Outcome(namespace="foo", name="a", instance=instance, revision=revision, state=state, created=True)
    return msgspec.structs.replace(made, **more)


def actions(
    record_: LaunchRecord, guest_: Guest | None = None, outcome_: Outcome | None = None, **more: Any
) -> list[Action]:
    """The actions for one VM."""
    guests = {} if guest_ is None else {guest_.instance: guest_}
    outcomes = {} if outcome_ is None else {outcome_.instance: outcome_}
    work = diff([record_], guests, outcomes, **more)
    return list(work[0].actions) if work else []


def settled_by(found: Sequence[Action]) -> list[Outcome]:
    return [action.outcome for action in found if isinstance(action, Settle)]


def kinds(found: Sequence[Action]) -> list[type[Action]]:
    return [type(action) for action in found]


class Fake:
    """Guests and outcomes that actions are applied to; refuses what the hypervisor would refuse."""

    def __init__(self, guests: Iterable[Guest] = (), outcomes: Iterable[Outcome] = ()) -> None:
        self.guests = {each.instance: each for each in guests}
        self.outcomes = {each.instance: each for each in outcomes}

    def apply(self, work: Iterable[Work]) -> None:
        for each in work:
            for action in each.actions:
                match action:
                    case Create(spec=spec):
                        assert spec.instance not in self.guests, "created twice"
                        same = [g for g in self.guests.values() if (g.namespace, g.name) == each.key]
                        assert not same, "two guests of one name"
                        self.guests[spec.instance] = guest("paused", spec.instance, spec.name)
                    case Resume(instance=instance):
                        self._turn(instance, "running")
                    case Pause(instance=instance):
                        self._turn(instance, "paused")
                    case Destroy(instance=instance):
                        self.guests.pop(instance, None)
                    case Settle(outcome=settled):
                        self.outcomes[settled.instance] = settled

    def _turn(self, instance: str, state: GuestState) -> None:
        assert alive(self.guests[instance])
        self.guests[instance] = msgspec.structs.replace(self.guests[instance], state=state)


names = st.sampled_from(["a", "b", "c"])
instances = st.sampled_from(["i1", "i2"])
powers = st.sampled_from(["paused", "running", "off", "gone"])
records = st.builds(
    lambda name, instance, revision, power: record(f"{name}-{instance}", revision, power, name),
    names,
    instances,
    st.integers(1, 3),
    powers,
)
guests = st.builds(
    lambda name, instance, state: guest(state, f"{name}-{instance}", name),
    names,
    instances,
    st.sampled_from(["paused", "running", "shutoff", "failed"]),
)
outcomes = st.builds(
    lambda name, instance, state, revision, resumed: outcome(
        state, revision, f"{name}-{instance}", name=name, resumed=resumed
    ),
    names,
    instances,
    st.sampled_from(["BUILDING", "RUNNING", "PAUSED", "QUIT", "ERROR"]),
    st.integers(1, 3),
    st.booleans(),
)


@given(
    st.lists(records, unique_by=lambda r: r.name, max_size=3),
    st.lists(guests, unique_by=lambda g: g.instance, max_size=5),
    st.lists(outcomes, unique_by=lambda o: o.instance, max_size=5),
)
def test_applying_the_diff_leaves_nothing_to_do(
    wanted: list[LaunchRecord], there: list[Guest], known: list[Outcome]
) -> None:
    """Whatever there was: after the actions, in order, the diff is empty, and no guest was made beside another."""
    fake = Fake(there, known)
    fake.apply(diff(wanted, fake.guests, fake.outcomes))
    assert diff(wanted, fake.guests, fake.outcomes) == ()


@given(st.lists(records, unique_by=lambda r: r.name, max_size=3))
def test_new_records_on_an_empty_host_are_observed_as_desired(wanted: list[LaunchRecord]) -> None:
    """On a host without history, what is observed afterwards is what was desired."""
    fake = Fake()
    fake.apply(diff(wanted, {}, {}))
    for each in wanted:
        status = vm_status(each, fake.guests.get(each.instance), fake.outcomes.get(each.instance))
        expected = {"paused": "BUILDING", "running": "RUNNING", "off": "QUIT", "gone": "QUIT"}[each.power]
        assert (status.state, status.revision, status.gone) == (expected, each.revision, each.power == "gone")
        assert (each.instance in fake.guests) == (each.power in ("paused", "running"))


@given(
    st.lists(records, unique_by=lambda r: r.name, max_size=3),
    st.lists(guests, unique_by=lambda g: g.instance, max_size=5),
)
def test_guests_that_no_record_names_are_left_alone(wanted: list[LaunchRecord], there: list[Guest]) -> None:
    """No action touches a guest whose name is in no record: absence removes nothing."""
    named = {each.name for each in wanted}
    for work in diff(wanted, {each.instance: each for each in there}, {}):
        assert work.key[1] in named


@pytest.mark.parametrize("power", ["paused", "running", "off", "gone"])
@pytest.mark.parametrize("known", [True, False])
def test_an_older_record_does_not_touch_a_later_instance(power: Power, *, known: bool) -> None:
    """A record of another instance that is not newer than what lives here comes from a store that went backwards."""
    living = msgspec.structs.replace(guest("running", "i2"), revision=3)
    outcomes_ = {"i2": outcome("RUNNING", revision=3, instance="i2")} if known else {}
    for revision in (1, 3):
        fake = Fake([living], outcomes_.values())
        found = diff([record("i1", revision, power)], fake.guests, fake.outcomes)
        assert kinds(found[0].actions) == [Settle]
        assert "the store has gone backwards" in settled_by(found[0].actions)[0].reason
        fake.apply(found)
        assert fake.guests == {"i2": living}
        assert diff([record("i1", revision, power)], fake.guests, fake.outcomes) == ()


def test_a_guest_that_comes_to_be_after_it_was_gone_is_ended() -> None:
    """Its creation had timed out, and it was told to be gone meanwhile: no record names it, our journal does."""
    buried = outcome("QUIT", 2, gone=True)
    assert kinds(diff([], {"i1": guest()}, {"i1": buried})[0].actions) == [Destroy]
    assert diff([], {"i1": guest()}, {"i1": outcome("QUIT", 2)}) == ()
    assert diff([], {}, {"i1": buried}) == ()


def test_late_guests_of_one_vm_are_one_work() -> None:
    """Work on a VM is one task: the guests of several of its instances are ended one after the other."""
    guests = {name: guest(instance=name) for name in ("i1", "i2", "i3")}
    guests["other"] = guest(instance="other", name="b")
    buried = {name: outcome("QUIT", 2, name, gone=True) for name in ("i1", "i2")}
    buried["other"] = outcome("QUIT", 2, "other", name="b", gone=True)
    first, second = diff([], guests, buried)
    assert (first.key, first.actions) == (("foo", "a"), (Destroy("i1"), Destroy("i2")))
    assert (second.key, second.actions) == (("foo", "b"), (Destroy("other"),))


def test_a_later_record_and_an_ended_rival_are_as_before() -> None:
    """Who launches again raises the revision; what has ended by itself is cleared away whatever its revision."""
    living = guest("running", "i2")
    later = diff([record("i1", 4)], {"i2": living}, {"i2": outcome("RUNNING", revision=3, instance="i2")})
    assert kinds(later[0].actions) == [Destroy, Create, Settle]
    failed_ = {"i2": outcome("ERROR", revision=3, instance="i2")}
    assert kinds(diff([record("i1", 1)], {"i2": living}, failed_)[0].actions) == [Destroy, Create, Settle]


def test_paused_is_created_and_running_is_resumed_after_it() -> None:
    """A record creates its guest paused, and resumes it if it is to run."""
    assert kinds(actions(record())) == [Create, Settle]
    assert kinds(actions(record(power="running"))) == [Create, Resume, Settle]


def test_running_guest_is_paused_and_resumed() -> None:
    """Power changes of a living guest are one step and a note."""
    assert kinds(actions(record(revision=2), guest("running"), outcome("RUNNING"))) == [Pause, Settle]
    assert kinds(actions(record(revision=2, power="running"), guest(), outcome())) == [Resume, Settle]


def test_new_revision_without_a_difference_is_only_noted() -> None:
    """When nothing has to be done the revision is carried out by saying so."""
    assert kinds(actions(record(revision=2), guest(), outcome())) == [Settle]


@pytest.mark.parametrize(
    ("there", "state", "reason"),
    [
        (guest("shutoff"), "QUIT", ""),
        (guest("failed", reason="killed by signal 9"), "ERROR", "killed by signal 9"),
        (None, "ERROR", "while nobody watched"),
    ],
)
def test_guest_that_ended_by_itself_is_told_of_and_not_started_again(
    there: Guest | None, state: str, reason: str
) -> None:
    """It is QUIT or ERROR with the reason, at once and at the same revision; only a later one starts it again."""
    wanted, known = record(power="running"), outcome("RUNNING", resumed=True)
    found = actions(wanted, there, known)
    assert kinds(found) == [Settle]
    (settled,) = settled_by(found)
    assert (settled.state, settled.revision) == (state, 1)
    assert reason in settled.reason
    assert actions(wanted, there, settled) == []
    again = actions(record(revision=2, power="running"), there, settled)
    assert kinds(again) == ([] if there is None else [Destroy]) + [Create, Resume, Settle]


def test_guest_that_qemu_paused_is_told_of_and_only_a_later_revision_resumes_it() -> None:
    """One that could not write to its disk would stop again at once: it is PAUSED with the reason until it is started."""
    wanted, known = record(power="running"), outcome("RUNNING", resumed=True)
    stuck = guest(reason="no space left")
    assert actions(wanted, stuck, known) == []
    status = vm_status(wanted, stuck, known)
    assert (status.state, status.reason, status.revision) == ("PAUSED", "no space left", 1)
    assert kinds(actions(record(revision=2, power="running"), stuck, known)) == [Resume, Settle]
    stopped = record(revision=2)
    assert kinds(actions(stopped, stuck, known)) == [Settle]
    assert vm_status(stopped, stuck, outcome("PAUSED", 2, resumed=True)).reason == ""
    assert kinds(actions(wanted, guest(), known)) == [Resume], "one that somebody else paused goes on"


def test_end_that_nobody_saw_is_told_before_a_later_revision_starts_anew() -> None:
    """A guest that vanished is reported at the new revision, not silently replaced by a fresh one."""
    found = actions(record(revision=2, power="running"), None, outcome("RUNNING"))
    assert [(o.state, o.revision) for o in settled_by(found)] == [("ERROR", 2)]


def test_failed_creation_is_not_repeated_until_the_revision_changes() -> None:
    """ERROR at this revision stands; a later revision or another instance is tried."""
    refused = outcome("ERROR", created=False, reason="no kernel")
    assert actions(record(), None, refused) == []
    assert Create in kinds(actions(record(revision=2), None, refused))
    assert Create in kinds(actions(record(instance="i2"), None, refused))


def test_failed_resume_is_not_repeated_at_the_same_revision() -> None:
    """The guest stays, paused, and the VM is in ERROR with the reason."""
    wanted = record(revision=2, power="running")
    work = diff([wanted], {"i1": guest()}, {"i1": outcome()})[0]
    settled = failed(work, "cannot resume", created=False)
    assert (settled.state, settled.reason, settled.revision, settled.created) == (
        "ERROR",
        "cannot resume",
        2,
        True,
    )
    assert actions(wanted, guest(), settled) == []
    assert vm_status(wanted, guest(), settled).state == "ERROR"


@pytest.mark.parametrize("state", ["paused", "running", "shutoff", "failed"])
def test_off_ends_the_guest_and_keeps_the_vm(state: GuestState) -> None:
    """Power off destroys what there is, and reports QUIT."""
    found = actions(record(revision=2, power="off"), guest(state), outcome("RUNNING"))
    assert kinds(found) == [Destroy, Settle]
    assert [(o.state, o.gone) for o in settled_by(found)] == [("QUIT", False)]


def test_gone_ends_the_guest_and_forgets_the_vm() -> None:
    """The tombstone destroys, is written down, and does nothing when it is read again."""
    found = actions(record(revision=2, power="gone"), guest("running"), outcome("RUNNING"))
    assert kinds(found) == [Destroy, Settle]
    (settled,) = settled_by(found)
    assert settled.gone
    assert actions(record(revision=2, power="gone"), None, settled) == []


def test_new_instance_ends_the_old_one_first() -> None:
    """One name, one guest: the old instance is destroyed before the new one is created."""
    found = actions(record(instance="i2", revision=2), guest("running"), outcome("RUNNING"))
    assert kinds(found) == [Destroy, Create, Settle]
    assert found[0] == Destroy("i1")


def test_lower_revision_than_the_one_carried_out_has_no_effect() -> None:
    """A record from the past neither creates, resumes nor destroys."""
    for power in ("paused", "running", "off", "gone"):
        assert actions(record(revision=2, power=power), guest("running"), outcome("RUNNING", 3)) == []
        assert actions(record(revision=2, power=power), None, outcome("QUIT", 3)) == []


def test_instance_that_is_gone_never_comes_back() -> None:
    """No record of an instance that was forgotten starts it again, whatever its revision."""
    buried = outcome("QUIT", 2, gone=True)
    for revision in (1, 2, 3):
        assert actions(record(revision=revision, power="running"), None, buried) == []


def test_adopted_guest_without_a_journal_is_only_noted() -> None:
    """A running guest that we know nothing of, by its instance, is as it should be."""
    found = actions(record(power="running"), guest("running"))
    assert kinds(found) == [Settle]
    assert settled_by(found)[0].resumed


def test_waiting_vm_is_not_created_but_its_living_guest_is_steered() -> None:
    """A missing segment holds up the creation, and nothing else."""
    waiting = {("foo", "a"): "waiting for segment"}
    assert actions(record(), waiting=waiting) == []
    assert kinds(actions(record(power="running"), guest(), outcome(), waiting=waiting)) == [Resume, Settle]
    assert Destroy in kinds(actions(record(power="off"), guest(), outcome(), waiting=waiting))


def test_broken_links_are_an_error_with_the_reason() -> None:
    """A VM whose links were refused is not created, and says why."""
    found = actions(record(), broken={("foo", "a"): "the name is taken"})
    assert [(o.state, o.reason) for o in settled_by(found)] == [("ERROR", "the name is taken")]


def test_states_as_a_user_reads_them() -> None:
    """Never resumed is BUILDING, paused after running is PAUSED, and waiting shows its reason."""
    assert vm_status(record(), guest(), outcome()).state == "BUILDING"
    assert vm_status(record(), guest(), outcome(resumed=True)).state == "PAUSED"
    running = vm_status(record(), guest("running"), outcome("RUNNING"), uptime_s=5)
    assert (running.state, running.uptime_s, running.pid) == ("RUNNING", 5, 7)
    waits = vm_status(record(), None, None, reason="waiting for segment lan/1")
    assert (waits.state, waits.revision, waits.reason) == ("BUILDING", 0, "waiting for segment lan/1")


def test_orphan_is_reported_as_such() -> None:
    """A guest without a record keeps its state and is marked."""
    status = orphan_status(guest("running"), None)
    assert (status.orphan, status.state, status.instance) == (True, "RUNNING", "i1")


def test_a_running_guest_is_not_done_before_its_new_segment_is_there() -> None:
    """A guest that was plugged in elsewhere counts as carried out only once it waits for nothing."""
    running = [record(revision=2, power="running")]
    before = {"i1": outcome("RUNNING", resumed=True)}
    guests = {"i1": guest("running")}
    assert diff(running, guests, before, waiting={("foo", "a"): "waiting for segment"}) == ()
    (work,) = diff(running, guests, before)
    assert [type(action) for action in work.actions] == [Settle]


def test_vm_that_is_being_worked_on_is_left_out() -> None:
    """Nothing is said of a VM that something is being done about, nor do its guests count as nobody's."""
    wanted = [record("i1"), record("i2", name="b")]
    assert [work.instance for work in diff(wanted, {}, {}, busy={("foo", "a")})] == ["i2"]
    late = outcome("QUIT", instance="i0", gone=True)
    guests, outcomes = {"i0": guest(instance="i0")}, {"i0": late}
    assert diff(wanted[:1], guests, outcomes, busy={("foo", "a")}) == ()
    assert [work.instance for work in diff((), guests, outcomes)] == ["i0"]
