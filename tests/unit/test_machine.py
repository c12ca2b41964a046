"""What is read from /proc, and what is made of it."""

import os
from pathlib import Path

import pytest

from shoal_worker.machine import LinuxMachine, Traffic, address_towards


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with two interfaces, 4 GiB, and a process that was started 50 s ago."""
    ticks = os.sysconf("SC_CLK_TCK")
    files = {
        "proc/meminfo": "MemTotal: 4194304 kB\nMemFree: 1 kB\nMemAvailable: 3145728 kB\n",
        "proc/loadavg": "0.52 0.40 0.30 1/100 999\n",
        "proc/uptime": "150.00 299.00\n",
        "proc/net/dev": "Inter-|\n face |\n    lo: 9 0 0 0 0 0 0 0 9 0\n  eth0: 1000 1 0 0 0 0 0 0 500 1\n",
        "proc/7/stat": "7 (a (b) c) S " + " ".join(["0"] * 18) + f" {100 * ticks} 0\n",
        "proc/sys/kernel/random/boot_id": "b00t\n",
        "etc/machine-id": "mach\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_readings_of_a_machine(root: Path) -> None:
    """Memory is counted in MiB, what is available is not used, loopback is no traffic."""
    machine = LinuxMachine(root)
    assert machine.capacity().memory_mib == 4096
    first = machine.readings(10.0)
    assert (first.load_average, first.memory_used_mib, first.uptime_s) == (0.52, 1024, 150.0)
    assert (first.rx_bytes_s, first.tx_bytes_s) == (0, 0)
    dev = root / "proc/net/dev"
    dev.write_text(dev.read_text().replace("1000", "3000").replace("500", "1500"))
    second = machine.readings(12.0)
    assert (second.rx_bytes_s, second.tx_bytes_s) == (1000, 500)
    assert machine.identity == "mach/b00t"


def test_age_of_a_process(root: Path) -> None:
    """It is counted from field 22 of stat, whatever the program is called; no process has no age."""
    machine = LinuxMachine(root)
    assert machine.process_age_s(7) == 50.0
    assert machine.process_age_s(8) == 0.0


def test_what_a_process_takes(root: Path) -> None:
    """Sizes come in pages, times in ticks, from the fields that proc(5) names; no process takes nothing."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    fields = ["0"] * 52
    fields[14 - 1], fields[15 - 1], fields[43 - 1] = str(3 * ticks), str(ticks), str(2 * ticks)
    stat = f"9 (qemu (1)) S {' '.join(fields[3:])}"
    for name, text in {"proc/9/stat": stat, "proc/9/statm": "100 50 20 1 0 1 0"}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    found = LinuxMachine(root).process(9)
    assert found is not None
    assert (found.virtual_bytes, found.resident_bytes, found.shared_bytes) == (
        100 * page,
        50 * page,
        20 * page,
    )
    assert (found.cpu_s, found.guest_cpu_s) == (4.0, 2.0)
    assert LinuxMachine(root).process(8) is None


def test_traffic_of_an_interface(root: Path) -> None:
    """Bytes are counted in the worker's own network namespace, which /sys may not show; what is not there has none."""
    assert LinuxMachine(root).interface_bytes("eth0") == Traffic(rx_bytes=1000, tx_bytes=500)
    assert LinuxMachine(root).interface_bytes("tap1") == Traffic()


def test_missing_files_are_no_failure(tmp_path: Path) -> None:
    """In a bare container everything unknown is zero."""
    machine = LinuxMachine(tmp_path)
    assert machine.capacity().memory_mib == 0
    assert machine.readings(1.0).memory_used_mib == 0
    assert machine.identity == "/"


def test_address_on_the_way_to_the_server() -> None:
    """On the way to loopback it is loopback's; where there is no way it is empty."""
    assert address_towards("127.0.0.1", 4222) == "127.0.0.1"
    assert address_towards("256.1.1.1", 4222) == ""
