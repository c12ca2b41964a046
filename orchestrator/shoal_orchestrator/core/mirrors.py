"""Mirrors: which tap's traffic is copied to which other tap of the same host.

This module refuses to know when hosts have done it. A mirror is a setting of the tap that gets the copies, so that a
tap has any number of mirrors and is one for a single other. Rules and error texts are the peer's (minimega 3.1,
`tap mirror`), but for loops, which it does not see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from shoal.core.names import is_integer
from shoal.errors import Conflict, InvalidRequest, NotFound
from shoal.messages.desired import LaunchRecord, Port, TapRecord
from shoal_orchestrator.core.model import Model


class End(NamedTuple):
    """A tap: an interface of a VM, or a host tap."""

    record: LaunchRecord | TapRecord
    port: Port | TapRecord

    @property
    def tap(self) -> str:
        """Its name on the host."""
        return self.port.tap

    @property
    def name(self) -> str:
        """What a user calls it: `web:0` an interface of a VM, else the host tap's name."""
        if isinstance(self.record, TapRecord):
            return self.tap
        return f"{self.record.name}:{[port.tap for port in self.record.ports].index(self.tap)}"

    @property
    def place(self) -> tuple[str, str]:
        """The host that it is on, and its name."""
        return self.record.host, self.port.tap


def ends(model: Model, namespace: str) -> Iterator[End]:
    """All taps of a namespace."""
    for vm in model.launches[namespace].values():
        yield from (End(vm, port) for port in vm.ports)
    yield from (End(tap, tap) for tap in model.taps[namespace].values() if not tap.removed and not tap.trunk)


def mirrors(model: Model, namespace: str) -> list[End]:
    """The taps that get copies of another one's traffic."""
    return [end for end in ends(model, namespace) if end.port.mirror]


def interface(model: Model, namespace: str, name: str, index: str) -> End:
    """An interface of a VM. Raises NotFound and InvalidRequest."""
    vm = model.launches[namespace].get(name)
    if vm is None:
        raise NotFound(f"vm not found: {name}", names=(name,))
    if not is_integer(index):
        raise InvalidRequest(f"invalid interface number: `{index}`")
    if not 0 <= int(index) < len(vm.ports):
        raise NotFound(f"no such interface {int(index)} for {name}", names=(name,))
    return End(vm, vm.ports[int(index)])


def between_vms(
    model: Model, namespace: str, one: tuple[str, str], other: tuple[str, str]
) -> tuple[End, End]:
    """The interfaces (VM, number) of a mirror: from `one` to `other`. Raises NotFound, InvalidRequest, Conflict."""
    known = model.launches[namespace]
    missing = [name for name, _ in (one, other) if name not in known]
    if len(missing) == 1:
        raise NotFound(f"vms are not colocated or invalid vm name: {missing[0]}", names=tuple(missing))
    source, target = interface(model, namespace, *one), interface(model, namespace, *other)
    if source.record.host != target.record.host:
        raise Conflict(f"vms are not colocated or invalid vm name: {other[0]}", names=(other[0],))
    if source.port.bridge != target.port.bridge:
        raise Conflict(
            f"interfaces on different bridges: {source.port.bridge} and {target.port.bridge}",
            names=(other[0],),
        )
    return source, target


def between_taps(model: Model, namespace: str, names: tuple[str, str], bridge: str) -> tuple[End, End]:
    """The taps of a mirror by their names; `bridge` (empty: any) is the one that both are to be on.

    Raises NotFound and Conflict.
    """
    found: list[dict[str, End]] = []
    for name, what in zip(names, ("source", "destination"), strict=True):
        here = [end for end in ends(model, namespace) if end.tap == name and bridge in ("", end.port.bridge)]
        if not here:
            raise NotFound(f"{what} tap is not on bridge: `{name}`", names=(name,))
        found.append({end.record.host: end for end in here})
    sources, targets = found
    both = sorted(sources.keys() & targets.keys())
    if not both:
        where = f"{names[0]} is on {', '.join(sorted(sources))}, {names[1]} on {', '.join(sorted(targets))}"
        raise Conflict(f"taps are not on one host: {where}", names=names)
    return sources[both[0]], targets[both[0]]


def check(model: Model, namespace: str, source: End, target: End) -> None:
    """Raise Conflict for what cannot be mirrored, or would never end."""
    if source.place == target.place:
        raise Conflict("cannot mirror tap to itself", names=(source.name,))
    all_ends = {end.place: end for end in ends(model, namespace)}
    if target.port.mirror and (target.record.host, target.port.mirror) in all_ends:
        raise Conflict("destination tap is already a mirror", names=(target.name,))
    seen: set[tuple[str, str]] = set()
    end: End | None = source
    while end is not None and end.port.mirror and end.place not in seen:
        seen.add(end.place)
        end = all_ends.get((end.record.host, end.port.mirror))
        if end is not None and end.place == target.place:
            raise Conflict(
                f"{source.name} gets copies of {target.name} itself: frames would be copied for ever",
                names=(source.name, target.name),
            )


def mirrored(record: LaunchRecord | TapRecord, taps: Iterable[str], source: str) -> LaunchRecord | TapRecord:
    """The next revision of a VM or host tap whose `taps` get copies of `source` (empty: of nothing)."""
    if isinstance(record, TapRecord):
        return replace(record, revision=record.revision + 1, mirror=source)
    names = set(taps)
    ports = tuple(replace(port, mirror=source) if port.tap in names else port for port in record.ports)
    return replace(record, revision=record.revision + 1, ports=ports)


def cleared(chosen: Iterable[End]) -> list[tuple[LaunchRecord | TapRecord, LaunchRecord | TapRecord]]:
    """The records of these mirrors as they are, and their next revisions, in which they are none."""
    taps: dict[int, set[str]] = {}
    records: dict[int, LaunchRecord | TapRecord] = {}
    for end in chosen:
        taps.setdefault(id(end.record), set()).add(end.tap)
        records[id(end.record)] = end.record
    return [(record, mirrored(record, taps[key], "")) for key, record in records.items()]


def mirrors_of(model: Model, namespace: str, taps: Iterable[TapRecord]) -> list[End]:
    """The mirrors that get copies of these host taps: they end with them, since a name may come back."""
    places = {(tap.host, tap.tap) for tap in taps}
    return [end for end in mirrors(model, namespace) if (end.record.host, end.port.mirror) in places]
