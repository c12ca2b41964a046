"""The desired state of one host as its worker knows it: records, merged by their sequence in the stream.

This module refuses to know the bus, and whether anything was carried out. Records arrive twice and in any order
(as they are stored, and when all is read again): the higher sequence under a subject wins, and within one
instance the higher revision. Absence removes nothing: only a tombstone (`gone`, `removed`) does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal, NamedTuple

from shoal import subjects
from shoal.core.load import Load, load_of, total
from shoal.messages.desired import Desired, LaunchRecord, SegmentRecord, TapRecord

#: `older`: a lower revision of the same instance under a higher sequence, which is refused
Verdict = Literal["taken", "known", "older"]
#: powers under which a VM has a guest, ports in its segments, and a share of the host
PRESENT = ("paused", "running")
_MAX_ERASED = 10_000


class Held(NamedTuple):
    """A record and the sequence of the last message under its subject."""

    sequence: int
    record: Desired


class DesiredState:
    """All records that concern one host, its own launches and taps and the segments that they name."""

    def __init__(self, host: str, incarnation: str) -> None:
        self.host = host
        self.incarnation = incarnation
        #: rises with every change
        self.version = 0
        self._held: dict[str, Held] = {}
        self._segments: dict[int, SegmentRecord] = {}
        self._mentions: Counter[int] = Counter()
        #: subjects that were forgotten, and up to which sequence: a replica that lags may still tell of them
        self._erased: dict[str, int] = {}
        # what every heartbeat asks for, until something changes
        self._counted: tuple[int, int] | None = None
        self._load: Load | None = None
        # what every round asks for, likewise
        self._launches: tuple[LaunchRecord, ...] | None = None
        self._taps: tuple[TapRecord, ...] | None = None
        self._strangers: int | None = None

    # --- merging -----------------------------------------------------------------------------------------

    def merge(self, subject: str, sequence: int, record: Desired) -> Verdict:
        """Take a record that was stored under `subject` with this sequence, if it is newer than what is held."""
        if self.knows(subject, sequence):
            return "known"
        held = self._held.get(subject)
        if held is not None and _older(record, held.record):
            self._held[subject] = Held(sequence, held.record)
            self._changed()
            return "older"
        self._put(subject, Held(sequence, record))
        return "taken"

    def knows(self, subject: str, sequence: int) -> bool:
        """Whether what was stored there with this sequence would change nothing, whatever it says."""
        held = self._held.get(subject)
        return sequence <= (held.sequence if held is not None else self._erased.get(subject, 0))

    def _put(self, subject: str, held: Held) -> None:
        self._remove(subject)
        self._held[subject] = held
        self._mentions.update(_vnis(held.record))
        if isinstance(held.record, SegmentRecord):
            self._segments[held.record.vni] = held.record

    def _changed(self) -> None:
        self.version += 1
        self._counted = self._load = self._launches = self._taps = self._strangers = None

    def _remove(self, subject: str) -> None:
        self._changed()
        held = self._held.pop(subject, None)
        if held is None:
            return
        self._mentions.subtract(_vnis(held.record))
        if isinstance(held.record, SegmentRecord):
            self._segments.pop(held.record.vni, None)

    def forget_sequences(self) -> None:
        """Another store numbers anew: let any sequence win, while revisions still count."""
        self._held = {subject: Held(0, held.record) for subject, held in self._held.items()}
        self._erased.clear()
        self._changed()

    def sequences(self) -> dict[str, int]:
        """What is held now: subject → sequence."""
        return {subject: held.sequence for subject, held in self._held.items()}

    def erase(self, subject: str, sequence: int, done: Callable[[Desired], bool]) -> bool:
        """The leader has deleted what was stored there: forget it, if it is a tombstone that was carried out.

        Anything else stays: absence is no command. Whether something was forgotten.
        """
        held = self._held.get(subject)
        if held is None or sequence <= held.sequence or not is_tombstone(held.record):
            return False
        if not done(held.record) or self._uses(held.record):
            return False
        self._forget(subject, sequence)
        return True

    def _forget(self, subject: str, sequence: int) -> None:
        self._remove(subject)
        self._erased.pop(subject, None)
        self._erased[subject] = sequence
        if len(self._erased) > _MAX_ERASED:
            del self._erased[next(iter(self._erased))]

    def prune(
        self,
        present: Collection[str],
        before: Mapping[str, int],
        done: Callable[[Desired], bool],
    ) -> None:
        """Forget tombstones that are carried out (`done`) and were not found (`present`) when all was read.

        `before` is what was held when reading began: what came later may rightly not have been found. Segments
        that are not here, and were not found or concern us no more, are forgotten too.
        """
        for subject, sequence in before.items():
            held = self._held.get(subject)
            if held is None or held.sequence != sequence:
                continue
            record = held.record
            if not done(record):
                continue
            if isinstance(record, SegmentRecord):
                # It may concern us again as it is. One that is stored no more went while we did not hear of it.
                if subject not in present or not self._uses(record):
                    self._remove(subject)
            elif subject not in present and is_tombstone(record):
                self._forget(subject, sequence)

    def _uses(self, record: Desired) -> bool:
        """Whether a segment still concerns us."""
        if not isinstance(record, SegmentRecord):
            return False
        return self._mentions[record.vni] > 0 or self.host in record.peers

    # --- what is held ------------------------------------------------------------------------------------

    def counted(self) -> tuple[int, int]:
        """How many records we hold that the leader counts as ours, and their highest sequence."""
        if self._counted is not None:
            return self._counted
        count = highest = 0
        for sequence, record in self._held.values():
            if not isinstance(record, SegmentRecord) or self.host in record.peers:
                count += 1
                highest = max(highest, sequence)
        self._counted = (count, highest)
        return self._counted

    def launches(self) -> tuple[LaunchRecord, ...]:
        """The launch records for this incarnation of the host."""
        if self._launches is None:
            self._launches = tuple(
                record
                for _, record in self._held.values()
                if isinstance(record, LaunchRecord) and record.incarnation == self.incarnation
            )
        return self._launches

    def taps(self) -> tuple[TapRecord, ...]:
        """The tap records for this incarnation of the host."""
        if self._taps is None:
            self._taps = tuple(
                record
                for _, record in self._held.values()
                if isinstance(record, TapRecord) and record.incarnation == self.incarnation
            )
        return self._taps

    def strangers(self) -> int:
        """How many records are for another incarnation of this host, and are not acted on."""
        if self._strangers is None:
            self._strangers = sum(
                not isinstance(record, SegmentRecord) and record.incarnation != self.incarnation
                for _, record in self._held.values()
            )
        return self._strangers

    def launch(self, namespace: str, name: str) -> LaunchRecord | None:
        """The launch record of one VM, if it is for this incarnation of the host."""
        held = self._held.get(subjects.launch(self.host, namespace, name))
        if held is None or not isinstance(held.record, LaunchRecord):
            return None
        return held.record if held.record.incarnation == self.incarnation else None

    def segment(self, vni: int) -> SegmentRecord | None:
        """The record of a segment, if it has arrived."""
        return self._segments.get(vni)

    def segments(self) -> Iterator[SegmentRecord]:
        """All segment records that are held."""
        yield from self._segments.values()

    def watched_vnis(self) -> frozenset[int]:
        """The VNIs whose records concern this host: those that its records name, and those that name it."""
        named = {vni for vni, count in self._mentions.items() if count > 0}
        return frozenset(
            named.union(record.vni for record in self._segments.values() if self.host in record.peers)
        )

    def load(self) -> Load:
        """What our VMs that are to be here have been promised."""
        if self._load is None:
            present = (record for record in self.launches() if record.power in PRESENT)
            self._load = total(load_of(record.config) for record in present)
        return self._load


def is_tombstone(record: Desired) -> bool:
    """Whether a record only says that something is to be no more."""
    return record.power == "gone" if isinstance(record, LaunchRecord) else record.removed


def _older(record: Desired, held: Desired) -> bool:
    """Whether `record` is out of date although it was stored later."""
    if isinstance(record, LaunchRecord) and isinstance(held, LaunchRecord):
        return record.instance == held.instance and record.revision < held.revision
    if isinstance(record, SegmentRecord):
        # Its removal may have been missed, and it begins anew at 1: what was stored later counts.
        return False
    # What has no instance may begin anew after its tombstone.
    return not is_tombstone(held) and record.revision < held.revision


def _vnis(record: Desired) -> set[int]:
    """The VNIs that a record of this host names."""
    if is_tombstone(record) or isinstance(record, SegmentRecord):
        return set()
    if isinstance(record, TapRecord) and record.trunk:
        return {vni for vni, _ in record.trunked().values() if vni}
    if isinstance(record, TapRecord):
        return {record.vni} if record.vni else set()
    return {port.vni for port in record.ports if port.vni and port.vlan}
