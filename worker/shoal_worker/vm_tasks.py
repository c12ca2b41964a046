"""Carries out the work on VMs: each VM's in a task of its own, creations a few at a time.

Refuses to decide what is to be done. What the hypervisor refuses for good becomes the VM's outcome; what it could
not do now is tried again later. One VM's failure or slowness stops no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shoal.messages.desired import LaunchRecord
from shoal_worker.core.actions import Action, Create, Destroy, Outcome, Pause, Resume, Settle, VMKey, Work
from shoal_worker.core.desired import DesiredState
from shoal_worker.core.diff import failed
from shoal_worker.hypervisor import GuestSpec, Hypervisor, HypervisorBusy, HypervisorError
from shoal_worker.journal import Entry, Journal
from shoal_worker.work_log import WorkLog, word

_RETRY_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Delay:
    """Work on a VM that is tried again, and why it has to be."""

    instance: str
    revision: int
    reason: str
    tries: int
    until: float


class _Superseded(Exception):
    """The record changed while its work waited for its turn."""


class VMTasks:
    """The work that is going on. `wake` is called whenever some of it has ended.

    `locate` gives a guest the paths that its files have on this host.
    """

    def __init__(
        self,
        hypervisor: Hypervisor,
        desired: DesiredState,
        journal: Journal,
        *,
        locate: Callable[[GuestSpec, LaunchRecord], GuestSpec],
        creations: int,
        retry_s: float,
        wake: Callable[[], None],
        rng: random.Random,
        log: Any,
        told: WorkLog | None = None,
    ) -> None:
        self._hypervisor = hypervisor
        self._desired = desired
        self._journal = journal
        self._locate = locate
        self._retry_s = retry_s
        self._wake = wake
        self._rng = rng
        self._log = log
        self._told = told or WorkLog(log)
        self._slots = asyncio.Semaphore(creations)
        self._released = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._draining = False
        self._working: dict[VMKey, str] = {}
        self._delays: dict[VMKey, Delay] = {}
        #: when instances were last resumed, on the loop's clock
        self.resumed_at: dict[str, float] = {}

    @property
    def working(self) -> Mapping[VMKey, str]:
        """The VMs that something is being done about, and the instance that is wanted."""
        return self._working

    @property
    def delays(self) -> Mapping[VMKey, Delay]:
        """The VMs that are tried again later."""
        return self._delays

    def begin(self, work: Work, group: asyncio.TaskGroup) -> None:
        """Do it: at once if it is only to be written down, else in a task, unless it has to wait for a retry."""
        if self._delayed(work):
            return
        if all(isinstance(action, Settle) for action in work.actions):
            for action in work.actions:
                assert isinstance(action, Settle)
                self._settle(action.outcome)
        elif not self._draining:
            self._working[work.key] = work.instance
            self._idle.clear()
            group.create_task(self._carry_out(work), name="/".join(work.key))

    async def drain(self, timeout_s: float) -> None:
        """Begin nothing new, and wait for what is going on; it is left alone after `timeout_s`."""
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            self._log.warning("left-unfinished", vms=sorted("/".join(key) for key in self._working))

    def forget_delays(self) -> None:
        """Drop the delays of VMs that no record names any more."""
        for key in [key for key in self._delays if self._desired.launch(*key) is None]:
            del self._delays[key]

    # --- one VM ------------------------------------------------------------------------------------------

    async def _carry_out(self, work: Work) -> None:
        request = self._request(work)
        log = self._log.bind(namespace=work.key[0], vm=work.key[1], instance=work.instance, request=request)
        loop = asyncio.get_running_loop()
        created = False
        action: Action = work.actions[0]
        try:
            for action in work.actions:
                begun = loop.time()
                await self._act(action, work)
                self._told.acted(action, "ok", loop.time() - begun)
                created = created or isinstance(action, Create)
            self._delays.pop(work.key, None)
            self._told.carried_out(request, work)
        except _Superseded:
            self._told.acted(action, "replaced")
            log.debug("superseded", revision=work.failed.revision)
        except HypervisorError as error:
            if isinstance(error, HypervisorBusy):
                self._told.overdue(word(action))
            if isinstance(error, HypervisorBusy) or isinstance(action, Destroy):
                self._told.acted(action, "again")
                log.warning("try-again", action=type(action).__name__, error=str(error))
                self._delay(work, str(error))
            else:
                self._told.acted(action, "failed")
                log.error("vm-failed", action=type(action).__name__, error=str(error))  # noqa: TRY400  # one line says it
                self._journal.put(Entry(vm=failed(work, str(error), created=created)))
        except Exception:
            self._told.acted(action, "again")
            log.exception("work-failed", action=type(action).__name__)
            self._delay(work, "the worker failed: see its log")
        finally:
            self._release(work.key)

    def _request(self, work: Work) -> str:
        """The id of the request that asked for this, for the log."""
        record = self._desired.launch(*work.key)
        return record.request if record is not None and _mark(record) == _mark(work.failed) else ""

    @contextlib.asynccontextmanager
    async def hold(self, key: VMKey, instance: str) -> AsyncIterator[None]:
        """Have a VM left alone for a while, from when what is being done about it has ended.

        HypervisorError when the worker is about to end.
        """
        while key in self._working:
            await self._released.wait()
        if self._draining:
            raise HypervisorError("the worker of this host is ending; try again")
        self._working[key] = instance
        self._idle.clear()
        try:
            yield
        finally:
            self._release(key)

    def _release(self, key: VMKey) -> None:
        del self._working[key]
        self._released.set()
        self._released = asyncio.Event()
        if not self._working:
            self._idle.set()
        self._wake()

    async def _act(self, action: Action, work: Work) -> None:
        match action:
            case Create(spec=spec):
                async with self._slots:
                    record = self._desired.launch(*work.key)
                    if self._draining or record is None or _mark(record) != _mark(work.failed):
                        raise _Superseded
                    try:
                        await self._hypervisor.create(self._locate(spec, record))
                    except HypervisorBusy:
                        # It may still come to be: the next survey tells, and it is adopted.
                        raise
                    except HypervisorError:
                        await self._undo(spec.instance)
                        raise
            case Resume(instance=instance):
                await self._hypervisor.resume(instance)
                self.resumed_at[instance] = asyncio.get_running_loop().time()
            case Pause(instance=instance):
                await self._hypervisor.pause(instance)
            case Destroy(instance=instance):
                await self._hypervisor.destroy(instance)
            case Settle(outcome=outcome):
                self._settle(outcome)

    async def _undo(self, instance: str) -> None:
        """Remove what a failed creation may have left; its own failure would only hide the first."""
        try:
            await self._hypervisor.destroy(instance)
        except HypervisorError as error:
            self._log.warning("undo-failed", instance=instance, error=str(error))

    def _settle(self, outcome: Outcome) -> None:
        self._journal.put(Entry(vm=outcome))
        if outcome.ended and outcome.reason:
            self._log.warning("vm-ended", namespace=outcome.namespace, vm=outcome.name, reason=outcome.reason)

    def _delayed(self, work: Work) -> bool:
        delay = self._delays.get(work.key)
        if delay is None or (delay.instance, delay.revision) != _mark(work.failed):
            return False
        return asyncio.get_running_loop().time() < delay.until

    def _delay(self, work: Work, reason: str) -> None:
        before = self._delays.get(work.key)
        tries = before.tries + 1 if before is not None and before.instance == work.instance else 1
        wait_s = min(_RETRY_MAX_S, self._retry_s * 2 ** (tries - 1)) * self._rng.uniform(0.8, 1.2)
        until = asyncio.get_running_loop().time() + wait_s
        self._delays[work.key] = Delay(work.instance, work.failed.revision, reason, tries, until)


def _mark(judged: Any) -> tuple[str, int]:
    """What a record is judged by."""
    return judged.instance, judged.revision
