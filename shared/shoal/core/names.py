"""What may be a name: of a namespace, a VM, a host, a VLAN alias, a bridge, an interface.

This module refuses to know whether a thing of that name exists.

Names become parts of subjects, file names and interface names, so every one that comes from outside passes here
first. The rules are LANGUAGE.md's ("Reading a line"); patterns are matched whole, since `$` would let a trailing
newline pass.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from shoal.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: the longest name of a namespace, VM, host, alias or bridge, in characters
NAME_LIMIT = 63
#: the longest name of a network interface that Linux takes, in characters (IFNAMSIZ less the final NUL)
INTERFACE_LIMIT = 15
#: every host, every VM, every namespace
ALL = "all"
#: the head of the cluster, wherever a host can be named
LOCALHOST = "localhost"
#: between a namespace and an alias of its own: `other//LAN`
ALIAS_SEPARATOR = "//"

_NAME = re.compile(r"[a-zA-Z0-9\-_.]+")
_INTEGER = re.compile(r"[+-]?[0-9]+")
#: one pattern for all rules of a VM's name: only what fails it is looked at rule by rule
_VM = re.compile(r"(?!all\Z)(?!-?[0-9]+\Z)(?!\.)(?!.*\.\.)[a-zA-Z0-9\-_.]{1,63}")
#: what an alias may not hold: it stands between commas in a netspec and is a word of the command language
_NOT_IN_ALIAS = re.compile(r"[\s,'\"\\#\[\]\x00-\x1f\x7f]")


def check_namespace(name: str) -> str:
    """Return `name`, or raise InvalidRequest if it cannot name a namespace."""
    return _check("namespace", name)


def check_vm(name: str) -> str:
    """Return `name`, or raise InvalidRequest if it cannot name a VM: integers are VM ids, `all` is every VM."""
    if _VM.fullmatch(name):
        return name
    if _INTEGER.fullmatch(name):
        raise InvalidRequest(f"invalid vm name, `{name}` is an integer")
    return _check("vm", name)


def check_vms(names: Sequence[str]) -> None:
    """Raise InvalidRequest for the first of `names` that cannot name a VM. Linear: 100,000 names in about 50 ms."""
    if not all(map(_VM.fullmatch, names)):
        for name in names:
            check_vm(name)


def check_distinct(names: Iterable[str]) -> None:
    """Raise InvalidRequest for the first VM name that occurs a second time in one launch."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise InvalidRequest(f"`{name}` is specified twice in VMs to launch")
        seen.add(name)


def check_host(name: str) -> str:
    """Return `name`, or raise InvalidRequest if it cannot name a host."""
    return _check("host", name)


def check_bridge(name: str) -> str:
    """Return `name`, or raise InvalidRequest if it cannot name a bridge. Links on hosts have derived names."""
    return _check("bridge", name)


def check_config(name: str) -> str:
    """Return `name`, or raise InvalidRequest if it cannot name a saved configuration."""
    return _check("config", name)


def check_interface(name: str) -> str:
    """Return `name`, or raise InvalidRequest if Linux would not take it for an interface."""
    _check("interface", name)
    if len(name) > INTERFACE_LIMIT:
        raise InvalidRequest(f"invalid interface name, `{name}` is longer than {INTERFACE_LIMIT} characters")
    return name


def check_alias(name: str) -> str:
    """Return `name`, or raise InvalidRequest if it cannot be an alias of a VLAN, without its namespace."""
    if not name:
        raise InvalidRequest("invalid vlan alias, it is empty")
    if _INTEGER.fullmatch(name):
        raise InvalidRequest(f"invalid vlan alias, `{name}` is an integer")
    if len(name) > NAME_LIMIT:
        raise InvalidRequest(f"invalid vlan alias, `{name}` is longer than {NAME_LIMIT} characters")
    if ALIAS_SEPARATOR in name or _NOT_IN_ALIAS.search(name) or not name.isprintable():
        raise InvalidRequest(
            f"invalid vlan alias, `{name}`: it must have no spaces, commas, quotes, brackets, `#`, `\\` and `//`"
        )
    return name


def split_alias(text: str, namespace: str) -> tuple[str, str]:
    """Split `other//LAN` into (`other`, `LAN`); an alias without a namespace is one of `namespace`.

    Raises InvalidRequest if either part cannot be a name.
    """
    owner, separator, alias = text.partition(ALIAS_SEPARATOR)
    if not separator:
        return namespace, check_alias(text)
    return check_namespace(owner), check_alias(alias)


def is_integer(text: str) -> bool:
    """Tell whether the word is a decimal integer, with or without a sign."""
    return _INTEGER.fullmatch(text) is not None


def _check(what: str, name: str) -> str:
    if not name:
        raise InvalidRequest(f"invalid {what} name, it is empty")
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"invalid {what} name, `{name}` must match ^[a-zA-Z0-9-_.]+$")
    if name == ALL:
        raise InvalidRequest(f"invalid {what} name, `{name}` is a reserved word")
    if len(name) > NAME_LIMIT:
        raise InvalidRequest(f"invalid {what} name, `{name}` is longer than {NAME_LIMIT} characters")
    if name.startswith(".") or ".." in name:
        raise InvalidRequest(f"invalid {what} name, `{name}` must not begin with `.` or hold `..`")
    return name
