"""The folder of libvirt's embedded driver."""

from __future__ import annotations

from pathlib import Path

from shoal_worker.embedded_root import prepare, share_probe

PROBE = "cache/qemu/capabilities/0123.xml"


def test_probe_is_shared(tmp_path: Path) -> None:
    """What one root learned of QEMU is there in the next one, byte for byte, with its time."""
    cache, first, second = tmp_path / "cache", tmp_path / "a", tmp_path / "b"
    prepare(first, cache)
    assert not (first / PROBE).exists()
    (first / PROBE).parent.mkdir(parents=True)
    (first / PROBE).write_text("<qemuCaps/>")
    share_probe(first, cache)
    prepare(second, cache)
    assert (second / PROBE).read_text() == "<qemuCaps/>"
    assert (second / PROBE).stat().st_mtime_ns == (first / PROBE).stat().st_mtime_ns


def test_newer_probe_replaces_the_shared_one(tmp_path: Path) -> None:
    """After an upgrade of QEMU the new probe is shared, and a root's own is never replaced by a shared one."""
    cache, root = tmp_path / "cache", tmp_path / "a"
    for content in ("old", "new"):
        (root / PROBE).parent.mkdir(parents=True, exist_ok=True)
        (root / PROBE).write_text(content)
        share_probe(root, cache)
    other = tmp_path / "b"
    (other / PROBE).parent.mkdir(parents=True)
    (other / PROBE).write_text("its own")
    prepare(other, cache)
    assert (other / PROBE).read_text() == "its own"
    third = tmp_path / "c"
    prepare(third, cache)
    assert (third / PROBE).read_text() == "new"


def test_configuration(tmp_path: Path) -> None:
    """The driver is told to log into files, as there is no virtlogd; preparing again changes nothing."""
    for _ in "twice":
        prepare(tmp_path / "a", tmp_path / "cache")
        assert 'stdio_handler = "file"' in (tmp_path / "a/etc/qemu.conf").read_text().splitlines()
    assert [path.name for path in (tmp_path / "a/etc").iterdir()] == ["qemu.conf"]


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """Without a cache everything works, only slower."""
    (tmp_path / "file").write_text("")
    root = tmp_path / "a"
    prepare(root, tmp_path / "file")
    (root / PROBE).parent.mkdir(parents=True)
    (root / PROBE).write_text("probe")
    share_probe(root, tmp_path / "file")
    assert (root / PROBE).read_text() == "probe"
    assert (tmp_path / "file").read_text() == ""
