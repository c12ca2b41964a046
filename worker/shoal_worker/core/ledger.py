"""Remembers the guests of ours: who they are, what was last seen of them, and how they ended.

A transient domain that died is simply not there any more, and listings, events and the ends of processes arrive in
any order; here they become one account. Time comes in as an argument (seconds, monotonic). This module refuses to
know libvirt, files and threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from shoal.messages.desired import Load
from shoal_worker.core.domain_xml import Identity
from shoal_worker.hypervisor import Guest, GuestState, Survey

#: how long after a first listing without a domain a second one is believed, when there is no lifecycle event
GRACE_S = 1.0

Ended = Literal["", "shutoff", "failed"]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """An active domain. `identity` is None for one that is not ours; `load` is what it takes."""

    uuid: str
    name: str
    identity: Identity | None
    load: Load
    state: GuestState
    reason: str = ""
    pid: int = 0


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """A lifecycle event. `ended` is set when the domain is gone, with a `reason` unless the guest chose to go."""

    uuid: str
    ended: bool
    reason: str = ""


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be kept over restarts. `ended` is empty while the guest should be running or paused."""

    namespace: str
    name: str
    instance: str
    revision: int
    uuid: str
    ended: Ended = ""
    reason: str = ""


class _Entry:
    def __init__(self, note: Note, added: float) -> None:
        self.note = note
        self.added = added
        self.state: GuestState = "paused"
        self.reason = ""
        self.pid = 0
        self.missing_since: float | None = None
        self.obituary_due = False


