"""VLAN numbers of aliases: which one an alias gets, which are kept from it, and when sharing one is an accident.

This module refuses to know bridges, VMs and where any of this is stored: values come in, new values go out.

The rules are LANGUAGE.md's ("vlans"). As in the peer (minimega 3.1) a range ends before its `max`, and the range
of the default namespace is the shared pool, from which all namespaces without a range of their own take.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

import msgspec

from shoal.core.names import ALIAS_SEPARATOR, check_alias, is_integer, split_alias
from shoal.core.vmconfig_specs import FIRST_VLAN, LAST_VLAN
from shoal.errors import Conflict, InvalidRequest, NotFound, Refused

#: from where to before where the shared pool reaches, as the peer prints it; 4095 and 4096 are never given out
DEFAULT_RANGE = (101, 4096)


class NamespaceVLANs(msgspec.Struct, frozen=True):
    """A namespace's aliases, its own range (from, before) if it has one, and the aliases whose number was given."""

    aliases: Mapping[str, int] = {}
    range: tuple[int, int] | None = None
    explicit: frozenset[str] = frozenset()


class VLANs(msgspec.Struct, frozen=True):
    """All namespaces' VLANs, and the numbers that are not given to aliases (whole cluster)."""

    namespaces: Mapping[str, NamespaceVLANs] = {}
    blacklist: frozenset[int] = frozenset()
    default: str = "minimega"


class Resolved(msgspec.Struct, frozen=True):
    """The number of what the user wrote, whose alias it is (empty for a plain number), and the VLANs after that."""

    vlan: int
    owner: str
    alias: str
    vlans: VLANs


def resolve(vlans: VLANs, namespace: str, text: str) -> Resolved:
    """Return the number of `text`: a number, an alias of `namespace`, or `other//LAN`.

    The first use of an alias gives it the lowest free number; a number used directly is kept from aliases, unless
    one has it already. Raises InvalidRequest for a number out of 1 to 4094, NotFound for an unknown namespace,
    Refused when the range is used up.
    """
    if is_integer(text):
        number = parse_number(text)
        if number in _given(vlans):
            return Resolved(number, "", "", vlans)
        return Resolved(number, "", "", _replace(vlans, blacklist=vlans.blacklist | {number}))
    owner, alias = split_alias(text, namespace)
    own = _own(vlans, owner)
    if alias in own.aliases:
        return Resolved(own.aliases[alias], owner, alias, vlans)
    lowest = next_free(vlans, owner)
    if lowest is None:
        first, end = own.range or _pool(vlans)
        raise Refused(
            f"out of VLANs: every one from {first} to {min(end - 1, LAST_VLAN)} is in use or blacklisted"
        )
    return Resolved(lowest, owner, alias, _with(vlans, owner, aliases={**own.aliases, alias: lowest}))


def add_alias(vlans: VLANs, namespace: str, alias: str, text: str) -> VLANs:
    """Give an alias a number that the user has chosen (`vlans add`).

    Raises Conflict for an alias and for a number that is in use: in this namespace, blacklisted, or, outside of
    this namespace's own range, in any other.
    """
    if not is_integer(text):
        raise InvalidRequest("expected integer VLAN")
    number = parse_number(text)
    owner, alias = split_alias(alias, namespace)
    check_alias(alias)
    own = _own(vlans, owner)
    if alias in own.aliases:
        raise Conflict("alias already in use", names=(alias,))
    if number in own.aliases.values() or number in vlans.blacklist:
        raise Conflict("vlan already in use", names=(alias,))
    inside = own.range is not None and own.range[0] <= number < own.range[1]
    if not inside and number in _given(vlans):
        raise Conflict("vlan already in use", names=(alias,))
    return _with(vlans, owner, aliases={**own.aliases, alias: number}, explicit=own.explicit | {alias})


def set_range(vlans: VLANs, namespace: str, low: str, high: str) -> VLANs:
    """Give a namespace a range of its own, from `low` to before `high`; of the default one it is the shared pool.

    Two namespaces may have overlapping ranges: each counts its own numbers only. Aliases keep their numbers.
    """
    if not is_integer(low) or not is_integer(high):
        raise InvalidRequest("expected integer values for min/max")
    first, end = int(low), int(high)
    if end <= first:
        raise InvalidRequest("expected min > max")
    if not FIRST_VLAN <= first <= LAST_VLAN or end > DEFAULT_RANGE[1]:
        raise InvalidRequest(
            f"invalid VLAN range `{low}` to `{high}`: expected min from {FIRST_VLAN} to {LAST_VLAN} and max, which is "
            f"the first one not in the range, up to {DEFAULT_RANGE[1]}"
        )
    return _with(vlans, namespace, range=(first, end))


