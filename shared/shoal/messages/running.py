"""Commands that run another command on hosts: `ns run` and `mesh send`."""

from __future__ import annotations

from typing import ClassVar

from shoal.messages.base import Display, HostAnswer, Page, PerHost, Reply, Request


class HostAnswers(Page[HostAnswer], frozen=True, kw_only=True, omit_defaults=True):
    """What hosts answered. Those that answered the same stand together; a long table comes in several pieces."""

    def display(self) -> Display:
        """Show a table with the column `host`, or a text for each host."""
        return PerHost(self.items)


class RunOnHosts(Request[HostAnswers], frozen=True, kw_only=True, omit_defaults=True):
    """Run a command on every host of the namespace: host, vm info, tap, bridge, capture, file list, version, shell.

    Each host answers for itself; `.compress false` shows equal answers one by one. `shell` runs a program where the
    hosts' workers were started with --allow-shell.

    Example: ns run version
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "run"
    words: ClassVar[tuple[str, ...]] = ("ns run (command)",)
    reply: ClassVar[type[Reply]] = HostAnswers

    command: tuple[str, ...]
    after: str = ""


class SendToHosts(Request[HostAnswers], frozen=True, kw_only=True, omit_defaults=True):
    """Run a command on hosts, whatever namespace they are in; `all` is every live host but the head.

    The commands are those of `ns run`, and tell of the active namespace.

    Example: mesh send mm[1-2] version
    """

    noun: ClassVar[str] = "mesh"
    verb: ClassVar[str] = "send"
    words: ClassVar[tuple[str, ...]] = ("mesh send <hosts> (command)",)
    reply: ClassVar[type[Reply]] = HostAnswers

    hosts: str
    command: tuple[str, ...]
    after: str = ""
