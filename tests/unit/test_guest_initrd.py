"""The archive of the small guest."""

from __future__ import annotations

import gzip

from hypothesis import given
from hypothesis import strategies as st

from shoal_worker.guest.initrd import MODULES, Entry, initrd, newc

paths = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1).filter(
    lambda path: path != "TRAILER!!!"
)
entries = st.builds(
    Entry,
    paths,
    st.sampled_from([0o100644, 0o100755, 0o120777]),
    st.binary(max_size=50),
    st.tuples(st.integers(0, 255), st.integers(0, 255)),
)


def read(archive: bytes) -> list[Entry]:
    """A reader of the format as cpio(5) describes it, written apart from the writer."""
    found: list[Entry] = []
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, device, length = fields[1], fields[6], (fields[9], fields[10]), fields[11]
        name = archive[at + 110 : at + 110 + length]
        assert name.endswith(b"\0")
        at += 110 + length + -(110 + length) % 4
        content = archive[at : at + size]
        at += size + -size % 4
        if name == b"TRAILER!!!\0":
            assert at == len(archive)
            return found
        found.append(Entry(name[:-1].decode(), mode, content, device))


@given(st.lists(entries, max_size=5))
def test_archive_holds_what_was_put_in(wanted: list[Entry]) -> None:
    """Reading an archive gives the entries it was made of, in order."""
    assert read(newc(wanted)) == wanted


def test_initrd_is_the_same_every_time() -> None:
    """The same parts give the same bytes, so that a rebuilt image is not a different one."""
    parts = (b"busybox", {"virtio_net": b"ko"}, b"#!/bin/sh\n")
    assert initrd(*parts) == initrd(*parts)


def test_initrd_holds_what_boots() -> None:
    """Init is executable, the console is a device, applets lead to busybox, modules load in their order."""
    modules = {"virtio_net": b"net", "virtio": b"bus", "unheard-of": b""}
    found = {entry.path: entry for entry in read(gzip.decompress(initrd(b"box", modules, b"script")))}
    assert found["init"].content == b"script"
    assert found["init"].mode == 0o100755
    assert (found["dev/console"].mode, found["dev/console"].device) == (0o020600, (5, 1))
    assert found["bin/busybox"].content == b"box"
    assert found["bin/sh"].content == b"busybox"
    assert found["lib/modules/order"].content.split() == [b"virtio.ko", b"virtio_net.ko"]
    assert "lib/modules/unheard-of.ko" not in found
    parents = {path.rpartition("/")[0] for path in found if "/" in path}
    assert parents <= found.keys(), "a folder comes with everything in it"


def test_modules_need_those_before_them() -> None:
    """The bus is there before its drivers."""
    order = {name: place for place, name in enumerate(MODULES)}
    assert order["virtio_ring"] < order["virtio"] < order["virtio_pci"] < order["virtio_net"]
    assert order["failover"] < order["net_failover"] < order["virtio_net"]
