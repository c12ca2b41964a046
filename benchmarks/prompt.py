"""How long a person waits: `shoal -e version`, `vm info` of many VMs, a script of configuration lines.

    python -m benchmarks.prompt [--vms N] [--hosts N] [--lines N] [--repeat N] [--json]

Measured on a real nats-server, a real orchestrator and simulated hosts. Times are wall-clock times of whole programs,
but for "at the prompt", which is a session that is connected already. The yardstick beside them is a Python that
only starts and imports asyncio: what no program in Python can be faster than.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

from benchmarks.rows import Row, number, show

import shoal
from shoal.console.session import Session, console_grammar
from shoal.messages.base import Reply, Request
from shoal.messages.catalogue import COMMANDS
from shoal.testing import cluster
from shoal.testing.cluster import environment

NAMESPACE = "bench"


def program(url: str, *arguments: str) -> float:
    """Seconds that `shoal` takes with these arguments; its output is read and thrown away."""
    start = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "shoal.cli.main", *arguments],
        check=True,
        stdout=subprocess.PIPE,
        env=environment(url),
    )
    return perf_counter() - start


def bare_python() -> float:
    """Seconds that a Python takes that imports asyncio."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", "import asyncio"], check=True)
    return perf_counter() - start


async def at_the_prompt(url: str, repeat: int) -> list[float]:
    """Seconds from a line of a session to the text that answers it."""
    async with shoal.connect(url) as client:

        async def call(namespace: str, request: Request[Reply]) -> Reply:
            return await client.call(request, namespace=namespace)

        session = Session(call, console_grammar(COMMANDS), namespace=NAMESPACE)
        return [await _timed(lambda: session.run("vm info")) for _ in range(repeat)]


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    start = perf_counter()
    await work()
    return perf_counter() - start


def script(lines: int) -> str:
    """A script that configures: as many lines, each a change."""
    return "".join(f"vm config memory {128 + number}\n" for number in range(lines))


async def measure(options: argparse.Namespace) -> list[Row]:
    """Launch the VMs, then time each thing, the best of several times."""
    repeat = range(options.repeat)
    async with cluster(f"mm[1-{options.hosts}]") as running:
        async with shoal.connect(running.url) as client:
            bench = client.namespace(NAMESPACE)
            await bench.create()
            await bench.launch(f"vm[0-{options.vms - 1}]")
        with tempfile.NamedTemporaryFile("w", suffix=".mm") as file:
            file.write(script(options.lines))
            file.flush()
            yardstick = min(bare_python() for _ in repeat)
            taken = [
                ("`shoal -e version`", "< 0.2 s", [program(running.url, "-e", "version") for _ in repeat]),
                (
                    f"`shoal -e 'vm info'` of {options.vms:,} VMs",
                    "< 0.5 s",
                    [program(running.url, "--namespace", NAMESPACE, "-e", "vm info") for _ in repeat],
                ),
                ("the same at the prompt", "< 0.2 s", await at_the_prompt(running.url, options.repeat)),
                (
                    f"`shoal read` of {options.lines:,} lines of `vm config`",
                    "",
                    [
                        program(running.url, "--namespace", NAMESPACE, "read", str(Path(file.name)))
                        for _ in repeat
                    ],
                ),
            ]
    bare = f"best of {options.repeat}; a Python that imports asyncio: {number(yardstick, 's')}"
    return [Row(what, min(times), "s", budget=budget, note=bare) for what, budget, times in taken]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Times what a person at a prompt waits for.")
    parser.add_argument("--vms", type=int, default=10_000)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    show(asyncio.run(measure(options)), as_json=options.json)


if __name__ == "__main__":
    main()
