"""What a host has seen tells whether the store went backwards; what is in flight does not."""

from __future__ import annotations

import msgspec
import pytest

from shoal.core.load import Capacity
from shoal.messages.desired import Heartbeat
from shoal_orchestrator.core.backwards import went_backwards
from shoal_orchestrator.core.leases import FenceRecord

FENCE = FenceRecord(store="s", epoch=4, nonce="n")
BEAT = Heartbeat(
    host="mm1",
    incarnation="i",
    session="x",
    version="1",
    capacity=Capacity(cpus=1, memory_mib=1),
    seen_store="s",
    seen_epoch=4,
    seen_nonce="n",
    sequence=100,
)


def test_a_host_that_has_seen_no_more_than_the_store_is_no_sign() -> None:
    """Nor is one that has seen an earlier term, or none yet, or one of an older version that tells no nonce."""
    assert not went_backwards(FENCE, 100, BEAT, vms=True)
    for less in (
        {"seen_epoch": 3, "seen_nonce": "m"},
        {"seen_store": ""},
        {"seen_nonce": ""},
        {"sequence": 0},
    ):
        assert not went_backwards(FENCE, 100, msgspec.structs.replace(BEAT, **less), vms=True)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"seen_epoch": 5}, "has seen epoch 5, and the store's is 4"),
        ({"seen_nonce": "other"}, "another leader in epoch 4"),
        ({"sequence": 101}, "sequence 101, and the store ends at 100"),
    ],
)
def test_a_host_that_has_seen_more_is_a_sign(more: dict[str, object], told: str) -> None:
    """A higher epoch, another leader in this one, a record that is not there."""
    assert told in went_backwards(FENCE, 100, msgspec.structs.replace(BEAT, **more), vms=True)


OTHER = msgspec.structs.replace(BEAT, seen_store="t", seen_epoch=99, sequence=9999, stored=7)


def test_a_host_of_another_store_says_nothing_of_this_one() -> None:
    """Its worker holds itself back; a stray host must not stop a healthy cluster."""
    assert not went_backwards(FENCE, 100, OTHER, vms=True)


def test_a_store_without_vms_and_a_host_with_some_is_a_sign() -> None:
    """The store was emptied: what a new one launches under the same names would run twice."""
    assert "has VMs or taps of store t" in went_backwards(FENCE, 100, OTHER, vms=False)


@pytest.mark.parametrize("less", [{"stored": 0}, {"seen_store": ""}, {"seen_store": "old"}])
def test_hosts_that_come_with_nothing_are_welcome(less: dict[str, object]) -> None:
    """One that holds nothing, that has never obeyed anyone, or that obeyed a store which this one was rebuilt from."""
    fence = msgspec.structs.replace(FENCE, succeeds=("old",))
    assert not went_backwards(fence, 100, msgspec.structs.replace(OTHER, **less), vms=False)
