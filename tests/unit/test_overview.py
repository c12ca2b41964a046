"""The cluster at a glance is small however large the cluster is, and shows first what needs somebody's eye."""

from __future__ import annotations

from collections import Counter, deque
from types import SimpleNamespace
from typing import Any

import pytest

from shoal import codec, subjects
from shoal.core.vmconfig import VMConfig
from shoal.messages.events import VMFailed
from shoal.messages.overview import Overview, ShowOverview
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import HostRecord, NamespaceRecord, PlanRecord, QueueEntry
from shoal_orchestrator.handlers.overview import show_overview


class Inventory:
    """Hosts of which some are lost."""

    def __init__(self, model: Model, lost: set[str]) -> None:
        self._model = model
        self._lost = lost
        self.hosts: dict[str, Any] = {}
        self.vm_counts = SimpleNamespace(
            total=lambda: Counter(RUNNING=3), by_namespace=lambda: {"ns7": Counter(RUNNING=3)}
        )

    def state(self, host: str) -> str:
        return "lost" if host in self._lost else "alive"

    def host_states(self) -> Counter[str]:
        return Counter(map(self.state, self._model.hosts))


def leader(hosts: int, lost: set[str]) -> Any:
    model = Model()
    for number in range(hosts):
        name = f"mm{number}"
        model.apply(subjects.host_record(name), HostRecord(name=name, incarnation="1"))
    for number in range(20):
        model.apply(subjects.namespace_record(f"ns{number}"), NamespaceRecord(name=f"ns{number}"))
    entry = QueueEntry(namespace="ns9", entry=1, count=4, config=VMConfig())
    model.apply(subjects.queue_record("ns9", 1), entry)
    plan = PlanRecord(
        namespace="ns7", plan="p", revision=1, state="running", total=9, hosts=2, started="then"
    )
    model.apply(subjects.plan_record("ns7", "p"), plan)
    told = [
        VMFailed(namespace="ns7", name=f"a{n}", id=str(n), at="now", reason="r" * 1000) for n in range(50)
    ]
    return SimpleNamespace(
        model=model,
        inventory=Inventory(model, lost),
        store=SimpleNamespace(fence=SimpleNamespace(epoch=3)),
        events=SimpleNamespace(recent=deque(told), count=50),
        cluster=SimpleNamespace(head="mm0"),
        launching={("ns7", "p"): 5, ("gone", "q"): 1},
    )


async def ask(leading: Any, **fields: Any) -> Overview:
    call: Any = None
    return await show_overview(leading, "", ShowOverview(**fields), call)


async def test_what_needs_an_eye_comes_first() -> None:
    """With more hosts than were asked for, those that are not well are among them, in the order of names."""
    found = await ask(leader(1000, {"mm900", "mm17"}), limit=5)
    names = [row.host for row in found.items]
    assert {"mm17", "mm900"} <= set(names)
    assert len(names) == 5
    assert names == sorted(names, key=lambda name: int(name[2:]))
    assert found.hosts == {"alive": 998, "lost": 2}
    assert {each.namespace for each in found.namespaces} >= {"ns7", "ns9"}
    assert found.other_namespaces == 15


async def test_everything_is_shown_where_there_is_little() -> None:
    """All hosts and namespaces, the queue, the plan that is being carried out, and the last events."""
    found = await ask(leader(3, set()), limit=100, events=2)
    assert [row.host for row in found.items] == ["mm0", "mm1", "mm2"]
    assert len(found.namespaces) == 20
    assert found.other_namespaces == 0
    assert found.queued == 4
    assert found.vms == {"RUNNING": 3}
    [running] = found.schedules
    assert (running.namespace, running.done, running.total, running.start) == ("ns7", 5, 9, "then")
    assert [event.name for event in found.events] == ["a48", "a49"]
    assert found.happened == 50
    assert found.epoch == 3


@pytest.mark.parametrize("limit", [-1, 0, 10**9])
async def test_no_limit_makes_an_answer_that_is_too_large(limit: int) -> None:
    """Whatever is asked for, the answer fits into a message."""
    found = await ask(leader(5000, set()), limit=limit, events=10**9)
    assert len(codec.encode(found, "json")) < 300_000
    assert (await ask(leader(1, set()), events=0)).events == ()
