"""What is wrong with the cluster, and what to do about it: `doctor`.

This module refuses to know how anything is found out.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from shoal.messages.base import Display, Reply, Request, Scope, Table

#: `error`: something does not work, or may do harm; `warning`: something will bite; `note`: it works, and could be better
Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
_EXIT_FAILED = 1
_EXIT_PARTLY = 3


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was found: on which object (`host mm1`, `stream SHOAL_STATE`), what, and what to do about it."""

    severity: Severity
    object: str
    found: str
    do: str = ""


class Diagnosis(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What was found, the worst first; `checked` says of what, in words."""

    items: tuple[Finding, ...] = ()
    checked: str = ""

    def display(self) -> Display:
        """Show the findings, or that there are none."""
        if not self.items:
            return f"nothing is wrong: {self.checked}"
        return Table(
            columns=("severity", "object", "found", "do"),
            rows=tuple((i.severity, i.object, i.found, i.do) for i in self.items),
            ordered=True,
        )

    def verdict(self) -> int:
        """1 when something does not work, 3 when something will bite, else 0."""
        worst = {finding.severity for finding in self.items}
        return _EXIT_FAILED if "error" in worst else _EXIT_PARTLY if "warning" in worst else 0


class CheckCluster(Request[Diagnosis], frozen=True, kw_only=True, omit_defaults=True):
    """Check the cluster: versions, streams, hosts, networks and stale records; and say what to do.

    An error means that something does not work, a warning that it will not for long, a note that it could be better.
    Every host that is alive is asked, and says within a few seconds which of the others its tunnels reach. Nothing is
    changed. The exit code is 1 with an error, 3 with a warning, else 0. `shoal doctor` also says what it can when no
    orchestrator answers.

    Example: doctor
    """

    noun: ClassVar[str] = "cluster"
    verb: ClassVar[str] = "check"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("doctor",)
    reply: ClassVar[type[Reply]] = Diagnosis
    reads: ClassVar[bool] = True


class RepairStep(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a repair does about something: `write` what the store lacks, `correct` or `remove` what it has, or `leave` it
    to a person; and why.
    """

    action: Literal["write", "correct", "remove", "leave"]
    object: str
    why: str


class Repaired(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What a repair has done, or (not `done`) would do. `command` does it. `store` is the new store's id, if it has one."""

    items: tuple[RepairStep, ...] = ()
    done: bool = False
    command: str = ""
    store: str = ""

    def display(self) -> Display:
        """Show the steps."""
        if not self.items:
            return "" if self.done else "there is nothing to repair"
        return Table(
            columns=("action", "object", "why"),
            rows=tuple((i.action, i.object, i.why) for i in self.items),
            ordered=True,
        )

    def verdict(self) -> int:
        """3 when something is left to a person, else 0."""
        return _EXIT_PARTLY if any(step.action == "leave" for step in self.items) else 0


class RepairCluster(Request[Repaired], frozen=True, kw_only=True, omit_defaults=True):
    """Rebuild records from what the hosts have, for a store that is lost, is older than they are, or lacks some of them.

    Without `--yes` it only shows what it would do. No VM is started, paused or ended. Of each VM the record with the
    highest revision counts; what its host has ended for good is forgotten; namespaces, aliases and keys of private
    bridges are regained from the VMs and taps in them. What hosts do not know cannot be rebuilt: queues, limits, saved
    configurations, files. A store that went backwards, or that is not the one that hosts belong to, gets a new id, and
    the hosts obey it again.

    Every host that the cluster knows is asked. Those that cannot answer are named: `without mm3` leaves their records as
    they are. Bring the latest copy of the store back instead if there is one.

    Example: doctor --repair
    """

    noun: ClassVar[str] = "cluster"
    verb: ClassVar[str] = "repair"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = (
        "doctor <what:--repair,repair> [without <hosts>]",
        "doctor <what:--repair,repair> [without <hosts>] <sure:--yes,yes>",
    )
    reply: ClassVar[type[Reply]] = Repaired
    mends: ClassVar[bool] = True

    what: str = "--repair"
    hosts: str = ""
    sure: str = ""


def worst_first(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings by severity, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
