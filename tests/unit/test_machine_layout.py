"""Where devices are: read from a running domain, put into a new one, nothing else taken from strangers."""

import xml.etree.ElementTree as ET

import pytest

from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal_worker.core.domain_xml import Disk, Layer, Surroundings, domain_xml
from shoal_worker.core.machine_layout import has_drive, laid_out, read_board, read_chains, read_layout
from shoal_worker.hypervisor import GuestNic, GuestSpec

LIVE = """<domain type='qemu' id='1'><os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os><devices>
<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/g/disk0.qcow2' index='1'/>
 <backingStore type='file' index='2'><format type='raw'/><source file='/base.img'/><backingStore/></backingStore>
 <target dev='vda' bus='virtio'/><address type='pci' domain='0x0000' bus='0x00' slot='0x07' function='0x0'/></disk>
<disk type='file' device='cdrom'><target dev='hda' bus='ide'/>
 <address type='drive' controller='0' bus='0' target='0' unit='0'/></disk>
<disk type='file' device='disk'><source file='/usb.img'/><target dev='sda' bus='usb'/></disk>
<controller type='pci' index='0' model='pci-root'/>
<controller type='scsi' index='0' model='lsilogic'>
 <address type='pci' domain='0x0000' bus='0x00' slot='0x09' function='0x0'/></controller>
<interface type='ethernet'><address type='pci' domain='0x0000' bus='0x00' slot='0x08' function='0x0'/></interface>
<interface type='ethernet'><address type='pci' domain='0x0000' bus='0x00' slot='0x03' function='0x0'/></interface>
<serial type='unix'><target port='0'/></serial>
</devices></domain>"""


def written() -> str:
    spec = GuestSpec(
        namespace="red",
        name="a",
        instance="i",
        revision=1,
        uuid="7a4b1d0e-0000-4000-8000-000000000001",
        config=VMConfig(disks=(DiskSpec("/new.qcow2", driver="virtio"),)),
        nics=(
            GuestNic(tap="t0", mac="00:16:3e:00:00:01", driver="e1000"),
            GuestNic(tap="t1", mac="00:16:3e:00:00:02", driver="e1000"),
        ),
    )
    disk = Disk(chain=(Layer("/new.qcow2", "qcow2"),), driver="virtio")
    return domain_xml(
        spec, Surroundings(accelerator="tcg", emulator="/q", folder="/f", disks=(disk,), drive=True)
    )


def test_a_new_domain_has_its_devices_where_the_old_one_had_them():
    """The layout of what was laid out is the layout; names, taps and files are the new domain's own."""
    layout = read_layout(LIVE)
    found = laid_out(written(), read_board(LIVE), layout)
    assert read_board(found) == "pc-i440fx-7.2"
    assert {key: read_layout(found)[key] for key in layout} == layout
    root = ET.fromstring(found)
    assert root.findtext("name") == "a@red"
    assert [each.get("dev") for each in root.iterfind("devices/interface/target")] == ["t0", "t1"]
    assert read_chains(found) == ((Layer("/new.qcow2", "qcow2"),),)


def test_what_a_running_domain_has():
    """Chains are read with their formats, USB drives and CD-ROM drives are no disks, and an empty drive is one."""
    assert read_chains(LIVE) == ((Layer("/g/disk0.qcow2", "qcow2"), Layer("/base.img", "raw")),)
    assert has_drive(LIVE)
    assert has_drive(written())
    assert set(read_layout(LIVE)) == {
        *("disk/vda", "disk/hda", "controller/scsi/0", "interface/0", "interface/1"),
    }


@pytest.mark.parametrize(
    ("board", "layout"),
    [
        ("pc' evil='", {}),
        ("", {"interface/0": {"type": "pci", "slot": "0x3' x='"}}),
        ("", {"interface/0": {"type": "ccw"}}),
        ("", {"controller/scsi/x": {"type": "pci"}}),
        ("", {"controller/SCSI<>/0": {"type": "pci"}}),
        ("", {"controller/scsi/0": {"type": "pci", "model": "a b"}}),
    ],
)
def test_a_strangers_layout_is_numbers_and_names(board, layout):
    """Whatever is no plain number or name is refused."""
    with pytest.raises(ValueError, match=r"^no "):
        laid_out(written(), board, layout)


def test_devices_that_are_not_there_are_passed_over():
    """A layout cannot add devices but controllers, and no bridges of the bus."""
    layout = {
        "disk/vdz": {"type": "pci", "slot": "0x1f"},
        "hostdev/0": {"type": "pci", "slot": "0x1f"},
        "controller/pci/1": {"type": "pci", "slot": "0x1f"},
    }
    assert laid_out(written(), "", layout) == ET.tostring(ET.fromstring(written()), encoding="unicode")
