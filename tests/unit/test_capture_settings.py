"""Settings of captures, of which two are set at the same time."""

from __future__ import annotations

import asyncio

from tests.unit.leader_rig import term

from shoal.messages.captures import SetFilter, SetSnaplen
from shoal_orchestrator.core.records import CaptureSettings, HostRecord, NamespaceRecord
from shoal_orchestrator.handlers.captures import set_filter, set_snaplen


class Workers:
    """Who reads a filter, once it may."""

    def __init__(self) -> None:
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def ask(self, *_: object) -> None:
        self.asked.set()
        await self.may_answer.wait()


async def test_a_filter_leaves_what_was_set_while_it_was_read() -> None:
    """A filter that a host has still to read changes nothing else when it is set."""
    workers = Workers()
    records = (NamespaceRecord(name="red", hosts="h1"), HostRecord(name="h1", incarnation="inc"))
    async with term(*records, workers=workers) as one:
        one.alive("h1")
        setting = asyncio.ensure_future(set_filter(one.leader, "red", SetFilter(bpf=("tcp",)), one.call()))
        await workers.asked.wait()
        await set_snaplen(one.leader, "red", SetSnaplen(size=96), one.call())
        workers.may_answer.set()
        await setting
        assert one.store.model.namespaces["red"].capture == CaptureSettings(snaplen=96, filter="tcp")
