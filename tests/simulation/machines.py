"""A simulated host: what outlives its worker (guests, links, the journal on disk), and twins that are slow and fail.

Refuses to know the bus and the worker. Every operation takes time, so that a worker can be paused or killed before it,
in it, and after it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass

import msgspec
from tests.simulation.recorders import DiskBook, SlowRecorder

from shoal.bus.protocol import BlobStore
from shoal_worker.file_cache import SimulatedCache
from shoal_worker.hypervisor import Guest, GuestSpec, Hypervisor, HypervisorBusy, Survey
from shoal_worker.journal import Entry, JournalError, MemoryJournal
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.machine import SimulatedMachine
from shoal_worker.network import GuestTap, HostTap, Links, NetworkError, Segment
from shoal_worker.no_guests import NoGuests
from shoal_worker.reconciler import Limits
from shoal_worker.service import Host
from shoal_worker.simulated_access import SimulatedAccess
from shoal_worker.simulated_hypervisor import SimulatedHypervisor
from shoal_worker.simulated_images import SimulatedImages
from shoal_worker.simulated_network import SimulatedKernel, SimulatedNetwork

_QUICK_S = (0.0, 0.002)
_CREATE_S = (0.01, 0.3)
_COMPACT = 2000


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong on hosts, as chances for each operation."""

    #: the hypervisor hangs in it, and what was asked may have been done
    busy: float = 0.0
    network: float = 0.0
    journal: float = 0.0


UNTROUBLED = Trouble()


class Remains:
    """What outlives a worker. `changed` is called with the host's name whenever a guest changes."""

    def __init__(self, name: str, rng: random.Random, changed: Callable[[str], None]) -> None:
        self.name = name
        self.rng = rng
        self.trouble = UNTROUBLED
        self.changed = changed
        self.guests = SimulatedGuests()
        self.kernel = SimulatedKernel()
        self.incarnation = f"{rng.getrandbits(96):024x}"
        self.written: list[Entry] = []
        self.recorder = SlowRecorder(self._disk)
        self.book = DiskBook(self._disk)

    def living(self) -> list[Guest]:
        """The guests that have not ended."""
        return [guest for guest in self.guests.guests.values() if guest.pid]

    def crash_guest(self, instance: str) -> None:
        """QEMU dies."""
        guest = self.guests.guests[instance]
        self.guests.guests[instance] = msgspec.structs.replace(
            guest, state="failed", reason="QEMU was killed", pid=0
        )
        self.guests.alive.pop(f"{guest.namespace}/{guest.name}", None)
        self.changed(self.name)

    def host(self, underlay: str, *, edge: bool, creations: int) -> Host:
        """The host, for a new worker."""
        guests = self.guests
        hypervisor: Hypervisor = NoGuests() if edge else SlowHypervisor(self)
        return Host(
            name=self.name,
            role="edge" if edge else "host",
            underlay=underlay,
            hypervisor=hypervisor,
            access=SimulatedAccess(guests),
            images=SimulatedImages(guests.content),
            cache=self._cache,
            network=SlowNetwork(self),
            machine=SimulatedMachine(self.name),
            journal=DiskJournal(self),
            recorder=self.recorder,
            book=self.book,
            limits=Limits(creations=creations, relist_s=20.0),
        )

    def _cache(self, blobs: BlobStore) -> SimulatedCache:
        return SimulatedCache(blobs, self.guests.content)

    async def _disk(self) -> bool:
        await self.take(_QUICK_S)
        return self.trouble.journal > 0 and self.rng.random() < self.trouble.journal

    async def take(self, within: tuple[float, float]) -> None:
        """Let an operation take its time."""
        await asyncio.sleep(self.rng.uniform(*within))


class SlowHypervisor(SimulatedHypervisor):
    """Takes time before and after the deed; may hang."""

    def __init__(self, remains: Remains) -> None:
        super().__init__(remains.guests)
        self._remains = remains

    async def survey(self) -> Survey:
        # guests die behind our back
        self._survey = None
        return await super().survey()

    async def create(self, spec: GuestSpec) -> None:
        await self._remains.take(_CREATE_S)
        await super().create(spec)
        await self._after("create")

    async def resume(self, instance: str) -> None:
        await super().resume(instance)
        await self._after("resume")

    async def pause(self, instance: str) -> None:
        await super().pause(instance)
        await self._after("pause")

    async def destroy(self, instance: str) -> None:
        await super().destroy(instance)
        self._remains.changed(self._remains.name)
        await self._after("destroy")

    def _put(self, guest: Guest) -> None:
        super()._put(guest)
        self._remains.changed(self._remains.name)

    async def _operate(self, operation: str, who: str = "") -> None:
        await self._after(operation)
        await super()._operate(operation, who)

    async def _after(self, operation: str) -> None:
        await self._remains.take(_QUICK_S)
        if operation != "open" and self._remains.rng.random() < self._remains.trouble.busy:
            await self._remains.take((1.0, 5.0))
            raise HypervisorBusy(f"libvirt did not answer `{operation}` in time")


class SlowNetwork(SimulatedNetwork):
    """Takes time before each operation; may fail."""

    def __init__(self, remains: Remains) -> None:
        super().__init__(remains.kernel)
        self._remains = remains

    async def _before(self) -> None:
        await self._remains.take(_QUICK_S)
        if self._remains.rng.random() < self._remains.trouble.network:
            raise NetworkError("the kernel did not answer in time")

    async def observe(self) -> Links:
        await self._before()
        return await super().observe()

    async def ensure_segment(self, segment: Segment) -> None:
        await self._before()
        await super().ensure_segment(segment)

    async def ensure_guest_tap(self, tap: GuestTap) -> None:
        await self._before()
        await super().ensure_guest_tap(tap)

    async def ensure_host_tap(self, tap: HostTap) -> None:
        await self._before()
        await super().ensure_host_tap(tap)

    async def remove(self, names: frozenset[str]) -> None:
        for name in sorted(names):
            # One by one: a worker may die in between.
            await self._before()
            await super().remove(frozenset({name}))


class DiskJournal(MemoryJournal):
    """A journal of which only what was flushed outlives the worker; of a flush in which it dies, a part."""

    def __init__(self, remains: Remains) -> None:
        super().__init__(remains.incarnation)
        self._remains = remains
        self._pending: list[Entry] = []
        self._torn = False

    async def open(self) -> None:
        await self._remains.take(_QUICK_S)
        for entry in self._remains.written:
            super().put(entry)
        self._remains.written = self.entries()

    def put(self, entry: Entry) -> None:
        super().put(entry)
        self._pending.append(entry)

    async def flush(self) -> None:
        if not self._pending and not self._torn:
            return
        batch, self._pending = self._pending, []
        remains = self._remains
        if self._torn or len(remains.written) > _COMPACT:
            await self._write([])
            remains.written = self.entries()
            self._torn = False
            return
        at = remains.rng.randint(0, len(batch))
        await self._write(batch[:at])
        await self._write(batch[at:])

    async def _write(self, batch: Collection[Entry]) -> None:
        await self._remains.take(_QUICK_S)
        if self._remains.rng.random() < self._remains.trouble.journal:
            self._torn = True
            raise JournalError("cannot write the journal: no space left on device")
        self._remains.written.extend(batch)

    async def close(self) -> None:
        await self.flush()
