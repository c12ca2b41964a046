"""The fields of a VM's configuration: set, shown, cleared, made again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig
from shoal.core.vmconfig_fields import FIELDS, clear_field, get_field, resolve_field, set_field
from shoal.core.vmconfig_specs import format_disk, format_net, parse_disk, parse_net
from shoal.core.vmconfig_text import describe, to_words, unsupported
from shoal.errors import InvalidRequest, UsageError


def refusal(config: VMConfig, field: str, words: list[str]) -> str:
    with pytest.raises(InvalidRequest) as caught:
        set_field(config, field, words)
    return str(caught.value)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("net", "networks"),
        ("disk", "disks"),
        ("tag", "tags"),
        ("cpu", "cpu"),
        ("qemu", "qemu"),
        ("migrate", "state"),
    ],
)
def test_fields_are_found_by_unambiguous_prefixes(word: str, name: str) -> None:
    """A prefix finds its field, and an exact name wins over longer ones."""
    assert resolve_field(word).name == name


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("co", "ambiguous field `co`: it may be"),
        ("nope", "unknown field"),
        ("", "unknown"),
        ("save", "expected `vm config save <name>`"),
    ],
)
def test_ambiguous_and_unknown_fields_are_usage_errors(word: str, message: str) -> None:
    """A word that is no field says what it could be."""
    with pytest.raises(UsageError, match=message):
        resolve_field(word)


EXAMPLES = [
    ("memory", ["512"], "512"),
    ("vcpus", ["4"], "4"),
    ("snapshot", ["f"], "false"),
    ("schedule", ["host50"], "host50"),
    ("colocate", ["a"], "a"),
    ("coschedule", ["0"], "0"),
    ("kernel", ["/boot/vmlinuz"], "/boot/vmlinuz"),
    ("append", ["a=1", "b"], "[a=1 b]"),
    ("net", ["foo,LAN", "100,02:37:00:00:00:01"], "[foo,LAN 100,02:37:00:00:00:01]"),
    ("net", ["LAN,virtio-net-pci", "LAN,e1000"], "[LAN,virtio-net-pci LAN]"),
    ("disks", ["/a.qcow2,virtio,none"], "[/a.qcow2,virtio,none]"),
    ("tag", ["color", "red"], "color -> red"),
    ("uuid", ["0123ABCD-0000-0000-0000-000000000001"], "0123abcd-0000-0000-0000-000000000001"),
    ("backchannel", ["false"], "false"),
    ("tpm-socket", ["/run/tpm"], "/run/tpm"),
    ("qemu-append", ["-serial", "tcp:localhost:4001"], "[-serial tcp:localhost:4001]"),
]


@pytest.mark.parametrize(("field", "words", "shown"), EXAMPLES)
def test_what_was_set_is_shown_and_cleared(field: str, words: list[str], shown: str) -> None:
    """A field prints what it was set to, changes no other one, and is unset again by clearing."""
    config = set_field(VMConfig(), field, words)
    assert get_field(config, field) == shown
    assert config != VMConfig()
    assert clear_field(config, field) == VMConfig()
    assert clear_field(config) == VMConfig()
    for other in FIELDS:
        if other != resolve_field(field):
            assert get_field(config, other.name) == get_field(VMConfig(), other.name)


def test_unset_fields_print_their_defaults() -> None:
    """Integers and lists print values, unset texts, append and qemu-append nothing."""
    shown = {field.name: get_field(VMConfig(), field.name) for field in FIELDS}
    assert shown["memory"] == "2048"
    assert shown["coschedule"] == "-1"
    assert shown["networks"] == shown["disks"] == "[]"
    assert shown["append"] == shown["qemu-append"] == shown["kernel"] == shown["tags"] == ""
    assert shown["cpu"] == "host"
    assert shown["backchannel"] == "true"


@pytest.mark.parametrize(
    ("field", "words", "message"),
    [
        ("memory", ["foo"], 'strconv.ParseUint: parsing "foo": invalid syntax'),
        ("memory", ["-5"], 'strconv.ParseUint: parsing "-5": invalid syntax'),
        ("memory", ["9" * 5000], f'strconv.ParseUint: parsing "{"9" * 5000}": value out of range'),
        ("coschedule", ["x"], 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("coschedule", ["-2"], "invalid coschedule: `-2`; expected -1 (no limit) or the number of other VMs"),
        ("vcpus", ["0"], "invalid vcpus: `0`; expected 1 or more"),
        ("snapshot", ["maybe"], "invalid snapshot: `maybe`; expected true or false"),
        ("net", ["a,b,c"], "malformed netspec: `a,b,c`; expected [bridge,]vlan[,mac][,driver]"),
        ("net", [","], "malformed netspec: `,`; expected [bridge,]vlan[,mac][,driver]"),
        ("net", ["0"], "not supported by shoal: vlan 0, a trunk port; use an alias or a vlan from 1 to 4094"),
        ("net", ["4095"], "invalid VLAN (1 <= vlan <= 4094): `4095`"),
        ("net", ["LAN,qinq"], "not supported by shoal: qinq in netspec `LAN,qinq`; leave it out"),
        (
            "net",
            ["LAN,13:37:00:00:00:01"],
            "multicast MAC address: `13:37:00:00:00:01`; the first octet of a guest's MAC must be even",
        ),
        ("disks", ["a,b"], "malformed diskspec: `a,b`; expected path[,driver][,cache]"),
        ("disks", ["/a", "/a,virtio"], "disk conflict: `/a` is specified twice in one VM"),
        ("uuid", ["x"], "invalid UUID: `x`; expected 8-4-4-4-12 hexadecimal digits"),
        ("colocate", ["5"], "invalid vm name, `5` is an integer"),
        ("memory", [], "vm config memory takes one value, not 0: ``"),
        ("tags", ["a"], "vm config tags takes a key and a value, not 1: `a`"),
    ],
)
def test_bad_values_are_refused(field: str, words: list[str], message: str) -> None:
    """A bad value is refused in one line that tells the value and what was expected."""
    assert refusal(VMConfig(), field, words) == message


def test_schedule_and_colocate_exclude_each_other() -> None:
    """Whichever is set second is refused, in the peer's words."""
    pinned = set_field(VMConfig(), "schedule", ["h"])
    assert refusal(pinned, "colocate", ["a"]) == "cannot specify colocate and schedule in the same config"
    floating = set_field(VMConfig(), "colocate", ["a"])
    assert refusal(floating, "schedule", ["h"]) == "cannot specify schedule and colocate in the same config"
    assert set_field(clear_field(floating, "colo"), "sched", ["h"]) == pinned


