"""The small Linux guest for probes, tests and the demo: where its image is, and what is said to it.

This module refuses to know how the image is made: see `build`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

#: printed on the serial line when the guest serves, followed by a space and its `namespace/name`
READY_MARKER = "SHOAL-GUEST READY"
#: where a guest tells everybody who connects its `namespace/name`
IDENTITY_PORT = 7777
MEMORY_MIB = 80
#: the network card that the guest's kernel has a driver for (Debian's cloud kernel has none for e1000)
NIC_DRIVER = "virtio-net-pci"
#: an emulated processor on a busy host fails the kernel's tests of its timers, and spends seconds on its others
_SWIFT = ("quiet", "no_timer_check", "tsc=reliable", "cryptomgr.notests")


class GuestImage(msgspec.Struct, frozen=True):
    """The files to boot (absolute paths)."""

    kernel: Path
    initrd: Path


def image_in(folder: Path) -> GuestImage | None:
    """The image that was built into `folder`, if there is one."""
    image = GuestImage(kernel=folder / "vmlinuz", initrd=folder / "initrd.gz")
    return image if image.kernel.is_file() and image.initrd.is_file() else None


def command_line(identity: str, *addresses: str) -> tuple[str, ...]:
    """Words for a VM's `append`: the guest's `namespace/name`, and `address/prefix` for each NIC in order."""
    words = (*_SWIFT, f"shoal.name={identity}")
    return (*words, f"shoal.ip={','.join(addresses)}") if addresses else words
