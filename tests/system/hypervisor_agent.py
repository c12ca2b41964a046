"""A process with a LibvirtHypervisor of its own, for test_hypervisor.py: a process can have one embedded root only.

Usage: hypervisor_agent.py STATE CACHE. Reads one JSON request a line, answers with one JSON line: the survey after
it was done, and the error if there was one.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec

from shoal.core.saved_machine import SavedMachine
from shoal_worker.accelerator import Accelerator
from shoal_worker.hypervisor import GuestSpec, HypervisorError, Survey
from shoal_worker.libvirt_hypervisor import LibvirtHypervisor


class Ask(msgspec.Struct):
    do: str
    instance: str = ""
    spec: GuestSpec | None = None


class Answer(msgspec.Struct):
    survey: Survey
    error: str = ""
    version: str = ""
    seconds: float = 0.0
    changes: int = 0


async def carry_out(hypervisor: LibvirtHypervisor, ask: Ask) -> str:
    match ask.do:
        case "open":
            return (await hypervisor.open()).version
        case "create":
            assert ask.spec is not None
            await hypervisor.create(ask.spec)
        case "resume":
            await hypervisor.resume(ask.instance)
        case "pause":
            await hypervisor.pause(ask.instance)
        case "destroy":
            await hypervisor.destroy(ask.instance)
        case "save":
            machine = SavedMachine(memory_mib=0)
            saved = await hypervisor.access.save(ask.instance, machine, lambda *_: None)
            await saved.discard()
        case "survey":
            pass
        case other:
            raise ValueError(other)
    return ""


async def main(state: Path, cache: Path) -> None:
    loop = asyncio.get_running_loop()
    hypervisor = LibvirtHypervisor(
        state, host="mm1", accelerator=Accelerator(kind="tcg"), cache=cache, allow_qemu_append=True
    )
    changes = 0

    def changed() -> None:
        nonlocal changes
        changes += 1

    hypervisor.watch(changed)
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        ask = msgspec.json.decode(line, type=Ask)
        began = loop.time()
        error = version = ""
        try:
            version = await carry_out(hypervisor, ask)
        except HypervisorError as raised:
            error = str(raised)
        seconds = loop.time() - began
        survey = Survey(guests=()) if ask.do == "open" and error else await hypervisor.survey()
        answer = Answer(survey, error, version, seconds, changes)
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    await hypervisor.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
