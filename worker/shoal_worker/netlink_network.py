"""The network of this host, through rtnetlink: bridges, VXLAN devices, taps and veth pairs.

It works in the network namespace that the process was started in, and refuses to know desired records, the
reconciler, and what the kernel is asked (`netlink_kernel`).

The kernel carries out an rtnetlink request inside `sendmsg`, under a lock of its own, and waits there for RCU:
removing fifty tunnels blocks the sender for one to two seconds. Hence one thread that owns the socket; the event
loop never waits.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from shoal_worker.netlink_kernel import Kernel
from shoal_worker.network import NetworkError

if TYPE_CHECKING:
    from collections.abc import Callable

    from shoal_worker.network import GuestTap, HostTap, Links, Segment, Uplink

_T = TypeVar("_T")


class NetlinkNetwork:
    """The Protocol `shoal_worker.network.Network` on a real kernel. One call runs at a time."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="netlink")
        self._kernel: Kernel | None = None

    async def open(self) -> None:
        """Connect and see that the kernel has what we need. Raises NetworkError if it has not."""
        self._kernel = await self._run(Kernel)

    async def observe(self) -> Links:
        """List our links as they are: one dump of links, addresses and FDB."""
        return await self._run(self._connected().observe)

    async def ensure_segment(self, segment: Segment) -> None:
        """Make or mend bridge, VXLAN device and flood entries; peers that are not listed are removed."""
        await self._run(self._connected().ensure_segment, segment)

    async def ensure_guest_tap(self, tap: GuestTap) -> None:
        """Make the tap, or move it to another segment, without taking it from a running guest."""
        await self._run(self._connected().ensure_guest_tap, tap)

    async def ensure_host_tap(self, tap: HostTap) -> None:
        """Make the pair, or mend segment and address."""
        await self._run(self._connected().ensure_host_tap, tap)

    async def ensure_uplink(self, uplink: Uplink) -> None:
        """Make, mend and remove the devices of an uplink's VLANs, and put them into their segments."""
        await self._run(self._connected().ensure_uplink, uplink)

    async def remove(self, names: frozenset[str]) -> None:
        """Remove our links of these names (a segment's with its VXLAN device), in one request if there are many."""
        await self._run(self._connected().remove, names)

    async def close(self) -> None:
        """Let go of the socket. Links stay."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            await self._run(kernel.close)
        self._thread.shutdown(wait=False)

    def _connected(self) -> Kernel:
        if self._kernel is None:
            raise NetworkError("the network is not open")
        return self._kernel

    async def _run(self, call: Callable[..., _T], *args: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)
