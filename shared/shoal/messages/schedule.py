"""Commands about the queue, the plan and its execution."""

from __future__ import annotations

from typing import Annotated, ClassVar

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

    All of them, or none; `partial` launches those that can be placed and leaves the others in the queue, with the
    reasons. `force` applies a dry run although it does not fit the cluster any more.

    Example: ns schedule partial
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "schedule"
    words: ClassVar[tuple[str, ...]] = ("ns schedule [partial?] [force?]", "vm launch")
    reply: ClassVar[type[Reply]] = Launched

    partial: bool = False
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

    It overrides a VM's own `schedule`. coschedule, colocate and limits are checked unless `force`.

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


class LimitRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One resource of a namespace: its limit (-1: none), and what its VMs are promised. Memory is in MiB."""

    resource: str
    limit: int = -1
    used: int = 0


class Limits(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The limits of a namespace."""

    items: tuple[LimitRow, ...] = ()

    def display(self) -> Display:
        """Show `resource | limit | used`; nothing after a limit was set."""
        if not self.items:
            return ""
        return Table(
            columns=("resource", "limit", "used"),
            rows=tuple((i.resource, i.limit, i.used) for i in self.items),
            ordered=True,
        )


_Limit = Annotated[
    int, msgspec.Meta(extra={"error": "invalid limit `{word}`: expected an integer, -1 for none"})
]


class SetLimit(Request[Limits], frozen=True, kw_only=True, omit_defaults=True):
    """Show or set what the namespace's VMs together may be promised: vcpus, memory (MiB) or vms; -1 is no limit.

    What is queued does not count. A launch that would exceed a limit is refused; VMs that are there stay.

    Example: ns limit vcpus 64
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "limit"
    words: ClassVar[tuple[str, ...]] = (
        "ns limit",
        "ns limit <resource:vcpus,memory,vms>",
        "ns limit <resource:vcpus,memory,vms> <most>",
    )
    reply: ClassVar[type[Reply]] = Limits

    resource: str = ""
    most: _Limit | None = None


class ExplainedHost(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What speaks for and against a host: what is promised there and what it has, by the policy; how many VMs."""

    host: str
    committed: int = 0
    capacity: int = 0
    vms: int = 0
    feasible: bool = False
    verdict: str = ""


class Explained(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Why a VM is where it is, or would go where it would.

    `host` is where it is; `would_go` where it would be placed now (empty: nowhere). `because` tells what binds it.
    """

    vm: str
    host: str = ""
    would_go: str = ""
    together: str = ""
    because: str = ""
    policy: str = ""
    items: tuple[ExplainedHost, ...] = ()

    def display(self) -> Display:
        """Show `host | committed | capacity | vms | verdict`, the host that suits best first."""
        return Table(
            columns=("host", "committed", "capacity", "vms", "verdict"),
            rows=tuple((i.host, i.committed, i.capacity, i.vms, i.verdict) for i in self.items),
            ordered=True,
        )


class ExplainVM(Request[Explained], frozen=True, kw_only=True, omit_defaults=True):
    """Tell why a VM is on its host, or where a queued one would go, and what speaks against each other host.

    `committed` is what a host's other VMs are promised, by the namespace's load policy; the VM itself is not counted.

    Example: ns explain web1
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "explain"
    words: ClassVar[tuple[str, ...]] = ("ns explain <vm>",)
    reply: ClassVar[type[Reply]] = Explained
    reads: ClassVar[bool] = True

    vm: str
