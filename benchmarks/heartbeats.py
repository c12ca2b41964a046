"""What the heartbeats of many hosts cost: CPU time of the orchestrator and of nats-server, at one a second for each host.

    python -m benchmarks.heartbeats [--hosts N] [--seconds S] [--json]

A real nats-server and a real orchestrator. The hosts are messages without workers behind them, made by this process,
whose own CPU time is not counted: each claims itself, then says once a second what a worker with some guests would
say, spread evenly over the second; all acknowledgements are read and looked into. They share one connection.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from dataclasses import dataclass
from time import perf_counter

import msgspec
from benchmarks.processes import Spent
from benchmarks.rows import Row, show

from shoal import codec, subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Bus, Message
from shoal.messages.desired import Capacity, Claim, Claimed, Heartbeat, HeartbeatAck, Inventory, Load
from shoal.testing import cluster
from shoal.version import version

CAPACITY = Capacity(cpus=64, memory_mib=256 * 1024)
#: claims in flight at once
CLAIMS = 64
CLAIM_TIMEOUT_S = 30.0
#: a new host is asked for its inventory with its first heartbeat: so long without a question, and that is over
SETTLE_S = 3.0
#: how often those are sent whose time has come
TICK_S = 0.001
#: of one core, for the orchestrator: what was asked for
BUDGET = 0.25
ROLES = ("orchestrator", "nats-server")


@dataclass
class Host:
    """One host: its claim, and what it says once a second."""

    claim: Claim
    subject: str
    reply: str
    beat: Heartbeat


def made(number: int, rng: random.Random) -> Host:
    """The host of that number, unclaimed."""
    claim = Claim(
        host=f"hb{number}",
        incarnation=f"{rng.getrandbits(96):024x}",
        session=f"{rng.getrandbits(96):024x}",
        version=version(),
        underlay=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        capacity=CAPACITY,
    )
    beat = Heartbeat(
        host=claim.host,
        incarnation=claim.incarnation,
        session=claim.session,
        version=claim.version,
        underlay=claim.underlay,
        capacity=CAPACITY,
        ours=Load(vcpus=20, memory_mib=20 * 2048, nics=20, vms=20),
        accelerator="kvm",
        load_average=7.25,
        memory_used_mib=43_210,
        rx_bytes_s=123_456.7,
        tx_bytes_s=76_543.2,
    )
    return Host(claim, subjects.heartbeat(claim.host), f"{subjects.acknowledgements('bench')}.{number}", beat)


class Hosts:
    """All of them, on one connection."""

    def __init__(self, bus: Bus, number: int) -> None:
        rng = random.Random(1)
        self._bus = bus
        self._hosts = [made(each, rng) for each in range(number)]
        self._claims = {host.claim.host: host.claim for host in self._hosts}
        self._answering: set[asyncio.Task[None]] = set()
        #: acknowledgements that were read, and those of them that say that the claim stands
        self.heard = self.claimed = 0
        #: questions for everything that a host has
        self.asked = 0

    async def claim(self) -> None:
        """Claim every host, and listen to what is asked and acknowledged from then on."""
        await self._bus.subscribe(subjects.host_request("*", "inventory"), self._on_question)
        await self._bus.subscribe(f"{subjects.acknowledgements('bench')}.*", self._on_acknowledgement)
        await self._bus.settle()
        gate = asyncio.Semaphore(CLAIMS)

        async def one(host: Host) -> None:
            async with gate:
                answer = await self._bus.request(
                    subjects.CLAIM, codec.encode(host.claim), timeout_s=CLAIM_TIMEOUT_S
                )
            said = codec.decode(answer.body, Claimed)
            host.beat = msgspec.structs.replace(
                host.beat, seen_store=said.store, seen_epoch=said.epoch, seen_nonce=said.nonce
            )

        await asyncio.gather(*map(one, self._hosts))

    async def beat(self) -> None:
        """One heartbeat a second of each host, until cancelled."""
        begun, sent = perf_counter(), 0
        while True:
            due = int((perf_counter() - begun) * len(self._hosts))
            for number in range(sent, due):
                host = self._hosts[number % len(self._hosts)]
                beat = msgspec.structs.replace(host.beat, uptime_s=perf_counter())
                await self._bus.publish(host.subject, codec.encode(beat), reply=host.reply)
            sent = due
            await asyncio.sleep(TICK_S)

    async def settled(self) -> None:
        """Wait until nobody asks for inventories any more."""
        before = -1
        while self.asked != before:
            before = self.asked
            await asyncio.sleep(SETTLE_S)

    def _on_acknowledgement(self, message: Message) -> None:
        self.heard += 1
        self.claimed += codec.decode(message.body, HeartbeatAck).claimed

    def _on_question(self, message: Message) -> None:
        """A host that is asked for everything says that there is nothing."""
        self.asked += 1
        claim = self._claims[message.subject.split(".")[2]]
        body = codec.encode(Inventory(host=claim.host, session=claim.session, number=0))
        task = asyncio.create_task(self._bus.publish(message.reply, body))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)


async def measure(number: int, seconds: float) -> dict[str, float]:
    """CPU seconds for each second, by role, and heartbeats that were acknowledged in each second."""
    async with cluster("mm1") as running, await connect(running.url, name="bench-hosts") as bus:
        hosts = Hosts(bus, number)
        await hosts.claim()
        beating = asyncio.create_task(hosts.beat())
        await hosts.settled()
        heard, claimed, begun = hosts.heard, hosts.claimed, perf_counter()
        spent = Spent({role: running.pid(role) for role in ROLES})
        await asyncio.sleep(seconds)
        taken, cpu = perf_counter() - begun, spent.so_far()
        heard, claimed = hosts.heard - heard, hosts.claimed - claimed
        beating.cancel()
    if claimed < heard:
        raise SystemExit(f"heartbeats: {heard - claimed} acknowledgements say that a claim does not stand")
    return {role: cpu[role] / taken for role in ROLES} | {"heartbeats_per_s": heard / taken}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures what the heartbeats of many hosts cost.")
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long is measured (default 20)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = asyncio.run(measure(options.hosts, options.seconds))
    what = f"heartbeats of {options.hosts:,} hosts"
    note = f"{found['heartbeats_per_s']:,.0f} a second acknowledged"
    show(
        [
            Row(f"{what}: orchestrator", found["orchestrator"], "cores", budget=f"< {BUDGET}", note=note),
            Row(f"{what}: nats-server", found["nats-server"], "cores", note=note),
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
