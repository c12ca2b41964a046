"""Launch commands of one host stand together in a large set of changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.test_mirrors import vm

from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.records import NamespaceRecord

WRITES = st.lists(
    st.tuples(st.sampled_from(["mm1", "mm2", "mm3", ""]), st.integers(0, 9)), unique=True, max_size=30
)


@given(WRITES)
def test_commands_are_gathered_and_all_else_stays(order: list[tuple[str, int]]) -> None:
    """The same writes; other records keep their places, so that what makes the rest recoverable still comes first."""
    changes = Changes()
    for host, number in order:
        if host:
            changes.put(replace(vm(f"v{number}"), host=host))
        else:
            changes.put(NamespaceRecord(name=f"n{number}"))
    before = dict(changes.writes)
    changes.gather_hosts()
    assert changes.writes == before
    others = [subject for subject in before if ".launch." not in subject]
    places = [list(before).index(subject) for subject in others]
    assert [list(changes.writes)[at] for at in places] == others
    hosts = [subject.split(".")[2] for subject in changes.writes if ".launch." in subject]
    assert hosts == sorted(hosts)
