"""Puts together a host on real parts: libvirt, the kernel's network, /proc, a journal on disk.

Refuses to know the bus. libvirt and pyroute2 are imported here, late: `--simulate` needs neither, and a missing one
is said in one line.
"""

from __future__ import annotations

import os
import random

from shoal.errors import Unavailable
from shoal_worker.cache_folder import cache_folder
from shoal_worker.capture_book import CaptureBook
from shoal_worker.file_cache import FILES, DiskCache
from shoal_worker.guest import image_in
from shoal_worker.guest_access import GuestAccess
from shoal_worker.hypervisor import Hypervisor
from shoal_worker.journal import FileJournal
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.linux_health import LinuxHealth
from shoal_worker.machine import LinuxMachine, address_towards
from shoal_worker.network import Network
from shoal_worker.no_guests import NoGuests
from shoal_worker.programs import HostPrograms
from shoal_worker.qemu_images import QemuImages
from shoal_worker.reconciler import Limits
from shoal_worker.service import Host
from shoal_worker.settings import Settings
from shoal_worker.simulated_access import SimulatedAccess
from shoal_worker.tcpdump_recorder import TcpdumpRecorder
from shoal_worker.udhcpc_leases import UdhcpcLeases

_EMBED = "qemu:///embed"


async def real_host(settings: Settings, new_incarnation: str) -> Host:
    """The host that the worker runs on. `new_incarnation` is its identity if it has none yet.

    Unavailable when privilege or a Python package is missing; HypervisorError when there is no usable QEMU.
    """
    if os.geteuid() != 0:
        raise Unavailable(
            "shoal-worker needs root for network interfaces and guests: start it as root, or try --simulate"
        )
    machine = LinuxMachine()
    hypervisor, access = _no_guests() if settings.role == "edge" else await _hypervisor(settings)
    return Host(
        name=settings.host,
        role=settings.role,
        underlay=settings.underlay or address_towards(*settings.server_address),
        hypervisor=hypervisor,
        access=access,
        network=_network(),
        machine=machine,
        journal=FileJournal(settings.state, lambda: new_incarnation),
        limits=Limits(creations=settings.creations),
        quota=settings.quota(machine.capacity()),
        cache=lambda blobs: DiskCache(settings.state / FILES, blobs, settings.file_cache_bytes),
        leases=UdhcpcLeases(settings.state / "dhcp"),
        recorder=TcpdumpRecorder(settings.state / "captures"),
        book=CaptureBook(settings.state / "captures.json"),
        programs=HostPrograms() if settings.allow_shell else None,
        images=QemuImages(settings.state / "images"),
        offered=settings.files,
        health=LinuxHealth((settings.state,), random.SystemRandom()),
    )


def _network() -> Network:
    try:
        from shoal_worker.netlink_network import NetlinkNetwork  # noqa: PLC0415  # simulations need no pyroute2
    except ImportError as error:
        raise _missing(error) from error
    return NetlinkNetwork()


def _no_guests() -> tuple[Hypervisor, GuestAccess]:
    return NoGuests(), SimulatedAccess(SimulatedGuests())


async def _hypervisor(settings: Settings) -> tuple[Hypervisor, GuestAccess]:
    try:
        # simulations and edges need no libvirt
        from shoal_worker.accelerator import choose_accelerator  # noqa: PLC0415  # see above
        from shoal_worker.libvirt_hypervisor import LibvirtHypervisor  # noqa: PLC0415  # see above
    except ImportError as error:
        raise _missing(error) from error
    cache = cache_folder(os.environ, root=True)
    accelerator = await choose_accelerator(settings.accelerator, cache=cache, image=image_in(cache / "guest"))
    hypervisor = LibvirtHypervisor(
        settings.state,
        host=settings.host,
        accelerator=accelerator,
        cache=cache,
        uri="embed" if settings.hypervisor_uri == _EMBED else settings.hypervisor_uri,
    )
    return hypervisor, hypervisor.access


def _missing(error: ImportError) -> Unavailable:
    return Unavailable(
        f"the Python package {(error.name or '').partition('.')[0]} is missing: `pip install 'shoal[worker]'`"
    )
