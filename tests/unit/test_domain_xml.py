"""The XML of a guest's domain."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal.messages.desired import Load
from shoal_worker.core.domain_xml import (
    METADATA_URI,
    Disk,
    Identity,
    Layer,
    Surroundings,
    domain_name,
    domain_xml,
    read_identity,
    read_load,
    virtio_port_names,
)
from shoal_worker.hypervisor import GuestNic, GuestSpec

UUID = "8e2b85f6-6ddc-4131-acb0-27d4c96764f7"
NIC = GuestNic(tap="st0", mac="02:00:00:00:00:01", driver="e1000")
#: names as LANGUAGE.md allows them, and texts as XML can hold them
names = st.from_regex(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,62}", fullmatch=True)
texts = st.text(
    st.characters(
        min_codepoint=0x20,
        categories=("L", "M", "N", "P", "S", "Zs", "Co"),
        exclude_characters="\ufffe\uffff",
    )
)


def spec(nics: tuple[GuestNic, ...] = (), **config: Any) -> GuestSpec:
    return GuestSpec(
        namespace="red",
        name="vm1",
        instance="abc",
        revision=3,
        uuid=UUID,
        config=VMConfig(**config),
        nics=nics,
    )


def tree(wanted: GuestSpec, accelerator: Any = "tcg", disks: tuple[Disk, ...] = ()) -> ET.Element:
    around = Surroundings(
        accelerator=accelerator,
        emulator="/usr/bin/qemu-system-x86_64",
        folder="/state/guests/abc",
        disks=disks,
    )
    return ET.fromstring(domain_xml(wanted, around))


def attribute(root: ET.Element, path: str, name: str) -> str | None:
    element = root.find(path)
    assert element is not None, path
    return element.get(name)


@given(namespace=names, name=names, instance=names, revision=st.integers(min_value=0))
def test_identity_survives(namespace: str, name: str, instance: str, revision: int) -> None:
    """What the metadata of a domain says is what the guest was created with."""
    wanted = GuestSpec(
        namespace=namespace,
        name=name,
        instance=instance,
        revision=revision,
        uuid=UUID,
        config=VMConfig(),
    )
    element = tree(wanted).find(f"metadata/{{{METADATA_URI}}}guest")
    assert element is not None
    assert read_identity(ET.tostring(element, encoding="unicode")) == Identity(
        namespace=namespace, name=name, instance=instance, revision=revision
    )


@given(a=st.tuples(names, names), b=st.tuples(names, names))
def test_names_are_unique(a: tuple[str, str], b: tuple[str, str]) -> None:
    """Two guests have one domain name only if they have one namespace and name; no name holds a slash."""
    assert (domain_name(*a) == domain_name(*b)) == (a == b)
    assert "/" not in domain_name(*a)


@given(words=st.lists(texts.filter(lambda text: "\r" not in text), max_size=4).map(tuple), path=texts)
def test_no_text_becomes_markup(words: tuple[str, ...], path: str) -> None:
    """Whatever a user writes stands in the document as text, and the document stays well-formed."""
    root = tree(spec(kernel=f"/{path}", append=words))
    assert root.findtext("os/kernel") == f"/{path}"
    assert (root.findtext("os/cmdline") or "") == " ".join(words)


@pytest.mark.parametrize(
    "metadata", ["", "<a/>", "<guest namespace='a' name='b' instance='c' revision='x'/>"]
)
def test_foreign_metadata_is_no_identity(metadata: str) -> None:
    """What is not wholly ours makes no guest ours."""
    assert read_identity(metadata) is None


@pytest.mark.parametrize(
    ("cpu", "accelerator", "mode", "model"),
    [
        ("host", "kvm", "host-passthrough", None),
        ("host", "tcg", "maximum", None),
        ("max", "kvm", "maximum", None),
        ("qemu64", "tcg", "custom", "qemu64"),
    ],
)
def test_processor(cpu: str, accelerator: str, mode: str, model: str | None) -> None:
    """`host` is the host's processor under KVM, and all that TCG can do without; others are models by name."""
    root = tree(spec(cpu=cpu), accelerator)
    assert attribute(root, "cpu", "mode") == mode
    assert root.findtext("cpu/model") == model
    assert root.get("type") == ("kvm" if accelerator == "kvm" else "qemu")
    assert (root.find("features/tcg/tb-cache") is not None) == (accelerator == "tcg")


def test_nic_is_a_tap_made_beforehand() -> None:
    """libvirt neither makes nor moves the tap, loads no boot ROM, and gets MAC, model and MTU as decided."""
    other = GuestNic(tap="st1", mac="02:00:00:00:00:02", driver="virtio-net-pci", mtu=1450)
    one, two = tree(spec((NIC, other))).findall("devices/interface")
    for nic in (one, two):
        assert nic.get("type") == "ethernet"
        assert attribute(nic, "target", "managed") == "no"
        assert attribute(nic, "rom", "enabled") == "no"
    assert attribute(one, "target", "dev") == "st0"
    assert attribute(one, "mac", "address") == NIC.mac
    assert attribute(one, "model", "type") == "e1000"
    assert one.find("mtu") is None
    assert attribute(two, "model", "type") == "virtio"
    assert attribute(two, "mtu", "size") == "1450"


