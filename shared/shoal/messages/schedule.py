"""Commands about the queue, the plan and its execution."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Done, Reply, Request, Said, Table


class SetQueueing(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show or set whether `vm launch` only queues VMs (true), or places and launches them at once (false)."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "queueing"
    words: ClassVar[tuple[str, ...]] = ("ns queueing [enabled:true,false]",)
    reply: ClassVar[type[Reply]] = Said

    enabled: bool | None = None


class ShowQueue(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show what is queued: for each entry its VMs and their configuration."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "queue"
    words: ClassVar[tuple[str, ...]] = ("ns queue",)
    reply: ClassVar[type[Reply]] = Said
    reads: ClassVar[bool] = True


class FlushQueue(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Empty the queue and drop the plan."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "flush"
    words: ClassVar[tuple[str, ...]] = ("ns flush",)


class VMFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A VM that could not be launched, and why."""

    vm: str
    reason: str


class Launched(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """VMs were launched, or queued: `launched` and `queued` are folded names or counts."""

    launched: str = ""
    queued: int = 0
    count: int = 0


class Schedule(Request[Launched], frozen=True, kw_only=True, omit_defaults=True):
    """Place all queued VMs on the namespace's hosts and launch them; a dry run is applied as it was edited.

    `force` applies a plan although the cluster has changed since.

    Example: ns schedule
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "schedule"
    words: ClassVar[tuple[str, ...]] = ("ns schedule [force?]", "vm launch")
    reply: ClassVar[type[Reply]] = Launched

    force: bool = False


class PlannedVM(msgspec.Struct, frozen=True, kw_only=True):
    """Where the plan puts a VM; VMs launched by number have no name yet."""

    vm: str
    dst: str


class Planned(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A plan: who goes where."""

    items: tuple[PlannedVM, ...]

    def display(self) -> Display:
        """Show `vm | dst`."""
        return Table(columns=("vm", "dst"), rows=tuple((i.vm, i.dst) for i in self.items))


class DryRun(Request[Planned], frozen=True, kw_only=True, omit_defaults=True):
    """Plan where the queued VMs would go, and keep the plan for `mv`, `dump` and `ns schedule`."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "dry-run"
    words: ClassVar[tuple[str, ...]] = ("ns schedule dry-run",)
    reply: ClassVar[type[Reply]] = Planned


class DumpPlan(Request[Planned], frozen=True, kw_only=True, omit_defaults=True):
    """Show the plan of the last dry run, as it was edited."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "dump"
    words: ClassVar[tuple[str, ...]] = ("ns schedule dump",)
    reply: ClassVar[type[Reply]] = Planned
    reads: ClassVar[bool] = True


class MovePlanned(Request[Done], frozen=True, kw_only=True, omit_defaults=True):
    """Edit the plan: put these VMs on that host. All of them move, or none.

    It overrides a VM's own `schedule`. coschedule and colocate are checked unless `force`.

    Example: ns schedule mv vm[1-2] mm0
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "mv"
    words: ClassVar[tuple[str, ...]] = ("ns schedule mv <vms> <host> [force?]",)

    vms: str
    host: str
    force: bool = False


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run of the scheduler. `start` and `end` are RFC 3339 in UTC, for people."""

    start: str
    end: str = ""
    state: str
    launched: int = 0
    failures: int = 0
    total: int = 0
    hosts: int = 0


class ScheduleRuns(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The runs of a namespace's scheduler, oldest first."""

    items: tuple[ScheduleRow, ...]

    def display(self) -> Display:
        """Show `start | end | state | launched | failures | total | hosts`."""
        return Table(
            columns=("start", "end", "state", "launched", "failures", "total", "hosts"),
            rows=tuple(
                (i.start, i.end, i.state, i.launched, i.failures, i.total, i.hosts) for i in self.items
            ),
        )


class ScheduleStatus(Request[ScheduleRuns], frozen=True, kw_only=True, omit_defaults=True):
    """Show the runs of the scheduler: when, how many VMs were launched, and how many failed."""

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "status"
    words: ClassVar[tuple[str, ...]] = ("ns schedule status",)
    reply: ClassVar[type[Reply]] = ScheduleRuns
    reads: ClassVar[bool] = True
