"""Networks and disks as the user writes them, `bridge,LAN,mac,driver` and `path,driver,cache`, and back to text.

This module refuses to know which VLANs, bridges and files exist.

Forms and error texts are the peer's (minimega 3.1, `vm config networks` and `vm config disks`); where it accepts
what can not work, we refuse (LANGUAGE.md, "vm config").
"""

from __future__ import annotations

import re

from shoal.core.names import ALIAS_SEPARATOR, check_alias, check_bridge, is_integer, split_alias
from shoal.core.vmconfig import DEFAULT_BRIDGE, DEFAULT_DRIVER, DiskSpec, NetSpec
from shoal.errors import InvalidRequest

#: VLAN ids that a guest can be in (IEEE 802.1Q: 0 is priority tagging, 4095 is reserved)
FIRST_VLAN = 1
LAST_VLAN = 4094

#: network devices of QEMU, by which a word is known to be a driver and not a bridge or a VLAN
NIC_DRIVERS = frozenset(
    {
        "e1000",
        "e1000-82544gc",
        "e1000-82545em",
        "e1000e",
        "i82550",
        "i82551",
        "i82557a",
        "i82557b",
        "i82557c",
        "i82558a",
        "i82558b",
        "i82559a",
        "i82559b",
        "i82559c",
        "i82559er",
        "i82562",
        "i82801",
        "igb",
        "ne2k_isa",
        "ne2k_pci",
        "pcnet",
        "rtl8139",
        "tulip",
        "usb-net",
        "virtio",
        "virtio-net",
        "virtio-net-device",
        "virtio-net-pci",
        "virtio-net-pci-non-transitional",
        "virtio-net-pci-transitional",
        "vmxnet3",
    }
)
DISK_DRIVERS = frozenset({"ahci", "ide", "scsi", "sd", "mtd", "floppy", "pflash", "virtio"})
DISK_CACHES = frozenset({"none", "writeback", "unsafe", "directsync", "writethrough"})

_MAC = re.compile(
    r"[0-9a-fA-F]{2}(?:([:-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}|(?:[0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
)


def parse_net(text: str) -> NetSpec:
    """Read `[bridge,]vlan[,mac][,driver]`. Two words of which neither is a MAC or a driver are bridge and VLAN.

    Raises InvalidRequest for a malformed one, a bad bridge, VLAN or alias, and a multicast MAC.
    """
    words = text.split(",")
    if words[-1].lower() == "qinq":
        raise InvalidRequest(f"not supported by shoal: qinq in netspec `{text}`; leave it out")
    driver = mac = ""
    if len(words) > 1 and words[-1] in NIC_DRIVERS:
        driver = words.pop()
    if len(words) > 1 and _MAC.fullmatch(words[-1]):
        mac = parse_mac(words.pop())
    if len(words) > 2 or not all(words):
        raise InvalidRequest(f"malformed netspec: `{text}`; expected [bridge,]vlan[,mac][,driver]")
    bridge = check_bridge(words[0]) if len(words) == 2 else ""
    return NetSpec(
        vlan=parse_vlan(words[-1]),
        bridge="" if bridge == DEFAULT_BRIDGE else bridge,
        mac=mac,
        driver=driver or DEFAULT_DRIVER,
    )


def format_net(net: NetSpec) -> str:
    """Write a network so that `parse_net` reads it back; the default bridge and driver are left out."""
    driver = "" if net.driver == DEFAULT_DRIVER else net.driver
    return ",".join(filter(None, (net.bridge, net.vlan, net.mac, driver)))


def parse_vlan(text: str) -> str:
    """Return a VLAN as it is kept: a number from 1 to 4094 without leading zeros, `alias` or `namespace//alias`.

    Raises InvalidRequest for other numbers and for what cannot be an alias.
    """
    if is_integer(text):
        number = int(text)
        if number == 0:
            raise InvalidRequest(
                "not supported by shoal: vlan 0, a trunk port; use an alias or a vlan from 1 to 4094"
            )
        if not FIRST_VLAN <= number <= LAST_VLAN:
            raise InvalidRequest(f"invalid VLAN (1 <= vlan <= 4094): `{text}`")
        return str(number)
    if ALIAS_SEPARATOR in text:
        owner, alias = split_alias(text, "")
        return f"{owner}{ALIAS_SEPARATOR}{alias}"
    return check_alias(text)


def parse_mac(text: str) -> str:
    """Return a MAC address in lower case with colons; dashes and Cisco's dots are read too.

    Raises InvalidRequest for anything else and for a multicast address (IEEE 802: lowest bit of the first octet).
    """
    if not _MAC.fullmatch(text):
        raise InvalidRequest(f"invalid MAC address: `{text}`; expected six octets as in 00:11:22:33:44:55")
    digits = re.sub(r"[:.\-]", "", text).lower()
    if int(digits[:2], 16) & 1:
        raise InvalidRequest(
            f"multicast MAC address: `{text}`; the first octet of a guest's MAC must be even"
        )
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def parse_disk(text: str) -> DiskSpec:
    """Read `path[,driver][,cache]`. Raises InvalidRequest for a malformed one."""
    path, *rest = text.split(",")
    driver = cache = ""
    if rest and rest[-1] in DISK_CACHES:
        cache = rest.pop()
    if rest and rest[-1] in DISK_DRIVERS:
        driver = rest.pop()
    if rest or not path:
        raise InvalidRequest(f"malformed diskspec: `{text}`; expected path[,driver][,cache]")
    return DiskSpec(path=path, driver=driver, cache=cache)


def format_disk(disk: DiskSpec) -> str:
    """Write a disk so that `parse_disk` reads it back."""
    return ",".join(filter(None, (disk.path, disk.driver, disk.cache)))
