"""Waiting for what tells nobody: files, processes, answers. Always for a condition, always with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

#: between two looks
LOOK_S = 0.05
#: far longer than anything takes on a busy machine; a test that needs more says so
DEADLINE_S = 60.0

T = TypeVar("T")


def wait_until(look: Callable[[], T], what: str, timeout_s: float = DEADLINE_S) -> T:
    """Look again and again until what is seen is true, and return it; the test fails when it never is."""
    deadline = time.monotonic() + timeout_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {what}; last seen: {seen!r}")
        time.sleep(LOOK_S)
    return seen


async def eventually(look: Callable[[], Awaitable[T]], what: str, timeout_s: float = DEADLINE_S) -> T:
    """As `wait_until`, for what has to be awaited."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not (seen := await look()):
        if loop.time() > deadline:
            pytest.fail(f"not within {timeout_s:g} s: {what}; last seen: {seen!r}")
        await asyncio.sleep(LOOK_S)
    return seen
