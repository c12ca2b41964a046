"""What reaches into running guests of a real lab: QEMU itself, its screen, its media, and what goes to it."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from PIL import Image
from tests.waiting import eventually

from shoal.messages.guests import (
    AddHotplug,
    AskQEMU,
    ChangeCDROM,
    EjectCDROM,
    ListHotplug,
    RemoveHotplug,
    Screenshot,
    ShowTop,
)
from shoal.messages.qos import AddQos, ClearQos
from shoal_worker.lab.layout import enter

HERE = Path(__file__).parent
FIRST, SECOND, DRIVE = "media/first.iso", "media/second.iso", "media/drive.img"
PNG = b"\x89PNG\r\n\x1a\n"
FLOOD_S = 3
#: sends datagrams of 1,000 octets to an address for some seconds, 2 MB in each: more than 20 times the rate set below
FLOOD = """
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begun = time.monotonic()
sent = 0
while (passed := time.monotonic() - begun) < float(sys.argv[2]):
    while sent < passed * 2000:
        try:
            out.sendto(bytes(1000), (sys.argv[1], 9))
        except ConnectionRefusedError:
            pass
        sent += 1
    time.sleep(0.005)
print(sent)
"""


async def put_media(client, folder):
    """Images for the guests' drives, as files of the cluster."""
    for number, name in enumerate((FIRST, SECOND, DRIVE), 1):
        image = folder / Path(name).name
        image.write_bytes(bytes([number]) * (1 << 20))
        await client.files.put(image, name)


async def check_guest(lab, client, red, row):
    """All of it on one running guest, which goes on running."""
    await check_qemu(red, row)
    await check_screen(client, red, row, lab.state.parent)
    await check_top(red)
    await check_cdrom(red, row)
    await check_drives(red, row)
    await check_rate(lab, red, row)
    await check_qemu(red, row)


async def qemu(red, row, command):
    said = await red.call(AskQEMU(vm=row.name, command=json.dumps({"execute": command})))
    return json.loads(said.text)["return"]


async def check_qemu(red, row):
    """QEMU says that the guest runs."""
    status = await qemu(red, row, "query-status")
    assert (status["status"], status["running"]) == ("running", True)


async def check_screen(client, red, row, folder):
    """A screenshot is a picture: a PNG that can be decoded, with pixels of more than one colour; a small one is small."""
    whole = await red.call(Screenshot(vm=row.name))
    small = await red.call(Screenshot(vm=row.name, file="shots/small.png", maximum=100))
    assert (whole.name, small.name) == (f"screenshots/red/{row.name}.png", "shots/small.png")
    sizes = []
    for picture, name in ((whole, "whole.png"), (small, "small.png")):
        await client.files.get(picture.name, folder / name)
        content = (folder / name).read_bytes()
        assert content.startswith(PNG)
        assert len(content) == picture.size > 0
        with Image.open(folder / name) as image:
            image.load()
            sizes.append(image.size)
            assert len(set(image.convert("L").tobytes())) > 1
    assert min(sizes[0]) >= 200
    assert max(sizes[1]) == 100


async def check_top(red):
    """Each running guest is there with its process, its memory and where it runs."""
    rows = {each.name: each for each in (await red.call(ShowTop(duration=1))).items}
    assert {name: each.host for name, each in rows.items()} == {vm.name: vm.host for vm in await red.vms()}
    for each in rows.values():
        assert each.virtual >= each.resident > 20 << 20
        assert each.cpu_s > 0


async def inserted(red, row):
    """The files that are in the guest's CD-ROM drives, as QEMU has them."""
    drives = await qemu(red, row, "query-block")
    return [d["inserted"]["file"] for d in drives if "inserted" in d and d["removable"]]


async def check_cdrom(red, row):
    """Another medium, none, and the first again: QEMU has what `vm info` shows."""
    (first,) = await inserted(red, row)
    assert Path(first).stat().st_size == 1 << 20
    for name in (SECOND, FIRST):
        await red.call(ChangeCDROM(target=row.name, path=name))
        (now,) = await inserted(red, row)
        assert Path(now).read_bytes()[:1] == (b"\2" if name == SECOND else b"\1")
        (seen,) = await red.vms(row.name)
        assert seen.config.cdrom == name
        await red.call(EjectCDROM(target=row.name))
        assert await inserted(red, row) == []


async def check_drives(red, row):
    """A USB drive is plugged in, listed, and gone after it was taken out."""

    async def usb():
        blocks = await qemu(red, row, "query-block")
        return [b for b in blocks if "inserted" in b and "usb" in b.get("qdev", "")]

    assert await usb() == []
    await red.call(AddHotplug(target=row.name, file=DRIVE, version="1.1"))
    (drive,) = await usb()
    assert drive["inserted"]["ro"]
    (listed,) = (await red.call(ListHotplug())).items
    assert (listed.vm, listed.file, listed.version, listed.host) == (row.name, DRIVE, "1.1", row.host)
    await red.call(RemoveHotplug(target=row.name, disk=str(listed.id)))
    assert (await red.call(ListHotplug())).items == ()

    async def gone():
        return await usb() == []

    await eventually(gone, "QEMU has no drive any more")


def sent_to(lab, row):
    """The octets that QEMU has taken from the guest's tap."""
    netns = lab.read("lab.json")["namespaces"][row.host]
    shown = subprocess.run(
        [*enter(netns), "ip", "-j", "-s", "link", "show", row.ports[0].tap],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    return json.loads(shown)[0]["stats64"]["tx"]["bytes"]


async def flooded(lab, row):
    """How many octets of a flood from the head's tap have gone to the guest when it ends."""
    head = lab.read("lab.json")["namespaces"]["head"]
    before = sent_to(lab, row)
    argv = (*enter(head), sys.executable, "-c", FLOOD, f"10.0.0.{row.name[2:]}", str(FLOOD_S))
    done = await asyncio.to_thread(
        subprocess.run, argv, check=True, capture_output=True, timeout=60, env=os.environ
    )
    assert int(done.stdout) > 1000 * FLOOD_S
    return sent_to(lab, row) - before


async def check_rate(lab, red, row):
    """Of the same flood, a guest with a rate gets what that allows, and one without many times as much."""
    free = await flooded(lab, row)
    await red.call(AddQos(target=row.name, interface="0", kind="rate", value="500", unit="kbit"))
    limited = await flooded(lab, row)
    await red.call(ClearQos(target=row.name))
    again = await flooded(lab, row)
    print(f"octets to {row.name} in {FLOOD_S} s: {free} without, {limited} with 500 kbit, {again} without")
    # half a megabit is 62,500 octets a second; some wait in the queue, and captures or ARP add a little
    assert 20_000 < limited < 2 * 62_500 * FLOOD_S
    assert min(free, again) > 4 * limited


async def check_transcript(lab):
    """A script on the real lab prints what stands beside it, line for line."""
    argv = (
        sys.executable,
        "-m",
        "shoal.cli.main",
        "--server",
        lab.url,
        "read",
        "--echo",
        str(HERE / "main-job.mm"),
    )
    done = await asyncio.to_thread(
        subprocess.run, argv, check=False, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == (HERE / "main-job.txt").read_text(), done.stderr
