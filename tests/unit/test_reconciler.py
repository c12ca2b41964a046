"""The reconciler on simulated guests and links: what it does, in which order, and what it says."""

import asyncio
from functools import partial

import msgspec
import pytest
from tests.unit.reconciler_rig import DEADLINE_S, Rig, soon

from shoal.core.ifnames import guest_tap
from shoal.messages.desired import VMStatus
from shoal_worker.core.actions import Outcome
from shoal_worker.hypervisor import Guest, HypervisorBusy
from shoal_worker.journal import Entry
from shoal_worker.reconciler import _GATHER_S
from shoal_worker.reporter import _same


@pytest.fixture
def rig() -> Rig:
    return Rig()


async def test_nothing_is_done_before_the_claim_stands(rig: Rig) -> None:
    """Without the claim neither links nor guests are touched; with it they are."""
    rig.claimed.clear()
    rig.want("a")
    async with rig.running():
        for _ in range(20):
            await asyncio.sleep(0)
        assert (rig.guests(), rig.kernel.segments) == ({}, {})
        rig.claimed.set()
        await rig.bus.until_states(a="BUILDING")
        assert rig.kernel.guest_taps.keys() == {guest_tap("i-a", 0)}


async def test_one_failure_stops_no_other(rig: Rig) -> None:
    """A VM whose creation is refused is in ERROR with the reason and leaves nothing; the others run."""
    rig.hypervisor.fail = lambda operation, who: (
        "no kernel" if (operation, who) == ("create", "foo/b") else ""
    )
    for name in "abc":
        rig.want(name, power="running")
    async with rig.running():
        await rig.bus.until_states(a="RUNNING", b="ERROR", c="RUNNING")
        assert rig.bus.vms["b"].reason == "no kernel"
        assert rig.guests() == {"a": "running", "c": "running"}
        await rig.bus.until(lambda: guest_tap("i-b", 0) not in rig.kernel.guest_taps)
        created = rig.hypervisor.created
        rig.reconciler.wake()
        rig.want("d")
        await rig.bus.until_states(d="BUILDING")
        assert rig.hypervisor.created == created + 1


async def test_creations_are_bounded_and_others_do_not_wait(rig: Rig) -> None:
    """No more than three guests are created at once, and a slow creation holds up neither kills nor links."""
    rig.want("old", power="running")
    async with rig.running():
        await rig.bus.until_states(old="RUNNING")
        for name in ("a", "b", "c", "d", "e"):
            rig.hypervisor.hold[name] = asyncio.Event()
            rig.want(name)
        rig.want("old", revision=2, power="off")
        await rig.bus.until_states(old="QUIT")
        assert rig.hypervisor.most_at_once == 3
        for held in rig.hypervisor.hold.values():
            held.set()
        await rig.bus.until_states(a="BUILDING", b="BUILDING", c="BUILDING", d="BUILDING", e="BUILDING")
        assert rig.hypervisor.most_at_once == 3


async def test_vm_withdrawn_while_it_waits_is_never_created(rig: Rig) -> None:
    """A VM that is ended before its turn came has no guest at any time."""
    for name in ("a", "b", "c"):
        rig.hypervisor.hold[name] = asyncio.Event()
        rig.want(name)
    async with rig.running():
        await soon(lambda: rig.hypervisor.at_once == 3)
        rig.want("d")
        await soon(lambda: ("foo", "d") in rig.reconciler._tasks.working)
        rig.want("d", revision=2, power="off")
        for held in rig.hypervisor.hold.values():
            held.set()
        await rig.bus.until_states(d="QUIT")
        assert rig.hypervisor.created == 3


async def test_nothing_is_reported_before_it_is_written_down(rig: Rig) -> None:
    """While the journal cannot be written nothing is reported; when it can, it is, and nothing was done twice."""
    rig.journal.full = "disk full"
    rig.want("a")
    async with rig.running():
        await soon(lambda: rig.guests() and rig.reconciler.degraded)
        assert rig.bus.reports == []
        assert rig.reconciler.degraded == "disk full"
        rig.journal.full = ""
        await rig.bus.until_states(a="BUILDING")
        assert rig.hypervisor.created == 1
        rig.want("b")
        await rig.bus.until_states(b="BUILDING")
        assert rig.reconciler.degraded == ""


