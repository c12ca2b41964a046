"""Makes and removes the hosts of a lab: network namespaces with an underlay between them.

Nothing of it appears in the machine's own network namespace; the underlay's bridge has a namespace to itself.
This module refuses to know which processes run in the hosts.
"""

from __future__ import annotations

import math
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.errors import PermissionDenied, Refused
from shoal_worker.lab.layout import MARK, NETNS_FOLDER, UNDERLAY_PREFIX, enter, netns_prefix, network_netns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shoal_worker.lab.layout import Node

# A guest's full frame (1500 bytes) and the VXLAN header fit: nothing is fragmented, no path MTU has to be found.
_UNDERLAY_MTU = "1600"
#: the host's interface on the underlay
UNDERLAY_LINK = "under0"
_BRIDGE = "underlay"
_IP_TIMEOUT_S = 60.0
#: for how long to look again for namespaces that stay, or are made while others are removed
_REMOVE_S = 5.0
_POLL_S = 0.02


def create(lab: str, nodes: Sequence[Node]) -> None:
    """Make the namespaces of `nodes` and join them. Raises Refused with what `ip` said; `remove` undoes any part."""
    network = network_netns(lab)
    _ip(lab, [f"netns add {name}" for name in (network, *(node.netns for node in nodes))])
    commands = [
        "link set lo up",
        f"link add name {_BRIDGE} mtu {_UNDERLAY_MTU} type bridge mcast_snooping 0",
        f"link set {_BRIDGE} addrgenmode none",
        f"link set {_BRIDGE} up",
    ]
    for index, node in enumerate(nodes):
        commands += [
            f"link add name port{index} mtu {_UNDERLAY_MTU} type veth peer {_far_end(node)}",
            f"link set port{index} addrgenmode none",
            f"link set port{index} master {_BRIDGE} up",
        ]
    _ip(lab, commands, netns=network)
    for node in nodes:
        _ip(
            lab,
            (
                "link set lo up",
                f"link set {UNDERLAY_LINK} addrgenmode none",
                f"addr add {node.address}/{UNDERLAY_PREFIX} dev {UNDERLAY_LINK}",
                f"link set {UNDERLAY_LINK} up",
            ),
            netns=node.netns,
        )


def _far_end(node: Node) -> str:
    return f"name {UNDERLAY_LINK} mtu {_UNDERLAY_MTU} netns {node.netns}"


def namespaces(lab: str, folder: Path = Path(NETNS_FOLDER)) -> list[Path]:
    """The namespaces of a lab that are there."""
    return sorted(folder.glob(f"{netns_prefix(lab)}*"))


def remove(lab: str) -> None:
    """Remove all namespaces of a lab, also those that are made meanwhile; having none is fine.

    Raises Refused if one stays.
    """
    deadline = math.inf
    while left := namespaces(lab):
        if time.monotonic() > deadline:
            raise Refused(
                f"network namespaces could not be removed: {' '.join(path.name for path in left)}; "
                "see what holds them (`ip netns pids NAME`), then `ip netns del NAME`"
            )
        for path in left:
            subprocess.run(  # noqa: PLW1510  (whether it is gone is what counts: another teardown may be at work)
                ["ip", "netns", "del", path.name], capture_output=True, timeout=_IP_TIMEOUT_S
            )
        deadline = min(deadline, time.monotonic() + _REMOVE_S)
        time.sleep(_POLL_S)


def _ip(lab: str, commands: Iterable[str], netns: str = "") -> None:
    """Run several commands of iproute2 in one process. Names come from names.check_host and hold no blanks.

    It bears the lab's mark: a lab that is killed leaves it behind, at work, and whoever tears the lab down ends it.
    Not by `ip -n`, which changes mounts first: it fails where the root folder is no mount point (a plain chroot).
    """
    batch = "".join(f"{command}\n" for command in commands)
    try:
        subprocess.run(
            [*enter(netns), "ip", "-batch", "-"],
            input=batch,
            check=True,
            capture_output=True,
            text=True,
            timeout=_IP_TIMEOUT_S,
            env={**os.environ, MARK: lab},
        )
    except subprocess.CalledProcessError as error:
        said = " ".join(error.stderr.split())
        kind = PermissionDenied if "not permitted" in said else Refused
        raise kind(f"the lab's network could not be made{f' in {netns}' if netns else ''}: {said}") from None