def test_tags_are_cleared_one_by_one_or_all() -> None:
    """Clearing one tag keeps the others; asking for one prints its value."""
    config = set_field(set_field(VMConfig(), "tag", ["b", "2"]), "tag", ["a", "1"])
    assert get_field(config, "tag") == "a -> 1\nb -> 2"
    assert get_field(config, "tag", "b") == "2"
    assert get_field(clear_field(config, "tag", "a"), "tag") == "b -> 2"
    assert clear_field(config, "tag", "all") == VMConfig()


@pytest.mark.parametrize(
    ("text", "net"),
    [
        ("100", NetSpec(vlan="100")),
        ("0100", NetSpec(vlan="100")),
        ("mega_bridge,LAN", NetSpec(vlan="LAN")),
        ("b,LAN", NetSpec(vlan="LAN", bridge="b")),
        ("LAN,00:11:22:AA:bb:cc", NetSpec(vlan="LAN", mac="00:11:22:aa:bb:cc")),
        ("LAN,00-11-22-33-44-55,rtl8139", NetSpec(vlan="LAN", mac="00:11:22:33:44:55", driver="rtl8139")),
        ("b,x//LAN,0011.2233.4455,e1000", NetSpec(vlan="x//LAN", bridge="b", mac="00:11:22:33:44:55")),
        ("e1000", NetSpec(vlan="e1000")),
    ],
)
def test_netspecs(text: str, net: NetSpec) -> None:
    """Each form of a netspec is read, and what it is written as is read as the same."""
    assert parse_net(text) == net
    assert parse_net(format_net(net)) == net


@pytest.mark.parametrize(
    ("text", "disk"),
    [
        ("/a", DiskSpec(path="/a")),
        ("/a,virtio", DiskSpec(path="/a", driver="virtio")),
        ("/a,none", DiskSpec(path="/a", cache="none")),
        ("/a,ide,unsafe", DiskSpec(path="/a", driver="ide", cache="unsafe")),
    ],
)
def test_diskspecs(text: str, disk: DiskSpec) -> None:
    """Each form of a diskspec is read, and what it is written as is read as the same."""
    assert parse_disk(text) == disk
    assert parse_disk(format_disk(disk)) == disk


@given(st.lists(st.sampled_from(EXAMPLES)))
def test_the_written_commands_make_the_configuration_again(
    examples: list[tuple[str, list[str], str]],
) -> None:
    """The commands of `to_words`, run on the default configuration, give the same configuration."""
    config = VMConfig()
    for field, words, _ in examples:
        if not (config.schedule and field == "colocate") and not (config.colocate and field == "schedule"):
            config = set_field(config, field, words)
    again = VMConfig()
    for command in to_words(config):
        assert command[:2] == ["vm", "config"]
        again = set_field(again, command[2], command[3:])
    assert again == config


def test_the_whole_print_has_the_labels_that_users_know() -> None:
    """Two aligned sections, a line for each field, without a trailing space."""
    lines = describe(set_field(VMConfig(), "tag", ["color", "red"])).split("\n")
    assert lines[:3] == ["VM configuration:", "Memory:           2048", "VCPUs:            1"]
    assert 'Tags:             {"color":"red"}' in lines
    assert "KVM configuration:" in lines
    assert "Serial Ports:             0" in lines
    assert not any(line.endswith(" ") for line in lines)


def test_what_cannot_be_launched_is_named() -> None:
    """Fields without effect yet are named; container fields never matter."""
    config = VMConfig()
    assert unsupported(config) == []
    for field, words in [
        ("disks", ["/a"]),
        ("hostname", ["x"]),
        ("backchannel", ["false"]),
        ("cores", ["0"]),
    ]:
        config = set_field(config, field, words)
    assert unsupported(config) == []
    for field, words in [
        ("disks", ["/a", "b"]),
        ("cdrom", ["c.iso"]),
        ("tpm", ["/t"]),
        ("qemu-append", ["-S"]),
    ]:
        config = set_field(config, field, words)
    assert unsupported(config) == [
        "qemu-append",
        "tpm-socket",
    ]


def test_what_is_no_number_is_answered_with_what_the_field_is() -> None:
    """The peer's message stays; details say what the field is. A value after `=` is answered with a space."""
    with pytest.raises(InvalidRequest, match=r"^strconv.ParseUint") as caught:
        set_field(VMConfig(), "memory", ["1GB"])
    assert caught.value.details == ("memory is a whole number, without a unit: memory in MiB (2048)",)
    with pytest.raises(UsageError) as caught:
        set_field(VMConfig(), "mem=128", [])
    assert caught.value.details == ("values stand after a space: `vm config memory 128`",)
