"""Simulated guests in a file: what a worker's process leaves behind is there again for the next."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.vmconfig import VMConfig
from shoal_worker import kept_guests
from shoal_worker.hypervisor import Guest, GuestSpec, HypervisorError
from shoal_worker.kept_guests import FileGuests
from shoal_worker.simulated_hypervisor import SimulatedHypervisor


def spec(instance: str, *append: str) -> GuestSpec:
    config = VMConfig(append=append)
    return GuestSpec(
        namespace="red", name=instance, instance=instance, revision=1, uuid=instance, config=config
    )


class Twins:
    """Twins as in processes of their own: nothing is handed on but the file."""

    def __init__(self) -> None:
        self._made: list[SimulatedHypervisor] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for twin in self._made:
            await twin.close()

    async def open(self, path: Path) -> SimulatedHypervisor:
        """The next one."""
        self._made.append(SimulatedHypervisor(FileGuests(path)))
        await self._made[-1].open()
        return self._made[-1]


@pytest.fixture
async def twins() -> AsyncIterator[Twins]:
    async with Twins() as made:
        yield made


async def guests(twin: SimulatedHypervisor) -> tuple[Guest, ...]:
    return (await twin.survey()).guests


VERBS = st.sampled_from(["create", "resume", "pause", "destroy", "end"])


@given(st.lists(st.tuples(VERBS, st.sampled_from("abc")), max_size=30), st.integers(min_value=1, max_value=5))
def test_the_next_process_finds_what_the_last_one_left(steps: list[tuple[str, str]], compact: int) -> None:
    """After any operations, and however often the file was written anew, another process surveys the same."""

    async def run(path: Path) -> None:
        async with Twins() as twins:
            twin = await twins.open(path)
            for verb, instance in steps:
                try:
                    if verb == "create":
                        await twin.create(spec(instance))
                    elif verb == "end":
                        twin.end(instance, "died")
                    else:
                        await getattr(twin, verb)(instance)
                except (HypervisorError, KeyError):
                    continue
            after = await twins.open(path)
            assert await guests(after) == await guests(twin)
            assert after.kept.memory == twin.kept.memory
            assert after.kept.alive == twin.kept.alive

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept_guests, "_COMPACT_LINES", compact)
        asyncio.run(run(Path(folder) / "guests"))


async def test_numbers_of_processes_are_not_given_twice(tmp_path: Path, twins: Twins) -> None:
    """A guest that is created after the restart has a process number of its own."""
    first = await twins.open(tmp_path / "guests")
    await first.create(spec("a"))
    second = await twins.open(tmp_path / "guests")
    await second.create(spec("b"))
    assert len({guest.pid for guest in await guests(second)}) == 2


async def test_a_line_that_was_cut_off_costs_what_it_tells(tmp_path: Path, twins: Twins) -> None:
    """A process that was killed in mid-write leaves the guests of all lines before."""
    path = tmp_path / "guests"
    first = await twins.open(path)
    await first.create(spec("a"))
    await first.create(spec("b"))
    path.write_bytes(path.read_bytes()[:-20])
    second = await twins.open(path)
    assert [guest.instance for guest in await guests(second)] == ["a"]
    await second.create(spec("b"))
    assert [guest.instance for guest in await guests(await twins.open(path))] == ["a", "b"]


async def test_an_end_that_was_asked_for_still_comes(tmp_path: Path, twins: Twins) -> None:
    """How a guest will end by itself is kept with it, and its time begins anew."""
    first = await twins.open(tmp_path / "guests")
    await first.create(spec("a", "simulate.exit_after=0.01"))
    await first.resume("a")
    await first.close()
    second = await twins.open(tmp_path / "guests")
    changed = asyncio.Event()
    second.watch(changed.set)
    await asyncio.wait_for(changed.wait(), 60)
    assert [guest.state for guest in await guests(second)] == ["shutoff"]


async def test_a_file_that_cannot_be_written_is_an_error_of_the_hypervisor(
    tmp_path: Path, twins: Twins
) -> None:
    """It names the file, and what could not be kept is kept with what comes next."""
    path = tmp_path / "folder" / "guests"
    with pytest.raises(HypervisorError, match=f"cannot use {path}"):
        await twins.open(path)
    path.parent.mkdir()
    twin = await twins.open(path)
    assert isinstance(twin.kept, FileGuests)
    twin.kept._torn = True
    path.parent.rename(tmp_path / "away")
    with pytest.raises(HypervisorError, match=f"cannot write {path}"):
        await twin.create(spec("a"))
    (tmp_path / "away").rename(path.parent)
    await twin.create(spec("b"))
    assert [guest.instance for guest in await guests(await twins.open(path))] == ["a", "b"]
