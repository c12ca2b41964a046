"""Writes and reads what is plugged into a running guest, in libvirt's XML: CD-ROM, USB drives, interfaces.

This module refuses to know libvirt's calls and files. The elements are those of libvirt's "Domain XML format"
(formatdomain.html). A USB drive of ours bears its number and USB version in its alias.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # reads only what libvirt itself wrote, never a user's document
from dataclasses import dataclass

#: libvirt keeps aliases that begin with `ua-` as they are
_ALIAS = re.compile(r"ua-shoal-usb-(\d+)-v(\d)")
#: USB version → number of the controller (see `core.domain_xml`) that speaks it
USB_BUSES = {"2.0": 0, "1.1": 1}


@dataclass(frozen=True, slots=True)
class UsbDrive:
    """A USB drive of ours: its number in the guest, the image in it, and its element."""

    number: int
    path: str
    version: str
    element: ET.Element


def cdrom_xml(domain: str, path: str) -> str | None:
    """The first CD-ROM drive of a domain with the image at `path` in it, or empty; None when there is no drive."""
    for disk in ET.fromstring(domain).iterfind("devices/disk[@device='cdrom']"):  # noqa: S314 - by libvirt
        for source in disk.findall("source"):
            disk.remove(source)
        if path:
            ET.SubElement(disk, "source", file=path)
        return ET.tostring(disk, encoding="unicode")
    return None


def has_nic(domain: str, mac: str) -> bool:
    """Whether a domain has an interface with that MAC address."""
    found = ET.fromstring(domain).iterfind("devices/interface/mac")  # noqa: S314 - written by libvirt
    return any(each.get("address", "").lower() == mac.lower() for each in found)


def usb_drives(domain: str) -> list[UsbDrive]:
    """The USB drives of ours in a domain, by number."""
    found = []
    for disk in ET.fromstring(domain).iterfind("devices/disk"):  # noqa: S314 - written by libvirt
        alias, source = disk.find("alias"), disk.find("source")
        match = _ALIAS.fullmatch(alias.get("name", "")) if alias is not None else None
        if match:
            path = source.get("file", "") if source is not None else ""
            versions = {number: version for version, number in USB_BUSES.items()}
            found.append(UsbDrive(int(match[1]), path, versions[int(match[2])], disk))
    return sorted(found, key=lambda drive: drive.number)


def usb_xml(domain: str, path: str, number: int, version: str, serial: str = "") -> str:
    """A USB drive for a domain: the image at `path`, of which nothing is ever written back to."""
    taken = {
        target.get("dev")
        for target in ET.fromstring(domain).iterfind("devices/disk/target")  # noqa: S314 - by libvirt
    }
    device = next(name for name in _device_names() if name not in taken)
    disk = ET.Element("disk", type="file", device="disk")
    ET.SubElement(disk, "driver", name="qemu", type="raw")
    ET.SubElement(disk, "source", file=path)
    # An empty element: libvirt does not look into the file for a chain.
    ET.SubElement(disk, "backingStore")
    ET.SubElement(disk, "target", dev=device, bus="usb", removable="on")
    ET.SubElement(disk, "readonly")
    if serial:
        ET.SubElement(disk, "serial").text = serial
    ET.SubElement(disk, "alias", name=f"ua-shoal-usb-{number}-v{USB_BUSES[version]}")
    ET.SubElement(disk, "address", type="usb", bus=str(USB_BUSES[version]))
    return ET.tostring(disk, encoding="unicode")


def _device_names() -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [f"sd{one}" for one in letters] + [f"sd{one}{two}" for one in letters for two in letters]
