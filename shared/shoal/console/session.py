"""A session of the command language: one line after another, from the words to the text that answers them.

This module refuses to know the bus, the terminal, files and programs: requests go through `call`, and `read`,
`shell`, `file put` and `file get` are carried out by whoever made the session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from shoal.console import local
from shoal.console.answers import Answer, Call, Outcome, answer_of, call_all, failed
from shoal.console.local import LOCAL_COMMANDS
from shoal.console.modifiers import Settings, choose_columns, filter_rows
from shoal.console.peer import PEER_COMMANDS, NotSupported, WithoutEffect
from shoal.console.steps import outcomes_of, step_of
from shoal.console.tables import View
from shoal.errors import InvalidRequest, NotFound, OtherVersion, ShoalError, UsageError
from shoal.grammar import Grammar, Match, join, split
from shoal.messages.base import Failure, Reply, Request, Table
from shoal.messages.config import ConfigStep, Configured, ConfigureSteps
from shoal.messages.files import GetFile, PutFile
from shoal.messages.namespaces import ClearNamespace, CreateNamespace, ListNamespaces
from shoal.messages.vlans import ClearVLANs

DEFAULT_NAMESPACE = "minimega"
_HISTORY = 10_000
_HELP = "--help"
_COMMAND_AND_HELP = 2
#: what follows these is another program's, or anything
_FOREIGN = frozenset({"shell", "echo", "help"})

#: `read FILE [check]`: carries out a script in this session
Read = Callable[["Session", str, bool], Awaitable[Outcome]]
#: `shell PROGRAM …`: runs it and returns what it printed; raises ShoalError
Run = Callable[[Sequence[str]], Awaitable[str]]
#: `file put` and `file get`: carries content between the cluster and where the prompt runs; raises ShoalError
Transfer = Callable[[PutFile | GetFile], Awaitable[Reply]]


def console_grammar(commands: Sequence[type[Request[Any]]]) -> Grammar:
    """The grammar of a session: the cluster's commands, the session's own, and the peer's for good manners."""
    return Grammar((*commands, *LOCAL_COMMANDS), fallback=PEER_COMMANDS)


class Aliases:
    """First words that stand for others. One alias is applied to a line, to its beginning (minimega's rule)."""

    def __init__(self) -> None:
        self.words: dict[str, str] = {}

    def define(self, words: Sequence[str]) -> None:
        """Take `name=words …`. Raises InvalidRequest without a `=`."""
        name, separator, expansion = words[0].partition("=")
        if not separator or not name:
            raise InvalidRequest("expected alias of format `alias=expansion`")
        self.words[name] = " ".join([expansion, *([join(tuple(words[1:]))] if words[1:] else [])])

    def expand(self, line: str) -> str:
        """The line with its first word replaced, if that is an alias."""
        stripped = line.lstrip()
        first = stripped.split(maxsplit=1)[0] if stripped else ""
        return self.words[first] + stripped[len(first) :] if first in self.words else line

    def copy(self) -> Aliases:
        """A copy, to try lines without effect."""
        other = Aliases()
        other.words.update(self.words)
        return other


