"""Uplinks on the worker's side: made with the segments in use, told of when refused, removed by their tombstone."""

from __future__ import annotations

from msgspec.structs import replace
from tests.unit.reconciler_rig import Rig, soon

from shoal import subjects
from shoal.core.ifnames import plain_bridge
from shoal.messages.desired import TapRecord

RECORD = TapRecord(
    namespace="foo",
    tap="eth1",
    revision=1,
    host="h",
    incarnation="inc",
    bridge="p",
    vlan=0,
    segment="",
    trunk=True,
    vlans=(7,),
)
SUBJECT = subjects.tap("h", "foo", "eth1")


def want(rig: Rig, sequence: int, record: TapRecord) -> None:
    """Give the worker a record."""
    rig.desired.merge(SUBJECT, sequence, record)
    rig.reconciler.wake()


async def test_an_uplink_comes_changes_and_goes() -> None:
    """Its VLANs' segments are there as long as it carries them; the tombstone removes all and is acknowledged."""
    rig = Rig()
    async with rig.running():
        want(rig, 1, RECORD)
        await soon(lambda: "eth1" in rig.kernel.uplinks)
        assert rig.kernel.uplinks["eth1"].segments == {7: plain_bridge("p", 7)}
        assert set(rig.kernel.segments) == {plain_bridge("p", 7)}
        want(rig, 2, replace(RECORD, revision=2, vlans=(8,)))
        await soon(lambda: set(rig.kernel.segments) == {plain_bridge("p", 8)})
        assert rig.kernel.uplinks["eth1"].segments == {8: plain_bridge("p", 8)}
        want(rig, 3, replace(RECORD, revision=3, removed=True))
        await soon(lambda: not rig.kernel.uplinks and not rig.kernel.segments)
        await soon(lambda: rig.journal.taps["foo", "eth1"].gone)


async def test_a_refused_uplink_is_told_with_its_reason() -> None:
    """A card that has an address is reported as not up, with the reason."""
    rig = Rig()
    async with rig.running():
        want(rig, 1, replace(RECORD, tap="eth0"))
        await rig.bus.until(lambda: any(report.taps for report in rig.bus.reports))
        (status,) = (tap for report in rig.bus.reports for tap in report.taps)
        assert not status.up
        assert status.reason == "eth0 can be no uplink: it has the address 10.128.0.1/16"
        assert not rig.kernel.uplinks
