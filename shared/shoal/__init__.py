"""Shoal: pools the hosts of a cluster into namespaces and launches virtual machines in them.

`connect`, `Client` and the errors; each is imported when it is first used. Nothing inside imports from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoal.client import Client, Command, Events, Listing, NamespaceHandle, VMHandle, connect
    from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig
    from shoal.errors import (
        Conflict,
        Damaged,
        EventsGone,
        InvalidRequest,
        NamespaceGone,
        NotFound,
        OtherVersion,
        PermissionDenied,
        PlanChanged,
        Refused,
        ShoalError,
        StoreUnavailable,
        TimedOut,
        Unavailable,
        Unplaceable,
        UsageError,
    )

_HOMES = {
    "shoal.client": ("Client", "Command", "Events", "Listing", "NamespaceHandle", "VMHandle", "connect"),
    "shoal.core.vmconfig": ("DiskSpec", "NetSpec", "VMConfig"),
    "shoal.errors": (
        *("Conflict", "Damaged", "EventsGone", "InvalidRequest", "NamespaceGone", "NotFound", "OtherVersion"),
        *("PermissionDenied", "PlanChanged", "Refused", "ShoalError"),
        *("StoreUnavailable", "TimedOut", "Unavailable", "Unplaceable", "UsageError"),
    ),
}

__all__ = [
    "Client",
    "Command",
    "Conflict",
    "Damaged",
    "DiskSpec",
    "Events",
    "EventsGone",
    "InvalidRequest",
    "Listing",
    "NamespaceGone",
    "NamespaceHandle",
    "NetSpec",
    "NotFound",
    "OtherVersion",
    "PermissionDenied",
    "PlanChanged",
    "Refused",
    "ShoalError",
    "StoreUnavailable",
    "TimedOut",
    "Unavailable",
    "Unplaceable",
    "UsageError",
    "VMConfig",
    "VMHandle",
    "connect",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    from importlib import import_module  # noqa: PLC0415  (nothing is paid before it is needed)

    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