class Session:
    """The state that lines share: active namespace, settings of the output, aliases, history.

    `call` sends requests. `one_shot` sessions live for one line (`shoal.console`) and refuse what would be
    forgotten at once. `host` names where answers come from that name no host themselves.
    """

    def __init__(
        self,
        call: Call,
        grammar: Grammar,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        settings: Settings | None = None,
        one_shot: bool = False,
        version: str = "",
        host: str = "",
        read: Read | None = None,
        shell: Run | None = None,
        transfer: Transfer | None = None,
    ) -> None:
        self.grammar = grammar
        self.namespace = namespace
        self.settings = settings or Settings()
        self.aliases = Aliases()
        self.history: list[str] = []
        self._call = call
        self._one_shot = one_shot
        self._version = version
        self._host = host
        self._read = read
        self._shell = shell
        self._transfer = transfer

    async def run(self, line: str) -> Outcome:
        """Carry out a line as it was typed. Never raises ShoalError: errors are part of the outcome."""
        try:
            words = split(self.aliases.expand(line))
        except ShoalError as error:
            return failed(error)
        return await self.run_words(words, line=line)

    async def run_words(self, words: Sequence[str], *, line: str = "") -> Outcome:
        """Carry out a line that is words already, such as a program's arguments."""
        if not words:
            return Outcome()
        line = line.strip() or join(tuple(words))
        if (told := self._help_asked(words)) is not None:
            return told
        try:
            match = self.grammar.match(words, line=line)
        except ShoalError as error:
            return failed(error)
        record = _recorded(match, self.settings)
        try:
            answer = await self._run(match, self.namespace)
            return answer.outcome(self._host)
        except ShoalError as error:
            return failed(error)
        finally:
            if record:
                self.history = [*self.history[1 - _HISTORY :], line]

    def _help_asked(self, words: Sequence[str]) -> Outcome | None:
        """The help of a command that has `--help` behind it, as with other programs; None for any other line.

        What follows `shell` or `echo` is none of ours.
        """
        if len(words) < _COMMAND_AND_HELP or words[-1] != _HELP or not _FOREIGN.isdisjoint(words):
            return None
        try:
            return Outcome(self.grammar.help(words[:-1]))
        except UsageError:
            return None  # it is no command, with help or without

    def step(self, line: str) -> ConfigStep | None:
        """What a line changes of the working configuration, if that is all that it does: see `configure`."""
        try:
            words = split(self.aliases.expand(line))
            return step_of(self.grammar.request(self.grammar.match(words, line=line))) if words else None
        except ShoalError:
            return None  # said when the line is run

    async def configure(
        self, lines: Sequence[str], steps: Sequence[ConfigStep], *, strict: bool = False
    ) -> Sequence[Outcome]:
        """Carry out lines and what they change (`step`) in one request; an outcome for each.

        With `strict` nothing is done after the first that fails, and it has the last outcome.
        """
        request = ConfigureSteps(steps=tuple(steps), strict=strict)
        try:
            reply = await self._call(self.namespace, request)
        except OtherVersion:
            return [await self.run(line) for line in lines[: 1 if strict else None]]
        except ShoalError as error:
            outcomes: Sequence[Outcome] = [failed(error)] * (1 if strict else len(steps))
        else:
            assert isinstance(reply, Configured), "what this request is answered with"
            outcomes = outcomes_of(reply)
        if self.settings.record:
            kept = (line.strip() for line in lines[: len(outcomes)])
            self.history = [*self.history, *kept][-_HISTORY:]
        return outcomes

    async def _run(self, match: Match, namespace: str) -> Answer:
        """Carry out a command in a namespace: around another command, of the session itself, or the cluster's."""
        request = self.grammar.request(match)
        if isinstance(request, local.Setting):
            return await self._setting(request, match, namespace)
        if match.inner is not None:
            return await self._around(request, match.inner, namespace)
        if match.command is NotSupported:
            words = " ".join(match.spelling.pattern.literals)
            raise InvalidRequest(f"not supported by shoal: {words}")
        if match.command is WithoutEffect:
            return Answer(self.settings)
        if match.command in LOCAL_COMMANDS:
            return await self._local(request, namespace)
        if isinstance(request, (PutFile, GetFile)):
            if self._transfer is None:
                raise InvalidRequest(
                    f"cannot {request.verb} a file here: `file {request.verb}` works at a prompt and in scripts"
                )
            return answer_of(await self._transfer(request), self.settings)
        return await self._send(request, namespace)

    async def _around(self, request: Request[Any], inner: Match, namespace: str) -> Answer:
        if isinstance(request, local.InNamespace):
            if request.name != DEFAULT_NAMESPACE:
                await self._call(namespace, CreateNamespace(name=request.name))
            return await self._run(inner, request.name)
        if not isinstance(request, (local.Columns, local.Filter)):
            # a command of the cluster that takes a command carries it in its own field
            return await self._send(request, namespace)
        answer = await self._run(inner, namespace)
        if not isinstance(answer.shown, View):
            return answer
        if isinstance(request, local.Columns):
            view = choose_columns(answer.shown, request.columns)
        else:
            view = filter_rows(answer.shown, request.filter)
        return msgspec.structs.replace(answer, shown=view)

    async def _setting(self, request: local.Setting, match: Match, namespace: str) -> Answer:
        name = request.verb
        if match.inner is not None:
            answer = await self._run(match.inner, namespace)
            settings = answer.settings.set(name, request.on is not False)
            return msgspec.structs.replace(answer, settings=settings)
        if request.on is None:
            return Answer(self.settings, str(self.settings.get(name)).lower())
        self._refuse_to_keep(
            f".{name} {str(request.on).lower()}", f".{name} {str(request.on).lower()} vm info"
        )
        self.settings = self.settings.set(name, request.on)
        return Answer(self.settings)

    async def _send(self, request: Request[Any], namespace: str) -> Answer:
        if isinstance(request, CreateNamespace):
            self._refuse_to_keep(f"namespace {request.name}", f"namespace {request.name} vm info")
        if isinstance(request, ListNamespaces):
            request = msgspec.structs.replace(request, active=namespace)
        reply = await call_all(self._call, namespace, request)
        if isinstance(request, CreateNamespace):
            self.namespace = request.name
        elif isinstance(request, ClearNamespace) and request.name in (self.namespace, "all"):
            self.namespace = DEFAULT_NAMESPACE
        return answer_of(reply, self.settings)

    async def _local(self, request: Request[Any], namespace: str) -> Answer:
        text: View | str = ""
        match request:
            case local.LeaveNamespace():
                self.namespace = DEFAULT_NAMESPACE
            case local.Alias() | local.Unalias():
                text = self._alias(request)
            case local.ClearHistory():
                self.history = []
            case local.History():
                text = "\n".join(self.history)
            case local.Echo():
                text = " ".join(request.text)
            case local.Version():
                text = f"shoal {self._version}".strip()
            case local.Help():
                text = self.grammar.help(request.topic)
            case local.Apropos():
                text = self.grammar.apropos(request.word)
            case local.Leave():
                return Answer(self.settings, leave=True)
            case local.Shell():
                if self._shell is None:
                    raise InvalidRequest(
                        "cannot run a program here: `shell` works at a prompt and in scripts"
                    )
                text = await self._shell(request.program)
            case local.ClearAll():
                return await self._clear_all()
            case local.ReadScript():
                return await self._read_script(request, namespace)
        return Answer(self.settings, text)

    async def _clear_all(self) -> Answer:
        """Clear what there is, in minimega's order."""
        answer = await self._send(ClearNamespace(name="all"), DEFAULT_NAMESPACE)
        await self._call(DEFAULT_NAMESPACE, ClearVLANs(prefix="all"))
        self.history = []
        return answer

    async def _read_script(self, request: local.ReadScript, namespace: str) -> Answer:
        if self._read is None:
            raise InvalidRequest(
                f"cannot read `{request.file}` here: `read` works at a prompt and in scripts"
            )
        before, self.namespace = self.namespace, namespace
        try:
            outcome = await self._read(self, request.file, request.check)
        finally:
            if before != namespace:
                self.namespace = before
        failures = tuple(Failure(kind="Refused", code=409, message=error) for error in outcome.errors)
        return Answer(self.settings, outcome.text, failures, outcome.notes, outcome.exit_code)

    def _alias(self, request: local.Alias | local.Unalias) -> View | str:
        if isinstance(request, local.Alias) and not request.alias:
            table = Table(columns=("alias", "expansion"), rows=tuple(self.aliases.words.items()))
            return View(table.columns, table.rows)
        self._refuse_to_keep(".alias", "")
        if isinstance(request, local.Alias):
            self.aliases.define(request.alias)
        elif self.aliases.words.pop(request.alias, None) is None:
            raise NotFound(f"no such alias: `{request.alias}`; `.alias` lists them", names=(request.alias,))
        return ""

    def _refuse_to_keep(self, what: str, instead: str) -> None:
        """Refuse to change a session that ends with this line. Raises InvalidRequest."""
        if self._one_shot:
            hint = f"; put it before a command, as in `{instead}`" if instead else ""
            raise InvalidRequest(
                f"`{what}` would be forgotten at once: every line is a session of its own{hint}"
            )


def _recorded(match: Match, settings: Settings) -> bool:
    """Whether the history keeps the line: `.record` decides for the command after it, or for what follows."""
    at: Match | None = match
    while at is not None:
        if at.command is local.Record:
            on = at.reading.values.get("on") != "false"
            return on if at.inner is not None else on and settings.record
        at = at.inner
    return settings.record and match.command is not local.ClearHistory
