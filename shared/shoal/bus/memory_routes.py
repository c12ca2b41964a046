"""Which subscriptions a subject reaches: NATS' wildcards `*` and `>`, as a tree of tokens.

Refuses to know what a subscription is, and how a message gets there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar


class Routed(Protocol):
    """What can be reached under a filter."""

    @property
    def subject(self) -> str:
        """The filter."""
        ...


S = TypeVar("S", bound=Routed)


class _Node(Generic[S]):
    __slots__ = ("branches", "here")

    def __init__(self) -> None:
        self.branches: dict[str, _Node[S]] = {}
        # in the order of subscribing: what follows from it must not hang on addresses
        self.here: dict[int, S] = {}


class Routes(Generic[S]):
    """Subscriptions by filter."""

    def __init__(self) -> None:
        self._root: _Node[S] = _Node()

    def add(self, subscription: S) -> None:
        """Reach it from now on."""
        node = self._root
        for token in subscription.subject.split("."):
            node = node.branches.setdefault(token, _Node())
        node.here[id(subscription)] = subscription

    def remove(self, subscription: S) -> None:
        """Reach it no more; nothing happens if it is not there."""
        path = [self._root]
        tokens = subscription.subject.split(".")
        for token in tokens:
            node = path[-1].branches.get(token)
            if node is None:
                return
            path.append(node)
        path[-1].here.pop(id(subscription), None)
        for parent, token in zip(reversed(path[:-1]), reversed(tokens), strict=True):
            node = parent.branches[token]
            if node.here or node.branches:
                return
            del parent.branches[token]

    def reached(self, subject: str) -> list[S]:
        """Whom a message under a subject reaches."""
        return list(self._matching(self._root, subject.split("."), 0))

    def _matching(self, node: _Node[S], tokens: Sequence[str], at: int) -> Iterator[S]:
        if at == len(tokens):
            yield from node.here.values()
            return
        rest = node.branches.get(">")
        if rest is not None:
            yield from rest.here.values()
        for key in (tokens[at], "*"):
            branch = node.branches.get(key)
            if branch is not None:
                yield from self._matching(branch, tokens, at + 1)
