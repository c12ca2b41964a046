"""The client library: a connection, handles on namespaces and VMs, typed calls, lists, waiting, events.

Refuses to know the command language; `shoal.cli` is built on it. See `connect`.

    async with shoal.connect() as client:
        ns = client.namespace("foo")
        await ns.launch("web[1-3]", VMConfig(kernel="/boot/vmlinuz"))
        await ns.start("all")
        await ns.wait("web[1-3]", "RUNNING", timeout_s=60)
        async for event in ns.events():
            print(event.event, event.name)
"""

from __future__ import annotations

from shoal.client.connection import DEFAULT_SERVER, Client, connect, default_server
from shoal.client.events import Events, decode_event
from shoal.client.handles import DEFAULT_NAMESPACE, NamespaceHandle, VMHandle
from shoal.client.pending import Command, Listing, ProgressCallback

__all__ = [
    "DEFAULT_NAMESPACE",
    "DEFAULT_SERVER",
    "Client",
    "Command",
    "Events",
    "Listing",
    "NamespaceHandle",
    "ProgressCallback",
    "VMHandle",
    "connect",
    "decode_event",
    "default_server",
]
