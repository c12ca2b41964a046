"""Handler of `doctor`: gathers facts, from the store, the inventory and the hosts themselves.

Refuses to judge them: see `core.diagnosis`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from shoal.core.ranges import natural_order
from shoal.errors import ShoalError
from shoal.messages.doctor import CheckCluster, Diagnosis, worst_first
from shoal.messages.health_requests import AskHealth, HostHealth
from shoal.version import version
from shoal_orchestrator.core.diagnosis import Facts, HostFacts, diagnose, leaving_instances, orphans, unspoken
from shoal_orchestrator.core.peers import peers_to_try
from shoal_orchestrator.leader import Call, Leader

_AT_ONCE = 64


async def check_cluster(leader: Leader, _: str, __: CheckCluster, call: Call) -> Diagnosis:
    """Everything that is wrong, as far as it can be known from here."""
    peers = _peers(leader)
    store, answers = await asyncio.gather(leader.check_store(), _ask(leader, peers, call))
    leaving = leaving_instances(leader.model)
    facts = Facts(
        version=version(),
        head=leader.cluster.head,
        frozen=leader.store.frozen,
        mass_loss=leader.inventory.frozen,
        unreadable=tuple(leader.store.unreadable),
        hosts=tuple(
            _facts(leader, host, peers.get(host, {}), answers.get(host), leaving)
            for host in natural_order({*leader.model.hosts, *leader.inventory.alive()})
        ),
    )
    found = worst_first((*store, *diagnose(facts, leader.model)))
    vms = sum(map(len, leader.model.launches.values()))
    checked = f"{len(facts.hosts)} hosts ({len(answers)} were asked), {vms} VMs, the streams"
    return Diagnosis(items=found, checked=checked)


def _peers(leader: Leader) -> dict[str, dict[str, str]]:
    """For each host that is alive: address → name of those that it is to reach."""
    alive = set(leader.inventory.alive())
    # Only who is alive can answer: that the others do not is known already.
    underlays = {name: record.underlay for name, record in leader.model.hosts.items() if name in alive}
    return peers_to_try(underlays, (segment.peers for segment in leader.model.segments.values()))


async def _ask(
    leader: Leader, peers: dict[str, dict[str, str]], call: Call
) -> dict[str, HostHealth | ShoalError]:
    """What each host that is alive answers."""
    hosts = leader.live_hosts()
    at_once = asyncio.Semaphore(_AT_ONCE)
    answers: dict[str, HostHealth | ShoalError] = {}

    async def one(host: str) -> None:
        async with at_once:
            try:
                request = AskHealth(peers=tuple(peers.get(host, {})))
                answers[host] = await leader.workers.ask(host, request)
            except ShoalError as error:
                answers[host] = error
        call.progress(len(answers), len(hosts), "hosts checked")

    await asyncio.gather(*map(one, hosts))
    return answers


def _facts(
    leader: Leader,
    host: str,
    peers: dict[str, str],
    answer: HostHealth | ShoalError | None,
    leaving: Collection[str],
) -> HostFacts:
    seen, record = leader.inventory.hosts.get(host), leader.model.hosts.get(host)
    told = seen is not None and seen.state == "alive" and seen.reports >= 0 and not seen.asking
    ours = [
        vm
        for vm in leader.model.residents.get(host, {}).values()
        if told and record is not None and vm.incarnation == record.incarnation
    ]
    return HostFacts(
        name=host,
        record=record,
        state=leader.inventory.state(host),
        beat=seen.heartbeat if seen else None,
        health=answer if isinstance(answer, HostHealth) else None,
        unanswered=answer.message if isinstance(answer, ShoalError) else "",
        peers=peers,
        orphans=orphans(seen.instances.values(), leader.model, leaving) if seen else (),
        unspoken=unspoken(ours, seen.instances, leader.model) if seen else (),
    )
