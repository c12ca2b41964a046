"""Hosts that are gone for good, and what becomes of the VMs that ran there."""

from __future__ import annotations

from typing import ClassVar

from shoal.messages.base import Display, Reply, Request, Said, Scope


class Forgotten(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Hosts that count as dead from now on (folded), and how many VMs may be launched again elsewhere."""

    hosts: str = ""
    vms: int = 0

    def display(self) -> Display:
        """Show how many VMs wait to be launched again; nothing if none does."""
        word = "VM" if self.vms == 1 else "VMs"
        return f"{self.vms} {word} may be launched again on other hosts" if self.vms else ""


class ForgetHosts(Request[Forgotten], frozen=True, kw_only=True, omit_defaults=True):
    """Declare lost hosts dead: their VMs may then be launched again elsewhere, with `vm start` or by `ns recovery`.

    Say `--fenced` only when such a host surely runs nothing any more: it was switched off, or cut from network and
    storage. Shoal cannot know; if it is wrong, a VM may run twice. Without the word nothing is forgotten but hosts
    that have no VMs and taps. A host that comes back is taken in again, without the VMs that were launched elsewhere.

    Example: host forget mm3 --fenced
    """

    noun: ClassVar[str] = "host"
    verb: ClassVar[str] = "forget"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("host forget <hosts>", "host forget <hosts> <word:--fenced,fenced>")
    reply: ClassVar[type[Reply]] = Forgotten

    hosts: str
    word: str = ""


class SetRecovery(Request[Said], frozen=True, kw_only=True, omit_defaults=True):
    """Show or set what is done about VMs on hosts that were declared dead with `host forget --fenced`.

    `none` leaves them LOST until somebody starts them; `relaunch` launches them again as soon as there is room.

    Example: ns recovery relaunch
    """

    noun: ClassVar[str] = "ns"
    verb: ClassVar[str] = "recovery"
    words: ClassVar[tuple[str, ...]] = ("ns recovery", "ns recovery <action:none,relaunch>")
    reply: ClassVar[type[Reply]] = Said

    action: str = ""
