"""What a plan stands on, and what is said when it has moved."""

from shoal.core.load import Capacity, Load
from shoal.core.vmconfig import VMConfig
from shoal_orchestrator.core.ground import difference, ground_of, without_barred
from shoal_orchestrator.core.placement import HostView, Item, Placement
from shoal_orchestrator.core.plans import chunks_of
from shoal_orchestrator.core.records import QueueEntry

ROOM = Capacity(cpus=4, memory_mib=4096)


def view(name: str, vms: int = 0, *, reason: str = "") -> HostView:
    load = Load(vcpus=vms, memory_mib=512 * vms, vms=vms)
    return HostView(name=name, capacity=ROOM, load=load, accepting=not reason, reason=reason)


def test_the_ground_of_a_plan_comes_back_from_its_records() -> None:
    """The loads of the plan's hosts, and of no others, are kept with it."""
    entry = QueueEntry(namespace="red", entry=1, count=2, names="a[0-1]", config=VMConfig())
    loads = {"mm1": view("mm1", 3).load, "mm2": Load(), "mm3": view("mm3", 9).load}
    chunks = chunks_of("red", "p", [entry], [["mm1", "mm2"]], loads)
    assert ground_of(chunks) == {"mm1": loads["mm1"], "mm2": Load()}


def test_no_difference_when_nothing_moved() -> None:
    """Hosts as they were, and hosts that the plan does not use, are not spoken of."""
    assert difference({"mm1": view("mm1", 2).load}, [view("mm1", 2), view("mm2", 7)]) == []


def test_hosts_with_the_same_change_are_told_together() -> None:
    """More and less are told with their signs, equal changes once for all of their hosts."""
    ground = {f"mm{n}": view("", 2).load for n in (1, 2, 3)}
    told = difference(ground, [view("mm1", 3), view("mm2", 3), view("mm3", 0)])
    assert told == [
        "mm[1-2]: +1 VMs, +1 vCPUs, +512 MiB of memory since the dry run",
        "mm3: -2 VMs, -2 vCPUs, -1024 MiB of memory since the dry run",
    ]


def test_vms_leave_hosts_that_are_gone_or_closed() -> None:
    """VMs on such hosts are left over, each host with its reason; the others stay where they were planned."""
    items = [Item(names=("a", "b", "c")), Item(count=2)]
    placement = Placement((("mm1", "mm2", "mm3"), ("mm2", "mm1")))
    kept, reasons = without_barred(placement, items, [view("mm1"), view("mm2", reason="mm2 is lost")])
    assert kept.hosts == (("mm1", "", ""), ("", "mm1"))
    assert reasons == ["VMs without names,b: mm2 is lost", "c: mm3 is not in the namespace any more"]
