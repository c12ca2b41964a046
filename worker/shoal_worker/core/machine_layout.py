"""Where the devices of a domain are: read from a running domain, and put into the XML of one that goes on from it.

A guest's state names its devices by their addresses, and libvirt gives those out by rules of its own: what was
plugged in later has another place than what was there from the start. So the addresses are kept with a state.
This module refuses to know libvirt's calls. A layout may come from a stranger: only plain numbers are taken from it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # reads only what libvirt or we ourselves wrote, never a user's document
from collections import Counter
from collections.abc import Iterator

from shoal_worker.core.domain_xml import Layer

Layout = dict[str, dict[str, str]]

_ADDRESSES: dict[str, tuple[str, ...]] = {
    "pci": ("domain", "bus", "slot", "function"),
    "drive": ("controller", "bus", "target", "unit"),
    "virtio-serial": ("controller", "bus", "port"),
}
_NUMBER = re.compile(r"(?:0x)?[0-9a-f]{1,8}")
_WORD = re.compile(r"[a-z0-9][a-zA-Z0-9._-]{0,63}")
#: how each device is known; controllers and disks have names of their own
_NUMBERED = ("interface", "serial", "channel", "video")


def read_board(domain: str) -> str:
    """The machine type as libvirt resolved it (`pc-i440fx-7.2`)."""
    kind = ET.fromstring(domain).find("os/type")  # noqa: S314 - written by libvirt
    return kind.get("machine", "") if kind is not None else ""


def read_layout(domain: str) -> Layout:
    """The addresses of a domain's devices, by device."""
    found: Layout = {}
    for key, device in _devices(ET.fromstring(domain)):  # noqa: S314 - written by libvirt
        address = device.find("address")
        if address is not None and address.get("type") in _ADDRESSES:
            found[key] = dict(address.attrib)
            if device.get("model"):
                found[key]["model"] = str(device.get("model"))
    return found


def has_drive(domain: str) -> bool:
    """Whether a domain has a CD-ROM drive."""
    return ET.fromstring(domain).find("devices/disk[@device='cdrom']") is not None  # noqa: S314 - by libvirt


def read_chains(domain: str) -> tuple[tuple[Layer, ...], ...]:
    """The files of each of a domain's disks from the top down; drives for CDs and USB drives are none."""
    root = ET.fromstring(domain)  # noqa: S314 - written by libvirt
    return tuple(
        tuple(_layers(disk))
        for disk in root.iterfind("devices/disk[@device='disk']")
        if disk.find("target[@bus='usb']") is None
    )


def _layers(disk: ET.Element) -> Iterator[Layer]:
    driver, source = disk.find("driver"), disk.find("source")
    if source is not None:
        yield Layer(source.get("file", ""), driver.get("type", "raw") if driver is not None else "raw")
    below = disk.find("backingStore")
    while below is not None:
        form, source = below.find("format"), below.find("source")
        if source is not None and form is not None:
            yield Layer(source.get("file", ""), form.get("type", "raw"))
        below = below.find("backingStore")


def laid_out(domain: str, board: str, layout: Layout) -> str:
    """The XML with its devices at these addresses, on this board. What the layout does not name stays as it is.

    Raises ValueError for an address or a name that is none.
    """
    root = ET.fromstring(domain)  # noqa: S314 - written by us
    kind, devices = root.find("os/type"), root.find("devices")
    if kind is None or devices is None:
        raise ValueError("a domain without a type or devices")
    if board:
        kind.set("machine", _word(board))
    present = dict(_devices(root))
    for key, address in layout.items():
        device = present.get(key)
        if device is None:
            device = _controller(devices, key, address)
        if device is None:
            continue
        for old in device.findall("address"):
            device.remove(old)
        device.append(_address(address))
    return ET.tostring(root, encoding="unicode")


def _devices(root: ET.Element) -> Iterator[tuple[str, ET.Element]]:
    counted: Counter[str] = Counter()
    for device in root.iterfind("devices/*"):
        target = device.find("target")
        if device.tag == "disk" and target is not None:
            yield f"disk/{target.get('dev')}", device
        elif device.tag == "controller":
            yield f"controller/{device.get('type')}/{device.get('index', '0')}", device
        elif device.tag in _NUMBERED:
            yield f"{device.tag}/{counted[device.tag]}", device
            counted[device.tag] += 1


def _controller(devices: ET.Element, key: str, address: dict[str, str]) -> ET.Element | None:
    """A controller that libvirt had added by itself; bridges of the bus it adds again where they are needed."""
    tag, _, rest = key.partition("/")
    kind, _, index = rest.partition("/")
    if tag != "controller" or kind == "pci":
        return None
    controller = ET.SubElement(devices, "controller", type=_word(kind), index=_number(index))
    if address.get("model"):
        controller.set("model", _word(address["model"]))
    return controller


def _address(found: dict[str, str]) -> ET.Element:
    kind = found.get("type", "")
    if kind not in _ADDRESSES:
        raise ValueError(f"no kind of address: {kind!r}")
    address = ET.Element("address", type=kind)
    for name in _ADDRESSES[kind]:
        if name in found:
            address.set(name, _number(found[name]))
    if kind == "pci" and found.get("multifunction") == "on":
        address.set("multifunction", "on")
    return address


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"no number: {text[:40]!r}")
    return text


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"no name: {text[:40]!r}")
    return text
