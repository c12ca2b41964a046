"""Speaks to libvirt about one running guest: its QEMU's machine protocol, its screen, its media.

Everything here blocks, and is to be called on threads of `deadline_pool`. This module refuses to know the event
loop, and which guests there are.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # reads only what libvirt itself wrote, never a user's document

import libvirt
import libvirt_qemu

from shoal_worker.core.domain_xml import nic_xml
from shoal_worker.core.media_xml import cdrom_xml, has_nic, usb_drives, usb_xml
from shoal_worker.guest_access import Hotplugged
from shoal_worker.hypervisor import GuestNic, HypervisorError
from shoal_worker.libvirt_domains import Domains, one_line

_PART_BYTES = 256 * 1024


class Devices:
    """The guests behind a connection. Errors of libvirt come out as HypervisorError with one line of text."""

    def __init__(self, domains: Domains) -> None:
        self._domains = domains

    def run_qmp(self, uuid: str, instance: str, command: str) -> str:
        """QEMU's answer to a command, both JSON. What QEMU refuses is an answer too."""
        with one_line("cannot ask QEMU"):
            return str(libvirt_qemu.qemuMonitorCommand(self._domains.find(uuid, instance), command, 0))

    def describe(self, uuid: str, instance: str) -> str:
        """The XML of a domain as it is now."""
        with one_line("cannot look at the guest"):
            return str(self._domains.find(uuid, instance).XMLDesc(0))

    def screenshot(self, uuid: str, instance: str) -> bytes:
        """The first screen, in the form that QEMU gives it (PNG or PPM)."""
        with one_line("cannot take a screenshot"):
            domain = self._domains.find(uuid, instance)
            stream = self._domains.connected().newStream()
            domain.screenshot(stream, 0)
            parts = []
            while part := stream.recv(_PART_BYTES):
                parts.append(part)
            stream.finish()
        return b"".join(parts)

    def change_cdrom(self, uuid: str, instance: str, path: str, *, force: bool) -> None:
        """Change the medium of the first CD-ROM drive. HypervisorError without a drive, or when it is locked."""
        with one_line("cannot change the CD-ROM"):
            domain = self._domains.find(uuid, instance)
            drive = cdrom_xml(domain.XMLDesc(0), path)
            if drive is None:
                raise HypervisorError(
                    "cannot change the CD-ROM: the VM was launched without a drive (`vm config cdrom` gives it one)"
                )
            domain.updateDeviceFlags(drive, libvirt.VIR_DOMAIN_DEVICE_MODIFY_FORCE if force else 0)

    def attach_nic(self, uuid: str, instance: str, nic: GuestNic) -> None:
        """Plug an interface in, unless there is one of that MAC address."""
        with one_line("cannot plug an interface in"):
            domain = self._domains.find(uuid, instance)
            if not has_nic(domain.XMLDesc(0), nic.mac):
                domain.attachDevice(nic_xml(nic))

    def plug(self, uuid: str, instance: str, path: str, version: str, serial: str = "") -> int:
        """Plug an image in as a USB drive; returns its number."""
        with one_line(f"cannot plug in {path}"):
            domain = self._domains.find(uuid, instance)
            described = domain.XMLDesc(0)
            taken = {drive.number for drive in usb_drives(described)}
            number = next(n for n in range(len(taken) + 1) if n not in taken)
            domain.attachDevice(usb_xml(described, path, number, version, serial))
        return number

    def unplug(self, uuid: str, instance: str, number: int) -> None:
        """Take a USB drive out. HypervisorError when there is none of that number."""
        with one_line(f"cannot take USB drive {number} out"):
            domain = self._domains.find(uuid, instance)
            for drive in usb_drives(domain.XMLDesc(0)):
                if drive.number == number:
                    domain.detachDevice(ET.tostring(drive.element, encoding="unicode"))
                    return
            raise HypervisorError("no such hotplug device")

    def plugged(self, uuid: str, instance: str) -> tuple[Hotplugged, ...]:
        """The USB drives of a guest."""
        with one_line("cannot look at the guest's drives"):
            described = self._domains.find(uuid, instance).XMLDesc(0)
        return tuple(
            Hotplugged(number=each.number, path=each.path, version=each.version)
            for each in usb_drives(described)
        )
