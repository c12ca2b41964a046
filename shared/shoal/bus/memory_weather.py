"""How messages travel between a server in memory and its connections: a Protocol, so that chance stays outside.

Refuses to know what messages say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

#: the server's name, as a sender and receiver
SERVER = "server"


class Trip(NamedTuple):
    """One way of a message: how long it takes, and whether it may arrive before what was sent earlier."""

    delay_s: float = 0.0
    overtakes: bool = False


class Weather(Protocol):
    """How messages travel. `sender` and `receiver` are names of connections, or `SERVER`."""

    def trips(self, sender: str, receiver: str, subject: str) -> Sequence[Trip]:
        """None: the message is lost; two: it arrives twice. Subjects of operations on streams begin with `$JS.`."""
        ...


class Calm:
    """Everything arrives, at once and in order."""

    def trips(self, sender: str, receiver: str, subject: str) -> Sequence[Trip]:
        """One, without delay."""
        del sender, receiver, subject
        return (Trip(),)
