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


def worst_first(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings by severity, otherwise in their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
