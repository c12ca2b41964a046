"""Queue entries of which some VMs go and others stay."""

from hypothesis import given
from hypothesis import strategies as st

from shoal.core.vmconfig import VMConfig
from shoal_orchestrator.core.demand import names_of
from shoal_orchestrator.core.dividing import divide
from shoal_orchestrator.core.placement import Placement
from shoal_orchestrator.core.records import QueueEntry


def entry(number: int, names: str, count: int) -> QueueEntry:
    return QueueEntry(namespace="red", entry=number, count=count, names=names, config=VMConfig(vcpus=number))


def test_an_entry_is_divided_by_who_has_a_host() -> None:
    """What goes gets a new number, what stays keeps its own; both keep the configuration."""
    divided = divide([entry(3, "a[1-4]", 4)], Placement((("h", "", "g", ""),)), 8)
    (going,) = divided.going
    (staying,) = divided.staying
    assert (going.entry, names_of(going), going.count, going.config.vcpus) == (8, ("a1", "a3"), 2, 3)
    assert (staying.entry, names_of(staying), staying.count) == (3, ("a2", "a4"), 2)
    assert divided.placement.hosts == (("h", "g"),)
    assert divided.next_entry == 9


def test_whole_entries_are_left_as_they_are() -> None:
    """All placed: the same entry goes. None placed: it is not spoken of."""
    whole, none = entry(1, "a", 1), entry(2, "b", 1)
    divided = divide([whole, none], Placement((("h",), ("",))), 5)
    assert (divided.going, divided.staying, divided.next_entry) == ((whole,), (), 5)


def test_vms_without_names_are_counted() -> None:
    """Of five VMs launched by number two go and three stay."""
    divided = divide([entry(1, "", 5)], Placement((("h", "", "", "g", ""),)), 2)
    assert [e.count for e in (*divided.going, *divided.staying)] == [2, 3]


@given(st.data())
def test_nobody_is_lost_or_doubled(data: st.DataObject) -> None:
    """Every VM goes with its own host or stays, whatever the order of its names."""
    names = data.draw(
        st.lists(st.from_regex(r"[a-c][0-9]{0,2}", fullmatch=True), min_size=1, max_size=8, unique=True)
    )
    hosts = tuple(data.draw(st.sampled_from(["", "g", "h"])) for _ in names)
    before = entry(1, ",".join(names), len(names))
    divided = divide([before], Placement((hosts,)), 2)
    found = {
        name: host
        for part, chosen in zip(divided.going, divided.placement.hosts, strict=True)
        for name, host in zip(names_of(part), chosen, strict=True)
    }
    assert found == {name: host for name, host in zip(names, hosts, strict=True) if host}
    left = [name for part in divided.staying for name in names_of(part)]
    if divided.going:
        assert left == [name for name, host in zip(names, hosts, strict=True) if not host]
