"""Requests from the bus to handlers, and their replies back: decoding, repeats, progress, errors, the console.

Refuses to know what a request does. A body with an id gets an acceptance and progress before its answer; one
without (the stock `nats` tool, the console) gets exactly one reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import msgspec
import structlog

from shoal import codec, subjects
from shoal.bus.backlog import Backlog
from shoal.bus.micro import Endpoint
from shoal.bus.protocol import Bus, Message
from shoal.codec import Encoding
from shoal.console.session import Session, console_grammar
from shoal.core.ids import token
from shoal.errors import InvalidRequest, Refused, ShoalError, StoreUnavailable, Unavailable
from shoal.messages.base import Progress, Reply, Request
from shoal.version import version
from shoal_orchestrator.core.failures import told_in_short
from shoal_orchestrator.handlers.carrying_out import await_plan
from shoal_orchestrator.leader import Call, Leader
from shoal_orchestrator.telling import tell

LOG = structlog.get_logger("shoal.api")
#: how often a waiting caller hears that the request is alive, and how far it has come: twice before a prompt shows it
PROGRESS_S = 0.5
MAX_CONSOLE_BYTES = 512 * 1024
_ENDING = StoreUnavailable(
    "the orchestrator ends, and another one goes on with what it has begun: look, or send the request again"
)
NO_INBOX = "its answer is to go where no inbox is"

Handler = Callable[[Leader, str, Any, Call], Awaitable[Reply]]


class Api:
    """Everything that can be asked of the leader."""

    def __init__(
        self,
        bus: Bus,
        leader: Leader,
        commands: Sequence[type[Request[Any]]],
        handlers: dict[type, Handler],
        backlog: Backlog,
    ) -> None:
        self._bus = bus
        self._leader = leader
        self._commands = commands
        self._handlers = handlers
        self._backlog = backlog
        self._console_grammar = console_grammar(commands)
        self._running: dict[str, asyncio.Future[Reply]] = {}

    def endpoints(self) -> list[Endpoint]:
        """An endpoint for each command, and the console."""
        found = [
            Endpoint(
                f"{command.noun}-{command.verb}",
                subjects.command_pattern(command.scope, command.noun, command.verb),
                (command.__doc__ or "").strip().splitlines()[0],
                lambda message, command=command: self._take(  # type: ignore[misc]
                    message, self._serve(command, message), command.__name__
                ),
            )
            for command in self._commands
        ]
        console = Endpoint(
            "console",
            subjects.CONSOLE,
            "One line of the command language, answered with the text that a prompt would print.",
            lambda message: self._take(message, self._console(message), "console"),
        )
        return [*found, console]

    def _take(self, message: Message, work: Coroutine[Any, Any, None], name: str) -> None:
        """Serve a request, unless it has waited for us so long that its caller has given up or asked again.

        One whose answer is to go where no inbox is would have us speak for its sender: it is refused in the log.
        """
        if message.reply and not subjects.is_inbox(message.reply):
            work.close()
            LOG.warning("request-refused", subject=message.subject, reply=message.reply, error=NO_INBOX)
        elif self._backlog.up_to_date():
            self._leader.spawn(work, name)
        else:
            work.close()
            LOG.info("request-dropped", subject=message.subject)

    # --- typed requests ----------------------------------------------------------------------------------

    async def _serve(self, command: type[Request[Any]], message: Message) -> None:
        encoding: Encoding = "json"
        try:
            encoding = codec.encoding_of(message.body)
            request = self._read(command, message, encoding)
            reply = await self._answer(request, message, encoding)
            await self._reply(message, codec.fitting(codec.encode(reply, encoding)), None)
        except ShoalError as error:
            await self._reply(message, codec.encode(codec.failure_of(error), encoding), error)
        except Exception:
            LOG.exception("handler-failed", command=command.__name__)
            failed = ShoalError(f"{command.__name__} failed inside the orchestrator; its log says why")
            await self._reply(message, codec.encode(codec.failure_of(failed), encoding), failed)
        except asyncio.CancelledError:
            # Whoever asked need not wait until silence tells that the term is over.
            await self._reply(message, codec.encode(codec.failure_of(_ENDING), encoding), _ENDING)
            raise

    def _read(self, command: type[Request[Any]], message: Message, encoding: Encoding) -> Request[Any]:
        if encoding == "bare":
            return self._console_grammar.parse_bare(command, codec.bare_text(message.body))
        return codec.decode(message.body, command, limit=codec.MAX_COMMAND_BYTES)

    async def _answer(self, request: Request[Any], message: Message, encoding: Encoding) -> Reply:
        namespace = subjects.command_namespace(message.subject)
        if not request.id:
            return await self.handle(namespace, request)
        latest = [Progress()]

        def progress(done: int, total: int, text: str) -> None:
            latest[0] = Progress(done=done, total=total, text=text)

        task = asyncio.ensure_future(self.handle(namespace, request, progress))
        try:
            while not (await asyncio.wait((task,), timeout=PROGRESS_S))[0]:
                await self._bus.publish(
                    message.reply,
                    codec.encode(latest[0], encoding),
                    headers={codec.STATUS_HEADER: codec.PROGRESS},
                )
            return task.result()
        finally:
            task.cancel()

    async def handle(
        self, namespace: str, request: Request[Any], progress: Callable[[int, int, str], None] | None = None
    ) -> Reply:
        """Carry a request out once, however often it comes: a repeat attaches to it, or gets its outcome."""
        name = request.id or token(self._leader.ids)
        return await tell(
            self._leader,
            name,
            namespace,
            request,
            lambda: self._once(name, namespace, request, progress),
        )

    async def _once(
        self,
        name: str,
        namespace: str,
        request: Request[Any],
        progress: Callable[[int, int, str], None] | None,
    ) -> Reply:
        await self._leader.store.confirm()
        if self._leader.store.frozen and not (request.reads or request.mends):
            raise Refused(self._leader.store.frozen)
        if request.reads or not request.id:
            return await self._run(name, namespace, request, progress)
        running = self._running.get(request.id)
        if running is not None:
            return await asyncio.shield(running)
        record = self._leader.model.requests.get(request.id)
        if record is not None and record.reply:
            return msgspec.json.decode(record.reply, type=type(request).reply)
        outcome: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._running[request.id] = outcome
        # A caller that goes away does not take its command with it; the end of the term does.
        self._leader.spawn(
            self._carry_out(request.id, lambda: self._run(name, namespace, request, progress), outcome),
            type(request).__name__,
        )
        return await asyncio.shield(outcome)

    async def _carry_out(
        self, name: str, work: Callable[[], Awaitable[Reply]], outcome: asyncio.Future[Reply]
    ) -> None:
        """Do the work of a request for all who wait for it."""
        try:
            outcome.set_result(await work())
        except Exception as error:  # noqa: BLE001  # it is theirs
            outcome.set_exception(error)
            outcome.exception()  # they may all be gone
        finally:
            outcome.cancel()
            self._running.pop(name, None)

    async def _run(
        self,
        name: str,
        namespace: str,
        request: Request[Any],
        progress: Callable[[int, int, str], None] | None,
    ) -> Reply:
        call = Call(self._leader, request.id, progress or (lambda *_: None), name)
        known = self._leader.model.requests.get(request.id)
        if known is not None and known.plan:
            return told_in_short(await await_plan(self._leader, namespace, known.plan, call))
        reply = await self._handlers[type(request)](self._leader, namespace, request, call)
        if request.reads:
            await self._leader.store.settled()
        return told_in_short(reply)

    async def _reply(self, message: Message, body: bytes, error: ShoalError | None) -> None:
        if not message.reply:
            return
        headers = codec.error_headers(error) if error else None
        if headers and isinstance(error, Unavailable) and self._leader.store.ended:
            headers[codec.STATUS_HEADER] = codec.ASK_AGAIN
        try:
            await self._bus.publish(message.reply, body, headers=headers)
        except Unavailable as failed:
            LOG.warning("reply-lost", subject=message.subject, error=failed.message)

    # --- the console -------------------------------------------------------------------------------------

    async def _console(self, message: Message) -> None:
        try:
            line = codec.bare_text(message.body)
            session = Session(self.handle, self._console_grammar, one_shot=True, version=version())
            outcome = await session.run(line)
        except ShoalError as error:
            await self._reply(message, f"E: {error.message}\n".encode(), error)
            return
        except Exception:
            LOG.exception("console-failed")
            failed = ShoalError("the command failed inside the orchestrator; its log says why")
            await self._reply(message, f"E: {failed.message}\n".encode(), failed)
            return
        except asyncio.CancelledError:
            await self._reply(message, f"E: {_ENDING.message}\n".encode(), _ENDING)
            raise
        await self._reply(
            message,
            _cut(outcome.as_text()).encode(),
            InvalidRequest(outcome.errors[0]) if outcome.errors else None,
        )


def _cut(text: str) -> str:
    body = text.encode()
    if len(body) <= MAX_CONSOLE_BYTES:
        return text
    kept = body[:MAX_CONSOLE_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n… cut: the answer has {len(body)} bytes; ask for less with .filter or .columns"
