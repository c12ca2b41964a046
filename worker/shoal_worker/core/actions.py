"""What can be done to a host's VMs, and what came of it, as frozen values.

This module refuses to know how anything is done, and when: `diff` decides, the reconciler carries out.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from shoal.messages.desired import State
from shoal_worker.hypervisor import GuestSpec

#: (namespace, name): what a user calls a VM
VMKey = tuple[str, str]


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one instance: `revision` is the highest of its record that was carried out, `state` the result.

    `created`: there was a guest once. `resumed`: it ran once. `gone`: the instance is forgotten for good.
    """

    namespace: str
    name: str
    instance: str
    revision: int
    state: State
    reason: str = ""
    created: bool = False
    resumed: bool = False
    gone: bool = False

    @property
    def key(self) -> VMKey:
        """What a user calls the VM."""
        return self.namespace, self.name

    @property
    def ended(self) -> bool:
        """Whether there is no guest any more, as far as we know."""
        return self.state in ("QUIT", "ERROR")


class TapOutcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of one host tap: the highest revision of its record that was carried out."""

    namespace: str
    tap: str
    revision: int
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """Create the guest, paused."""

    spec: GuestSpec


@dataclass(frozen=True, slots=True)
class Resume:
    """Let the guest run."""

    instance: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop the guest's CPUs."""

    instance: str


@dataclass(frozen=True, slots=True)
class Destroy:
    """End the guest and remove what belongs to it."""

    instance: str


@dataclass(frozen=True, slots=True)
class Settle:
    """All before it went well: write this outcome down and report it."""

    outcome: Outcome


Action = Create | Resume | Pause | Destroy | Settle


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done about one VM, in this order. VMs do not depend on each other.

    `failed` is the outcome (its reason still to be filled in) if an action is refused that must not be repeated
    at the same revision: creating, resuming, pausing.
    """

    instance: str
    actions: tuple[Action, ...]
    failed: Outcome

    @property
    def key(self) -> VMKey:
        """What a user calls the VM."""
        return self.failed.key
