"""What must hold in every state, and what "as it was asked for" means.

Refuses to know how a state came about. The promises are those of the fault matrix: nothing twice, nothing lost,
nothing that was killed comes back.
"""

from __future__ import annotations

from tests.model.state import HOSTS, Scenario, World


def broken(scenario: Scenario, world: World) -> str:
    """The promise that this state breaks; empty if it breaks none."""
    running = [(host, i) for host in HOSTS for i, runs in world.workers[host].guests if runs]
    instances = [i for worker in world.workers for i, _ in worker.guests]
    if len(instances) != len(set(instances)):
        return "one instance has guests on two hosts"
    if len(running) > 1:
        return f"the VM runs twice: {_named(running)}"
    back = {i for _, i in running} & world.ended
    if back:
        return f"instance {back.pop()} was killed, and that was answered; it runs again"
    if world.rolled is not None:
        # what the store has forgotten cannot be held against anybody; what runs must go on
        touched = frozenset() if scenario.afterwards else world.rolled - {i for _, i in running}
        return f"the store went backwards, and instance {min(touched)} was touched" if touched else ""
    if "refused" in world.answers and "later" not in world.answers:
        return f"{scenario.script[world.answers.index('refused')]} was refused, and nothing was wrong with it"
    launched = {
        stored.record.instance
        for sent in world.server.sent
        for stored in sent
        if stored.record is not None and stored.record.revision == 1
    }
    if len(launched) > scenario.script.count("launch"):
        return f"one launch was carried out twice, as instances {sorted(launched)}"
    return ""


def _named(running: list[tuple[int, int]]) -> str:
    return " and ".join(f"instance {instance} on host {host}" for host, instance in running)


def as_asked(scenario: Scenario, world: World) -> bool:
    """Whether everything was answered, nothing is under way, and the hosts have what was asked for last."""
    if world.rolled is not None and (not scenario.afterwards or _frozen(world)):
        return True  # what was asked for is lost with the store, and a person has to decide
    if world.rolled is None and scenario.afterwards:
        return all(world.answers[: -scenario.afterwards])
    if not all(world.answers) or not any(o.mode == "leading" for o in world.orchestrators):
        return False
    if any(o.batch is not None for o in world.orchestrators) or any(w.cut for w in world.workers):
        return False
    guests = [(host, *guest) for host in HOSTS for guest in world.workers[host].guests]
    records = [
        (host, stored.record)
        for host in HOSTS
        if (stored := world.server.known.launches[host]) is not None and stored.record is not None
    ]
    wanted = [
        (host, r.instance, r.power == "running") for host, r in records if r.power in ("paused", "running")
    ]
    if guests != wanted:
        return False
    last = scenario.script[-1]
    if last == "flush":
        return not records
    return [r.power for _, r in records] == [{"launch": "paused", "kill": "off"}.get(last, "running")]


def _frozen(world: World) -> bool:
    return any(orchestrator.mode == "frozen" for orchestrator in world.orchestrators)
