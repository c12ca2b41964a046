"""`shoal doctor` on real servers and daemons: what it finds when something is broken on purpose, and its exit codes."""

import asyncio
import json
import os
import sys

from tests.waiting import eventually

import shoal
from shoal import subjects
from shoal.bus.connection import connect
from shoal.testing import cluster
from shoal.testing.cluster import APART, environment


async def doctor(url, *words):
    """Exit code and output of the program."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "shoal.cli.main", "-o", "json", "doctor", *words),
        env=environment(url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), err.decode()


async def test_what_is_broken_is_found():
    """A setting of a stream that somebody changed, a host that is lost; then no orchestrator; then no server."""
    async with cluster("mm[1-3]", apart="mm3") as running, shoal.connect(running.url) as client:
        assert (await client.check()).items == ()
        async with await connect(running.url, name="test") as bus:
            info = await bus.request(f"$JS.API.STREAM.INFO.{subjects.STATE_STREAM}", b"", timeout_s=5)
            config = {**json.loads(info.body)["config"], "max_msgs_per_subject": 2}
            update = f"$JS.API.STREAM.UPDATE.{subjects.STATE_STREAM}"
            answer = await bus.request(update, json.dumps(config).encode(), timeout_s=5)
            assert "error" not in json.loads(answer.body)
        running.kill(APART)

        async def lost():
            return any("it is lost" in finding.found for finding in (await client.check()).items)

        await eventually(lost, "the host is lost", timeout_s=60)
        found = {finding.object: finding for finding in (await client.check()).items}
        assert found.keys() == {"stream SHOAL_STATE", "host mm3"}
        assert "max_msgs_per_subject is 2, not 1" in found["stream SHOAL_STATE"].found
        code, out, err = await doctor(running.url)
        assert (code, err) == (1, "")
        assert {row["object"] for row in json.loads(out)} == found.keys()

        running.kill("orchestrator")
        code, out, err = await doctor(running.url)
        rows = json.loads(out)
        assert (code, err) == (1, "")
        assert rows[0]["object"] == "orchestrator"
        assert "none answers; the last one led in epoch 1" in rows[0]["found"]
        assert "max_msgs_per_subject" in rows[1]["found"]
        running.start("orchestrator")

        async def mended():
            findings = (await client.check()).items
            return [finding.object for finding in findings] == ["host mm3"]

        await eventually(mended, "the next leader sets the stream right", timeout_s=60)
        url = running.url
    code, out, err = await doctor(url)
    assert (code, out) == (5, "")
    assert "no NATS server" in err
    assert os.linesep not in err.strip()
