"""Commands about namespaces as a whole."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from shoal.messages.base import Display, Page, Reply, Request, Scope, Table


class NamespaceRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One namespace: how many VMs it has, the VLAN numbers it may use, and whether it is the asker's active one."""

    namespace: str
    vms: int
    vlans: str = ""
    active: bool = False


class Namespaces(Page[NamespaceRow], frozen=True, kw_only=True, omit_defaults=True):
    """The namespaces of the cluster."""

    def display(self) -> Display:
        """Show `namespace | vms | vlans | active`."""
        return Table(
            columns=("namespace", "vms", "vlans", "active"),
            rows=tuple((i.namespace, i.vms, i.vlans, str(i.active).lower()) for i in self.items),
        )


class ListNamespaces(Request[Namespaces], frozen=True, kw_only=True, omit_defaults=True):
    """List the namespaces.

    `active` is the session's own namespace, which the table marks; the prompt fills it in.
    """

    noun: ClassVar[str] = "namespace"
    verb: ClassVar[str] = "list"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("namespace",)
    reply: ClassVar[type[Reply]] = Namespaces
    reads: ClassVar[bool] = True

    active: str = ""


class NamespaceReady(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The namespace exists; `created` tells whether this request made it."""

    created: bool = False


class CreateNamespace(Request[NamespaceReady], frozen=True, kw_only=True, omit_defaults=True):
    """Make a namespace active for this session, creating it if it is new.

    A new namespace holds every live host except the head, or the head alone when there is no other.
    `namespace NAME (command)` runs one command there and leaves the active namespace as it is.

    Example: namespace red vm info
    """

    noun: ClassVar[str] = "namespace"
    verb: ClassVar[str] = "create"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("namespace <name>",)
    reply: ClassVar[type[Reply]] = NamespaceReady

    name: str


class NamespaceCleared(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The namespaces are gone, with all that was in them."""

    namespaces: tuple[str, ...] = ()


class ClearNamespace(Request[NamespaceCleared], frozen=True, kw_only=True, omit_defaults=True):
    """Kill everything in a namespace and forget it: VMs, taps, VLANs, bridges, queue and plans on every host.

    `all` clears every namespace. Without a name the session goes back to the default namespace.

    Example: clear namespace red
    """

    noun: ClassVar[str] = "namespace"
    verb: ClassVar[str] = "clear"
    scope: ClassVar[Scope] = "cluster"
    words: ClassVar[tuple[str, ...]] = ("clear namespace <name>",)
    reply: ClassVar[type[Reply]] = NamespaceCleared

    name: str
