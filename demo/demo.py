"""Shoal's main job, shown: run it inside a laboratory of three hosts, `shoal lab --hosts 3 -- python demo/demo.py`.

Two scripts (red.mm, blue.mm) fill two namespaces; then the guests themselves are asked, over their serial lines,
whom they reach. Everything that is said here is what was seen: the first thing that is not as it should be ends
the demo with exit code 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import shoal
from shoal_worker.guest import READY_MARKER
from shoal_worker.guest.console import SerialConsole, serial_console

HERE = Path(__file__).parent
STATE = Path(os.environ["SHOAL_LAB_STATE"])
LAB = json.loads((STATE / "lab.json").read_text())
SHARED = [f"10.0.0.{n}" for n in range(1, 6)]
ADDRESSES = {"red": [*SHARED, "10.0.0.6"], "blue": [*SHARED, "10.0.0.7"]}
BOOT_TIMEOUT_S = 300.0
TRIES = 10
STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of progress."""
    print(f"[{time.monotonic() - STARTED:5.1f} s] {text}", flush=True)


def fail(text: str) -> NoReturn:
    """The end."""
    say(f"FAILED: {text}")
    sys.exit(1)


def run_script(name: str) -> None:
    """Read a script of the command language, showing each command and its answer."""
    say(f"shoal read --echo --strict demo/{name}")
    subprocess.run(
        [sys.executable, "-m", "shoal.cli.main", "read", "--echo", "--strict", str(HERE / name)], check=True
    )


def serial_folder(host: str, namespace: str, vm: str) -> Path:
    """Where a worker keeps the serial line of a guest."""
    return STATE / host / "by-name" / namespace / vm


async def ready(folders: Sequence[Path]) -> None:
    """Wait until every guest has said on its serial line that it is up."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + BOOT_TIMEOUT_S
    up = 0
    while up < len(folders):
        now = sum(READY_MARKER in (f / "serial0.log").read_text(errors="replace") for f in folders)
        if now != up:
            up = now
            say(f"{up} of {len(folders)} guests are up")
        if loop.time() > deadline:
            fail("not all guests came up; their serial logs are in " + str(STATE))
        await asyncio.sleep(0.2)


async def ask_all(
    namespace: str, consoles: dict[str, SerialConsole], addresses: Sequence[str]
) -> dict[str, dict[str, str | None]]:
    """Let every guest ask every address who is there, one after the other: guest → address → answer."""

    async def ask(console: SerialConsole, address: str) -> str | None:
        # Where an answer is due, a host too busy to give it in the guest's few seconds is asked again.
        for _ in range(TRIES if address in ADDRESSES[namespace] else 1):
            answer = await console.ask(address)
            if answer:
                return answer
        return None

    async def ask_each(console: SerialConsole) -> dict[str, str | None]:
        return {address: await ask(console, address) for address in addresses}

    found = await asyncio.gather(*map(ask_each, consoles.values()))
    return dict(zip(consoles, found, strict=True))


def judge(namespace: str, answers: dict[str, dict[str, str | None]]) -> None:
    """Every answer must come from the asker's own namespace, and the foreign address must be silent."""
    own = ADDRESSES[namespace]
    for vm, of_vm in answers.items():
        for address, answer in of_vm.items():
            expected = f"{namespace}/vm{own.index(address) + 1}" if address in own else None
            if answer != expected:
                fail(f"{namespace}/{vm} asked {address} and heard {answer}, not {expected}")
    foreign = next(a for a in (*ADDRESSES["red"], *ADDRESSES["blue"]) if a not in own)
    say(
        f"{namespace}: {len(answers)} guests asked {len(own)} addresses, {len(answers) * len(own)} answers, "
        f"all of them {namespace}/…; {foreign}, which only the other namespace has, never answered"
    )


@contextlib.contextmanager
def capture(file: Path) -> Iterator[None]:
    """Capture the tunnels' packets on the underlay, in the namespace that holds it."""
    netns = f"/var/run/netns/{LAB['network']}"
    argv = [
        "nsenter",
        f"--net={netns}",
        "tcpdump",
        "-Z",
        "root",
        "-U",
        "-i",
        "any",
        "-w",
        str(file),
        "udp",
        "port",
        "4789",
    ]
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if "listening on" in line:
            break
    try:
        yield
    finally:
        process.terminate()
        process.communicate()


def vnis_in(file: Path) -> set[int]:
    """The VNIs of a capture."""
    read = subprocess.run(["tcpdump", "-n", "-r", str(file)], capture_output=True, text=True, check=True)
    return {int(number) for number in re.findall(r"vni (\d+)", read.stdout)}


async def tell_events(client: shoal.Client) -> None:
    """Print what happens, as the bus tells it."""
    async for event in client.events():
        if event.noun in ("namespace", "bridge", "schedule"):
            say(f"event: {event.event} {event.name}")


async def prove(client: shoal.Client) -> None:
    """Ask the guests; then clear red, and ask blue again."""
    rows = {name: await client.namespace(name).vms() for name in ADDRESSES}
    folders = {
        (name, row.name): serial_folder(row.host, name, row.name) for name, of in rows.items() for row in of
    }
    say("waiting for the guests to boot (emulated, on two cores: some tens of seconds)")
    await ready(list(folders.values()))
    spread = {name: len({row.host for row in of}) for name, of in rows.items()}
    say(f"red's guests are on {spread['red']} hosts, blue's on {spread['blue']}")
    everything = sorted({*ADDRESSES["red"], *ADDRESSES["blue"]})
    pcap = STATE / "underlay.pcap"
    async with contextlib.AsyncExitStack() as stack:
        consoles: dict[str, dict[str, SerialConsole]] = {"red": {}, "blue": {}}
        for (name, vm), folder in folders.items():
            path = folder / "serial0.sock"
            consoles[name][vm] = await stack.enter_async_context(serial_console(path))
        with capture(pcap):
            found = await asyncio.gather(*(ask_all(name, consoles[name], everything) for name in rows))
        for name, answers in zip(rows, found, strict=True):
            judge(name, answers)
        expected = {port.vni for of in rows.values() for row in of for port in row.ports}
        seen = vnis_in(pcap)
        if seen != expected:
            fail(f"the underlay carried the VNIs {sorted(seen)}, not {sorted(expected)}")
        keys = ", ".join(f"{vni} (key {vni >> 12}, VLAN {vni & 4095})" for vni in sorted(seen))
        say(f"on the underlay: the VNIs {keys}, and no others")
        say("clear namespace red")
        await client.namespace("red").clear()
        judge("blue", await ask_all("blue", consoles["blue"], everything))
    say("blue did not notice that red is gone")
    await client.namespace("blue").clear()


async def main() -> None:
    """Both scripts, then the proof."""
    async with shoal.connect() as client:
        events = asyncio.create_task(tell_events(client))
        for name in ("red.mm", "blue.mm"):
            await asyncio.to_thread(run_script, name)
        await prove(client)
        events.cancel()
        await asyncio.wait([events])
    say("the demo is done: everything was as it should be")


if __name__ == "__main__":
    asyncio.run(main())
