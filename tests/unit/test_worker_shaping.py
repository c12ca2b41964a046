"""Shaping and mirrors on the worker's side: from records to links, and what is told when the kernel refuses."""

from __future__ import annotations

from msgspec.structs import replace
from tests.unit.reconciler_rig import Rig

from shoal import subjects
from shoal.core.ifnames import guest_tap
from shoal.core.qos import Qos, Shaping
from shoal.messages.desired import LaunchRecord, TapRecord
from shoal_worker.core.links import EnsureGuestTap, diff
from shoal_worker.network import GuestTap, Links

A, B = guest_tap("i-a", 0), guest_tap("i-b", 0)


def change(rig: Rig, name: str, sequence: int, *, revision: int = 2, **settings: object) -> None:
    """Give the first interface of a VM new settings."""
    record = rig.desired.launch("foo", name)
    assert isinstance(record, LaunchRecord)
    ports = (replace(record.ports[0], **settings),)
    rig.desired.merge(
        subjects.launch("h", "foo", name), sequence, replace(record, revision=revision, ports=ports)
    )
    rig.reconciler.wake()


async def test_a_running_guests_tap_is_shaped_and_the_guest_left_alone() -> None:
    """A new rate is set on the tap, reported as carried out, and nothing is done to the guest."""
    rig = Rig()
    async with rig.running():
        rig.want("a", power="running")
        await rig.bus.until_states(a="RUNNING")
        change(rig, "a", 10, qos=Qos(rate="1mbit"))
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 2)
        assert rig.kernel.guest_taps[A].shaping == Shaping(rate_bit_s=1_000_000)
        assert rig.bus.vms["a"].trouble == ""
        assert rig.hypervisor.created == 1
        assert rig.guests() == {"a": "running"}


async def test_a_refused_shaping_is_told_with_the_revision_that_asked_for_it() -> None:
    """The report of the revision says what the kernel lacks, the guest runs on, and a later revision clears it."""
    rig = Rig()
    rig.kernel.lacks.add("netem")
    async with rig.running():
        rig.want("a", power="running")
        await rig.bus.until_states(a="RUNNING")
        change(rig, "a", 10, qos=Qos(loss="5"))
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 2)
        assert "netem" in rig.bus.vms["a"].trouble
        assert rig.bus.vms["a"].state == "RUNNING"
        change(rig, "a", 11, revision=3, qos=Qos())
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 3)
        assert rig.bus.vms["a"].trouble == ""


async def test_shaping_that_cannot_be_keeps_a_vm_from_starting() -> None:
    """A VM that is to be hampered does not run unhampered: it fails with the reason."""
    rig = Rig()
    rig.kernel.lacks.add("netem")
    async with rig.running():
        rig.want("a", power="off")
        await rig.bus.until_states(a="QUIT")
        record = rig.desired.launch("foo", "a")
        assert record is not None
        ports = (replace(record.ports[0], qos=Qos(loss="5")),)
        again = replace(record, revision=2, power="running", instance="i-again", ports=ports)
        rig.desired.merge(subjects.launch("h", "foo", "a"), 10, again)
        rig.reconciler.wake()
        await rig.bus.until(lambda: rig.bus.vms["a"].state == "ERROR")
        assert "netem" in rig.bus.vms["a"].reason


async def test_drift_is_mended() -> None:
    """A rate that somebody removed from the tap is set again at the next look."""
    rig = Rig()
    async with rig.running():
        rig.want("a", power="running")
        await rig.bus.until_states(a="RUNNING")
        change(rig, "a", 10, qos=Qos(rate="1mbit"))
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 2)
        rig.kernel.guest_taps[A] = replace(rig.kernel.guest_taps[A], shaping=Shaping())
        change(rig, "a", 11, revision=3)
        await rig.bus.until(lambda: rig.bus.vms["a"].revision == 3)
        assert rig.kernel.guest_taps[A].shaping == Shaping(rate_bit_s=1_000_000)


async def test_a_mirror_lies_on_the_tap_that_is_copied() -> None:
    """Both a VM and a host tap can be the mirror of a VM; the copies end with the mirror."""
    rig = Rig()
    async with rig.running():
        rig.want("a")
        rig.want("b")
        await rig.bus.until_states(a="BUILDING", b="BUILDING")
        watch = TapRecord(
            namespace="foo",
            tap="watch",
            revision=1,
            host="h",
            incarnation="inc",
            bridge="b",
            vlan=5,
            segment="shp-b",
            mirror=A,
        )
        rig.desired.merge(subjects.tap("h", "foo", "watch"), 10, watch)
        change(rig, "b", 11, mirror=A)
        await rig.bus.until(lambda: rig.bus.vms["b"].revision == 2)
        assert rig.kernel.guest_taps[A].copies == {B, "watch"}
        change(rig, "b", 12, revision=3, mirror="")
        await rig.bus.until(lambda: rig.bus.vms["b"].revision == 3)
        assert rig.kernel.guest_taps[A].copies == {"watch"}


def test_what_is_copied_comes_after_what_the_copies_go_to() -> None:
    """A tap with mirrors is made last, when these are there."""
    taps = {
        "a": GuestTap(tap="a", segment="", copies=frozenset({"b"})),
        "b": GuestTap(tap="b", segment=""),
    }
    actions = diff(Links(guest_taps=taps), Links())
    assert actions == (EnsureGuestTap(taps["b"]), EnsureGuestTap(taps["a"]))
