"""Queue disciplines and filters of the kernel: shapes what goes out of a link, and copies what passes through it.

It refuses to know which links there are: they come as indices, with a name for people. What it sets bears our
handles and our priority; anybody else's disciplines and filters are left alone.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

from shoal.core.qos import Shaping
from shoal_worker.core.queue_messages import (
    NETEM_HANDLE,
    PRIORITY,
    TBF_HANDLE,
    Queueing,
    copies_of,
    is_ours,
    shaping_of,
)
from shoal_worker.netlink_errors import code_of, doing
from shoal_worker.network import NetworkError

#: include/uapi/linux/pkt_sched.h: TC_H_ROOT, TC_H_CLSACT with its two hooks; if_ether.h: ETH_P_ALL
_ROOT = 0xFFFFFFFF
_CLSACT_HANDLE = 0xFFFF0000
_HOOKS = (0xFFFFFFF2, 0xFFFFFFF3)
_ALL_PROTOCOLS = 3
#: matches any frame: no bits of the first word have to be anything
_ANY = ["0x0/0x0+0"]

_FULL_FRAME_BYTES = 1518
#: a bucket of 10 ms at full rate, and a queue of 20 ms behind it, as the peer has; but room for whole frames
_BURST_S, _BURST_FRAMES = 0.01, 2
_QUEUE_S, _QUEUE_FRAMES = 0.02, 10
#: how many packets netem holds back: 100 ms of a gigabit in full frames
_NETEM_PACKETS = 10_000
#: both limits of what a queue holds are 32 bits wide
_MOST_BYTES = 2**31


def observe(ipr: Any, index: int = 0) -> dict[int, Queueing]:
    """What of ours is set, on all links or on one."""
    found: dict[int, Queueing] = {}
    with doing("listing queue disciplines"):
        for message in ipr.get_qdiscs(index=index) if index else ipr.get_qdiscs():
            at = message["index"]
            before = found.get(at, Queueing())
            shaping = shaping_of(message)
            if shaping is not None:
                found[at] = Queueing(shaping, before.copies, before.flaw)
            elif message.get("kind") == "clsact":
                found[at] = Queueing(before.shaping, *copies_of(_filters(ipr, at)))
    return found


def _filters(ipr: Any, index: int) -> list[list[Any]]:
    return [list(ipr.get_filters(index=index, parent=hook)) for hook in _HOOKS]


def shape(ipr: Any, index: int, name: str, shaping: Shaping) -> None:
    """Shape what goes out of a link, in place of what we set before. Raises NetworkError, naming what is missing."""
    if shaping.rate_bit_s:
        rate = shaping.rate_bit_s // 8
        burst = max(rate * _BURST_S, _BURST_FRAMES * _FULL_FRAME_BYTES)
        queue = max(rate * _QUEUE_S, _QUEUE_FRAMES * _FULL_FRAME_BYTES)
        limit = min(int(burst + queue), _MOST_BYTES)
        options: dict[str, float] = {"rate": rate, "burst": int(burst), "limit": limit}
        _replace(ipr, index, name, "tbf", TBF_HANDLE, options)
    elif shaping != Shaping():
        options = {
            "loss": shaping.loss_ppm / 10_000,
            "delay": shaping.delay_us,
            "limit": _NETEM_PACKETS,
        }
        _replace(ipr, index, name, "netem", NETEM_HANDLE, options)
    else:
        for message in list(ipr.get_qdiscs(index=index)):
            if shaping_of(message) is not None:
                with doing(f"removing the shaping of {name}"):
                    ipr.tc("del", index=index, handle=message["handle"], parent=_ROOT)


def _replace(ipr: Any, index: int, name: str, kind: str, handle: int, options: dict[str, float]) -> None:
    try:
        with doing(f"shaping {name}"):
            ipr.tc("replace", kind, index, handle=handle, **options)
    except NetworkError as error:
        if code_of(error) == errno.ENOENT:
            what = "limit rates" if kind == "tbf" else "lose or delay packets"
            raise NetworkError(
                f"the kernel cannot {what}: it has no queue discipline {kind}; try `modprobe sch_{kind}` there"
            ) from error
        raise


def copy(ipr: Any, index: int, name: str, targets: Iterable[int]) -> None:
    """Copy each frame that comes in or goes out of a link to these others, and to no others of ours."""
    wanted = sorted(targets)
    with doing(f"mirroring {name}"):
        there = any(message.get("kind") == "clsact" for message in ipr.get_qdiscs(index=index))
        if there:
            _stop(ipr, index)
        if not wanted:
            if there and not any(_filters(ipr, index)):
                ipr.tc("del", "clsact", index)
            return
        try:
            if not there:
                with doing(f"mirroring {name}"):
                    ipr.tc("add", "clsact", index)
            _start(ipr, index, name, wanted)
        except NetworkError as error:
            if code_of(error) in {errno.ENOENT, errno.EOPNOTSUPP}:
                raise NetworkError(
                    "the kernel cannot mirror: it needs clsact, cls_u32 and act_mirred; "
                    "try `modprobe -a sch_ingress cls_u32 act_mirred` there"
                ) from error
            raise


def _start(ipr: Any, index: int, name: str, targets: list[int]) -> None:
    mirror = {"kind": "mirred", "direction": "egress", "action": "mirror"}
    with doing(f"mirroring {name}"):
        for hook in _HOOKS:
            ipr.tc(
                "add-filter",
                "u32",
                index,
                parent=hook,
                prio=PRIORITY,
                protocol=_ALL_PROTOCOLS,
                target=0,
                keys=_ANY,
                action=[{**mirror, "ifindex": target} for target in targets],
            )


def _stop(ipr: Any, index: int) -> None:
    for hook, messages in zip(_HOOKS, _filters(ipr, index), strict=True):
        if any(map(is_ours, messages)):
            ipr.tc("del-filter", "u32", index, parent=hook, prio=PRIORITY, protocol=_ALL_PROTOCOLS, target=0)
