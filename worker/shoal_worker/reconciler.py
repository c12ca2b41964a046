"""Brings a host's guests and links to the desired state, and says what came of it: observe, diff, apply, report.

Refuses to know where records come from and how guests and links are made. A round looks at everything and never
waits for a guest: each VM's work is a task of its own, so that one VM's failure or slowness stops no other. What
was done is in the journal before it is reported.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shoal.core.load import Load
from shoal.messages.desired import Desired, LaunchRecord, SegmentRecord, TapRecord, TapStatus, VMStatus
from shoal.metrics.protocol import NOBODY, Metrics
from shoal_worker.core.actions import VMKey
from shoal_worker.core.desired import PRESENT, DesiredState
from shoal_worker.core.diff import alive, diff
from shoal_worker.core.remembering import records_to_drop, records_to_keep, taps_to_keep
from shoal_worker.core.statuses import Statuses, orphan_status, tap_status, vm_status
from shoal_worker.core.wanted import taps_of_orphan
from shoal_worker.file_cache import FileCache
from shoal_worker.host_files import HostFiles
from shoal_worker.host_links import HostLinks
from shoal_worker.hypervisor import Guest, Hypervisor, HypervisorBusy, HypervisorError
from shoal_worker.journal import Entry, Journal, JournalError
from shoal_worker.machine import Machine
from shoal_worker.measures import FAILED_ROUNDS, ROUND_SECONDS
from shoal_worker.reporter import Reporter
from shoal_worker.vm_tasks import VMTasks
from shoal_worker.work_log import WorkLog

#: changes that arrive together are one round
_GATHER_S = 0.01
_LAST_LOOK_S = 1.0
#: how often to look whether a host tap has got its address
_SEEKING_S = 0.5
_GONE_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Limits:
    """How many guests are created at once; how often all is looked at although nothing seems to have changed;
    after how long what the hypervisor could not do is tried again (doubled each time).
    """

    creations: int = 3
    relist_s: float = 5.0
    retry_s: float = 1.0


class Reconciler:
    """One host. `run` acts only while `may_act` is set (the claim stands, and everything was read once)."""

    def __init__(
        self,
        *,
        desired: DesiredState,
        journal: Journal,
        hypervisor: Hypervisor,
        links: HostLinks,
        reporter: Reporter,
        machine: Machine,
        cache: FileCache,
        limits: Limits,
        rng: random.Random,
        log: Any,
        metrics: Metrics = NOBODY,
    ) -> None:
        self._desired = desired
        self._journal = journal
        self._hypervisor = hypervisor
        self._links = links
        self._reporter = reporter
        self._machine = machine
        self._limits = limits
        self._rng = rng
        self._log = log
        self._metrics = metrics
        self._told = WorkLog(log, metrics)
        self._woken = asyncio.Event()
        self._looked = asyncio.Event()
        self._files = HostFiles(cache, desired, self.wake, log)
        self._tasks = VMTasks(
            hypervisor,
            desired,
            journal,
            locate=self._files.spec,
            creations=limits.creations,
            retry_s=limits.retry_s,
            wake=self.wake,
            rng=rng,
            log=log,
            told=self._told,
        )
        #: the load of domains that are not ours, as last seen
        self.foreign = Load()
        #: why the host is degraded; empty when it is not
        self.degraded = ""

    def hold(self, key: VMKey, instance: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Have a VM left alone for a while; see VMTasks."""
        return self._tasks.hold(key, instance)

    def going_on(self) -> tuple[int, int]:
        """How many VMs something is being done about, and how many are tried again later."""
        return len(self._tasks.working), len(self._tasks.delays)

    # --- the loop ----------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Look at everything soon."""
        self._woken.set()

    async def run(self, *may_act: asyncio.Event) -> None:
        """Reconcile, until cancelled."""
        self._hypervisor.watch(self.wake)
        async with asyncio.TaskGroup() as group:
            while True:
                for condition in may_act:
                    await condition.wait()
                self._woken.clear()
                begun = asyncio.get_running_loop().time()
                try:
                    await self._round(group)
                    self.degraded = ""
                    self._metrics.observe(ROUND_SECONDS, asyncio.get_running_loop().time() - begun)
                except (HypervisorError, JournalError) as error:
                    self._metrics.count(FAILED_ROUNDS)
                    if isinstance(error, HypervisorBusy):
                        self._told.overdue("survey")
                    if self.degraded != str(error):
                        self._log.error("host-degraded", error=str(error))
                    self.degraded = str(error)
                except Exception:  # noqa: BLE001  # a fault in one round must not end the worker
                    self._metrics.count(FAILED_ROUNDS)
                    self._log.exception("round-failed")
                    self.degraded = "a round of the reconciler failed: see the worker's log"
                self._looked.set()
                await self._pause(begun)

    async def _pause(self, begun: float) -> None:
        """Wait until something changes, is to be tried again, or for the next relist. The last round began at `begun`."""
        now = asyncio.get_running_loop().time()
        until = now + (
            self._limits.retry_s if self.degraded else self._limits.relist_s * self._rng.uniform(0.8, 1.2)
        )
        if self._links.seeking():
            until = min(until, now + _SEEKING_S)
        # what was due by then was not taken up for a reason, and waits for that to change
        until = min([until, *(delay.until for delay in self._tasks.delays.values() if delay.until > begun)])
        try:
            async with asyncio.timeout(until - now):
                await self._woken.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._limits.retry_s if self.degraded else _GATHER_S)

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing new, wait for what is being done, write it down and report it. Guests run on."""
        await self._tasks.drain(timeout_s)
        self._looked.clear()
        self.wake()
        with contextlib.suppress(TimeoutError):
            # there is no last look without a claim, or when the hypervisor hangs
            async with asyncio.timeout(_LAST_LOOK_S):
                await self._looked.wait()
        await self._reporter.send()

    async def _round(self, group: asyncio.TaskGroup) -> None:
        # What is being worked on while we look is seen half done: it is left out of this round.
        busy = dict(self._tasks.working)
        survey = await self._hypervisor.survey()
        self.foreign = survey.foreign
        guests = {guest.instance: guest for guest in survey.guests}
        # What arrives while links are made waits for the next round: nothing counts as done before its links are.
        launches, host_taps = list(self._desired.launches()), list(self._desired.taps())
        self._remember(launches, host_taps, guests)
        await self._links.ensure(self._ended(guests))
        self._ensure_files(guests, group)
        busy |= self._tasks.working
        work = diff(
            launches,
            guests,
            self._journal.outcomes,
            waiting=self._waiting(),
            broken=self._files.broken() | self._links.broken(),
            busy=busy,
        )
        for each in work:
            # a guest that nobody wants any more may be of a VM that is being worked on
            if each.key not in busy:
                self._tasks.begin(each, group)
        busy |= self._tasks.working
        alive_now = {instance for instance, guest in guests.items() if alive(guest)}
        await self._links.remove_unneeded(lambda taps: self._in_use(taps, alive_now | set(busy.values())))
        taps = self._taps(host_taps)
        self._forget(guests, busy)
        await self._journal.flush()
        statuses = Statuses(self._vms(guests, busy), taps, self._links.segments())
        self._reporter.update(statuses, busy=set(busy.values()))
        self._told.flush()

    def _remember(self, launches: list[LaunchRecord], taps: list[TapRecord], guests: Collection[str]) -> None:
        """Have the journal keep the records, for when the store that they came from is lost."""
        journal = self._journal
        names = {(record.namespace, record.name): record.instance for record in launches}
        for record in list(records_to_keep(launches, journal.records, journal.outcomes)):
            journal.put(Entry(record=record))
        for instance in list(records_to_drop(journal.records.values(), names, journal.outcomes, guests)):
            journal.put(Entry(forget=instance))
        for tap in list(taps_to_keep(taps, journal.tap_records, journal.taps)):
            journal.put(Entry(tap_record=tap))

    # --- guests ------------------------------------------------------------------------------------------

    def _ensure_files(self, guests: Mapping[str, Guest], group: asyncio.TaskGroup) -> None:
        """Have the files fetched of VMs that are to be created."""
        outcomes = self._journal.outcomes
        living = {instance for instance, guest in guests.items() if alive(guest)}
        known: set[str] = set()
        wanting = []
        for record in self._desired.launches():
            known.add(record.instance)
            outcome = outcomes.get(record.instance)
            new = outcome is None or outcome.revision < record.revision
            if record.files and record.power in PRESENT and new and record.instance not in living:
                wanting.append(record)
        self._files.ensure(wanting, living, group, orphans=bool(living - known))

    def _waiting(self) -> Mapping[VMKey, str]:
        """The VMs that cannot be created yet, and what they wait for."""
        return self._files.waiting() | self._links.waiting()

    def _ended(self, guests: Mapping[str, Guest]) -> frozenset[str]:
        """The instances that need no taps: what they were asked for was carried out and they have no guest."""
        ended = set()
        for record in self._desired.launches():
            outcome = self._journal.outcomes.get(record.instance)
            if outcome is not None and outcome.ended and outcome.revision >= record.revision:
                ended.add(record.instance)
        return frozenset(instance for instance in ended if not alive(guests.get(instance)))

    def _in_use(self, taps: frozenset[str], instances: Collection[str]) -> set[str]:
        """Which of the taps belong to these instances: by their records, or by name if they have none."""
        used: set[str] = set()
        unknown = set(instances)
        for record in self._desired.launches():
            if record.instance in unknown:
                unknown.discard(record.instance)
                used.update(port.tap for port in record.ports)
        for instance in unknown:
            used |= taps & taps_of_orphan(instance)
        return used & taps

    # --- words -------------------------------------------------------------------------------------------

    def _vms(self, guests: Mapping[str, Guest], busy: Mapping[VMKey, str]) -> dict[str, VMStatus]:
        outcomes, waiting = self._journal.outcomes, self._waiting()
        statuses, named = {}, set(busy)
        for record in self._desired.launches():
            key = (record.namespace, record.name)
            named.add(key)
            if key in busy:
                continue
            delay = self._tasks.delays.get(key)
            guest = guests.get(record.instance)
            statuses[record.instance] = vm_status(
                record,
                guest,
                outcomes.get(record.instance),
                reason=delay.reason if delay is not None else waiting.get(key, ""),
                trouble=self._links.refused(record),
                uptime_s=self._uptime_s(guest),
            )
        for guest in guests.values():
            if (guest.namespace, guest.name) not in named:
                outcome = outcomes.get(guest.instance)
                statuses[guest.instance] = orphan_status(guest, outcome, uptime_s=self._uptime_s(guest))
        for instance in self._tasks.resumed_at.keys() - guests.keys() - set(busy.values()):
            del self._tasks.resumed_at[instance]
        return statuses

    def _uptime_s(self, guest: Guest | None) -> float:
        if guest is None or guest.state != "running":
            return 0.0
        now = asyncio.get_running_loop().time()
        if guest.instance not in self._tasks.resumed_at:
            # It ran before this worker did; how long, only its process can tell.
            self._tasks.resumed_at[guest.instance] = now - self._machine.process_age_s(guest.pid)
        return now - self._tasks.resumed_at[guest.instance]

    def _taps(self, records: Iterable[TapRecord]) -> dict[tuple[str, str], TapStatus]:
        statuses = {}
        for record in records:
            key = (record.namespace, record.tap)
            before = self._journal.taps.get(key)
            outcome, reason = self._links.tap(record, before)
            if outcome is not None and outcome != before:
                self._journal.put(Entry(tap=outcome))
            statuses[key] = tap_status(record, outcome, reason=reason, ip=self._links.address(record))
        return statuses

    # --- forgetting --------------------------------------------------------------------------------------

    def obeyed(self, record: Desired) -> bool:
        """Whether a tombstone was carried out and that was told, or was never for us."""
        if isinstance(record, SegmentRecord):
            segment = self._reporter.segment(record.vni)
            return segment is not None and not segment.present and segment.revision >= record.revision
        if record.incarnation != self._desired.incarnation:
            return True
        if isinstance(record, LaunchRecord):
            outcome = self._journal.outcomes.get(record.instance)
            return outcome is not None and outcome.gone
        tap = self._journal.taps.get((record.namespace, record.tap))
        return tap is not None and tap.gone

    def _forget(self, guests: Mapping[str, Guest], busy: Mapping[VMKey, str]) -> None:
        """Drop what is known of instances that were replaced, and of long gone ones.

        That an instance is gone is kept for long: an old copy of the store may still want it to run.
        """
        gone = []
        for outcome in list(self._journal.outcomes.values()):
            record = self._desired.launch(*outcome.key)
            replaced = record is not None and record.instance != outcome.instance
            if outcome.gone:
                if record is None or replaced:
                    gone.append(outcome.instance)
            elif replaced and outcome.instance not in guests and outcome.key not in busy:
                self._journal.put(Entry(forget=outcome.instance))
        for instance in gone[: max(0, len(gone) - _GONE_KEPT)]:
            self._journal.put(Entry(forget=instance))
        held = {(record.namespace, record.tap) for record in self._desired.taps()}
        for key, tap in list(self._journal.taps.items()):
            if tap.gone and key not in held:
                self._journal.put(Entry(forget_tap=key))
        self._tasks.forget_delays()