async def test_busy_hypervisor_is_asked_again(rig: Rig) -> None:
    """A call whose end is unknown is no failure of the VM: it is tried again, and succeeds."""
    rig.hypervisor.raises["a"] = HypervisorBusy("creating foo/a took longer than 120 s")
    rig.want("a")
    async with rig.running():
        await rig.bus.until_states(a="BUILDING")
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 1)
        assert (rig.hypervisor.created, rig.bus.vms["a"].reason) == (2, "")


async def test_fault_of_the_adapter_is_survived(rig: Rig) -> None:
    """An exception that nobody expects delays that VM, and ends nothing."""
    rig.hypervisor.raises["a"] = RuntimeError("bug")
    rig.want("a")
    rig.want("b")
    async with rig.running():
        await rig.bus.until(lambda: "a" in rig.bus.vms and rig.bus.vms["a"].revision == 1)
        await rig.bus.until_states(a="BUILDING", b="BUILDING")
        # a twice: the first attempt broke
        assert (rig.hypervisor.created, rig.guests()) == (3, {"a": "paused", "b": "paused"})


async def test_a_retry_that_is_due_during_a_round_is_not_left_until_the_next_look(rig: Rig) -> None:
    """The round has looked at what is to be done, and takes longer than the VM has to wait."""
    rig.hypervisor.raises["a"] = RuntimeError("bug")
    rig.want("a")
    rig.journal.takes_s = 0.1
    # due after the second round has looked, and before it has ended
    rig.reconciler._tasks._retry_s = 0.15 + _GATHER_S
    async with rig.running(), asyncio.timeout(10):
        await rig.bus.until(lambda: "a" in rig.bus.vms and rig.bus.vms["a"].revision == 1)
        assert (rig.hypervisor.created, rig.guests()) == (2, {"a": "paused"})


async def test_refused_link_is_the_error_of_those_who_need_it(rig: Rig) -> None:
    """A foreign interface of a tap's name is left alone; its VM is in ERROR with the owner, others are made."""
    rig.kernel.foreign[guest_tap("i-a", 0)] = "dummy device"
    rig.want("a")
    rig.want("b")
    async with rig.running():
        await rig.bus.until_states(a="ERROR", b="BUILDING")
        assert "dummy device" in rig.bus.vms["a"].reason
        assert rig.hypervisor.created == 1


async def test_a_fault_over_one_link_does_not_stop_the_others(rig: Rig) -> None:
    """What fails in a way that nobody has thought of is the reason of who needs that link; the round goes on."""
    rig.network.faults[guest_tap("i-a", 0)] = "'host.example' is no address"
    rig.want("a")
    rig.want("b")
    async with rig.running():
        await rig.bus.until_states(a="ERROR", b="BUILDING")
        assert "'host.example' is no address" in rig.bus.vms["a"].reason
        assert rig.reconciler.degraded == ""


async def test_unseen_network_creates_no_vm_with_ports(rig: Rig) -> None:
    """While links cannot be listed, VMs with ports wait with the reason; those without are created."""
    trouble = rig.network.trouble = "rtnetlink: no buffer space"
    rig.want("a")
    rig.want("b", ports=False)
    async with rig.running():
        await rig.bus.until(lambda: rig.bus.vms.keys() == {"a", "b"} and rig.bus.vms["b"].revision == 1)
        assert (rig.bus.vms["a"].reason, rig.guests()) == (trouble, {"b": "paused"})
        rig.network.trouble = ""
        rig.reconciler.wake()
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 1)


async def test_links_outlast_the_guest(rig: Rig) -> None:
    """A guest that cannot be destroyed keeps its tap and segment; both go once it is gone."""
    rig.want("a", power="running")
    async with rig.running():
        await rig.bus.until_states(a="RUNNING")
        stuck = ["qemu does not die"]
        rig.hypervisor.fail = lambda operation, _: stuck[0] if stuck and operation == "destroy" else ""
        rig.want("a", revision=2, power="gone")
        await rig.bus.until(lambda: rig.bus.vms["a"].reason == "qemu does not die")
        assert guest_tap("i-a", 0) in rig.kernel.guest_taps
        assert "shp-b" in rig.kernel.segments
        stuck.clear()
        await rig.bus.until(lambda: rig.bus.vms["a"].gone)
        rig.reconciler.wake()
        await soon(lambda: not rig.kernel.segments and not rig.kernel.guest_taps)


