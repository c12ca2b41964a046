"""What a tenant attaches to the networks of its VMs, and what may have become of it: host taps and captures.

Refuses to know VMs, and how requests are sent. What was answered must hold: a tap is there until it is deleted, and
what was captured is captured still, or has become a file.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from shoal.client import NamespaceHandle
from shoal.core.files import partial_name
from shoal.errors import NotFound
from shoal.messages.captures import CaptureBridge, CaptureVM, ClearCaptures, EndVMCaptures
from shoal.messages.taps import CreateTap, DeleteTap, ListTaps

_TAPS = 3
_SHARED = "mega_bridge"
_ANY = frozenset({"ABSENT", "THERE"})
#: asks with some words, about what is then doubtful if nobody answers; the reply, None when there was no good one
Ask = Callable[[str, Awaitable[Any], Callable[[], None]], Awaitable[Any]]


class Captured(NamedTuple):
    """The names that captures are to have: of those that hosts have, and of those whose recording was made to die."""

    going_on: Collection[str]
    died: Collection[str]


class Attachments:
    """The taps and captures of one namespace. `hosts`: those on which it has taps."""

    def __init__(self, ns: NamespaceHandle, hosts: Sequence[str], rng: random.Random, ask: Ask) -> None:
        self._ns = ns
        self._hosts = hosts
        self._rng = rng
        self._ask = ask
        self._taps = dict.fromkeys((f"{ns.name}t{number}" for number in range(_TAPS)), frozenset({"ABSENT"}))
        self._on: dict[str, tuple[str, str]] = {}
        #: the bridges that it may use
        self.bridges: Sequence[str] = (_SHARED,)
        self._files = 0
        #: captures that were begun, by the names that they are to have
        self._begun: list[str] = []

    def cleared(self, *, surely: bool) -> None:
        """The namespace was cleared, or may have been."""
        self._taps = dict.fromkeys(self._taps, frozenset({"ABSENT"}) if surely else _ANY)
        self.bridges = (_SHARED,)

    # --- taps --------------------------------------------------------------------------------------------

    async def create_tap(self) -> None:
        """Give some host an interface in a VLAN."""
        tap = self._tap("ABSENT")
        if tap is not None:
            host, bridge = self._rng.choice(self._hosts), self._rng.choice(self.bridges)
            self._on[tap] = (host, bridge)
            ip = f"10.0.0.{self._rng.randint(1, 250)}/24"
            request = CreateTap(
                vlan=self._rng.choice(("LAN", "WAN")), bridge=bridge, tap=tap, host=host, ip=ip
            )
            await self._change(tap, f"tap {tap} on {host}", self._ns.call(request), "THERE")

    async def delete_tap(self) -> None:
        """Remove one."""
        tap = self._tap("THERE")
        if tap is not None:
            await self._change(tap, f"tap delete {tap}", self._ns.call(DeleteTap(tap=tap)), "ABSENT")

    def _tap(self, state: str) -> str | None:
        fitting = [tap for tap, may in self._taps.items() if may == {state}]
        return self._rng.choice(fitting) if fitting else None

    async def _change(self, tap: str, what: str, work: Awaitable[Any], after: str) -> None:
        def doubt() -> None:
            self._taps[tap] = _ANY

        if await self._ask(what, work, doubt) is not None:
            self._taps[tap] = frozenset({after})

    # --- captures ----------------------------------------------------------------------------------------

    async def capture_vm(self, vm: str) -> None:
        """Capture an interface of a VM, which may have none."""
        file = self._file()
        await self._begin(
            f"capture {vm} to {file}",
            self._ns.call(CaptureVM(vm=vm, index=self._rng.choice((0, 0, 1)), file=file)),
        )

    async def capture_bridge(self) -> None:
        """Capture all that passes the namespace's segments."""
        file = self._file()
        await self._begin(
            f"capture the bridge to {file}",
            self._ns.call(CaptureBridge(bridge=self._rng.choice(self.bridges), file=file)),
        )

    def _file(self) -> str:
        self._files += 1
        return f"{self._ns.name}/c{self._files}.pcap"

    async def _begin(self, what: str, work: Awaitable[Any]) -> None:
        reply = await self._ask(what, work, _nothing)
        if reply is not None:
            self._begun += [row.path for row in reply.items]

    async def end_captures(self) -> None:
        """End those of VMs, or all."""
        request = self._rng.choice((EndVMCaptures(vm="all"), ClearCaptures()))
        await self._ask(f"{request.noun} {request.verb}", self._ns.call(request), _nothing)

    # --- the end -----------------------------------------------------------------------------------------

    async def judge(self, ns: NamespaceHandle, files: Collection[str], captures: Captured) -> list[str]:
        """What is not as it was promised. `files` are the names of the cluster's."""
        try:
            there = {row.tap: (row.host, row.bridge) for row in (await ns.call(ListTaps())).items}
        except NotFound:
            there = {}
        return [*self._taps_wrong(there), *self._captures_wrong(files, captures)]

    def _taps_wrong(self, there: Mapping[str, tuple[str, str]]) -> Iterator[str]:
        for tap, may in self._taps.items():
            state = "THERE" if tap in there else "ABSENT"
            if state not in may:
                yield f"tap {self._ns.name}/{tap} is {state}, and may be {sorted(may)}"
            elif tap in there and there[tap] != self._on[tap]:
                yield f"tap {self._ns.name}/{tap} is at {there[tap]}, and was asked for at {self._on[tap]}"
        for tap in there.keys() - self._taps.keys():
            yield f"tap {self._ns.name}/{tap} is there, and nobody has asked for it"

    def _captures_wrong(self, files: Collection[str], captures: Captured) -> Iterator[str]:
        for name in self._begun:
            whole, partial = name in files, partial_name(name) in files
            if not (whole or partial or name in captures.going_on):
                yield f"the capture {name} is nowhere: it does not go on, and is no file, whole or partial"
            if whole and name in captures.died:
                yield f"the capture {name} died, and is taken for a whole one"


def _nothing() -> None:
    return
