"""Reads queue disciplines and filters from rtnetlink messages: how a link is shaped, and where its frames are copied.

This module refuses to know sockets, and pyroute2 itself: a message here is anything with `[field]` for the fixed
part and `.get(attribute)` for the rest, as in `link_messages`. The fields are those of
include/uapi/linux/pkt_sched.h, pkt_cls.h and tc_act/tc_mirred.h.

Only what bears our handles (queue disciplines) and our priority (filters) counts as ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from shoal.core.qos import Shaping

#: the handles of our queue disciplines: one for each kind, since the kernel changes no discipline's kind
TBF_HANDLE = 0x53480000
NETEM_HANDLE = 0x53490000
#: the priority of our filters
PRIORITY = 0x5348

_U32_NODE_BITS = 0xFFF
_ALL_LOST = 2**32 - 1
#: the kernel counts packet scheduler time in ticks of 64 ns (include/net/pkt_sched.h: PSCHED_SHIFT)
_TICK_NS = 64


class Queueing(msgspec.Struct, frozen=True):
    """What is set on one link: its shaping, the indices of the links that get copies, and what is wrong with these."""

    shaping: Shaping = Shaping()
    copies: frozenset[int] = frozenset()
    flaw: str = ""


def shaping_of(message: Any) -> Shaping | None:
    """The shaping that an RTM_NEWQDISC message tells of; None when the discipline is not one of ours."""
    kind, handle, options = message.get("kind"), message["handle"], message.get("options")
    if kind == "tbf" and handle == TBF_HANDLE and options:
        return Shaping(rate_bit_s=8 * int(options.get("TCA_TBF_PARMS")["rate"]))
    if kind == "netem" and handle == NETEM_HANDLE and options:
        return Shaping(
            loss_ppm=round(int(options["loss"]) * 10**6 / _ALL_LOST),
            delay_us=round(int(options["delay"]) * _TICK_NS / 1000),
        )
    return None


def is_ours(message: Any) -> bool:
    """Whether an RTM_NEWTFILTER message tells of a filter with our priority."""
    return int(message["info"]) >> 16 == PRIORITY


def copies_of(hooks: Iterable[Iterable[Any]]) -> tuple[frozenset[int], str]:
    """Where frames are copied to, by the filters of a link's hooks (in and out), and what is wrong with that.

    Both hooks share one u32 hash table in the kernel, so that each dump shows the nodes of both: two nodes are sound.
    """
    filters = [[message for message in hook if is_ours(message)] for hook in hooks]
    found = {
        message["handle"]: _destinations(message)
        for hook in filters
        for message in hook
        if message["handle"] & _U32_NODE_BITS
    }
    if not found:
        return frozenset(), "filters without a target" if any(filters) else ""
    targets = frozenset().union(*found.values())
    sound = (
        all(filters) and len(found) == len(filters) and all(target == targets for target in found.values())
    )
    return targets, "" if sound else "it is copied one way only"


def _destinations(message: Any) -> frozenset[int]:
    options = message.get("options")
    actions = options.get("TCA_U32_ACT") if options else None
    found = set()
    for _, action in actions["attrs"] if actions else ():
        details = action.get("TCA_ACT_OPTIONS")
        parameters = (
            details.get("TCA_MIRRED_PARMS") if action.get("TCA_ACT_KIND") == "mirred" and details else None
        )
        if parameters:
            found.add(int(parameters["ifindex"]))
    return frozenset(found)
