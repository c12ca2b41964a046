"""The hypervisor's twin, for `shoal worker --simulate` and for tests: same Protocol, no threads.

What outlives a worker is kept in a `SimulatedGuests` (see `kept_guests`): give the same one to the next twin, and it
adopts what runs. A guest whose kernel arguments say so ends by itself (`simulated_endings`). This module refuses to know libvirt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from shoal.core.saved_machine import differences
from shoal_worker.core.saved_state import read_state_head
from shoal_worker.hypervisor import Facts, Guest, GuestSpec, GuestState, HypervisorError, Survey
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.simulated_endings import ending_of

#: asked before each operation with its name (`create`, `resume`, …) and the guest's `namespace/name` (or nothing);
#: a text makes the operation fail with it
Fail = Callable[[str, str], str]


def never(operation: str, who: str) -> str:  # noqa: ARG001 - it is a Fail
    """Let everything succeed."""
    return ""


class SimulatedHypervisor:
    """Runs guests that only are said to run. `latency_s` passes, on the loop's clock, in every operation."""

    def __init__(
        self, kept: SimulatedGuests | None = None, *, latency_s: float = 0.0, fail: Fail = never
    ) -> None:
        self.kept = kept or SimulatedGuests()
        self.latency_s = latency_s
        self.fail = fail
        self._changed: list[Callable[[], None]] = []
        self._telling = False
        self._survey: Survey | None = None
        self._clocks: dict[str, asyncio.TimerHandle] = {}

    async def open(self) -> Facts:
        """Adopt what is kept."""
        await self._operate("open")
        self.kept.open()
        for guest in self.kept.guests.values():
            self._wind(guest)
        return Facts(accelerator="simulated", version="simulated")

    async def survey(self) -> Survey:
        """List the guests, in the order of instances."""
        await self._operate("survey")
        if self._survey is None or self._survey.foreign != self.kept.foreign:
            guests = tuple(guest for _, guest in sorted(self.kept.guests.items()))
            self._survey = Survey(guests=guests, foreign=self.kept.foreign)
        return self._survey

    async def create(self, spec: GuestSpec) -> None:
        """Add a paused guest, unless it lives. Raises HypervisorError when it has ended, or another has its name."""
        who = f"{spec.namespace}/{spec.name}"
        await self._operate("create", who)
        if self.kept.alive.get(who) == spec.instance:
            return
        if spec.instance in self.kept.guests or who in self.kept.alive:
            raise HypervisorError(
                f"guest {who} is there already (instance {spec.instance}): destroy it first"
            )
        try:
            ending = ending_of(spec.config.append)
        except ValueError as error:
            raise HypervisorError(f"cannot simulate {who}: {error}") from error
        self.kept.memory[spec.instance] = self._remembered(spec) if spec.config.state else 0
        if ending is not None:
            self.kept.endings[spec.instance] = ending
        self._put(
            Guest(
                namespace=spec.namespace,
                name=spec.name,
                instance=spec.instance,
                revision=spec.revision,
                state="paused",
                pid=next(self.kept.pids),
            )
        )

    def _remembered(self, spec: GuestSpec) -> int:
        """What the guest that was saved remembered. HypervisorError for what it cannot go on from."""
        path = spec.config.state
        try:
            state = self.kept.content.get(path.rpartition("/")[2], b"")
            machine, start = read_state_head(state)
            if found := differences(machine, spec.config):
                raise ValueError("the VM is not as it was saved; set with `vm config`: " + "; ".join(found))
            return int(state[start:])
        except ValueError as error:
            raise HypervisorError(f"cannot go on from its saved state: {error}") from error

    async def resume(self, instance: str) -> None:
        """Paused becomes running."""
        await self._turn("resume", instance, "paused", "running")

    async def pause(self, instance: str) -> None:
        """Running becomes paused."""
        await self._turn("pause", instance, "running", "paused")

    async def destroy(self, instance: str) -> None:
        """Forget the guest."""
        await self._operate("destroy", self._who(instance))
        guest = self.kept.guests.pop(instance, None)
        self.kept.memory.pop(instance, None)
        self.kept.endings.pop(instance, None)
        self._unwind(instance)
        if guest is not None:
            self._release(guest)
            self._note_change()
            self.kept.note(instance)

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` from the event loop after changes; many at once make one call."""
        self._changed.append(changed)

    async def close(self) -> None:
        """Let go; the guests stay."""
        self._changed.clear()
        for instance in list(self._clocks):
            self._unwind(instance)
        self.kept.close()

    def end(self, instance: str, reason: str = "") -> None:
        """Let a guest end by itself: `failed` with a reason, as if QEMU had died, or `shutoff` without one."""
        state: GuestState = "failed" if reason else "shutoff"
        guest = self.kept.guests[instance]
        self._put(msgspec.structs.replace(guest, state=state, reason=reason, pid=0))

    def _wind(self, guest: Guest) -> None:
        """Have a guest that runs end by itself when its time has come; while it is paused, its time begins anew."""
        self._unwind(guest.instance)
        ending = self.kept.endings.get(guest.instance)
        if ending is not None and guest.state == "running":
            self._clocks[guest.instance] = asyncio.get_running_loop().call_later(
                ending.after_s, self.end, guest.instance, ending.reason
            )

    def _unwind(self, instance: str) -> None:
        clock = self._clocks.pop(instance, None)
        if clock is not None:
            clock.cancel()

    async def _operate(self, operation: str, who: str = "") -> None:
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        if reason := self.fail(operation, who):
            raise HypervisorError(reason)

    async def _turn(self, operation: str, instance: str, before: GuestState, after: GuestState) -> None:
        await self._operate(operation, self._who(instance))
        guest = self.kept.guests.get(instance)
        if guest is None or guest.state != before:
            return
        if after == "running":
            self.kept.memory[instance] = self.kept.memory.get(instance, 0) + 1
        self._put(msgspec.structs.replace(guest, state=after))

    def _who(self, instance: str) -> str:
        guest = self.kept.guests.get(instance)
        return f"{guest.namespace}/{guest.name}" if guest else ""

    def _put(self, guest: Guest) -> None:
        self.kept.guests[guest.instance] = guest
        self._wind(guest)
        if guest.pid:
            self.kept.alive[f"{guest.namespace}/{guest.name}"] = guest.instance
        else:
            self._release(guest)
        self._note_change()
        self.kept.note(guest.instance)

    def _release(self, guest: Guest) -> None:
        who = f"{guest.namespace}/{guest.name}"
        if self.kept.alive.get(who) == guest.instance:
            del self.kept.alive[who]

    def _note_change(self) -> None:
        self._survey = None
        if self._changed and not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        for changed in self._changed:
            changed()
