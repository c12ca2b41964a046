"""What hosts have removed is forgotten, all of a report together."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace
from tests.unit.test_mirrors import vm

from shoal.messages.desired import LaunchRecord, VMStatus
from shoal_orchestrator.background import Background
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord, NamespaceRecord


class Leading:
    """A model with VMs that are to go, and the commits that are made to it."""

    def __init__(self, *names: str) -> None:
        self.model = Model()
        self.commits: list[Changes] = []
        self.store = SimpleNamespace(frozen="")
        self.inventory = SimpleNamespace(
            vm_listeners=[], tap_listeners=[], host_listeners=[], capture_listeners=[]
        )
        for record in (ClusterRecord(store="s", head="mm0"), NamespaceRecord(name="red"), *map(gone, names)):
            self.model.apply(subject_of(record), record)
        self.tasks: list[asyncio.Task[None]] = []

    def spawn(self, work: Any, _: str) -> None:
        self.tasks.append(asyncio.ensure_future(work))

    async def commit(self, changes: Changes) -> None:
        self.commits.append(changes)
        for subject, record in changes.writes.items():
            self.model.apply(subject, record)

    def report(self, *names: str) -> None:
        """The host of these VMs says that they are gone."""
        for name in names:
            record = gone(name)
            status = VMStatus(
                namespace="red",
                name=name,
                instance=record.instance,
                revision=record.revision,
                state="QUIT",
                gone=True,
            )
            for listener in self.inventory.vm_listeners:
                listener(record.host, None, status)


def gone(name: str) -> LaunchRecord:
    return replace(vm(name), power="gone", revision=2, ports=())


async def test_all_of_a_report_is_one_commit() -> None:
    """However many VMs a host has ended, their records go together, each with its event, and once."""
    names = [f"vm{number}" for number in range(50)]
    leader: Any = Leading(*names)
    Background(leader)
    leader.report(*names, *names)
    await asyncio.gather(*leader.tasks)
    (commit,) = leader.commits
    assert len(commit.writes) == len(commit.events) == 50
    assert leader.model.leaving == {}


async def test_later_reports_are_commits_of_their_own() -> None:
    """What comes after the first was stored is stored as well; what was forgotten already is not."""
    leader: Any = Leading("a", "b")
    Background(leader)
    leader.report("a")
    await asyncio.gather(*leader.tasks)
    leader.report("a", "b")
    await asyncio.gather(*leader.tasks)
    assert [[event.name for event in commit.events] for commit in leader.commits] == [["a"], ["b"]]
