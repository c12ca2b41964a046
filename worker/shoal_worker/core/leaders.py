"""Whether a leader that is heard may be obeyed, by what was heard of leaders before.

This module refuses to know the bus. A store that was lost, or that went back to an older copy, has leaders that know
less than the worker: obeying them could end what runs, or run it twice.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """A leader: the store's id, its epoch in it, and the nonce of its term."""

    store: str = ""
    epoch: int = 0
    nonce: str = ""


def objection(seen: Seen, said: Seen, *, succeeds: Collection[str] = (), holds: bool) -> str:
    """Why the leader that was heard now (`said`) is not obeyed; empty when it is.

    `seen` is the highest heard before, `succeeds` the ids of stores that this one was rebuilt from, `holds` whether the
    host has anything that a leader could ask to end.
    """
    repair = "nothing is done here until the latest copy of the store is back, or `shoal doctor --repair` has rebuilt it"
    if not seen.store or (
        said.store != seen.store and (said.store in ("", *succeeds) or seen.store in succeeds)
    ):
        return ""
    if said.store != seen.store:
        if not holds:
            return ""
        return (
            f"this host belongs to store {seen.store}, and the leader has store {said.store}: that one was lost, or this "
            f"is another cluster; {repair}"
        )
    if said.epoch < seen.epoch:
        return f"the leader's epoch {said.epoch} is below {seen.epoch}, which was seen before: the store went backwards; {repair}"
    if said.epoch == seen.epoch and said.nonce != seen.nonce and said.nonce and seen.nonce:
        return f"epoch {said.epoch} was led by another before: the store went backwards; {repair}"
    return ""
