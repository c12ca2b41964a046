"""Names that the cluster knows, for completion: VMs, hosts, namespaces, VLANs, taps.

This module refuses to know the prompt. Names are asked for anew each time, with a short deadline: completion
must neither be wrong nor make anybody wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shoal.console.answers import call_all
from shoal.core.vmconfig_fields import FIELDS
from shoal.errors import ShoalError
from shoal.grammar import Grammar
from shoal.messages.base import Reply, Request, Table

#: sends a request quietly, within seconds; raises ShoalError
Ask = Callable[[str, Request[Any], float], Awaitable[Reply]]

_DEADLINE_S = 1.0
_MOST = 2000

#: field → the command whose table has its values, the column, and words that may stand there as well
_SOURCES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "target": (("vm", "info", "summary"), "name", ("all",)),
    "vm": (("vm", "info", "summary"), "name", ()),
    "vms": (("ns", "schedule", "dump"), "vm", ()),
    "host": (("mesh", "list"), "host", ()),
    "hosts": (("mesh", "list"), "host", ("all", "localhost")),
    "vlan": (("vlans",), "alias", ()),
    "prefix": (("vlans",), "alias", ("all",)),
    "tap": (("tap",), "tap", ("all",)),
}


class KnownValues:
    """Looks up the values of a field by running the command that lists them."""

    def __init__(self, ask: Ask, grammar: Grammar) -> None:
        self._ask = ask
        self._grammar = grammar

    async def of(self, field: str, before: Sequence[str], namespace: str) -> tuple[str, ...]:
        """The known values of a field after the words `before`; none when the cluster does not answer."""
        if field == "field":
            return tuple(known.name for known in FIELDS if known.section)
        source = _SOURCES.get(field)
        if field == "name" and list(before) in (["namespace"], ["clear", "namespace"]):
            source = (("namespace",), "namespace", ())
        if field == "name" and list(before[:1]) == ["file"]:
            source = (("file", "list"), "name", ())
        if source is None:
            return ()
        words, column, also = source
        try:
            async with asyncio.timeout(_DEADLINE_S):
                reply = await call_all(self._call, namespace, self._grammar.parse(words))
        except (ShoalError, TimeoutError):
            return also
        table = reply.display()
        if not isinstance(table, Table) or column not in table.columns:
            return also
        at = table.columns.index(column)
        return (*(str(row[at]) for row in table.rows[:_MOST]), *also)

    async def _call(self, namespace: str, request: Request[Any]) -> Reply:
        return await self._ask(namespace, request, _DEADLINE_S)
