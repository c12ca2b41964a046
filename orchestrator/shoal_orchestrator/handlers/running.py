"""Handlers of `ns run` and `mesh send`: a command's answer, taken apart by host.

Most of what a host would answer the leader knows: its rows are those that name it. Only programs are run by workers.
Refuses to know how answers are shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from shoal.console import local
from shoal.console.modifiers import choose_columns, filter_rows
from shoal.console.tables import View, view_of
from shoal.core.ranges import fold, natural_order
from shoal.errors import InvalidRequest
from shoal.grammar import Grammar, Match, join
from shoal.messages.base import Failure, HostAnswer, Reply, Request, Table
from shoal.messages.bridges import ListBridges
from shoal.messages.captures import ListCaptures
from shoal.messages.files import ListFiles
from shoal.messages.host_requests import RunProgram
from shoal.messages.hosts import Hosts, ListHosts
from shoal.messages.running import HostAnswers, RunOnHosts, SendToHosts
from shoal.messages.taps import ListTaps
from shoal.messages.vms import ListVMs
from shoal_orchestrator.core.host_bridges import rows_on_hosts
from shoal_orchestrator.handlers.bridges import list_bridges
from shoal_orchestrator.handlers.captures import list_captures
from shoal_orchestrator.handlers.files import list_files
from shoal_orchestrator.handlers.hosts import host_row, named_hosts
from shoal_orchestrator.handlers.taps import list_taps
from shoal_orchestrator.handlers.vms import list_vms
from shoal_orchestrator.leader import Call, Leader

#: commands whose rows name their host, or (bridges) can be divided by host, or (files) are the same on all hosts
_LISTS: dict[type[Request[Any]], Callable[[Leader, str, Any, Call], Awaitable[Reply]]] = {
    ListVMs: list_vms,
    ListTaps: list_taps,
    ListBridges: list_bridges,
    ListCaptures: list_captures,
    ListFiles: list_files,
}
#: rows of one page of an answer, and of one piece of a host's table
_PAGE_ROWS = 500
#: bytes that all programs together may have printed in one answer
_MAX_PRINTED = 512 * 1024


async def run_on_hosts(
    grammar: Grammar, leader: Leader, namespace: str, request: RunOnHosts, call: Call
) -> HostAnswers:
    """Run a command on the hosts of the namespace."""
    match = _allowed(grammar, request.command, "using `ns run`")
    hosts = leader.hosts_of(leader.namespace(namespace))
    return await _run(grammar, leader, namespace, match, hosts, request.after, call)


async def send_to_hosts(
    grammar: Grammar, leader: Leader, namespace: str, request: SendToHosts, call: Call
) -> HostAnswers:
    """Run a command on hosts that are named."""
    match = _allowed(grammar, request.command, "via meshage")
    hosts = natural_order(named_hosts(leader, request.hosts))
    return await _run(grammar, leader, namespace, match, hosts, request.after, call)


def _allowed(grammar: Grammar, words: tuple[str, ...], how: str) -> Match:
    """What the words mean. InvalidRequest for a command that is not for single hosts."""
    match = grammar.match(words)
    inner = match
    while inner.inner is not None and inner.command in (local.Columns, local.Filter):
        inner = inner.inner
    if inner.command not in (*_LISTS, ListHosts, local.Version, local.Shell):
        raise InvalidRequest(f"cannot run `{join(words)}` {how}")
    return match


async def _run(
    grammar: Grammar,
    leader: Leader,
    namespace: str,
    match: Match,
    hosts: Sequence[str],
    after: str,
    call: Call,
) -> HostAnswers:
    inner = match
    while inner.inner is not None:
        inner = inner.inner
    request = grammar.request(inner)
    if isinstance(request, local.Shell):
        return await _programs(leader, hosts, request.program, call)
    if isinstance(request, local.Version):
        return _versions(leader, hosts)
    if isinstance(request, ListHosts) and request.field:
        rows = tuple(host_row(leader, host) for host in hosts)
        return HostAnswers(items=Hosts(items=rows, field=request.field).answers())
    pieces = _pieces(grammar, match, await _tables(leader, namespace, request, hosts, call))
    return _page(pieces, after)


# --- tables ------------------------------------------------------------------------------------------------


async def _tables(
    leader: Leader, namespace: str, request: Request[Any], hosts: Sequence[str], call: Call
) -> tuple[dict[str, Table], tuple[Failure, ...]]:
    """The table of each host (or of a range of hosts that answer the same), and what failed."""
    if isinstance(request, ListHosts):
        return {host: _table(Hosts(items=(host_row(leader, host),))) for host in hosts}, ()
    reply = await _whole(leader, namespace, request, call)
    if isinstance(request, ListFiles):
        return {fold(hosts): _table(reply)} if hosts else {}, reply.failures
    rows: Mapping[str, list[Any]]
    if isinstance(request, ListBridges):
        rows = rows_on_hosts(leader.model, namespace, reply.items)
    else:
        rows = _by_host(reply.items)
    found = {host: _table(replace(reply, items=tuple(rows[host]))) for host in hosts if rows.get(host)}
    return found, reply.failures


def _by_host(items: Iterable[Any]) -> Mapping[str, list[Any]]:
    rows: defaultdict[str, list[Any]] = defaultdict(list)
    for item in items:
        rows[item.host].append(item)
    return rows


def _table(reply: Reply) -> Table:
    display = reply.display()
    assert isinstance(display, Table)
    return display


async def _whole(leader: Leader, namespace: str, request: Request[Any], call: Call) -> Any:
    """The reply with the items of all its pages."""
    reply: Any = await _LISTS[type(request)](leader, namespace, request, call)
    items = list(reply.items)
    while reply.next:
        reply = await _LISTS[type(request)](leader, namespace, replace(request, after=reply.next), call)
        items += reply.items
    return replace(reply, items=tuple(items), next="")


def _pieces(
    grammar: Grammar, match: Match, tables: tuple[dict[str, Table], tuple[Failure, ...]]
) -> tuple[Iterator[tuple[str, HostAnswer]], tuple[Failure, ...]]:
    """Tables as they are to be shown, in pieces with a name that tells where to go on."""

    def pieces() -> Iterator[tuple[str, HostAnswer]]:
        for hosts, table in tables[0].items():
            view = _shaped(grammar, match, table, hosts)
            for at in range(0, len(view.rows), _PAGE_ROWS):
                shown = Table(view.columns, view.rows[at : at + _PAGE_ROWS], view.hidden, view.ordered)
                yield f"{hosts} {at}", HostAnswer(hosts=hosts, table=shown)

    return pieces(), tables[1]


def _shaped(grammar: Grammar, match: Match, table: Table, hosts: str) -> View:
    """What the modifiers before the command make of its table."""
    if match.inner is None:
        view = view_of(table)
        return view if view.hosts else replace(view, hosts=(hosts,) * len(view.rows))
    view = _shaped(grammar, match.inner, table, hosts)
    request = grammar.request(match)
    if isinstance(request, local.Columns):
        return choose_columns(view, request.columns)
    assert isinstance(request, local.Filter)
    return filter_rows(view, request.filter)


def _page(pieces: tuple[Iterator[tuple[str, HostAnswer]], tuple[Failure, ...]], after: str) -> HostAnswers:
    """The pieces behind the one that was named `after`, as many as fit."""
    found: list[HostAnswer] = []
    rows, name, skipping = 0, "", bool(after)
    for key, answer in pieces[0]:
        if skipping:
            skipping = key != after
            continue
        size = len(answer.table.rows) if answer.table is not None else 0
        if found and rows + size > _PAGE_ROWS:
            return HostAnswers(items=tuple(found), next=name)
        found.append(answer)
        rows, name = rows + size, key
    return HostAnswers(items=tuple(found), failures=pieces[1])


# --- words -------------------------------------------------------------------------------------------------


def _versions(leader: Leader, hosts: Iterable[str]) -> HostAnswers:
    """What the workers' last heartbeats said that they are."""
    said: defaultdict[str, list[str]] = defaultdict(list)
    silent: list[str] = []
    for host in hosts:
        seen = leader.inventory.hosts.get(host)
        if seen is not None and seen.heartbeat is not None and seen.state == "alive":
            said[f"shoal {seen.heartbeat.version}"].append(host)
        else:
            silent.append(host)
    failures = [
        Failure(kind="Refused", code=409, message=f"{fold(names)} cannot be asked: not alive")
        for names in (silent,)
        if names
    ]
    items = tuple(HostAnswer(hosts=fold(names), text=text) for text, names in said.items())
    return HostAnswers(items=items, failures=tuple(failures))


