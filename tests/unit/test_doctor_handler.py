"""What `doctor` gathers of each host, it gathers without going through the whole cluster for each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace
from tests.unit.repair_cases import CLUSTER, VM, Walked, status

from shoal.messages.doctor import CheckCluster
from shoal_orchestrator.core.changes import subject_of
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import HostRecord
from shoal_orchestrator.handlers.doctor import check_cluster


async def _nothing() -> tuple[()]:
    return ()


@pytest.mark.parametrize("hosts", [1, 30])
async def test_what_is_leaving_is_gone_through_once_for_all_hosts(hosts: int) -> None:
    """While 100,000 VMs are flushed, once for each of 1,000 hosts is seconds in which nobody else has a turn."""
    model = Model()
    model.leaving = Walked()
    seen = {}
    for number in range(hosts):
        host = f"mm{number}"
        leaving = replace(VM, host=host, instance=f"l{number}", power="gone")
        for record in (CLUSTER, HostRecord(name=host, incarnation="inc"), leaving):
            model.apply(subject_of(record), record)
        lost = status(replace(leaving, name="lost", instance=f"x{number}"))
        vms = {each.instance: each for each in (status(leaving), lost)}
        seen[host] = SimpleNamespace(state="lost", reports=0, asking=False, heartbeat=None, instances=vms)
    leader: Any = SimpleNamespace(
        model=model,
        cluster=CLUSTER,
        check_store=_nothing,
        live_hosts=list,
        workers=None,
        store=SimpleNamespace(frozen="", unreadable=[]),
        inventory=SimpleNamespace(hosts=seen, alive=list, frozen=0, state=lambda host: seen[host].state),
    )
    call: Any = SimpleNamespace(progress=lambda *_: None)
    found = await check_cluster(leader, "", CheckCluster(), call)
    assert sum("no record names it" in finding.found for finding in found.items) == hosts
    assert model.leaving.walks == 1
