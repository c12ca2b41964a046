"""A power command that comes again, to another leader, goes on where its predecessor ended."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.test_mirrors import vm

from shoal.errors import Conflict
from shoal.messages.desired import LaunchRecord, VMStatus
from shoal.messages.vms import StopVMs
from shoal_orchestrator.core.changes import Changes, subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord, HostRecord, NamespaceRecord
from shoal_orchestrator.handlers import vms

RECORD = replace(vm("a"), revision=3, power="paused")


class Leading:
    """A leader that has not heard of the VM's host yet; once it waits, the host says that it has done what was asked."""

    def __init__(self) -> None:
        self.model = Model()
        self.written: list[LaunchRecord] = []
        self.said: VMStatus | None = None
        self.inventory: Any = SimpleNamespace(
            status=lambda _: self.said,
            state=lambda _: "unknown",
            uptime_s=lambda _: 0.0,
            carried_out=self._carried_out,
        )
        host = HostRecord(name=RECORD.host, incarnation=RECORD.incarnation)
        for record in (ClusterRecord(store="s", head="mm0"), NamespaceRecord(name="red"), host, RECORD):
            self.model.apply(subject_of(record), record)

    def namespace(self, name: str) -> NamespaceRecord:
        return self.model.namespaces[name]

    async def _carried_out(self, records: list[LaunchRecord], _: Callable[[int], None]) -> None:
        for record in records:
            self.said = VMStatus(
                namespace="red",
                name=record.name,
                instance=record.instance,
                revision=record.revision,
                state="PAUSED",
            )

    async def stop(self, *, repeat: bool) -> Any:
        async def commit(changes: Changes, *_: object) -> None:
            self.written += [r for r in changes.writes.values() if isinstance(r, LaunchRecord)]

        call: Any = SimpleNamespace(repeat=repeat, commit=commit, progress=lambda *_: None)
        leader: Any = self
        return await vms.stop_vms(leader, "red", StopVMs(target="a"), call)


async def test_what_was_stored_already_is_waited_for() -> None:
    """The first leader died after it had stored the stop: the repeat is no error, and nothing is written again."""
    leader = Leading()
    reply = await leader.stop(repeat=True)
    assert (reply.vms, reply.failures, leader.written) == ("a", (), [])


async def test_what_was_never_started_cannot_be_stopped() -> None:
    """To a request that comes for the first time such a VM is BUILDING: it is refused."""
    with pytest.raises(Conflict, match="VM state error: a"):
        await Leading().stop(repeat=False)
