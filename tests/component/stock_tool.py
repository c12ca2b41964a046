"""What the stock `nats` tool sends for a command line, by NATS's own client and nothing of ours.

It knows the words that docs/nats.md uses, and refuses others. What the tool sends was taken from its source
(github.com/nats-io/natscli: req, sub, stream and micro commands).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shlex
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

#: far longer than the tool would wait, on a busy machine
PATIENCE_S = 60.0
#: how long the tool collects answers of services
COLLECT_S = 2.0


class Shown(NamedTuple):
    """A message that the tool shows. `sequence` is its number in a stream, 0 for a plain one."""

    subject: str
    headers: dict[str, str]
    body: bytes
    sequence: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _words() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nats", exit_on_error=False, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    req = commands.add_parser("req")
    req.add_argument("subject")
    req.add_argument("body")
    req.add_argument("--timeout")
    req.add_argument("--replies", type=int, default=1)
    sub = commands.add_parser("sub")
    sub.add_argument("subject", nargs="?", default="")
    for flag in ("--all", "--last", "--last-per-subject"):
        sub.add_argument(flag, action="store_true")
    sub.add_argument("--since")
    sub.add_argument("--stream")
    sub.add_argument("--start-sequence", type=int)
    sub.add_argument("--count", type=int)
    for each in (req, sub):
        each.add_argument("--raw", action="store_true")
    stream = commands.add_parser("stream")
    stream.add_argument("action", choices=["info", "subjects", "get"])
    stream.add_argument("stream")
    stream.add_argument("sequence", nargs="?", type=int)
    stream.add_argument("--last-for")
    micro = commands.add_parser("micro")
    micro.add_argument("action", choices=["ls", "info", "stats", "ping"])
    micro.add_argument("service", nargs="?", default="")
    micro.add_argument("--json", action="store_true")
    return parser


def _shown(msg: Msg) -> Shown:
    sequence = 0
    with contextlib.suppress(nats.errors.Error):
        sequence = msg.metadata.sequence.stream
    return Shown(msg.subject, dict(msg.headers or {}), msg.data, sequence)


class StockTool:
    """The tool, with a connection that stays open."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._parser = _words()

    def parse(self, line: str) -> argparse.Namespace:
        """The words of a line; argparse's errors for one that the tool is not known to have."""
        words = shlex.split(line)
        assert words[0] == "nats"
        return self._parser.parse_args(words[1:])

    async def run(self, line: str) -> list[Shown]:
        """Send what the tool sends, and return the messages that it shows."""
        words = self.parse(line)
        if words.command == "req":
            return await self._req(words)
        if words.command == "stream":
            return [await self._stream(words)]
        assert words.command == "micro", "use `watch` for `nats sub`"
        return await self._micro(words)

    async def _req(self, words: argparse.Namespace) -> list[Shown]:
        wait_s = float((words.timeout or "5s").removesuffix("s"))
        subscription = await self.client.subscribe(self.client.new_inbox())
        await self.client.publish(words.subject, words.body.encode(), reply=subscription.subject)
        found: list[Shown] = []
        try:
            while not words.replies or len(found) < words.replies:
                # Where the tool collects until its time is over, it is known here which answer is the last.
                found.append(_shown(await subscription.next_msg(max(wait_s, PATIENCE_S))))
                if not words.replies and "Shoal-Status" not in found[-1].headers:
                    break
        finally:
            await subscription.unsubscribe()
        return found

    async def _stream(self, words: argparse.Namespace) -> Shown:
        verb, body = "INFO", b""
        if words.action == "subjects":
            body = b'{"subjects_filter": ">"}'
        elif words.action == "get":
            verb = "MSG.GET"
            wanted = {"last_by_subj": words.last_for} if words.last_for else {"seq": words.sequence}
            body = json.dumps(wanted).encode()
        answer = await self.client.request(f"$JS.API.STREAM.{verb}.{words.stream}", body, timeout=PATIENCE_S)
        return _shown(answer)

    async def _micro(self, words: argparse.Namespace) -> list[Shown]:
        verb = {"ls": "INFO", "info": "INFO", "stats": "STATS", "ping": "PING"}[words.action]
        found = await self._services(".".join(filter(None, ("$SRV", verb, words.service))))
        if words.action == "info":
            about = found[0].json
            found += await self._services(f"$SRV.STATS.{about['name']}.{about['id']}")
        return found

    async def _services(self, subject: str) -> list[Shown]:
        subscription = await self.client.subscribe(self.client.new_inbox())
        await self.client.publish(subject, b"", reply=subscription.subject)
        found = [_shown(await subscription.next_msg(PATIENCE_S))]
        with contextlib.suppress(nats.errors.TimeoutError):
            while True:
                found.append(_shown(await subscription.next_msg(COLLECT_S)))
        await subscription.unsubscribe()
        return found

    @contextlib.asynccontextmanager
    async def watch(self, line: str) -> AsyncIterator[asyncio.Queue[Shown]]:
        """A `nats sub` that has begun, and what it shows as it comes."""
        words = self.parse(line)
        assert words.command == "sub"
        shown: asyncio.Queue[Shown] = asyncio.Queue()

        async def take(msg: Msg) -> None:
            shown.put_nowait(_shown(msg))

        config = _consumer(words)
        if config is None:
            subscription = await self.client.subscribe(words.subject, cb=take)
        else:
            # With --stream the tool binds to that stream and leaves the subject out.
            subscription = await self.client.jetstream(timeout=PATIENCE_S).subscribe(
                "" if words.stream else words.subject,
                stream=words.stream,
                cb=take,
                config=config,
                manual_ack=True,
            )
        await self.client.flush(timeout=int(PATIENCE_S))
        await self.client.flush(timeout=int(PATIENCE_S))
        try:
            yield shown
        finally:
            await subscription.unsubscribe()


def _consumer(words: argparse.Namespace) -> ConsumerConfig | None:
    """How the tool has a stream deliver; None for a plain subscription."""
    config = ConsumerConfig(ack_policy=AckPolicy.NONE, flow_control=True, idle_heartbeat=5)
    if words.start_sequence:
        config.deliver_policy, config.opt_start_seq = DeliverPolicy.BY_START_SEQUENCE, words.start_sequence
    elif words.last:
        config.deliver_policy = DeliverPolicy.LAST
    elif words.all:
        config.deliver_policy = DeliverPolicy.ALL
    elif words.since:
        begin = datetime.now(UTC) - timedelta(hours=int(words.since.removesuffix("h")))
        config.deliver_policy, config.opt_start_time = DeliverPolicy.BY_START_TIME, begin
    elif words.last_per_subject:
        config.deliver_policy = DeliverPolicy.LAST_PER_SUBJECT
    else:
        return None
    return config
