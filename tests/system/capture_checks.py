"""What captures of a real lab have to hold: two namespaces with the same VLAN number and the same addresses."""

import asyncio
import contextlib
import os
import signal
import subprocess
from pathlib import Path

from tests.waiting import eventually

from shoal.messages.captures import (
    CaptureBridge,
    CaptureVM,
    EndBridgeCaptures,
    EndVMCaptures,
    ListCaptures,
    SetFilter,
)
from shoal_worker.lab.layout import enter


def recorders(lab, *parts):
    """The processes of tcpdump whose command line names the lab's state and has all these parts: pid → words."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if words[0] == "tcpdump" and all(any(p in w for w in words) for p in (str(lab.state), *parts)):
                found[int(folder.name)] = words
    return found


def packets(path, *words):
    """What tcpdump reads in a file: a line for each packet, with MAC addresses."""
    return subprocess.run(
        ["tcpdump", "-e", "-n", "-r", str(path), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()


async def listed(ns):
    """The namespace's captures by path."""
    return {row.path: row for row in (await ns.call(ListCaptures())).items}


async def begin(lab, red, reds):
    """Capture a guest's interface on mm1 and its whole bridge, which are processes on both hosts."""
    one = next(row for row in reds if row.host == "mm1")
    await red.call(CaptureVM(vm=one.name, index=0, file="caught/red.pcap"))
    await red.call(CaptureVM(vm=one.name, index=0, file=str(lab.state / "own.pcap")))
    await red.call(CaptureBridge(bridge="lan", file="lan.pcap"))
    assert set(await listed(red)) == {
        "caught/red.pcap",
        str(lab.state / "own.pcap"),
        "lan-mm1-100.pcap",
        "lan-mm2-100.pcap",
    }
    assert len(recorders(lab)) == 4


async def go_on(lab, red, before):
    """After its worker was killed and started again, a host's captures are the same processes, and are listed."""
    assert recorders(lab).keys() == before.keys()
    assert {row.state for row in (await listed(red)).values()} == {"running"}
    (dead,) = recorders(lab, "shb-1-100", "/mm2/")
    os.kill(dead, signal.SIGKILL)

    async def died():
        return (await listed(red))["lan-mm2-100.pcap"].state == "died"

    await eventually(died, "its death is seen")


async def end(lab, client, red, reds, blues, folder):
    """Captures hold what their namespace sent, ARP and ICMP too, and nothing of the other one."""
    one, two = sorted(reds, key=lambda row: row.host)
    ended = await red.call(EndVMCaptures(vm=one.name))
    assert ended.files == ("caught/red.pcap",)
    ended = await red.call(EndBridgeCaptures(bridge="all"))
    assert sorted(ended.files) == ["lan-mm1-100.pcap", "lan-mm2-100.partial.pcap"]
    assert recorders(lab) == {}
    own = {row.ports[0].mac for row in reds}
    other = {row.ports[0].mac for row in blues}
    caught = []
    for name in ("caught/red.pcap", *ended.files):
        await client.files.get(name, folder / Path(name).name)
        caught.append(folder / Path(name).name)
    for path in (*caught, lab.state / "own.pcap"):
        lines = packets(path)
        assert any(mac in line for mac in own for line in lines), path
        assert not [line for line in lines if any(mac in line for mac in other)], path
    for path in (caught[0], lab.state / "own.pcap", folder / "lan-mm1-100.pcap"):
        assert packets(path, "icmp"), path
        assert packets(path, "arp"), path
        assert any(two.ports[0].mac in line for line in packets(path)), path


async def until_the_end(lab, red, reds):
    """A capture with a filter is put when its namespace is cleared, one whose VM is killed when that is."""
    one, two = sorted(reds, key=lambda row: row.host)
    await red.call(SetFilter(bpf=("icmp",)))
    await red.call(CaptureVM(vm=one.name, index=0, file="killed.pcap"))
    await red.call(CaptureVM(vm=two.name, index=0, file="cleared.pcap"))
    head = lab.read("lab.json")["namespaces"]["head"]
    address = f"10.0.0.{two.name[2:]}"
    ping = (*enter(head), "busybox", "ping", "-c", "3", "-W", "5", address)
    await asyncio.to_thread(subprocess.run, ping, check=True, capture_output=True, timeout=60)
    await red.kill(one.name)
    assert set(await listed(red)) == {"cleared.pcap"}
    assert len(recorders(lab)) == 1


async def after_the_end(lab, client, folder):
    """No process is left, and the files are there."""
    assert recorders(lab) == {}
    for name in ("killed.pcap", "cleared.pcap"):
        await client.files.get(name, folder / name)
    assert packets(folder / "cleared.pcap")
    for name in ("killed.pcap", "cleared.pcap"):
        assert all("ICMP" in line for line in packets(folder / name))