def test_disk_chain_is_told_to_its_end() -> None:
    """A disk names the format of each file of its chain and ends it, so that nobody looks into the files."""
    chain = (
        Layer("/state/disk0.qcow2", "qcow2"),
        Layer("/images/a.qcow2", "qcow2"),
        Layer("/images/b.img", "raw"),
    )
    root = tree(
        spec(disks=(DiskSpec("/images/a.qcow2"), DiskSpec("/images/c.img")), cdrom="/images/d.iso"),
        disks=(
            Disk(chain=chain, cache="unsafe"),
            Disk(chain=(Layer("/images/c.img", "raw"),), driver="virtio"),
        ),
    )
    one, two, cdrom = root.findall("devices/disk")
    assert attribute(one, "driver", "type") == "qcow2"
    assert attribute(one, "driver", "cache") == "unsafe"
    assert attribute(one, "source", "file") == "/state/disk0.qcow2"
    assert attribute(one, "backingStore/format", "type") == "qcow2"
    assert attribute(one, "backingStore/backingStore/format", "type") == "raw"
    assert attribute(one, "backingStore/backingStore/source", "file") == "/images/b.img"
    end = one.find("backingStore/backingStore/backingStore")
    assert end is not None
    assert not list(end)
    assert [disk.findall("target")[0].get("dev") for disk in (one, two, cdrom)] == ["hda", "vda", "hdb"]
    assert cdrom.find("readonly") is not None
    assert [boot.get("dev") for boot in root.findall("os/boot")] == ["cdrom", "hd"]


def test_many_disks_have_names() -> None:
    """The 27th disk of a bus is called aa, and no two have one name."""
    disks = tuple(Disk(chain=(Layer("/a", "raw"),), driver="virtio") for _ in range(30))
    devices = [target.get("dev") for target in tree(spec(), disks=disks).findall("devices/disk/target")]
    assert devices[25:28] == ["vdz", "vdaa", "vdab"]
    assert len(set(devices)) == 30


def test_serial_and_virtio_ports() -> None:
    """Each port listens on a socket of its own in the guest's folder; a serial port is logged beside it."""
    root = tree(spec(serial_ports=2, virtio_ports="a,b"))
    ports = root.findall("devices/serial")
    assert [attribute(port, "source", "path") for port in ports] == [
        "/state/guests/abc/serial0.sock",
        "/state/guests/abc/serial1.sock",
    ]
    assert attribute(ports[0], "source", "mode") == "bind"
    assert attribute(ports[0], "log", "file") == "/state/guests/abc/serial0.log"
    channels = root.findall("devices/channel")
    assert [attribute(channel, "target", "name") for channel in channels] == ["a", "b"]


@pytest.mark.parametrize(
    ("setting", "ports"),
    [("", ()), ("0", ()), ("2", ("virtio-serial0", "virtio-serial1")), ("a,b", ("a", "b")), ("٣", ("٣",))],
)
def test_virtio_port_names(setting: str, ports: tuple[str, ...]) -> None:
    """A number means so many ports, anything else is their names."""
    assert virtio_port_names(setting) == ports


def test_machine_and_video_defaults() -> None:
    """The machine is `pc` unless configured, and the peer's `std` is libvirt's `vga`."""
    assert attribute(tree(spec()), "os/type", "machine") == "pc"
    assert attribute(tree(spec(machine="q35")), "os/type", "machine") == "q35"
    assert attribute(tree(spec()), "devices/video/model", "type") == "vga"
    assert attribute(tree(spec(vga="none")), "devices/video/model", "type") == "none"
    assert tree(spec(qemu_append=("-x", "y"))).findall("*")[-1].tag.endswith("commandline")


@given(vcpus=st.integers(1, 64), memory_mib=st.integers(1, 1 << 20), count=st.integers(0, 4))
def test_load_is_what_was_promised(vcpus: int, memory_mib: int, count: int) -> None:
    """The load read from a domain is that of its specification, in whatever unit libvirt prints memory (KiB)."""
    root = tree(spec((NIC,) * count, vcpus=vcpus, memory_mib=memory_mib))
    memory = root.find("memory")
    assert memory is not None
    memory.text, memory.attrib["unit"] = str(memory_mib * 1024), "KiB"
    assert read_load(ET.tostring(root, encoding="unicode")) == Load(
        vcpus=vcpus, memory_mib=memory_mib, nics=count, vms=1
    )
