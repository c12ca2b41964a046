"""Simulated guests that end by themselves."""

from __future__ import annotations

import re

import pytest
from tests.waiting import eventually

from shoal.core.vmconfig import VMConfig
from shoal_worker.hypervisor import Guest, GuestSpec, HypervisorError
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.simulated_endings import ending_of
from shoal_worker.simulated_hypervisor import SimulatedHypervisor


@pytest.mark.parametrize(
    ("append", "found"),
    [
        ((), None),
        (("quiet", "console=ttyS0"), None),
        (("simulate.exit_after=5",), (5.0, False)),
        (("quiet simulate.fail_after=0.5",), (0.5, True)),
        (("simulate.fail_after=1", "simulate.exit_after=2"), (2.0, False)),
    ],
)
def test_what_kernel_arguments_say(append: tuple[str, ...], found: tuple[float, bool] | None) -> None:
    """The last ending among the arguments counts; failures have a reason; others say nothing."""
    ending = ending_of(append)
    assert (ending and (ending.after_s, bool(ending.reason))) == found


@pytest.mark.parametrize(
    "word",
    [
        *(
            "simulate.fail_after=soon",
            "simulate.fail_after=-1",
            "simulate.exit_after=inf",
            "simulate.exit_after",
        ),
        *("simulate.fail_afer=2", "simulate.=1"),
    ],
)
async def test_a_wrong_word_fails_the_launch(word: str) -> None:
    """A guest whose argument is misspelled is not made, and the reason names the word."""
    twin = SimulatedHypervisor()
    with pytest.raises(HypervisorError, match=re.escape(f"`{word}`")):
        await twin.create(spec("a", "quiet", word))
    assert await guest(twin, "a") is None
    await twin.close()


def spec(instance: str, *append: str) -> GuestSpec:
    config = VMConfig(append=append)
    return GuestSpec(namespace="red", name=instance, instance=instance, revision=1, uuid="u", config=config)


async def guest(twin: SimulatedHypervisor, instance: str) -> Guest | None:
    return next((g for g in (await twin.survey()).guests if g.instance == instance), None)


@pytest.mark.parametrize(("word", "state"), [("exit", "shutoff"), ("fail", "failed")])
async def test_a_guest_ends_when_it_has_run_so_long(word: str, state: str) -> None:
    """A guest that runs ends as its arguments say; one that is paused or destroyed before does not."""
    twin = SimulatedHypervisor()
    changes: list[str] = []
    twin.watch(lambda: changes.append("now"))
    for name in ("runs", "paused", "destroyed"):
        await twin.create(spec(name, f"simulate.{word}_after=0.02"))
        await twin.resume(name)
    await twin.pause("paused")
    await twin.destroy("destroyed")

    async def ended() -> bool:
        found = await guest(twin, "runs")
        return found is not None and found.state == state and not found.pid

    await eventually(ended, "the guest has ended")
    assert changes
    paused = await guest(twin, "paused")
    assert paused is not None
    assert paused.state == "paused"
    await twin.close()


async def test_the_next_worker_goes_on_with_it() -> None:
    """A guest outlives its worker, and still ends under the next."""
    kept = SimulatedGuests()
    first = SimulatedHypervisor(kept)
    await first.create(spec("a", "simulate.exit_after=0.05"))
    await first.resume("a")
    await first.close()
    second = SimulatedHypervisor(kept)
    await second.open()

    async def ended() -> bool:
        found = await guest(second, "a")
        return found is not None and found.state == "shutoff"

    await eventually(ended, "the guest has ended")
    found = await guest(second, "a")
    assert found is not None
    assert (found.pid, found.reason) == (0, "")
    await second.close()