async def _programs(
    leader: Leader, hosts: Sequence[str], program: tuple[str, ...], call: Call
) -> HostAnswers:
    """Have the workers run a program, once."""
    await call.once("look at what it does, and run it again where it did not run")
    answers, refused = await leader.workers.ask_all(hosts, RunProgram(program=program))
    said: defaultdict[str, list[str]] = defaultdict(list)
    for host, answer in answers.items():
        said[answer.text].append(host)
    wrong: defaultdict[tuple[str, int, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for host, error in refused.items():
        # a worker that refuses names itself; told of many at once, that name is in front already
        message = error.message.replace(f" on host {host}", "")
        wrong[error.kind, error.code, message, error.details].append(host)
    most = _MAX_PRINTED // max(1, len(said) + len(wrong))
    failures = tuple(
        Failure(
            kind=kind,
            code=code,
            message=f"{fold(names)}: {message}",
            details=tuple(_cut("\n".join(details[:20]), most).splitlines()),
            names=tuple(names),
        )
        for (kind, code, message, details), names in wrong.items()
    )
    items = tuple(HostAnswer(hosts=fold(names), text=_cut(text, most)) for text, names in said.items())
    return HostAnswers(items=items, failures=failures)


def _cut(text: str, most: int) -> str:
    body = text.encode()
    if len(body) <= most:
        return text
    return body[:most].decode(errors="ignore") + f"\n… cut: {len(body) - most} bytes more"
