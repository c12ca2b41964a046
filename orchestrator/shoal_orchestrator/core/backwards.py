"""Whether the store is older than what a host has seen of it.

This module refuses to know the bus. Acknowledged is not on disk, and copies are restored: sequences and epochs can go
backwards, without any error.
"""

from __future__ import annotations

from shoal.messages.desired import Heartbeat
from shoal_orchestrator.core.leases import FenceRecord


def went_backwards(fence: FenceRecord, last_sequence: int, beat: Heartbeat, *, vms: bool) -> str:
    """What a host has seen that the store of this fence does not have; empty when there is nothing.

    `last_sequence` is that of the leader's last batch, stored after the heartbeat was sent; `vms` whether the store has
    any. A host of another store is none of ours: its worker holds itself back. But where that host holds records, and
    the store has no VM at all, the other store is the one that was lost.
    """
    if beat.seen_store != fence.store:
        if vms or not beat.stored or beat.seen_store in ("", *fence.succeeds):
            return ""
        return f"host {beat.host} has VMs or taps of store {beat.seen_store}, and this is store {fence.store}, which has none"
    if beat.seen_epoch > fence.epoch:
        return f"host {beat.host} has seen epoch {beat.seen_epoch}, and the store's is {fence.epoch}"
    if beat.seen_epoch == fence.epoch and beat.seen_nonce not in ("", fence.nonce):
        return f"host {beat.host} has seen another leader in epoch {fence.epoch}"
    if beat.sequence > last_sequence:
        return f"host {beat.host} has the record with sequence {beat.sequence}, and the store ends at {last_sequence}"
    return ""
