"""A process inside a network namespace that applies `Links` with the real adapter: a line of JSON in, a line out."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Literal

import msgspec

from shoal_worker.core.links import EnsureGuestTap, EnsureHostTap, EnsureSegment, EnsureUplink, Remove, diff
from shoal_worker.netlink_network import NetlinkNetwork
from shoal_worker.network import Links, NetworkError


class Order(msgspec.Struct):
    """`apply` makes `links` what the kernel has; `observe` only looks. Each with a new connection."""

    do: Literal["apply", "observe"]
    links: Links = Links()


class Answer(msgspec.Struct):
    """What was observed afterwards, how many actions it took, how long, and what was refused.

    `lag_s` is the longest time that the event loop was kept waiting meanwhile.
    """

    links: Links
    actions: int = 0
    seconds: float = 0.0
    lag_s: float = 0.0
    error: str = ""


class _Lag:
    """Measures for how long the event loop did not get its turn."""

    worst_s = 0.0

    async def run(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            self.worst_s = max(self.worst_s, time.monotonic() - before - 0.01)


async def carry_out(network: NetlinkNetwork, order: Order) -> Answer:
    """Apply the order's links, stopping at the first refusal."""
    lag = _Lag()
    watch = asyncio.create_task(lag.run())
    began = time.monotonic()
    error = ""
    actions = diff(order.links, await network.observe()) if order.do == "apply" else ()
    try:
        for action in actions:
            match action:
                case Remove(names=names):
                    await network.remove(names)
                case EnsureSegment(segment=segment):
                    await network.ensure_segment(segment)
                case EnsureGuestTap(tap=guest_tap):
                    await network.ensure_guest_tap(guest_tap)
                case EnsureHostTap(tap=host_tap):
                    await network.ensure_host_tap(host_tap)
                case EnsureUplink(uplink=uplink):
                    await network.ensure_uplink(uplink)
    except NetworkError as refused:
        error = str(refused)
    seconds = time.monotonic() - began
    watch.cancel()
    return Answer(
        links=await network.observe(), actions=len(actions), seconds=seconds, lag_s=lag.worst_s, error=error
    )


async def answer(line: bytes) -> Answer:
    """Answer one line, with a connection of its own."""
    order = msgspec.json.decode(line, type=Order)
    network = NetlinkNetwork()
    try:
        await network.open()
    except NetworkError as refused:
        return Answer(links=Links(), error=str(refused))
    try:
        return await carry_out(network, order)
    finally:
        await network.close()


if __name__ == "__main__":
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(answer(line))) + b"\n")
        sys.stdout.buffer.flush()
