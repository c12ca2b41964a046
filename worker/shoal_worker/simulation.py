"""Puts together simulated hosts: guests, links and machine in memory, the worker's own code around them.

With a state directory guests and journal outlive the process, as real ones do: a folder for each host. Refuses to know
the bus.
"""

from __future__ import annotations

import random
import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import IPv4Address

from shoal.messages.desired import Role
from shoal_worker.file_cache import SimulatedCache
from shoal_worker.hypervisor import Hypervisor
from shoal_worker.journal import FileJournal, Journal, MemoryJournal
from shoal_worker.kept_guests import GUESTS, FileGuests, SimulatedGuests
from shoal_worker.machine import SimulatedMachine
from shoal_worker.no_guests import NoGuests
from shoal_worker.programs import SimulatedPrograms
from shoal_worker.reconciler import Limits
from shoal_worker.service import Host
from shoal_worker.settings import Settings
from shoal_worker.simulated_access import SimulatedAccess
from shoal_worker.simulated_hypervisor import SimulatedHypervisor
from shoal_worker.simulated_images import SimulatedImages
from shoal_worker.simulated_network import SimulatedKernel, SimulatedNetwork

#: nothing changes behind a simulated worker's back, so that looking is for safety only
_RELIST_S = 30.0
_FIRST_ADDRESS = IPv4Address("10.128.0.1")
#: open files of a host that is kept: its lock, its journal, its guests
_FILES = 3


def simulated_hosts(settings: Settings, rng: random.Random) -> Iterator[Host]:
    """The hosts of the range, and the head in its role."""
    roles: dict[str, Role] = dict.fromkeys(settings.hosts, "host")
    if settings.head:
        roles[settings.head] = "host" if settings.head_worker else "edge"
    thread = _kept_thread(len(roles)) if settings.keep else None
    for index, (name, role) in enumerate(roles.items()):
        folder, incarnation = settings.state / name, f"{rng.getrandbits(96):024x}"
        guests = FileGuests(folder / GUESTS) if settings.keep else SimulatedGuests()
        journal: Journal = (
            FileJournal(folder, partial(str, incarnation), thread)
            if settings.keep
            else MemoryJournal(incarnation)
        )
        hypervisor: Hypervisor = NoGuests() if role == "edge" else SimulatedHypervisor(guests)
        machine = SimulatedMachine(name)
        yield Host(
            name=name,
            role=role,
            underlay=str(_FIRST_ADDRESS + index),
            hypervisor=hypervisor,
            access=SimulatedAccess(guests),
            images=SimulatedImages(guests.content),
            cache=partial(SimulatedCache, content=guests.content),
            network=SimulatedNetwork(SimulatedKernel()),
            machine=machine,
            journal=journal,
            limits=Limits(creations=settings.creations, relist_s=_RELIST_S),
            quota=settings.quota(machine.capacity()),
            programs=SimulatedPrograms() if settings.allow_shell else None,
            offered=settings.files if name == settings.head else None,
        )


def _kept_thread(hosts: int) -> ThreadPoolExecutor:
    """The one thread that writes the journals of all hosts; a process is usually allowed too few files for many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = soft + _FILES * hosts
    if soft != resource.RLIM_INFINITY:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="journals")
