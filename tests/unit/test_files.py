"""The cluster's files: names, what a VM's configuration needs of them, listing, names that are free."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal import subjects
from shoal.core.files import check_file, file_of, files_of, placed, size_text
from shoal.core.vmconfig import DiskSpec, VMConfig
from shoal.errors import Conflict, InvalidRequest, NotFound
from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.launching import new_entry
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import FileRecord, NamespaceRecord, QueueEntry
from shoal_orchestrator.core.stored_files import check_free, file_named, listing, needed
from shoal_orchestrator.core.stored_records import record_kind

PARTS = st.from_regex(r"[a-zA-Z0-9_+-][a-zA-Z0-9_.+-]{0,8}", fullmatch=True)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(NAMES)
def test_a_good_name_is_a_subject_of_its_own(name):
    """A name passes, and its record's subject tells its kind and gives the name back."""
    assert check_file(name) == name
    subject = subject_of(FileRecord(name=name, digest="d", size=1))
    assert subjects.parse_record(subject) == ("file", (name,))
    assert record_kind(subject) is FileRecord


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "a/../b",
        "./a",
        "a/.",
        "a//b",
        "a/",
        "a b",
        "a\n",
        "ä",
        "a*",
        "a>",
        "a=2E",
        "x" * 256,
    ],
)
def test_bad_names_are_refused(name):
    """Names that leave the store, are no subjects or cannot be typed are refused."""
    with pytest.raises(InvalidRequest, match="invalid file name"):
        check_file(name)


def test_relative_paths_and_the_prefix_mean_the_clusters_files():
    """A relative path and one with `file:` are a file of the cluster, an absolute one is the host's."""
    assert file_of("a/b") == file_of("file:a/b") == "a/b"
    assert file_of("/a/b") == file_of("") == ""
    config = VMConfig(
        kernel="file:k", initrd="i", cdrom="/host.iso", disks=(DiskSpec("i", "ide", "none"), DiskSpec("/d"))
    )
    assert files_of(config) == {"k": "kernel", "i": "initrd"}
    assert placed(config, {"k": "/c/1", "i": "/c/2"}) == VMConfig(
        kernel="/c/1",
        initrd="/c/2",
        cdrom="/host.iso",
        disks=(DiskSpec("/c/2", "ide", "none"), DiskSpec("/d")),
    )


def test_a_disk_of_the_cluster_is_never_written_to():
    """A disk from the store is refused with snapshot false; one of the host is not."""
    with pytest.raises(InvalidRequest, match="snapshot true"):
        files_of(VMConfig(disks=(DiskSpec("d"),), snapshot=False))
    assert files_of(VMConfig(disks=(DiskSpec("/d"),), snapshot=False)) == {}


def files(*names):
    return {name: FileRecord(name=name, digest=f"d-{name}", size=1) for name in names}


def names_in(found, path=""):
    return [(row.name, row.directory) for row in listing(found.values(), path)]


def test_listing():
    """A directory lists what is directly in it, by name; a file lists itself; what is not there is an error."""
    found = files("z", "a/b/c", "a/d", "ab")
    assert names_in(found) == [("a", True), ("ab", False), ("z", False)]
    assert names_in(found, "a") == names_in(found, "a/") == [("a/b", True), ("a/d", False)]
    assert names_in(found, "a/d") == names_in(found, "file:a/d") == [("a/d", False)]
    assert names_in({}) == []
    with pytest.raises(NotFound, match="no such file or directory"):
        listing(found.values(), "b")


def test_one_file_by_name():
    """A directory is said to be one; a missing file is not found."""
    found = files("a/b")
    assert file_named(found, "file:a/b").digest == "d-a/b"
    with pytest.raises(InvalidRequest, match="is a directory"):
        file_named(found, "a")
    with pytest.raises(NotFound, match="no such file"):
        file_named(found, "b")


def test_taken_names():
    """A name with other content needs `replace`; the same content is fine; a file is no directory, nor the reverse."""
    found = files("a/b", "c")
    check_free(found, "c", "d-c", replace=False)
    check_free(found, "c", "other", replace=True)
    with pytest.raises(Conflict, match="add `replace`"):
        check_free(found, "c", "other", replace=False)
    with pytest.raises(Conflict, match="`c` is a file"):
        check_free(found, "c/x", "d", replace=False)
    with pytest.raises(Conflict, match="`a` is a directory"):
        check_free(found, "a", "d", replace=True)


def test_content_is_fixed_when_a_vm_is_queued():
    """A queued VM has the digest of then, and keeps the content needed after its name stands for another."""
    model = Model()
    old = FileRecord(name="k", digest="old", size=1)
    namespace = NamespaceRecord(name="foo")
    model.apply(subject_of(old), old)
    entry = new_entry(model, namespace, "a", VMConfig(kernel="file:k"))
    assert entry.files == {"k": "old"}
    model.apply(subject_of(entry), entry)
    new = FileRecord(name="k", digest="new", size=1)
    model.apply(subject_of(new), new)
    assert needed(model) == {"old", "new"}
    model.apply(subject_of(entry), None)
    assert needed(model) == {"new"}
    with pytest.raises(NotFound, match="shoal file put PATH as nope"):
        new_entry(model, namespace, "a", VMConfig(initrd="nope"))


def test_launched_vms_keep_their_content():
    """The content of a VM's files is needed until the VM is forgotten."""
    model = Model()
    record = LaunchRecord(
        namespace="foo",
        name="a",
        id=0,
        instance="i",
        revision=1,
        power="off",
        host="h",
        incarnation="x",
        uuid="u",
        config=VMConfig(kernel="k"),
        files={"k": "d"},
    )
    model.apply(subject_of(record), record)
    assert needed(model) == {"d"}
    model.apply(subject_of(record), None)
    assert needed(model) == set()


def test_queue_entries_of_before_are_read():
    """An entry without files, as an older version stored it, has none."""
    assert QueueEntry(namespace="n", entry=1, count=1, config=VMConfig()).files == {}


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (20 << 20, "20.0 MiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes(size, text):
    """Sizes are told in the unit that fits."""
    assert size_text(size) == text
