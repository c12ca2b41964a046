"""What replies look like as tables, where that takes more than naming columns."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shoal.core.vmconfig import VMConfig
from shoal.messages.base import HostAnswer, PerHost, Table
from shoal.messages.desired import Port
from shoal.messages.hosts import HostRow, Hosts
from shoal.messages.taps import TapRow, Taps
from shoal.messages.vlans import Blacklist, VLANRange
from shoal.messages.vms import TagRow, Tags, VMRow, VMs


def cells(table: object, *columns: str) -> list[tuple[object, ...]]:
    """The named columns of a table's rows."""
    assert isinstance(table, Table)
    return [tuple(row[table.columns.index(column)] for column in columns) for row in table.rows]


def test_a_port_in_no_vlan_is_on_no_bridge() -> None:
    """What a disconnected interface remembers for `vm net connect` is not shown as where it is."""
    port = Port(vlan=0, bridge="lan", mac="02:00:00:00:00:01", tap="a-0", driver="e1000", segment="")
    ports = (port, replace(port, vlan=101, alias="LAN", bridge="mega_bridge", segment="s"))
    row = VMRow(id=0, namespace="n", name="a", host="h", state="RUNNING", ports=ports, config=VMConfig())
    shown = cells(VMs(items=(row,)).display(), "vlan", "bridge")
    assert shown == [("[disconnected, LAN (101)]", "[, mega_bridge]")]


def test_a_tap_names_its_alias() -> None:
    """The VLAN of a tap is printed as that of a VM: with its alias, or as the number that was given."""
    named = TapRow(bridge="b", tap="t0", vlan=101, alias="LAN")
    plain = TapRow(bridge="b", tap="t1", vlan=10)
    assert cells(Taps(items=(named, plain)).display(), "vlan") == [("LAN (101)",), (10,)]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("vms", (HostAnswer(hosts="mm[1,3]", text="2"), HostAnswer(hosts="mm2", text="0"))),
        ("name", tuple(HostAnswer(hosts=f"mm{n}", text=f"mm{n}") for n in (1, 2, 3))),
    ],
)
def test_hosts_that_say_the_same_of_a_field_stand_together(
    field: str, expected: tuple[HostAnswer, ...]
) -> None:
    """One field of hosts is an answer of each, folded."""
    rows = tuple(HostRow(host=f"mm{n}", vms=vms) for n, vms in ((1, 2), (2, 0), (3, 2)))
    assert Hosts(items=rows, field=field).display() == PerHost(expected)


def test_without_numbers_there_is_no_range() -> None:
    """A namespace without a range of its own, or one that was set just now, prints nothing; a full one no next."""
    assert cells(VLANRange().display(), "min") == []
    full = VLANRange(low=120, high=130).display()
    assert cells(full, "min", "max", "next") == [(120, 130, None)]
    assert cells(Blacklist(items=(7, 9)).display(), "vlan") == [(7,), (9,)]


def test_tags_of_one_key_need_no_column_for_it() -> None:
    """All tags are name, tag and value; those with one key are name and value."""
    rows = (TagRow(vm="a", key="color", value="red"), TagRow(vm="b", key="color"))
    every, one = Tags(items=rows).display(), Tags(items=rows, key="color").display()
    assert cells(every, "name", "tag", "value") == [("a", "color", "red"), ("b", "color", "")]
    assert isinstance(one, Table)
    assert one.columns == ("name", "value")
    assert one.rows == (("a", "red"), ("b", ""))
