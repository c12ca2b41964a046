"""The programs in docs/client.md do what the page says."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import shoal
from shoal.testing import cluster

PAGE = Path(__file__).parents[2] / "docs" / "client.md"


def blocks() -> list[str]:
    """The page's Python, in its order."""
    return re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


async def run(code: CodeType, known: dict[str, Any]) -> None:
    """Run a block that awaits at its top."""
    result = eval(code, known)
    if inspect.isawaitable(result):
        await result


@pytest.mark.timeout(400)
async def test_the_pieces_run_one_after_another(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read from top to bottom, every piece works on a cluster of simulated hosts; whole programs define what they say."""
    async with cluster("mm[1-3]") as running, shoal.connect(running.url, patience_s=60) as client:
        monkeypatch.setenv("NATS_URL", running.url)
        known: dict[str, Any] = {"client": client, "shoal": shoal}
        for text in blocks():
            whole = "asyncio.run(main())" in text
            piece = text.replace("asyncio.run(main())", "")
            code = compile(piece, PAGE.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            await run(code, known)
            if whole and "restarter" not in text:  # that one never ends
                await known["main"]()
        assert [row.namespace for row in await client.namespaces()] == ["minimega"]
    for left in Path("/tmp").glob("shoal-example-*"):
        left.unlink()
    said = capsys.readouterr().out
    for line in ("web[1-3] 3", "PAUSED", "VMStarted db1", "('web1',)", "vm already exists with name `web1`"):
        assert line in said
    assert re.search(r"web1: launched by shoal-client@\S+\[\d+\]", said)


def test_the_page_says_how_patient_a_call_is() -> None:
    """The number of seconds on the page is the default of `connect`."""
    (seconds,) = re.findall(r"`patience_s` seconds \((\d+);", PAGE.read_text())
    assert float(seconds) == inspect.signature(shoal.connect).parameters["patience_s"].default
