"""How many desired records each host should hold, and the highest of their sequences: the heartbeat's answer.

Refuses to know the bus. Kept by what the store says has changed, so that a heartbeat costs no look at all records.
"""

from __future__ import annotations

from shoal import subjects
from shoal.messages.desired import SegmentRecord
from shoal_orchestrator.store import Store


class DesiredCounts:
    """(count, highest sequence) of stored launch, tap and tunnel records for each host."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._of: dict[str, dict[str, int]] = {}
        self._hosts_of: dict[str, tuple[str, ...]] = {}
        self._highest: dict[str, int] = {}
        store.unsettled.update(store.model.sequences)

    def of(self, host: str) -> tuple[int, int]:
        """What `host` should hold."""
        self._catch_up()
        held = self._of.get(host)
        if not held:
            return 0, 0
        if host not in self._highest:
            self._highest[host] = max(held.values())
        return len(held), self._highest[host]

    def _catch_up(self) -> None:
        changed, self._store.unsettled = self._store.unsettled, set()
        for subject in changed:
            kind, names = subjects.parse_record(subject)
            if kind in ("launch", "tap"):
                self._set(subject, (names[0],))
            elif kind == "tunnel":
                record = self._store.model.records.get(subject)
                self._set(subject, tuple(record.peers) if isinstance(record, SegmentRecord) else ())

    def _set(self, subject: str, hosts: tuple[str, ...]) -> None:
        for host in self._hosts_of.pop(subject, ()):
            self._of[host].pop(subject, None)
            self._highest.pop(host, None)
        sequence = self._store.model.sequences.get(subject)
        if sequence is None or subject not in self._store.model.records:
            return
        self._hosts_of[subject] = hosts
        for host in hosts:
            self._of.setdefault(host, {})[subject] = sequence
            self._highest.pop(host, None)
