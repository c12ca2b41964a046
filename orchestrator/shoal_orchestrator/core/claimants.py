"""Which record of each VM is the right one, from what the store has and what hosts hold.

This module refuses to know namespaces, taps and how it is stored. The rules, each with a test:

- of one instance the higher revision counts;
- what its host has ended for good is no more, whatever the store says;
- what the store has and its host, asked, has never heard of stays as it is; so does what cannot be asked about;
- of two instances of one name the one with a guest counts, then the higher revision. The other is never ended: with a
  guest it is left to a person, without one it is withdrawn, so that nobody starts it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import msgspec
from msgspec.structs import replace

from shoal.messages.desired import LaunchRecord, Power, VMStatus
from shoal_orchestrator.core.holdings import Holding
from shoal_orchestrator.core.model import Model

_Key = tuple[str, str]


class Claimant(msgspec.Struct, frozen=True, gc=False):
    """A record that may be the VM's. `alive`: its host has a guest for it. `asked`: its host has answered."""

    record: LaunchRecord
    alive: bool
    asked: bool


class Judged(msgspec.Struct, frozen=True):
    """`right` are the records of VMs, `ending` those that say `gone` and are not carried out, `over` the store's records
    of what is no more. `left_alone` have guests, and no record; `in_doubt` may have, on hosts that did not answer.
    """

    right: tuple[LaunchRecord, ...] = ()
    ending: tuple[LaunchRecord, ...] = ()
    over: tuple[LaunchRecord, ...] = ()
    left_alone: tuple[tuple[str, VMStatus], ...] = ()
    in_doubt: tuple[LaunchRecord, ...] = ()


def judge(model: Model, holdings: Mapping[str, Holding]) -> Judged:
    """The records as they should be. `holdings` are those of the hosts that have answered."""
    # Tuples of what the garbage collector leaves alone, which it then leaves alone, too; of lists it looks at each.
    claimants: defaultdict[_Key, tuple[Claimant, ...]] = defaultdict(tuple)
    ending: list[LaunchRecord] = []
    over: list[LaunchRecord] = []
    stored = _stored(model, holdings)
    for name, holding in holdings.items():
        for record in _of_host(stored.get(name, {}), holding):
            if record.power == "gone":
                ending.append(record)
            else:
                alive = holding.alive(record.instance)
                claimants[record.namespace, record.name] += (Claimant(record, alive, True),)
    for record in model.instances.values():
        host = holdings.get(record.host)
        if host is None or host.host.incarnation != record.incarnation:
            claimants[record.namespace, record.name] += (Claimant(record, False, False),)
        elif host.gone(record.instance):
            over.append(record)
    right: list[LaunchRecord] = []
    in_doubt: list[LaunchRecord] = []
    for those in claimants.values():
        if len(those) == 1:  # as nearly all
            right.append(those[0].record)
            continue
        best, *others = sorted(those, key=_rank, reverse=True)
        right.append(best.record)
        for other in others:
            if other.asked and other.record.host == best.record.host:
                continue  # one record stands for both, and their worker knows what came after what
            if other.asked and not other.alive:
                ending.append(replace(other.record, power="gone", revision=other.record.revision + 1))
            elif other.record.instance in model.instances:
                over.append(other.record)
            if not other.asked:
                in_doubt.append(other.record)
    return Judged(
        right=tuple(right),
        ending=tuple(ending),
        over=tuple(over),
        left_alone=tuple(_left_alone(holdings, {record.instance for record in right})),
        in_doubt=tuple(in_doubt),
    )


def _rank(claimant: Claimant) -> tuple[bool, int, bool, str]:
    record = claimant.record
    return claimant.alive, record.revision, claimant.asked, record.instance


def _stored(model: Model, holdings: Mapping[str, Holding]) -> dict[str, dict[str, LaunchRecord]]:
    """The store's records of each host that has answered, by instance; none of the host as it was set up before."""
    found: defaultdict[str, dict[str, LaunchRecord]] = defaultdict(dict)
    for record in (*model.instances.values(), *model.leaving.values()):
        holding = holdings.get(record.host)
        if holding is not None and record.incarnation == holding.host.incarnation:
            found[record.host][record.instance] = record
    return found


def _of_host(stored: Mapping[str, LaunchRecord], holding: Holding) -> Iterator[LaunchRecord]:
    """The latest record of each instance on a host that has answered; none of what is no more."""
    for instance in sorted(stored.keys() | holding.launches.keys()):
        if holding.gone(instance):
            continue
        ours, theirs = stored.get(instance), holding.launches.get(instance)
        if theirs is not None and (ours is None or theirs.revision > ours.revision):
            yield theirs
        elif ours is not None:
            yield _corrected(ours, holding.vms.get(instance))


def _corrected(record: LaunchRecord, status: VMStatus | None) -> LaunchRecord:
    """A record, at the revision that its host has carried out, where that is a higher one whose record it lacks."""
    if status is None or status.revision <= record.revision:
        return record
    powers: dict[str, Power] = {"RUNNING": "running", "PAUSED": "paused", "BUILDING": "paused"}
    return replace(record, revision=status.revision, power=powers.get(status.state, "off"))


def _left_alone(holdings: Mapping[str, Holding], right: set[str]) -> Iterator[tuple[str, VMStatus]]:
    """The guests that are nobody's: their hosts have no record of them, or another instance counts."""
    for name, holding in holdings.items():
        for instance, status in sorted(holding.vms.items()):
            record = holding.launches.get(instance)
            leaving = record is not None and record.power == "gone"
            if holding.alive(instance) and instance not in right and not (leaving or status.gone):
                yield name, status
