"""Who hears what when two programs launch the same names."""

from __future__ import annotations

import pytest

from shoal import codec, subjects
from shoal.core.vmconfig import VMConfig
from shoal.errors import Conflict
from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.launching import new_entry
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import NamespaceRecord, QueueEntry

RED = NamespaceRecord(name="red")


def launched(name: str, by: str) -> LaunchRecord:
    return LaunchRecord(
        namespace="red",
        name=name,
        id=0,
        instance=f"i-{name}",
        revision=1,
        power="paused",
        host="mm1",
        incarnation="x",
        uuid="u",
        config=VMConfig(),
        by=by,
    )


def test_the_second_hears_which_names_are_taken_and_by_whom() -> None:
    """The error names every taken VM, and says who launched or queued it, where they have named themselves."""
    model = Model()
    model.apply(subjects.namespace_record("red"), RED)
    for name, by in (("web1", "first@a[1]"), ("web2", "first@a[1]"), ("web3", "")):
        model.apply(subjects.launch("mm1", "red", name), launched(name, by))
    queued = QueueEntry(namespace="red", entry=0, count=1, names="web4", config=VMConfig(), by="other@b[2]")
    model.apply(subjects.queue_record("red", 0), queued)
    with pytest.raises(Conflict) as refused:
        new_entry(model, RED, "web[1-5]", VMConfig(), by="second@c[3]")
    assert refused.value.message == "vm already exists with name `web1`"
    assert refused.value.names == ("web1", "web2", "web3", "web4")
    assert refused.value.details == ("web[1-2]: launched by first@a[1]", "web4: queued by other@b[2]")
    assert new_entry(model, RED, "web5", VMConfig(), by="second@c[3]").by == "second@c[3]"


def test_what_an_error_knows_travels() -> None:
    """An error comes over the bus with its class, message, details and names."""
    error = Conflict("taken", details=("by x",), names=("a", "b"))
    there = codec.error_of(codec.failure_of(error))
    assert type(there) is Conflict
    assert (there.message, there.details, there.names) == ("taken", ("by x",), ("a", "b"))
