"""How far the saving of VMs is, as long as this leader leads.

Refuses to know what was saved, and where.
"""

from __future__ import annotations

from collections.abc import Container

import msgspec


class SaveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One VM's saving: `active`, `completed` or `failed`; `complete` in percent."""

    status: str = "active"
    complete: float = 0.0


class Saves:
    """The last saving of each instance."""

    def __init__(self) -> None:
        self._found: dict[str, SaveStatus] = {}

    def begin(self, instance: str, known: Container[str]) -> None:
        """It begins. Instances that are not `known` any more are forgotten."""
        self._found = {key: found for key, found in self._found.items() if key in known}
        self._found[instance] = SaveStatus()

    def tell(self, instance: str, done: int, total: int) -> None:
        """It has come so far; without a total that is not known."""
        if total:
            self._found[instance] = SaveStatus(complete=min(100.0, 100.0 * done / total))

    def end(self, instance: str, *, completed: bool) -> None:
        """It is over."""
        before = self._found.get(instance, SaveStatus())
        self._found[instance] = (
            SaveStatus(status="completed", complete=100.0)
            if completed
            else SaveStatus(status="failed", complete=before.complete)
        )

    def of(self, instance: str) -> SaveStatus | None:
        """How an instance's saving is; None when it never was saved."""
        return self._found.get(instance)
