"""Writes the XML of a guest's libvirt domain, and reads back from domain XML what we need: identity and load.

This module refuses to know libvirt's calls, files and processes: every path and format comes in decided.
The elements are those of libvirt's "Domain XML format" (formatdomain.html); trees are built, never strings.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # reads only what libvirt itself wrote, never a user's document
from typing import Literal

import msgspec

from shoal.messages.desired import Load
from shoal_worker.hypervisor import GuestNic, GuestSpec

#: the XML namespace of our element in a domain's metadata; it is a name, not an address
METADATA_URI = "urn:shoal:guest:1"
_QEMU_URI = "http://libvirt.org/schemas/domain/qemu/1.0"
ET.register_namespace("shoal", METADATA_URI)
ET.register_namespace("qemu", _QEMU_URI)

AcceleratorKind = Literal["kvm", "tcg"]

#: megabytes of translated code for each guest under TCG: QEMU's own default grows to a quarter of the memory
_TCG_CACHE_MIB = 32
_VIDEO_MODELS = {"std": "vga", "cirrus": "cirrus", "vmware": "vmvga", "qxl": "qxl", "virtio": "virtio"}
_NIC_MODELS = {"virtio-net-pci": "virtio", "virtio-net": "virtio", "ne2k_pci": "ne2k_pci"}
_DISK_PREFIXES = {"ide": "hd", "sata": "sd", "scsi": "sd", "usb": "sd", "virtio": "vd"}


class Layer(msgspec.Struct, frozen=True):
    """One file of a disk's backing chain and its format (`raw`, `qcow2`)."""

    path: str
    format: str


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A disk, decided: its whole chain from the top, so that nobody needs to look into the files again."""

    chain: tuple[Layer, ...]
    driver: str = ""
    cache: str = ""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the host adds to a guest's own specification. `folder` (absolute) takes its sockets and logs.

    `drive` asks for a CD-ROM drive, with or without a medium.
    """

    accelerator: AcceleratorKind
    emulator: str
    folder: str
    disks: tuple[Disk, ...] = ()
    drive: bool = False


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What our metadata says of a domain. `instance` is what a guest is known by."""

    namespace: str
    name: str
    instance: str
    revision: int


def domain_name(namespace: str, name: str) -> str:
    """Name the domain `NAME@NAMESPACE`: libvirt makes file names of it, and `@` is in no name of ours."""
    return f"{name}@{namespace}"


def serial_socket(folder: str, number: int) -> str:
    """Where QEMU listens for one client of serial port `number`; the log beside it ends in `.log`."""
    return f"{folder}/serial{number}.sock"


def serial_log(folder: str, number: int) -> str:
    """Where all output of serial port `number` is kept, whether a client listens or not."""
    return f"{folder}/serial{number}.log"


def virtio_port_names(setting: str) -> tuple[str, ...]:
    """Read the field `virtio-ports`: a number N (`virtio-serial0` …) or names parted by commas."""
    if setting.isascii() and setting.isdigit():
        return tuple(f"virtio-serial{number}" for number in range(int(setting)))
    return tuple(name for name in setting.split(",") if name)


def domain_xml(spec: GuestSpec, around: Surroundings) -> str:
    """Write the domain of a guest. Characters that XML cannot hold must have been refused before."""
    config = spec.config
    root = ET.Element("domain", type="kvm" if around.accelerator == "kvm" else "qemu")
    _text(root, "name", domain_name(spec.namespace, spec.name))
    _text(root, "uuid", spec.uuid)
    ET.SubElement(
        ET.SubElement(root, "metadata"),
        f"{{{METADATA_URI}}}guest",
        namespace=spec.namespace,
        name=spec.name,
        instance=spec.instance,
        revision=str(spec.revision),
    )
    _text(root, "memory", str(config.memory_mib), unit="MiB")
    _text(root, "vcpu", str(config.vcpus))
    _add_boot(root, spec)
    _add_processor(root, spec, around)
    ET.SubElement(root, "clock", offset="utc")
    _text(root, "on_poweroff", "destroy")
    _text(root, "on_reboot", "restart")
    _text(root, "on_crash", "destroy")
    devices = ET.SubElement(root, "devices")
    _text(devices, "emulator", around.emulator)
    _add_disks(devices, spec, around)
    devices.extend(_nic(nic) for nic in spec.nics)
    _add_ports(devices, spec, around)
    _add_comforts(devices, spec)
    if config.qemu_append:
        line = ET.SubElement(root, f"{{{_QEMU_URI}}}commandline")
        for argument in config.qemu_append:
            ET.SubElement(line, f"{{{_QEMU_URI}}}arg", value=argument)
    return ET.tostring(root, encoding="unicode")


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes)
    element.text = text
    return element


def _add_boot(root: ET.Element, spec: GuestSpec) -> None:
    config = spec.config
    system = ET.SubElement(root, "os")
    _text(system, "type", "hvm", arch="x86_64", machine=config.machine or "pc")
    if config.kernel:
        _text(system, "kernel", config.kernel)
        if config.initrd:
            _text(system, "initrd", config.initrd)
        if config.append:
            _text(system, "cmdline", " ".join(config.append))
    for device, present in (("cdrom", bool(config.cdrom)), ("hd", bool(config.disks))):
        if present:
            ET.SubElement(system, "boot", dev=device)


def _add_processor(root: ET.Element, spec: GuestSpec, around: Surroundings) -> None:
    features = ET.SubElement(root, "features")
    ET.SubElement(features, "acpi")
    ET.SubElement(features, "apic")
    if around.accelerator == "tcg":
        _text(ET.SubElement(features, "tcg"), "tb-cache", str(_TCG_CACHE_MIB), unit="MiB")
    wanted = spec.config.cpu or "host"
    if wanted == "max" or (wanted == "host" and around.accelerator == "tcg"):
        ET.SubElement(root, "cpu", mode="maximum")
    elif wanted == "host":
        ET.SubElement(root, "cpu", mode="host-passthrough")
    else:
        cpu = ET.SubElement(root, "cpu", mode="custom", match="exact", check="none")
        _text(cpu, "model", wanted, fallback="forbid")


def _add_disks(devices: ET.Element, spec: GuestSpec, around: Surroundings) -> None:
    config = spec.config
    # q35 has no IDE bus; what its users call a plain disk hangs on SATA.
    plain = "sata" if "q35" in config.machine else "ide"
    taken: dict[str, int] = {}

    def target(disk: ET.Element, bus: str) -> None:
        prefix = _DISK_PREFIXES.get(bus, "sd")
        ET.SubElement(disk, "target", dev=_device_name(prefix, taken.get(prefix, 0)), bus=bus)
        taken[prefix] = taken.get(prefix, 0) + 1

    for item in around.disks:
        disk = ET.SubElement(devices, "disk", type="file", device="disk")
        driver = ET.SubElement(disk, "driver", name="qemu", type=item.chain[0].format)
        if item.cache:
            driver.set("cache", item.cache)
        ET.SubElement(disk, "source", file=item.chain[0].path)
        _add_backing(disk, item.chain[1:])
        target(disk, item.driver or plain)
    if config.cdrom or around.drive:
        disk = ET.SubElement(devices, "disk", type="file", device="cdrom")
        ET.SubElement(disk, "driver", name="qemu", type="raw")
        if config.cdrom:
            ET.SubElement(disk, "source", file=config.cdrom)
        target(disk, plain)
        ET.SubElement(disk, "readonly")


def _add_backing(parent: ET.Element, chain: tuple[Layer, ...]) -> None:
    for layer in chain:
        parent = ET.SubElement(parent, "backingStore", type="file")
        ET.SubElement(parent, "format", type=layer.format)
        ET.SubElement(parent, "source", file=layer.path)
    # An empty element ends the chain; without it libvirt would look into the file for more.
    ET.SubElement(parent, "backingStore")


def _device_name(prefix: str, number: int) -> str:
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return prefix + letters


def nic_xml(nic: GuestNic) -> str:
    """Write one interface, to be plugged into a running domain."""
    return ET.tostring(_nic(nic), encoding="unicode")


def _nic(nic: GuestNic) -> ET.Element:
    interface = ET.Element("interface", type="ethernet")
    ET.SubElement(interface, "mac", address=nic.mac)
    # The tap was made and put into its bridge by the network adapter; libvirt must not touch it.
    ET.SubElement(interface, "target", dev=nic.tap, managed="no")
    ET.SubElement(interface, "model", type=_NIC_MODELS.get(nic.driver, nic.driver))
    if nic.mtu:
        ET.SubElement(interface, "mtu", size=str(nic.mtu))
    # Booting from the network would cost seconds at every start.
    ET.SubElement(interface, "rom", enabled="no")
    return interface


def _add_ports(devices: ET.Element, spec: GuestSpec, around: Surroundings) -> None:
    for number in range(spec.config.serial_ports):
        serial = ET.SubElement(devices, "serial", type="unix")
        ET.SubElement(serial, "source", mode="bind", path=serial_socket(around.folder, number))
        ET.SubElement(serial, "log", file=serial_log(around.folder, number), append="off")
        ET.SubElement(serial, "target", port=str(number))
    for number, name in enumerate(virtio_port_names(spec.config.virtio_ports)):
        channel = ET.SubElement(devices, "channel", type="unix")
        ET.SubElement(channel, "source", mode="bind", path=f"{around.folder}/virtio{number}.sock")
        ET.SubElement(channel, "target", type="virtio", name=name)


def _add_comforts(devices: ET.Element, spec: GuestSpec) -> None:
    model = _VIDEO_MODELS.get(spec.config.vga, spec.config.vga)
    ET.SubElement(ET.SubElement(devices, "video"), "model", type=model)
    # One for drives that are plugged in as USB 2.0, one for 1.1: see `core.media_xml`.
    ET.SubElement(devices, "controller", type="usb", index="0", model="ich9-ehci1")
    ET.SubElement(devices, "controller", type="usb", index="1", model="piix3-uhci")
    # libvirt adds one on its own account; it costs memory, and nothing of ours uses it.
    ET.SubElement(devices, "memballoon", model="none")


def read_identity(metadata: str) -> Identity | None:
    """Read our element, as libvirt returns it for METADATA_URI. None when it is not (wholly) ours."""
    try:
        element = ET.fromstring(metadata)  # noqa: S314 - written by us, kept by libvirt
        return Identity(
            namespace=element.attrib["namespace"],
            name=element.attrib["name"],
            instance=element.attrib["instance"],
            revision=int(element.attrib["revision"]),
        )
    except (ET.ParseError, KeyError, ValueError):
        return None


def read_load(domain: str) -> Load:
    """Read from a domain's XML what it has been promised: vCPUs, memory in MiB (rounded up), interfaces."""
    root = ET.fromstring(domain)  # noqa: S314 - written by libvirt
    memory_kib = int(root.findtext("memory") or 0)
    return Load(
        vcpus=int(root.findtext("vcpu") or 0),
        memory_mib=-(-memory_kib // 1024),
        nics=len(root.findall("devices/interface")),
        vms=1,
    )
