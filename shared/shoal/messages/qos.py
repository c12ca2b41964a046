"""Commands about how the traffic to VMs is hampered."""

from __future__ import annotations

from typing import ClassVar

from shoal.messages.base import Reply, Request
from shoal.messages.vms import Changed


class AddQos(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Hamper what goes to an interface of VMs: lose a percentage of packets, delay them, or limit their rate.

    Interfaces are numbered from 0; `all` is every one. Loss and delay go together; a rate replaces them, and they
    replace a rate. What a VM sends is not hampered. Running VMs are not disturbed. Loss and delay need a kernel with
    netem. `vm info` shows the settings in its column qos.

    Example: qos add web[1-3] 0 rate 1 mbit
    """

    noun: ClassVar[str] = "qos"
    verb: ClassVar[str] = "add"
    words: ClassVar[tuple[str, ...]] = (
        "qos add <target> <interface> <kind:loss> <value>",
        "qos add <target> <interface> <kind:delay> <value>",
        "qos add <target> <interface> <kind:rate> <value> <unit:kbit,mbit,gbit>",
    )
    reply: ClassVar[type[Reply]] = Changed

    target: str
    interface: str
    kind: str
    value: str
    unit: str = ""


class ClearQos(Request[Changed], frozen=True, kw_only=True, omit_defaults=True):
    """Hamper the traffic to an interface of VMs no more; without a number, or with `all`, to any of theirs.

    Example: clear qos web1 0
    """

    noun: ClassVar[str] = "qos"
    verb: ClassVar[str] = "clear"
    words: ClassVar[tuple[str, ...]] = ("clear qos <target> [interface]",)
    reply: ClassVar[type[Reply]] = Changed

    target: str
    interface: str = "all"
