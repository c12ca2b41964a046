"""VMs are counted as things change, and the counts are those that a look at every VM would give."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shoal import subjects
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import LaunchRecord, Power, State, VMStatus
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.observed import HostState, SeenHost, view
from shoal_orchestrator.core.records import HostRecord, QueueEntry
from shoal_orchestrator.vm_counts import VMCounts

HOSTS, NAMESPACES, NAMES = ("mm1", "mm2"), ("red", "blue"), ("a", "b", "c")


class Rig:
    """A model and what hosts say, changed in the ways in which they are changed."""

    def __init__(self) -> None:
        self.model = Model()
        self.hosts = {host: SeenHost() for host in HOSTS}
        self.counts = VMCounts(self.model, self.hosts)
        for host in HOSTS:
            self.model.apply(subjects.host_record(host), HostRecord(name=host, incarnation="1"))

    def launch(self, host: str, namespace: str, name: str, power: Power) -> None:
        found = self.model.launches[namespace].get(name)
        if found is None:
            record = LaunchRecord(
                namespace=namespace,
                name=name,
                id=1,
                instance=f"{namespace}-{name}-{host}",
                revision=1,
                power=power,
                host=host,
                incarnation="1",
                uuid="",
                config=VMConfig(),
            )
        else:
            record = replace(found, revision=found.revision + 1, power=power)
        self.model.apply(subjects.launch(record.host, namespace, name), record)

    def delete(self, namespace: str, name: str) -> None:
        found = self.model.launches[namespace].get(name)
        if found is not None:
            self.model.apply(subjects.launch(found.host, namespace, name), None)

    def say(self, namespace: str, name: str, state: State, *, gone: bool) -> None:
        found = self.model.launches[namespace].get(name)
        if found is not None:
            status = VMStatus(
                namespace=namespace,
                name=name,
                instance=found.instance,
                revision=1,
                state=state,
                gone=gone,
            )
            self.hosts[found.host].take(status, 0.0)
            self.counts.vm_changed(found.instance)

    def move(self, host: str, state: HostState) -> None:
        self.hosts[host].state = state
        self.counts.host_changed(host)

    def set_up_anew(self, host: str, incarnation: str) -> None:
        self.model.apply(subjects.host_record(host), HostRecord(name=host, incarnation=incarnation))
        self.hosts[host].instances = {}
        self.counts.host_changed(host)

    def declare(self, host: str, fenced: bool) -> None:
        self.model.apply(subjects.host_record(host), replace(self.model.hosts[host], fenced=fenced))

    def naive(self) -> dict[str, Counter[str]]:
        """A look at every VM."""
        found: dict[str, Counter[str]] = {}
        for record in self.model.instances.values():
            seen, host = self.hosts[record.host], self.model.hosts[record.host]
            status = seen.instances.get(record.instance)
            state = view(record, status, seen.state, host.incarnation, fenced=host.fenced).state
            found.setdefault(record.namespace, Counter())[state] += 1
        return found


NAMED = (st.sampled_from(NAMESPACES), st.sampled_from(NAMES))
STEPS = st.one_of(
    st.tuples(
        st.just("launch"),
        st.sampled_from(HOSTS),
        *NAMED,
        st.sampled_from(("paused", "running", "off", "gone")),
    ),
    st.tuples(st.just("delete"), *NAMED),
    st.tuples(
        st.just("say"), *NAMED, st.sampled_from(("BUILDING", "RUNNING", "QUIT", "ERROR")), st.booleans()
    ),
    st.tuples(st.just("move"), st.sampled_from(HOSTS), st.sampled_from(("alive", "suspect", "lost"))),
    st.tuples(st.just("set_up_anew"), st.sampled_from(HOSTS), st.sampled_from(("1", "2"))),
    st.tuples(st.just("declare"), st.sampled_from(HOSTS), st.booleans()),
    st.tuples(st.just("look")),
)


@given(st.lists(STEPS, max_size=40))
def test_counts_are_those_of_a_look_at_every_vm(steps: list[tuple[Any, ...]]) -> None:
    """After any changes, with looks in between or without, the counts are what a look at every VM gives."""
    rig = Rig()
    for what, *arguments in steps:
        if what == "look":
            rig.counts.catch_up()
        elif what == "say":
            *named, gone = arguments
            rig.say(*named, gone=gone)
        else:
            getattr(rig, str(what))(*arguments)
    assert rig.counts.by_namespace() == rig.naive()
    assert rig.counts.total() == sum(rig.naive().values(), Counter())
    assert not rig.model.changed_vms


def test_queued_vms_are_counted_until_a_plan_consumes_them() -> None:
    """The number of queued VMs is that of the entries which no plan has consumed."""
    model = Model()
    entries = [QueueEntry(namespace="red", entry=n, count=n, config=VMConfig()) for n in (1, 2, 3)]
    for entry in entries:
        model.apply(subjects.queue_record("red", entry.entry), entry)
    assert model.queued_vms == {"red": 6}
    model.apply(subjects.queue_record("red", 3), replace(entries[2], plan="p"))
    assert model.queued_vms == {"red": 3}
    for number in (1, 2, 3):
        model.apply(subjects.queue_record("red", number), None)
    assert model.queued_vms == {}
