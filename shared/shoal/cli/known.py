"""What a word may become, for completion: names that the cluster knows, values of a VM's fields, local paths.

This module refuses to know the prompt. Names are asked for anew each time, with a short deadline: completion
must neither be wrong nor make anybody wait.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from shoal.console.answers import call_all
from shoal.core.vmconfig_fields import FIELDS, resolve_field
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
_FILES = (("file", "list"), "name", ())
#: fields of a VM's configuration whose values are known: by name, or by kind
_CONFIG_SOURCES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "host": _SOURCES["host"],
    "vm": _SOURCES["vm"],
    "networks": _SOURCES["vlan"],
    "disks": _FILES,
    "cdrom": _FILES,
    "kernel": _FILES,
    "initrd": _FILES,
    "state": _FILES,
}
#: words after which a path on this machine is expected
_LOCAL_PATHS = (["read"], ["file", "put"])


def local_paths(partial: str) -> list[str]:
    """The paths on this machine that begin with `partial`; folders end with a slash."""
    folder, _, name = partial.rpartition("/")
    try:
        with os.scandir(f"{folder}/" if "/" in partial else ".") as entries:
            return [
                partial[: len(partial) - len(name)] + entry.name + ("/" if entry.is_dir() else "")
                for entry in entries
                if entry.name.startswith(name) and (name or not entry.name.startswith("."))
            ][:_MOST]
    except OSError:
        return []


class KnownValues:
    """Looks up the values of a field by running the command that lists them."""

    def __init__(self, ask: Ask, grammar: Grammar) -> None:
        self._ask = ask
        self._grammar = grammar

    async def words(self, before: Sequence[str], partial: str, namespace: str) -> list[str]:
        """The words that begin with `partial` and can follow `before`: of the grammar, and names that are known."""
        fields: list[str] = []

        def noted(field: str) -> tuple[str, ...]:
            fields.append(field)
            return ()

        self._grammar.complete(before, partial, noted)
        values = {field: await self.of(field, before, namespace, partial) for field in dict.fromkeys(fields)}
        return self._grammar.complete(before, partial, lambda field: values.get(field, ()))

    async def of(
        self, field: str, before: Sequence[str], namespace: str, partial: str = ""
    ) -> tuple[str, ...]:
        """The known values of a field after the words `before`; none when the cluster does not answer.

        `partial` is what is there of the word: where it is a path, only those that go on from it are looked for.
        """
        if list(before) in _LOCAL_PATHS:
            return tuple(local_paths(partial))
        if field == "field":
            return tuple(known.name for known in FIELDS if known.section)
        source = _SOURCES.get(field)
        if field == "name" and list(before) in (["namespace"], ["clear", "namespace"]):
            source = (("namespace",), "namespace", ())
        if field == "name" and list(before[:1]) == ["file"]:
            source = _FILES
        if field == "values" and list(before[:2]) == ["vm", "config"] and len(before) > 2:
            try:
                known = resolve_field(before[2])
            except ShoalError:
                return ()
            if known.kind == "bool":
                return ("false", "true")
            source = _CONFIG_SOURCES.get(known.name, _CONFIG_SOURCES.get(known.kind))
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