async def test_crash_is_reported_with_its_reason(rig: Rig) -> None:
    """A guest whose QEMU died is in ERROR, with the reason, and is not started again."""
    rig.want("a", power="running")
    async with rig.running():
        await rig.bus.until_states(a="RUNNING")
        rig.hypervisor.end("i-a", "killed by signal 9")
        await rig.bus.until_states(a="ERROR")
        assert rig.bus.vms["a"].reason == "killed by signal 9"
        assert rig.hypervisor.created == 1
        rig.want("a", revision=2, power="running")
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 2)
        assert rig.guests() == {"a": "running"}


async def test_next_worker_adopts_and_does_nothing(rig: Rig) -> None:
    """With the same guests, links and journal a second reconciler changes nothing."""
    rig.want("a", power="running")
    async with rig.running():
        await rig.bus.until_states(a="RUNNING")
    second = Rig()
    second.hypervisor.kept, second.journal = rig.hypervisor.kept, rig.journal
    second.kernel.segments, second.kernel.guest_taps = rig.kernel.segments, rig.kernel.guest_taps
    second.hypervisor.fail = lambda operation, _: "" if operation == "survey" else "must not be asked"
    second.want("a", power="running")
    async with second.running():
        await second.bus.until_states(a="RUNNING")
        assert second.bus.vms["a"].reason == ""


async def test_unchanged_statuses_are_said_once(rig: Rig) -> None:
    """Rounds without a change send nothing, and reports are numbered without gaps."""
    rig.want("a", power="running")
    async with rig.running():
        await rig.bus.until_states(a="RUNNING")
        sent = len(rig.bus.reports)
        for _ in range(5):
            looked = rig.hypervisor.surveys
            rig.reconciler.wake()
            await soon(partial(rig.hypervisor.looked_since, looked))
        rig.want("b")
        await rig.bus.until_states(b="BUILDING")
        assert [[vm.name for vm in report.vms] for report in rig.bus.reports[sent:]] == [["b"]]
        assert [report.number for report in rig.bus.reports] == list(range(1, sent + 2))


async def test_late_guests_of_one_vm_are_ended(rig: Rig) -> None:
    """Two instances of a VM that came to be after they were gone are ended, and the worker goes on."""
    for instance in ("i1", "i2"):
        gone = Outcome(namespace="foo", name="a", instance=instance, revision=2, state="QUIT", gone=True)
        rig.journal.put(Entry(vm=gone))
        rig.hypervisor.kept.guests[instance] = Guest(
            namespace="foo", name="a", instance=instance, revision=1, state="paused", pid=5
        )
    async with rig.running():
        await soon(lambda: not rig.hypervisor.kept.guests)
        rig.want("b")
        await rig.bus.until_states(b="BUILDING")
        assert rig.guests() == {"b": "paused"}


async def test_drain_ends_what_runs_and_begins_nothing(rig: Rig) -> None:
    """A worker that is told to end finishes the creations it is at, starts no other, and reports."""
    for name in ("a", "b", "c", "d"):
        rig.hypervisor.hold[name] = asyncio.Event()
        rig.want(name)
    async with rig.running():
        await soon(lambda: rig.hypervisor.at_once == 3)
        draining = asyncio.create_task(rig.reconciler.drain(DEADLINE_S))
        await asyncio.sleep(0)
        for held in rig.hypervisor.hold.values():
            held.set()
        await draining
        assert len(rig.guests()) == 3
        assert len(rig.journal.outcomes) == 3
        await rig.bus.until_states(**dict.fromkeys(rig.guests(), "BUILDING"))


async def test_replaced_and_gone_instances_are_forgotten_in_time(rig: Rig) -> None:
    """The journal drops an instance that another one replaced; that one is gone is kept."""
    rig.want("a")
    async with rig.running():
        await rig.bus.until_states(a="BUILDING")
        rig.want("a", instance="i2", revision=2)
        await rig.bus.until(lambda: rig.bus.vms["a"].instance == "i2")
        assert set(rig.journal.outcomes) == {"i2"}
        assert len(rig.guests()) == 1
        rig.want("a", instance="i2", revision=3, power="gone")
        await rig.bus.until(lambda: rig.bus.vms["a"].gone)
        assert rig.journal.outcomes["i2"].gone


def test_reports_say_uptime_only_as_it_was() -> None:
    """A status that differs by its uptime alone is not news."""
    status = VMStatus(namespace="n", name="a", instance="i", revision=1, state="RUNNING")
    assert _same(status, msgspec.structs.replace(status, uptime_s=5.0))
    assert not _same(status, msgspec.structs.replace(status, state="PAUSED"))
