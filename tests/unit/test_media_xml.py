"""The media of a running guest in libvirt's XML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from shoal_worker.core.domain_xml import nic_xml
from shoal_worker.core.media_xml import cdrom_xml, has_nic, usb_drives, usb_xml
from shoal_worker.hypervisor import GuestNic

DOMAIN = """
<domain><devices>
  <disk type='file' device='disk'><source file='/d.qcow2'/><target dev='sda' bus='ide'/></disk>
  <disk type='file' device='cdrom'><source file='/old.iso'/><target dev='hdc' bus='ide'/><readonly/></disk>
  <disk type='file' device='cdrom'><target dev='hdd' bus='ide'/><readonly/></disk>
</devices></domain>
"""


def with_drives(*drives: str) -> str:
    """The domain, with more disks."""
    root = ET.fromstring(DOMAIN)
    devices = root.find("devices")
    assert devices is not None
    devices.extend(ET.fromstring(drive) for drive in drives)
    return ET.tostring(root, encoding="unicode")


@pytest.mark.parametrize(("path", "sources"), [("/new.iso", ["/new.iso"]), ("", [])])
def test_the_first_drive_gets_the_medium(path: str, sources: list[str]) -> None:
    """The first CD-ROM drive is written with the new image alone, or with none, and is otherwise as it was."""
    written = cdrom_xml(DOMAIN, path)
    assert written is not None
    drive = ET.fromstring(written)
    assert [source.get("file") for source in drive.findall("source")] == sources
    target = drive.find("target")
    assert target is not None
    assert target.get("dev") == "hdc"


def test_no_drive() -> None:
    """A domain without a CD-ROM drive has nothing to change."""
    assert cdrom_xml("<domain><devices/></domain>", "/new.iso") is None


def test_interfaces_are_known_by_their_mac() -> None:
    """An interface is there if one has its MAC address, however that is written."""
    nic = nic_xml(GuestNic(tap="t0", mac="02:00:00:00:00:0A", driver="e1000"))
    domain = with_drives(nic)
    assert has_nic(domain, "02:00:00:00:00:0a")
    assert not has_nic(domain, "02:00:00:00:00:0b")
    assert not has_nic(DOMAIN, "02:00:00:00:00:0a")


def test_usb_drives_are_read_back() -> None:
    """What was written as a USB drive is read back with number, path and version; other disks are not ours."""
    domain = with_drives(usb_xml(DOMAIN, "/two.img", 2, "2.0"))
    domain = with_drives(usb_xml(DOMAIN, "/two.img", 2, "2.0"), usb_xml(domain, "/one.img", 0, "1.1"))
    assert [(drive.number, drive.path, drive.version) for drive in usb_drives(domain)] == [
        (0, "/one.img", "1.1"),
        (2, "/two.img", "2.0"),
    ]


def test_usb_drive_is_read_only_on_the_bus_of_its_version() -> None:
    """A drive cannot be written to, its file's chain is not looked into, and it hangs on a free name and its bus."""
    drive = ET.fromstring(usb_xml(DOMAIN, "/x.img", 0, "1.1", serial="S1"))
    target, address = drive.find("target"), drive.find("address")
    assert target is not None
    assert address is not None
    assert target.get("dev") == "sdb"
    assert (address.get("type"), address.get("bus")) == ("usb", "1")
    assert drive.find("readonly") is not None
    assert drive.find("backingStore") is not None
    assert drive.findtext("serial") == "S1"
