"""Editing a dry run: all or nothing, and no promise is broken unnoticed."""

from __future__ import annotations

import pytest

from shoal.core.load import Capacity, Load
from shoal.core.ranges import expand
from shoal.errors import NotFound, Refused
from shoal_orchestrator.core.check import check
from shoal_orchestrator.core.moves import move
from shoal_orchestrator.core.placement import HostView, Item, Placement
from shoal_orchestrator.core.scheduler import place

HOSTS = [HostView(name=f"mm{n}", capacity=Capacity(cpus=4, memory_mib=4096)) for n in range(4)]
FOUR = [Item(names=tuple(expand("vm[0-3]")))]


def refused(*, items: list[Item], names: str, to: str, hosts: list[HostView] = HOSTS) -> str:
    placement = place(items, HOSTS)
    with pytest.raises(Refused) as caught:
        move(placement, items, hosts, expand(names), to)
    return str(caught.value)


def test_the_source_documents_example() -> None:
    """vm0 to mm1, then vm[1-2] to mm0: each goes where it was sent, vm3 stays."""
    placement = place(FOUR, HOSTS)
    placement = move(placement, FOUR, HOSTS, ["vm0"], "mm1").placement
    placement = move(placement, FOUR, HOSTS, ["vm1", "vm2"], "mm0").placement
    assert placement.of(FOUR) == {"vm0": "mm1", "vm1": "mm0", "vm2": "mm0", "vm3": "mm3"}


def test_a_missing_vm_or_host_moves_nothing() -> None:
    """Names and host are checked before anything moves, in the peer's words."""
    assert refused(items=FOUR, names="vm0", to="mm9") == "new dst host is not in namespace"
    assert refused(items=FOUR, names="vm[2-5]", to="mm0") == "reassign vm[4-5]: vm not found"
    placement = place(FOUR, HOSTS)
    with pytest.raises(NotFound):
        move(placement, FOUR, HOSTS, ["vm0", "x"], "mm1", force=True)


def test_a_host_that_takes_nothing_is_no_destination() -> None:
    """A lost host is refused, with its reason."""
    lost = [
        *HOSTS[:3],
        HostView(name="mm3", capacity=HOSTS[0].capacity, accepting=False, reason="mm3 is lost"),
    ]
    assert (
        refused(items=FOUR, names="vm0", to="mm3", hosts=lost)
        == "new dst host `mm3` takes no VMs: mm3 is lost"
    )


def test_a_move_overrides_the_vms_own_schedule() -> None:
    """A pinned VM may be moved, which is noted, and later edits remember it."""
    items = [Item(names=("a", "b"), schedule="mm2")]
    first = move(place(items, HOSTS), items, HOSTS, ["a"], "mm1")
    assert first.moved == {"a"}
    assert first.notes == ("overrides the schedule of a",)
    second = move(first.placement, items, HOSTS, ["b"], "mm0", moved=first.moved)
    assert second.moved == {"a", "b"}
    assert check(second.placement, items, HOSTS, moved=second.moved) == []
    back = move(second.placement, items, HOSTS, ["b"], "mm2", moved=second.moved)
    assert back.notes == ()


@pytest.mark.parametrize(
    ("items", "names", "to", "problem"),
    [
        ([Item(names=("a",)), Item(names=("b",), colocate="a")], "b", "mm3", "with which it is colocated"),
        ([Item(names=("a", "b"), coschedule=0)], "b", "mm0", "coschedule requirement of 1"),
        ([Item(names=("a",), coschedule=0), Item(names=("p",))], "p", "mm0", "coschedule requirement of 1"),
    ],
)
def test_a_move_that_breaks_a_promise_needs_force(
    items: list[Item], names: str, to: str, problem: str
) -> None:
    """Coschedule and colocate refuse a move; with force it is done and noted."""
    message = refused(items=items, names=names, to=to)
    assert message.startswith(f"cannot move {names} to {to}: ")
    assert problem in message
    forced = move(place(items, HOSTS), items, HOSTS, expand(names), to, force=True)
    assert set(expand(names)) <= {name for name, host in forced.placement.of(items).items() if host == to}
    assert problem in forced.notes[0]


def test_a_whole_group_may_move_together() -> None:
    """VMs that are colocated move if all of them do."""
    items = [Item(names=("a",)), Item(names=("b",), colocate="a")]
    moved = move(place(items, HOSTS), items, HOSTS, ["a", "b"], "mm3")
    assert set(moved.placement.of(items).values()) == {"mm3"}


def test_what_was_forced_before_does_not_stand_in_the_way() -> None:
    """A problem that an earlier edit forced does not refuse an edit elsewhere."""
    items = [Item(names=("a", "b"), coschedule=0), Item(names=("p",))]
    forced = move(place(items, HOSTS), items, HOSTS, ["b"], "mm0", force=True)
    assert move(forced.placement, items, HOSTS, ["p"], "mm3").notes == ()


def test_vms_without_names_stay() -> None:
    """VMs launched by number have no names to move them by."""
    items = [Item(count=2), Item(names=("a",))]
    placement = place(items, HOSTS)
    edited = move(placement, items, HOSTS, ["a"], "mm0").placement
    assert isinstance(edited, Placement)
    assert edited.hosts[0] == placement.hosts[0]


def test_residents_count_for_moves_too() -> None:
    """A VM colocated with a running one is not moved away from it."""
    items = [Item(names=("b",), colocate="old")]
    hosts = [*HOSTS[:1], HostView(name="mm1", capacity=HOSTS[0].capacity, load=Load(vms=1))]
    placement = place(items, hosts, residents={"old": "mm1"})
    with pytest.raises(Refused, match="colocated"):
        move(placement, items, hosts, ["b"], "mm0", residents={"old": "mm1"})
