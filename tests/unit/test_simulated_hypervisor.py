"""The hypervisor's twin in memory."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import Load
from shoal_worker.hypervisor import GuestSpec, Hypervisor, HypervisorError
from shoal_worker.kept_guests import SimulatedGuests
from shoal_worker.simulated_hypervisor import SimulatedHypervisor


def spec(instance: str, name: str = "") -> GuestSpec:
    return GuestSpec(
        namespace="red", name=name or instance, instance=instance, revision=1, uuid="u", config=VMConfig()
    )


async def states(hypervisor: Hypervisor) -> dict[str, str]:
    return {guest.instance: guest.state for guest in (await hypervisor.survey()).guests}


async def test_life() -> None:
    """Created paused, running, paused, gone; each verb twice is as once, and none minds a guest that is not there."""
    twin: Hypervisor = SimulatedHypervisor()
    assert (await twin.open()).accelerator == "simulated"
    await twin.create(spec("a"))
    assert await states(twin) == {"a": "paused"}
    for _ in "twice":
        await twin.resume("a")
        assert await states(twin) == {"a": "running"}
    for _ in "twice":
        await twin.pause("a")
        assert await states(twin) == {"a": "paused"}
    for _ in "twice":
        await twin.destroy("a")
        assert await states(twin) == {}
    await twin.resume("a")
    await twin.pause("a")
    assert await states(twin) == {}


@given(st.lists(st.tuples(st.sampled_from(["create", "resume", "pause", "destroy"]), st.sampled_from("abc"))))
def test_as_a_model_says(steps: list[tuple[str, str]]) -> None:
    """After any sequence of operations the survey shows what a plain dictionary would."""
    model: dict[str, str] = {}

    async def run() -> None:
        twin = SimulatedHypervisor()
        for verb, instance in steps:
            if verb == "create":
                await twin.create(spec(instance))
                model.setdefault(instance, "paused")
            else:
                await getattr(twin, verb)(instance)
                if verb == "destroy":
                    model.pop(instance, None)
                elif instance in model:
                    model[instance] = "running" if verb == "resume" else "paused"
            assert await states(twin) == model

    asyncio.run(run())


async def test_guests_outlive_a_worker() -> None:
    """The next twin on the same guests finds them as they were, with the same process numbers."""
    kept = SimulatedGuests(foreign=Load(vcpus=4, vms=1))
    first = SimulatedHypervisor(kept)
    await first.create(spec("a"))
    await first.resume("a")
    before = await first.survey()
    await first.close()
    second = SimulatedHypervisor(kept)
    await second.open()
    assert await second.survey() == before
    assert before.foreign == Load(vcpus=4, vms=1)


async def test_guest_ends_by_itself() -> None:
    """An end with a reason is a failure, one without is a power-off; both stay until destroyed, the name is free."""
    twin = SimulatedHypervisor()
    for instance in "ab":
        await twin.create(spec(instance))
    twin.end("a", "QEMU died")
    twin.end("b")
    guests = (await twin.survey()).guests
    assert [(guest.state, guest.reason, guest.pid) for guest in guests] == [
        ("failed", "QEMU died", 0),
        ("shutoff", "", 0),
    ]
    with pytest.raises(HypervisorError, match="red/b is there already"):
        await twin.create(spec("b"))
    await twin.create(spec("c", name="a"))
    with pytest.raises(HypervisorError, match="red/a is there already"):
        await twin.create(spec("d", name="a"))
    await twin.destroy("a")
    with pytest.raises(HypervisorError):
        await twin.create(spec("d", name="a"))


async def test_failures_on_demand() -> None:
    """An operation fails with the text that the hook gives, and changes nothing."""
    twin = SimulatedHypervisor(fail=lambda verb, who: "no room" if (verb, who) == ("create", "red/b") else "")
    await twin.create(spec("a"))
    with pytest.raises(HypervisorError, match="no room"):
        await twin.create(spec("b"))
    assert await states(twin) == {"a": "paused"}


async def test_many_changes_one_call() -> None:
    """Watchers are called from the loop after changes, once for many, and not for what changes nothing."""
    twin = SimulatedHypervisor()
    calls = 0

    def changed() -> None:
        nonlocal calls
        calls += 1

    twin.watch(changed)
    for number in range(100):
        await twin.create(spec(str(number)))
    assert calls == 0
    await asyncio.sleep(0)
    assert calls == 1
    await twin.pause("0")
    await asyncio.sleep(0)
    assert calls == 1


async def test_latency_is_the_loops() -> None:
    """Operations take the latency on the loop's clock, beside each other."""
    twin = SimulatedHypervisor(latency_s=0.05)
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.gather(*(twin.create(spec(str(number))) for number in range(50)))
    assert 0.05 <= loop.time() - began < 50 * 0.05
