"""What the worker says of the machine it runs on: size, load, traffic, identity.

Refuses to know VMs and the bus. Everything comes from /proc and /etc, read in passing (these files are small and
in memory). `SimulatedMachine` is the twin.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from shoal.messages.desired import Capacity


class Readings(msgspec.Struct, frozen=True, kw_only=True):
    """What changes from second to second. Rates are bytes a second, over all interfaces but loopback."""

    load_average: float = 0.0
    memory_used_mib: int = 0
    rx_bytes_s: float = 0.0
    tx_bytes_s: float = 0.0
    uptime_s: float = 0.0


class ProcessReadings(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has: sizes in bytes, CPU time in seconds since its start, `guest_cpu_s` of it in guest mode."""

    virtual_bytes: int = 0
    resident_bytes: int = 0
    shared_bytes: int = 0
    cpu_s: float = 0.0
    guest_cpu_s: float = 0.0


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """What went through an interface since it was made, as the host sees it."""

    rx_bytes: int = 0
    tx_bytes: int = 0


class Machine(Protocol):
    """The machine under the worker."""

    @property
    def identity(self) -> str:
        """Machine id and boot id, which tell two machines of one name apart."""
        ...

    def capacity(self) -> Capacity:
        """What it has."""
        ...

    def readings(self, now: float) -> Readings:
        """How it is. `now` is the event loop's time in seconds; rates are since the last call."""
        ...

    def process_age_s(self, pid: int) -> float:
        """How long ago a process was started, in seconds; 0 if it is not there."""
        ...

    def process(self, pid: int) -> ProcessReadings | None:
        """What a process has taken so far; None if it is not there."""
        ...

    def interface_bytes(self, name: str) -> Traffic:
        """What went through an interface; nothing for one that is not there."""
        ...


class LinuxMachine:
    """The real thing, by proc(5)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._traffic: tuple[float, int, int] | None = None

    def _lines(self, path: str) -> list[str]:
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []

    def _words(self, path: str) -> list[str]:
        return " ".join(self._lines(path)).split()

    @property
    def identity(self) -> str:
        """Machine id and boot id; either may be missing in a container."""
        machine = "".join(self._words("etc/machine-id"))
        boot = "".join(self._words("proc/sys/kernel/random/boot_id"))
        return f"{machine}/{boot}"

    def _memory_mib(self) -> dict[str, int]:
        found = {}
        for line in self._lines("proc/meminfo"):
            name, _, value = line.partition(":")
            found[name] = int((value.split() or ["0"])[0]) // 1024
        return found

    def capacity(self) -> Capacity:
        """The CPUs online, and all memory."""
        return Capacity(cpus=os.cpu_count() or 1, memory_mib=self._memory_mib().get("MemTotal", 0))

    def readings(self, now: float) -> Readings:
        """Load average of the last minute, memory that is not available, traffic since the last call."""
        memory = self._memory_mib()
        rx_bytes, tx_bytes = self._bytes()
        rx_s = tx_s = 0.0
        if self._traffic is not None and now > self._traffic[0]:
            then, rx_then, tx_then = self._traffic
            # counters go back when an interface is removed
            rx_s = max(0, rx_bytes - rx_then) / (now - then)
            tx_s = max(0, tx_bytes - tx_then) / (now - then)
        self._traffic = (now, rx_bytes, tx_bytes)
        return Readings(
            load_average=float((self._words("proc/loadavg") or ["0"])[0]),
            memory_used_mib=memory.get("MemTotal", 0) - memory.get("MemAvailable", 0),
            rx_bytes_s=rx_s,
            tx_bytes_s=tx_s,
            uptime_s=self._uptime_s(),
        )

    def _uptime_s(self) -> float:
        return float((self._words("proc/uptime") or ["0"])[0])

    def _bytes(self) -> tuple[int, int]:
        counted = [traffic for name, traffic in self._counters() if name != "lo"]
        return sum(each.rx_bytes for each in counted), sum(each.tx_bytes for each in counted)

    def _counters(self) -> Iterator[tuple[str, Traffic]]:
        """Of each interface in the network namespace of this process: /sys may show another one's."""
        for line in self._lines("proc/net/dev")[2:]:
            name, _, counters = line.partition(":")
            numbers = counters.split()
            if len(numbers) > 8:
                yield name.strip(), Traffic(rx_bytes=int(numbers[0]), tx_bytes=int(numbers[8]))

    def process_age_s(self, pid: int) -> float:
        """Its start time (field 22 of stat, in clock ticks after boot) against the time since boot."""
        fields = self._stat(pid)
        if len(fields) < 20:
            return 0.0
        return max(0.0, self._uptime_s() - int(fields[19]) / os.sysconf("SC_CLK_TCK"))

    def _stat(self, pid: int) -> list[str]:
        """The fields of a process's stat from the third on."""
        stat = " ".join(self._lines(f"proc/{pid}/stat"))
        # the second field, the program's name, may hold spaces and parentheses
        return stat.rpartition(")")[2].split()

    def process(self, pid: int) -> ProcessReadings | None:
        """From stat (fields 14, 15 and 43, in clock ticks) and statm (in pages)."""
        fields, sizes = self._stat(pid), self._words(f"proc/{pid}/statm")
        if len(fields) < 41 or len(sizes) < 3:
            return None
        tick, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        return ProcessReadings(
            virtual_bytes=int(sizes[0]) * page,
            resident_bytes=int(sizes[1]) * page,
            shared_bytes=int(sizes[2]) * page,
            cpu_s=(int(fields[11]) + int(fields[12])) / tick,
            guest_cpu_s=int(fields[40]) / tick,
        )

    def interface_bytes(self, name: str) -> Traffic:
        """From the counters in /proc/net/dev."""
        return next((traffic for known, traffic in self._counters() if known == name), Traffic())


class SimulatedMachine:
    """A machine of 16 CPUs and 64 GiB that does nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def identity(self) -> str:
        """Made from the host's name."""
        return f"simulated/{self._name}"

    def capacity(self) -> Capacity:
        """Always the same."""
        return Capacity(cpus=16, memory_mib=65536)

    def readings(self, now: float) -> Readings:
        """Nothing but the time that went by."""
        return Readings(uptime_s=now)

    def process_age_s(self, pid: int) -> float:
        """Simulated processes have no age."""
        del pid
        return 0.0

    def process(self, pid: int) -> ProcessReadings | None:
        """Simulated processes take nothing."""
        return ProcessReadings() if pid else None

    def interface_bytes(self, name: str) -> Traffic:
        """Nothing goes through simulated interfaces."""
        del name
        return Traffic()


def address_towards(host: str, port: int) -> str:
    """Our own address on the way to `host` (no packet is sent); empty when there is no way."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0])
    except OSError:
        return ""
