"""The cluster at a glance: how many hosts and VMs are how, what is being launched, what happened last."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Reply, Request, Scope, Table
from shoal.messages.hosts import HostRow

#: what a user reads of a VM, in the order in which it is shown
VM_STATES = ("RUNNING", "BUILDING", "PAUSED", "QUIT", "ERROR", "LOST")


class NamespaceCounts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A namespace's VMs: how many there are in each state, and how many are queued."""

    namespace: str
    vms: dict[str, int] = {}
    queued: int = 0


class RunningSchedule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A plan that is being carried out: `done` of `total` VMs. `start` is RFC 3339 in UTC, for people."""

    namespace: str
    plan: str
    start: str = ""
    done: int = 0
    total: int = 0
    hosts: int = 0


class PastEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event, shortened: what happened to `name`, where, and why. `id` is the event's own."""

    id: str
    at: str
    namespace: str = ""
    noun: str = ""
    what: str = ""
    name: str = ""
    host: str = ""
    reason: str = ""


class Overview(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The cluster now.

    `hosts` and `vms` count by state. `items` are some of the hosts: all if there are few enough, else those that are
    not well and the fullest. `namespaces` are those with most VMs. `events` are the last of `happened` in this term.
    """

    epoch: int = 0
    version: str = ""
    hosts: dict[str, int] = msgspec.field(default_factory=dict)
    vms: dict[str, int] = msgspec.field(default_factory=dict)
    queued: int = 0
    items: tuple[HostRow, ...] = ()
    namespaces: tuple[NamespaceCounts, ...] = ()
    other_namespaces: int = 0
    schedules: tuple[RunningSchedule, ...] = ()
    events: tuple[PastEvent, ...] = ()
    happened: int = 0

    def display(self) -> Display:
        """Show how many VMs of each namespace are in each state: `namespace | queued | running | …`."""
        return Table(
            columns=("namespace", "queued", *(state.lower() for state in VM_STATES)),
            rows=tuple(
                (i.namespace, i.queued, *(i.vms.get(state, 0) for state in VM_STATES))
                for i in self.namespaces
            ),
        )


class ShowOverview(Request[Overview], frozen=True, kw_only=True, omit_defaults=True):
    """Count the VMs of each namespace by their state; `shoal top` shows this and more, and keeps it up to date.

    As a request it also tells how many hosts are alive, suspect and lost, what is being launched, and what happened
    last. It costs the same for ten VMs and for ten thousand. At most `limit` hosts and namespaces, and `events` events.

    Example: mesh overview
    """

    noun: ClassVar[str] = "mesh"
    verb: ClassVar[str] = "overview"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("mesh overview",)
    reply: ClassVar[type[Reply]] = Overview
    reads: ClassVar[bool] = True

    limit: int = 100
    events: int = 20
