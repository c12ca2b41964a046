"""What a worker must say of its host to have it: an address that the other hosts can be told."""

from __future__ import annotations

import pytest
from tests.unit.leader_rig import CAPACITY, Term, term

from shoal import codec, subjects
from shoal.bus.memory_bus import MemoryServer
from shoal.errors import InvalidRequest
from shoal.messages.base import Failure
from shoal.messages.desired import Claim, Claimed
from shoal_orchestrator.claims import Claims


async def claim(found: Term, underlay: str) -> Claimed:
    """What the worker of mm1 is answered."""
    server = MemoryServer()
    bus = server.connect("leader")
    await Claims(bus, found.store, found.inventory, found.spawn).subscribe()
    await bus.settle()
    body = codec.encode(
        Claim(host="mm1", incarnation="i", session="s", version="1", underlay=underlay, capacity=CAPACITY)
    )
    answer = await server.connect("worker").request(subjects.CLAIM, body, timeout_s=5)
    if codec.ERROR_CODE_HEADER in answer.headers:
        raise codec.error_of(codec.decode(answer.body, Failure))
    return codec.decode(answer.body, Claimed)


async def test_an_underlay_is_kept_as_kernels_print_it() -> None:
    """Whoever compares it with what its kernel shows finds the same text."""
    async with term() as found:
        await claim(found, "FD00::1")
        assert found.store.model.hosts["mm1"].underlay == "fd00::1"


async def test_a_host_without_an_address_is_claimed() -> None:
    """It has no tunnels yet, and may say where they end later."""
    async with term() as found:
        await claim(found, "")
        assert found.store.model.hosts["mm1"].underlay == ""


async def test_a_claim_with_what_is_no_address_is_refused() -> None:
    """No record is made of it: every other host would be told to send there. The worker is told what to do."""
    async with term() as found:
        with pytest.raises(InvalidRequest, match=r"mm1.*host\.example.*--underlay"):
            await claim(found, "host.example")
        assert "mm1" not in found.store.model.hosts
        assert found.inventory.hosts["mm1"].session == ""
