"""What was done about VMs is told in few lines, with the id of the request that asked for it."""

from __future__ import annotations

from structlog.testing import CapturingLogger

from shoal.core.vmconfig import VMConfig
from shoal.metrics.recorder import Recorder
from shoal_worker.core.actions import Create, Destroy, Outcome, Resume, Settle, Work
from shoal_worker.hypervisor import GuestSpec
from shoal_worker.measures import CATALOGUE
from shoal_worker.work_log import WorkLog


def work(name: str, *actions) -> Work:
    outcome = Outcome(namespace="red", name=name, instance=f"i-{name}", revision=1, state="BUILDING")
    return Work(f"i-{name}", (*actions, Settle(outcome)), outcome)


def create(name: str) -> Create:
    return Create(
        GuestSpec(namespace="red", name=name, instance=f"i-{name}", revision=1, uuid="", config=VMConfig())
    )


def test_a_thousand_vms_of_one_request_are_one_line() -> None:
    """One line for each request and for what was done, with the number and the folded names; nothing twice."""
    log = CapturingLogger()
    told = WorkLog(log)
    for number in range(1000):
        name = f"web{number}"
        told.carried_out("id1", work(name, create(name)))
    told.carried_out("id2", work("a", create("a"), Resume("i-a")))
    told.flush()
    told.flush()
    assert [(call.args[0], call.kwargs) for call in log.calls] == [
        (
            "carried-out",
            {"request": "id1", "namespace": "red", "done": "create", "count": 1000, "vms": "web[0-999]"},
        ),
        (
            "carried-out",
            {"request": "id2", "namespace": "red", "done": "create+resume", "count": 1, "vms": "a"},
        ),
    ]


def test_long_lists_of_names_are_cut() -> None:
    """Names that do not fold make no endless line."""
    log = CapturingLogger()
    told = WorkLog(log)
    for number in range(200):
        told.carried_out("id1", work(f"vm-{'x' * (number % 50 + 1)}", create("a")))
    told.flush()
    assert len(log.calls[0].kwargs["vms"]) <= 301
    assert log.calls[0].kwargs["count"] == 200


def test_actions_are_counted_by_kind_and_outcome() -> None:
    """What the hypervisor did, could not do and did not answer is in the metrics; writing it down is no action."""
    recorder = Recorder(CATALOGUE)
    told = WorkLog(CapturingLogger(), recorder)
    told.acted(create("a"), "ok", 0.4)
    told.acted(create("b"), "failed")
    told.acted(Destroy("i-a"), "again")
    told.acted(work("a").actions[0], "ok", 1.0)
    told.overdue("survey")
    found = {s.metric.name: s for s in recorder.snapshot()}
    assert found["shoal_worker_actions_total"].values == {
        ("create", "ok"): 1,
        ("create", "failed"): 1,
        ("destroy", "again"): 1,
    }
    assert found["shoal_worker_action_seconds"].distributions["create",].total == 0.4
    assert found["shoal_worker_hypervisor_timeouts_total"].values == {("survey",): 1}
