"""What the plain ways would cost that Shoal's replaced: one publish for each VM, JSON, one task for each answer.

    python -m benchmarks.naive [--records N] [--repeat N] [--json]

Storing: the launch records of as many VMs, in the real state stream of a real nats-server. Naive is what one writes
first: publish one with the sequence that is expected, wait for its acknowledgement, go on. Ours are atomic batches of 900
behind a fence. Coding: a launch record and a heartbeat, there and back, beside Python's `json` with the same fields.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable
from time import perf_counter, process_time

import msgspec
from benchmarks.rows import Row, number, show

from shoal import codec, subjects
from shoal.bus.connection import connect
from shoal.bus.protocol import Write
from shoal.bus.streams import JetStreamState
from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import Capacity, Heartbeat, LaunchRecord, Load, Port
from shoal.testing import nats_server

#: records in a batch beside the lease, as the leader has it
BATCH = 900
_EXPECT = "Nats-Expected-Last-Subject-Sequence"
CODED = 20_000


def launch_record(number: int) -> LaunchRecord:
    """Of a VM with one interface."""
    port = Port(
        bridge="mega_bridge",
        vlan=101,
        alias="LAN",
        vni=4197,
        segment="sb4197",
        tap=f"t{number}",
        mac="52:54:00:00:00:01",
        driver="virtio-net-pci",
    )
    return LaunchRecord(
        namespace="bench",
        name=f"vm{number}",
        id=number,
        instance=f"{number:024x}",
        revision=1,
        power="paused",
        host=f"mm{number % 100}",
        incarnation="0123456789abcdef01234567",
        uuid="12345678-1234-1234-1234-123456789abc",
        config=VMConfig(),
        ports=(port,),
        plan="p1",
    )


HEARTBEAT = Heartbeat(
    host="mm1",
    incarnation="0123456789abcdef01234567",
    session="0123456789abcdef01234567",
    version="1.0.0",
    underlay="10.0.0.1",
    capacity=Capacity(cpus=64, memory_mib=262_144),
    ours=Load(vcpus=20, memory_mib=40_960, nics=20, vms=20),
    load_average=7.25,
    memory_used_mib=43_210,
    uptime_s=12_345.6,
    seen_store="0123456789abcdef01234567",
    seen_epoch=3,
    seen_nonce="0123456789abcdef01234567",
)


async def stored_s(records: int) -> tuple[float, float]:
    """Seconds to store so many records in batches, and one by one."""
    with nats_server() as url:
        async with await connect(url, name="bench-naive") as bus:
            stream = JetStreamState(bus)
            await stream.ensure(replicas=1)
            fence = await stream.commit([Write(subjects.FENCE, b"{}", 0)], fence=0)
            begun = perf_counter()
            for at in range(0, records, BATCH):
                part = [launch_record(n) for n in range(at, min(records, at + BATCH))]
                writes = [Write(subjects.launch(r.host, r.namespace, r.name), codec.encode(r)) for r in part]
                await stream.commit([Write(subjects.LEASE, b"{}"), *writes], fence=fence)
            batches = perf_counter() - begun
            js = bus.client.jetstream()
            begun = perf_counter()
            for each in map(launch_record, range(records)):
                # other names, so that both write what was not there
                subject = subjects.launch(each.host, "naive", each.name)
                await js.publish(subject, codec.encode(each), headers={_EXPECT: "0"})
            return batches, perf_counter() - begun


def coded_us(there_and_back: Callable[[], object]) -> float:
    """Microseconds of CPU time for one message."""
    begun = process_time()
    for _ in range(CODED):
        there_and_back()
    return (process_time() - begun) / CODED * 1e6


def coding(what: str, message: msgspec.Struct, read: Callable[[bytes], object]) -> Row:
    """A message there and back, ours and with `json`."""
    kind, fields = type(message), msgspec.to_builtins(message)
    assert read(codec.encode(message)) == message
    ours = min(coded_us(lambda: read(codec.encode(message))) for _ in range(3))
    plain = min(coded_us(lambda: msgspec.convert(json.loads(json.dumps(fields)), kind)) for _ in range(3))
    sizes = f"{len(codec.encode(message))} bytes beside {len(json.dumps(fields))}"
    return Row(
        f"{what}, written and read", ours, "µs", naive=number(plain, "µs"), note=f"naive: `json`; {sizes}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measures the plain ways beside ours.")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of the storing (default 3)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    runs = [asyncio.run(stored_s(options.records)) for _ in range(options.repeat)]
    ours, naive = (options.records / min(taken) for taken in zip(*runs, strict=True))
    show(
        [
            Row(
                f"{options.records:,} launch records stored",
                ours,
                "/s",
                naive=number(naive, "/s"),
                note=f"atomic batches of {BATCH}; naive: publish one, wait for its acknowledgement",
            ),
            coding("a launch record", launch_record(1), lambda body: codec.decode(body, LaunchRecord)),
            coding("a heartbeat", HEARTBEAT, codec.small_reader(Heartbeat)),
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