def add_to_blacklist(vlans: VLANs, text: str) -> VLANs:
    """Keep a number from all aliases that are allocated from now on, in the whole cluster."""
    if not is_integer(text):
        raise InvalidRequest("expected integer VLAN")
    return _replace(vlans, blacklist=vlans.blacklist | {parse_number(text)})


def clear(vlans: VLANs, namespace: str, prefix: str = "") -> VLANs:
    """Forget a namespace's aliases that begin with `prefix`; without one all of them and the range."""
    own = _own(vlans, namespace)
    aliases = {alias: number for alias, number in own.aliases.items() if not alias.startswith(prefix)}
    return _with(
        vlans,
        namespace,
        aliases=aliases,
        explicit=own.explicit.intersection(aliases),
        range=own.range if prefix else None,
    )


def clear_all(vlans: VLANs) -> VLANs:
    """Forget every alias and range, and the blacklist."""
    return _replace(
        vlans, namespaces=dict.fromkeys(vlans.namespaces, NamespaceVLANs()), blacklist=frozenset()
    )


def next_free(vlans: VLANs, namespace: str) -> int | None:
    """Return the number that the namespace's next alias will get, if there is one."""
    own = _own(vlans, namespace)
    if own.range is not None and namespace != vlans.default:
        first, end = own.range
        taken = {*own.aliases.values(), *vlans.blacklist}
    else:
        first, end = _pool(vlans)
        taken = {*_given(vlans), *vlans.blacklist, *chain.from_iterable(_reserved(vlans))}
    return next((number for number in range(first, min(end, LAST_VLAN + 1)) if number not in taken), None)


def describe_range(own: tuple[int, int] | None, *, default: bool) -> str:
    """Return what the table of namespaces shows: the range, for the default namespace always, else if it is set."""
    shown = own or (DEFAULT_RANGE if default else None)
    return f"{shown[0]}-{shown[1]}" if shown else ""


def parse_number(text: str) -> int:
    """Return a VLAN that a guest can be in; InvalidRequest for other numbers."""
    number = int(text) if is_integer(text) and len(text) < 10 else -1
    if not FIRST_VLAN <= number <= LAST_VLAN:
        raise InvalidRequest(f"invalid VLAN (1 <= vlan <= {LAST_VLAN}): `{text}`")
    return number


def check_sharing(vlans: VLANs, owner: str, alias: str, users: Iterable[tuple[str, str]]) -> None:
    """Refuse to join two namespaces by accident on a bridge that they share.

    `owner` and `alias` are what is to be connected, `users` the (owner, alias) of the ports that are on that bridge
    and number already. Plain numbers (no alias), given ones (`vlans add`) and `other//LAN` share on purpose.
    Raises Conflict.
    """
    if not alias or alias in _own(vlans, owner).explicit:
        return
    for other, theirs in users:
        own = vlans.namespaces.get(other, NamespaceVLANs())
        if theirs and other != owner and theirs not in own.explicit:
            number = _own(vlans, owner).aliases.get(alias, 0)
            raise Conflict(
                f"vlan {number} of `{owner}{ALIAS_SEPARATOR}{alias}` is `{other}{ALIAS_SEPARATOR}{theirs}` on this "
                f"shared bridge already: use a bridge of the namespace (ns bridge), or name `{other}//{theirs}`",
                names=(alias,),
            )


def _pool(vlans: VLANs) -> tuple[int, int]:
    return vlans.namespaces.get(vlans.default, NamespaceVLANs()).range or DEFAULT_RANGE


def _reserved(vlans: VLANs) -> Iterator[range]:
    """Yield the numbers that namespaces keep from the shared pool."""
    for name, own in vlans.namespaces.items():
        if own.range is not None and name != vlans.default:
            yield range(*own.range)


def _given(vlans: VLANs) -> set[int]:
    return {number for own in vlans.namespaces.values() for number in own.aliases.values()}


def _own(vlans: VLANs, namespace: str) -> NamespaceVLANs:
    if namespace not in vlans.namespaces:
        raise NotFound(f"namespace not found: `{namespace}`", names=(namespace,))
    return vlans.namespaces[namespace]


def _with(vlans: VLANs, namespace: str, **changes: object) -> VLANs:
    own = msgspec.structs.replace(_own(vlans, namespace), **changes)
    return _replace(vlans, namespaces={**vlans.namespaces, namespace: own})


def _replace(vlans: VLANs, **changes: object) -> VLANs:
    return msgspec.structs.replace(vlans, **changes)
