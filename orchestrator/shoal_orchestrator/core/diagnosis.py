"""What is wrong with a cluster, from facts about it to findings: each with what to do.

This module refuses to know how facts are got, and time. What hosts have alike is one finding that names them all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from shoal.core.ranges import fold, natural_order
from shoal.messages.desired import Heartbeat, LaunchRecord, VMStatus
from shoal.messages.doctor import Finding, Severity
from shoal.messages.health_requests import Disk, HostHealth
from shoal_orchestrator.core.model import PRESENT, Model
from shoal_orchestrator.core.observed import HostState
from shoal_orchestrator.core.records import HostRecord

#: what a guest's packet of 1,500 bytes needs of the underlay: Ethernet, IP, UDP and VXLAN headers around it (RFC 7348)
GOOD_MTU = 1550
_GIB = 1 << 30
#: less room than this is a warning, and less than a tenth of it an error
LOW_BYTES = 1 * _GIB
REPAIR = "`doctor --repair` shows what would be rebuilt from what the hosts have"
_NEVER_HEARD = "it has not been heard of since this orchestrator leads"


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One host: its record, what its last heartbeat said, and what it answered. `unanswered`: why it did not.

    `peers` are the names of the addresses that it was to reach. `orphans` are its VMs that no record names, `unspoken`
    the records of VMs that it has said nothing of.
    """

    name: str
    record: HostRecord | None
    state: HostState
    beat: Heartbeat | None = None
    health: HostHealth | None = None
    unanswered: str = ""
    peers: dict[str, str] = {}
    orphans: tuple[VMStatus, ...] = ()
    unspoken: tuple[LaunchRecord, ...] = ()


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The cluster. `unreadable` are the subjects of records that cannot be read, `mass_loss` hosts that fell silent together."""

    version: str
    head: str
    frozen: str = ""
    mass_loss: int = 0
    unreadable: tuple[str, ...] = ()
    hosts: tuple[HostFacts, ...] = ()


#: severity, what was found, what to do
_Said = tuple[Severity, str, str]


def diagnose(facts: Facts, model: Model) -> list[Finding]:
    """All findings, in the order in which they are best dealt with; the worst are not yet first."""
    return [*_of_cluster(facts), *_of_hosts(facts, model), *_of_orphans(facts), *_of_records(facts, model)]


def _of_cluster(facts: Facts) -> Iterator[Finding]:
    if facts.frozen:
        do = f"bring the latest copy of the store back, or: {REPAIR}"
        yield Finding(severity="error", object="store", found=facts.frozen, do=do)
    if facts.unreadable:
        shown = ", ".join(facts.unreadable[:3]) + (", …" if len(facts.unreadable) > 3 else "")
        yield Finding(
            severity="error",
            object="store",
            found=f"{len(facts.unreadable)} records cannot be read: {shown}",
            do=f"they are kept, and a newer orchestrator may know them; of VMs and taps: {REPAIR}",
        )
    if facts.mass_loss:
        yield Finding(
            severity="error",
            object="hosts",
            found=f"{facts.mass_loss} fell silent together, and none is declared lost",
            do="look at the network between them and NATS; `host forget` takes your word for single ones",
        )
    head = next((host for host in facts.hosts if host.name == facts.head), None)
    if head is None or head.record is None:
        yield Finding(
            severity="warning",
            object=f"host {facts.head}",
            found="it is the cluster's head and has no worker: no host taps and files can come from there",
            do=f"start one: `shoal worker --host {facts.head} --role edge`",
        )


def _of_hosts(facts: Facts, model: Model) -> Iterator[Finding]:
    """What is wrong with hosts; those with whom the same is wrong stand together."""
    alike: defaultdict[_Said, list[str]] = defaultdict(list)
    for host in facts.hosts:
        for said in (*_liveness(host, model), *_worker(host, facts), *_machine(host)):
            alike[said].append(host.name)
    for (severity, found, do), names in alike.items():
        named = fold(natural_order(names))
        yield Finding(severity=severity, object=f"host {named}", found=found, do=do.replace("HOST", named))


def _liveness(host: HostFacts, model: Model) -> Iterator[_Said]:
    fenced = host.record is not None and host.record.fenced
    if host.state == "alive" or fenced:
        return
    vms = len(model.residents.get(host.name, {}))
    told = f"; it has {vms} VMs" if vms else ""
    back = "start its worker, or look at its network"
    if host.state == "lost":
        yield (
            "error" if vms else "warning",
            f"it is lost: no heartbeat for 20 s or more{told}",
            f"{back}; once it surely runs nothing any more: `host forget HOST --fenced`",
        )
    elif host.state == "suspect":
        yield "warning", "its heartbeats are late", back
    else:
        yield "warning", _NEVER_HEARD, back


def _worker(host: HostFacts, facts: Facts) -> Iterator[_Said]:
    beat, version = host.beat, facts.version
    if host.state != "alive" or beat is None:
        return
    # Of a store that is frozen that is said already.
    if beat.held_back and beat.held_back != facts.frozen:
        yield "error", f"it holds itself back: {beat.held_back}", REPAIR
    if beat.version != version:
        yield (
            "warning",
            f"its worker is of version {beat.version}, the orchestrator of {version}",
            "bring both to the same version: docs/upgrading.md",
        )
    for warning in beat.warnings:
        if warning != beat.held_back:
            yield "warning", warning, "see the worker's log"
    if beat.ended_captures:
        yield (
            "note",
            f"{beat.ended_captures} captures that have ended wait to be collected",
            "they are fetched by themselves; should they stay, the orchestrator's log says why",
        )
    if host.unanswered:
        yield "warning", f"it could not be checked: {host.unanswered}", "look at its worker's log"


def _machine(host: HostFacts) -> Iterator[_Said]:
    health = host.health
    if health is None:
        return
    if health.filters:
        switches = ", ".join(health.filters)
        settings = " ".join(f"net.bridge.{name}=0" for name in health.filters)
        told = (
            f"br_netfilter is on ({switches}): what passes between VMs goes through the host's firewall, and a "
            "FORWARD policy of DROP (Docker's) loses it"
        )
        yield "warning", told, f"there: `sysctl -w {settings}`"
    if 0 < health.mtu < GOOD_MTU:
        yield (
            "note",
            f"the underlay's MTU is {health.mtu}: full packets of VMs are sent in two parts",
            f"set {GOOD_MTU} or more on the underlay's interfaces and switches, or `vm config net` an MTU to the VMs",
        )
    if health.unasked:
        yield "note", f"it cannot ping others: {health.unasked}", "run its worker as root"
    for address, why in health.cut_off.items():
        yield "error", f"it has no way to {_named(host, address)}: {why}", "look at its addresses and routes"
    if health.silent:
        them = fold(natural_order(host.peers.get(address, address) for address in health.silent))
        yield (
            "warning",
            f"no answer to a ping of {them} on the underlay",
            "look at the network between them; where a firewall drops pings, see that UDP 4789 passes",
        )
    for disk in health.disks:
        yield from _room(disk)


def _named(host: HostFacts, address: str) -> str:
    return f"{host.peers[address]} ({address})" if address in host.peers else address


def _room(disk: Disk) -> Iterator[_Said]:
    if not disk.size:
        return
    if disk.free < LOW_BYTES:
        yield (
            "error" if disk.free < LOW_BYTES // 10 else "warning",
            f"{disk.free >> 20} MiB are left where {disk.path} is",
            "make room there: VMs' disks, captures and the cluster's files need it",
        )


def _of_orphans(facts: Facts) -> Iterator[Finding]:
    for host in facts.hosts:
        alike: defaultdict[tuple[str, str], list[VMStatus]] = defaultdict(list)
        for vm in host.orphans:
            alike[vm.namespace, vm.state].append(vm)
        for (namespace, state), vms in alike.items():
            which = f"instance {vms[0].instance}" if len(vms) == 1 else f"{len(vms)} of them"
            yield Finding(
                severity="warning",
                object=f"vm {namespace}/{fold(natural_order(vm.name for vm in vms))}",
                found=f"{state} on {host.name}, and no record names it ({which})",
                do=f"to have it back: {REPAIR}; to be rid of it: end it on {host.name} by hand",
            )


def _of_records(facts: Facts, model: Model) -> Iterator[Finding]:
    """Records that nobody can carry out, or does."""
    for facts_of in facts.hosts:
        if facts_of.unspoken:
            yield Finding(
                severity="warning",
                object=f"host {facts_of.name}",
                found=f"{len(facts_of.unspoken)} VMs are to be there, and it says nothing of them: {_some(facts_of.unspoken)}",
                do=f"should that stay so: {REPAIR}",
            )
    earlier: defaultdict[str, list[LaunchRecord]] = defaultdict(list)
    nowhere: defaultdict[str, list[LaunchRecord]] = defaultdict(list)
    for record in model.instances.values():
        host = model.hosts.get(record.host)
        if host is None:
            nowhere[record.host].append(record)
        elif host.incarnation != record.incarnation and record.power in PRESENT and not host.fenced:
            earlier[record.host].append(record)
    for name, records in nowhere.items():
        yield Finding(
            severity="error",
            object=f"host {name}",
            found=f"{len(records)} VMs are to be there, and the cluster does not know it: {_some(records)}",
            do="start its worker; `vm kill` gives them up",
        )
    for name, records in earlier.items():
        yield Finding(
            severity="warning",
            object=f"host {name}",
            found=f"it was set up anew, and {len(records)} VMs were on it before: {_some(records)}",
            do="they are lost: `vm kill` and `vm flush` remove them, then launch them again",
        )
    known = {host.name for host in facts.hosts}
    for namespace in model.namespaces.values():
        missing = [host for host in model.members(namespace) or () if host not in known]
        if missing:
            yield Finding(
                severity="warning",
                object=f"namespace {namespace.name}",
                found=f"it has hosts that the cluster does not know: {fold(missing)}",
                do=f"`namespace {namespace.name} ns del-hosts {fold(missing)}`",
            )


def _some(records: Sequence[LaunchRecord], most: int = 3) -> str:
    shown = ", ".join(f"{record.namespace}/{record.name}" for record in records[:most])
    return shown + (", …" if len(records) > most else "")


def unspoken(vms: Iterable[LaunchRecord], said: Collection[str], model: Model) -> tuple[LaunchRecord, ...]:
    """Those of a host's records whose instances it has said nothing of, but for those that are being launched now."""
    return tuple(
        record for record in vms if record.instance not in said and not _being_launched(record, model)
    )


def _being_launched(record: LaunchRecord, model: Model) -> bool:
    plan = model.plans.get(record.namespace, {}).get(record.plan)
    return plan is not None and plan.state == "running"


def orphans(vms: Iterable[VMStatus], model: Model, leaving: Collection[str]) -> tuple[VMStatus, ...]:
    """Those of a host's VMs that no record of the cluster names; `leaving` as of `leaving_instances`."""
    left = [
        vm for vm in vms if vm.instance not in model.instances and vm.instance not in leaving and not vm.gone
    ]
    return tuple(sorted(left, key=lambda vm: (vm.namespace, vm.name, vm.instance)))


def leaving_instances(model: Model) -> frozenset[str]:
    """The instances whose records say that they are to be gone: made once for all hosts."""
    return frozenset(record.instance for record in model.leaving.values())
