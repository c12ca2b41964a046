"""Words of minimega that Shoal does not have, so that its scripts are read to the end.

This module refuses to know how the answer reaches anybody. A command that Shoal gets is taken out of here; until
then the catalogue wins over these words anyway.
"""

from __future__ import annotations

from typing import Any, ClassVar

from shoal.messages.base import Done, Request


class NotSupported(Request[Done], frozen=True, kw_only=True):
    """A command of minimega that Shoal does not have."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "not-supported"
    words: ClassVar[tuple[str, ...]] = (
        *(".env [arguments...]", "background [arguments...]", "background-status [arguments...]"),
        *("bridge config [arguments...]", "bridge destroy [arguments...]"),
        *("bridge notunnel [arguments...]", "bridge tunnel [arguments...]"),
        *("capture netflow [arguments...]", "cc [arguments...]", "check", "clear cc [arguments...]"),
        *("clear deploy [arguments...]", "clear optimize [arguments...]", "clear pipe [arguments...]"),
        *("clear plumb [arguments...]", "clear router [arguments...]", "clear vnc [arguments...]"),
        *("debug [arguments...]", "deploy [arguments...]", "dnsmasq [arguments...]", "log [arguments...]"),
        *("disk commit [arguments...]", "disk inject [arguments...]", "disk rebase [arguments...]"),
        *("disk resize [arguments...]", "disk set-backing [arguments...]"),
        *("mesh dial [arguments...]", "mesh dot [arguments...]", "mesh hangup [arguments...]"),
        *("ns snapshot [arguments...]", "nuke", "optimize [arguments...]", "pipe [arguments...]"),
        *("plumb [arguments...]", "process [arguments...]", "router [arguments...]"),
        *("vm launch container [arguments...]", "vm migrate [arguments...]", "vm net bond [arguments...]"),
        *("vm snapshot [arguments...]", "vnc [arguments...]", "web [arguments...]", "write [arguments...]"),
    )

    arguments: tuple[str, ...] = ()


class WithoutEffect(Request[Done], frozen=True, kw_only=True):
    """A command of minimega that is accepted and has no effect here."""

    noun: ClassVar[str] = "session"
    verb: ClassVar[str] = "without-effect"
    words: ClassVar[tuple[str, ...]] = (
        *("backchannel [arguments...]", "mesh degree [arguments...]", "mesh timeout [arguments...]"),
        *("clear mesh degree", "clear mesh timeout"),
    )

    arguments: tuple[str, ...] = ()


PEER_COMMANDS: tuple[type[Request[Any]], ...] = (NotSupported, WithoutEffect)
