"""Addresses that host taps get from a DHCP server in their VLAN: a Protocol, and its twin for simulated hosts.

This module refuses to know records and links. `udhcpc_leases` is the real thing.
"""

from __future__ import annotations

from typing import Protocol


class Leases(Protocol):
    """The DHCP clients of one host. They outlive the worker: the next one finds them by their taps."""

    async def ensure(self, taps: frozenset[str]) -> None:
        """Have a client ask for an address for each of these taps, and for no others."""
        ...

    def address(self, tap: str) -> str:
        """The address that a tap has got, as `address/prefix`; empty while it has none."""
        ...

    def trouble(self, tap: str) -> str:
        """Why nobody asks for a tap's address; empty if somebody does."""
        ...


class SimulatedLeases:
    """Gives every tap an address of 192.0.2.0/24 (RFC 5737) at once."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    async def ensure(self, taps: frozenset[str]) -> None:
        """Give an address to each tap, the lowest that is free."""
        self._addresses = {tap: ip for tap, ip in self._addresses.items() if tap in taps}
        for tap in sorted(taps - self._addresses.keys()):
            taken = set(self._addresses.values())
            free = (f"192.0.2.{number}/24" for number in range(1, 255))
            self._addresses[tap] = next((ip for ip in free if ip not in taken), "")

    def address(self, tap: str) -> str:
        """The address, once it was asked for."""
        return self._addresses.get(tap, "")

    def trouble(self, tap: str) -> str:
        """There is none."""
        del tap
        return ""