class Ledger:
    """Guests by instance. Instances are never used again, so what was forgotten does not come back."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._creating: set[str] = set()
        self._leaving: set[str] = set()
        self._forgotten: dict[str, float] = {}
        self._deaths: dict[int, str] = {}
        self._foreign = Load()

    def note(self, instance: str) -> Note | None:
        """What is known of the guest, if it is."""
        entry = self._entries.get(instance)
        return entry.note if entry else None

    def add(self, note: Note, now: float, *, pid: int = 0) -> None:
        """A guest of ours that was created, or that a note from before tells of."""
        entry = self._entries.setdefault(note.instance, _Entry(note, now))
        entry.pid = pid or entry.pid

    def begin_creating(self, instance: str) -> bool:
        """Ignore the guest until `end_creating`. False when it is there, or is being created."""
        if instance in self._entries or instance in self._creating:
            return False
        self._creating.add(instance)
        return True

    def end_creating(self, instance: str) -> None:
        """It was created or it failed; what listings show of it counts again."""
        self._creating.discard(instance)

    def begin_leaving(self, instance: str) -> None:
        """From now on its end is our own doing."""
        self._leaving.add(instance)

    def stay(self, instance: str) -> None:
        """We could not end it."""
        self._leaving.discard(instance)

    def forget(self, instance: str, now: float) -> None:
        """It is gone, by our own doing."""
        self._entries.pop(instance, None)
        self._leaving.discard(instance)
        self._forgotten[instance] = now

    def see(self, found: Iterable[Seen], asked: float) -> list[Note]:
        """Take in a listing that was asked for at time `asked`; returns notes on guests that nobody knew of."""
        ours: dict[str, Seen] = {}
        foreign = [0, 0, 0, 0]
        for seen in found:
            if seen.identity:
                ours[seen.identity.instance] = seen
            else:
                load = seen.load
                parts = (load.vcpus, load.memory_mib, load.nics, load.vms)
                foreign = [total + part for total, part in zip(foreign, parts, strict=True)]
        self._foreign = Load(vcpus=foreign[0], memory_mib=foreign[1], nics=foreign[2], vms=foreign[3])
        adopted = [self._adopt(seen, asked) for instance, seen in ours.items() if self._unknown(instance)]
        for instance, entry in self._entries.items():
            self._update(entry, ours.get(instance), asked)
        # A listing older than the removal may still show the guest; a newer one does not.
        self._forgotten = {name: when for name, when in self._forgotten.items() if when >= asked}
        return adopted

    def happened(self, event: Happened) -> None:
        """Take in a lifecycle event."""
        if not event.ended:
            return
        for instance, entry in self._entries.items():
            if entry.note.uuid == event.uuid and not entry.note.ended and instance not in self._leaving:
                self._end(entry, "failed" if event.reason else "shutoff", event.reason)

    def died(self, pid: int, how: str) -> None:
        """Take in how a QEMU process ended (`killed by signal 9 (SIGKILL)`); the domain's end follows."""
        for entry in self._entries.values():
            if entry.pid == pid and entry.note.ended == "failed":
                self._end(entry, "failed", f"{entry.note.reason}: {how}")
                return
        if any(entry.pid == pid for entry in self._entries.values()):
            self._deaths[pid] = how

    def overdue(self, asked: float) -> list[Note]:
        """Guests that must have ended unseen: they were missing before, and are in a listing asked for at `asked`.

        How long a listing took says nothing: only when it was asked for counts.
        """
        return [
            entry.note
            for entry in self._entries.values()
            if entry.missing_since is not None and asked - entry.missing_since >= GRACE_S
        ]

    def undecided(self) -> bool:
        """Whether a guest is missing and may yet turn out to have ended."""
        return any(entry.missing_since is not None for entry in self._entries.values())

    def end_unseen(self, instance: str, ended: Ended, reason: str) -> None:
        """Settle an overdue guest."""
        entry = self._entries.get(instance)
        if entry is not None and entry.missing_since is not None and ended:
            self._end(entry, ended, reason)

    def unwritten(self) -> list[Note]:
        """Notes on ends that `explain` has not been called for."""
        return [entry.note for entry in self._entries.values() if entry.obituary_due]

    def explain(self, instance: str, words: str) -> Note | None:
        """Add QEMU's last words, if any, to the reason of a failure; returns the note to be kept."""
        entry = self._entries.get(instance)
        if entry is None:
            return None
        entry.obituary_due = False
        if words and entry.note.ended == "failed":
            entry.note = msgspec.structs.replace(entry.note, reason=f"{entry.note.reason}; {words}")
        return entry.note

    def survey(self) -> Survey:
        """The account as it stands, in the order of instances."""
        entries = [entry for _, entry in sorted(self._entries.items())]
        return Survey(guests=tuple(_guest(entry) for entry in entries), foreign=self._foreign)

    def _unknown(self, instance: str) -> bool:
        known = instance in self._entries or instance in self._creating
        return not known and instance not in self._leaving and instance not in self._forgotten

    def _adopt(self, seen: Seen, asked: float) -> Note:
        assert seen.identity is not None
        who = seen.identity
        note = Note(
            namespace=who.namespace,
            name=who.name,
            instance=who.instance,
            revision=who.revision,
            uuid=seen.uuid,
        )
        self.add(note, asked, pid=seen.pid)
        return note

    def _update(self, entry: _Entry, seen: Seen | None, asked: float) -> None:
        if seen is not None:
            entry.missing_since = None
            entry.state, entry.reason, entry.pid = seen.state, seen.reason, seen.pid or entry.pid
        elif (
            not entry.note.ended
            and entry.note.instance not in self._leaving
            and entry.missing_since is None
            and asked >= entry.added  # an older listing cannot show it
        ):
            entry.missing_since = asked

    def _end(self, entry: _Entry, ended: Ended, reason: str) -> None:
        how = self._deaths.pop(entry.pid, "")
        if ended == "failed" and how:
            reason = f"{reason}: {how}"
        entry.note = msgspec.structs.replace(entry.note, ended=ended, reason=reason)
        entry.missing_since = None
        entry.obituary_due = True


def _guest(entry: _Entry) -> Guest:
    note = entry.note
    return Guest(
        namespace=note.namespace,
        name=note.name,
        instance=note.instance,
        revision=note.revision,
        state=note.ended or entry.state,
        pid=0 if note.ended else entry.pid,
        reason=note.reason if note.ended else entry.reason,
    )
