"""Handlers of commands about hosts."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from shoal.core.load import parse_policy
from shoal.core.ranges import expand, fold, natural_key, natural_order
from shoal.errors import Conflict, NotFound
from shoal.messages.base import Done, Said
from shoal.messages.events import NamespaceChanged
from shoal.messages.hosts import (
    AddHosts,
    HostRange,
    HostRow,
    Hosts,
    ListHosts,
    ListMesh,
    ListNamespaceHosts,
    Mesh,
    RemoveHosts,
    SetLoad,
)
from shoal_orchestrator.core.changes import Changes
from shoal_orchestrator.core.model import add_loads
from shoal_orchestrator.handlers.paging import page
from shoal_orchestrator.leader import Call, Leader


async def list_namespace_hosts(leader: Leader, namespace: str, _: ListNamespaceHosts, __: Call) -> HostRange:
    """The namespace's hosts, folded."""
    return HostRange(hosts=fold(leader.hosts_of(leader.namespace(namespace))))


def _named(leader: Leader, text: str) -> list[str]:
    if text == "all":
        return [host for host in leader.live_hosts() if host != leader.cluster.head]
    return [leader.cluster.head if name == "localhost" else name for name in expand(text)]


def unknown_host(host: str) -> NotFound:
    """What to raise when the cluster does not know a host."""
    return NotFound(
        f"unknown host: `{host}`", details=("`mesh status` lists the hosts of the cluster",), names=(host,)
    )


def named_hosts(leader: Leader, text: str) -> list[str]:
    """The hosts that a range, `all` or `localhost` means. Raises NotFound when the cluster does not know one."""
    named = _named(leader, text)
    for host in named:
        if host not in leader.model.hosts:
            raise unknown_host(host)
    return named


async def add_hosts(leader: Leader, namespace: str, request: AddHosts, call: Call) -> Done:
    """Add hosts, if the cluster knows all of them."""
    record = leader.namespace(namespace)
    named = named_hosts(leader, request.hosts)
    hosts = fold({*leader.hosts_of(record), *named})
    changes = Changes()
    changes.put(replace(record, hosts=hosts))
    changes.tell(NamespaceChanged(namespace=namespace, name=namespace, change=f"hosts {hosts}"))
    await call.commit(changes, Done())
    return Done()


async def remove_hosts(leader: Leader, namespace: str, request: RemoveHosts, call: Call) -> Done:
    """Take hosts out, unless they still run the namespace's VMs."""
    record = leader.namespace(namespace)
    current = leader.hosts_of(record)
    leaving = set(current) if request.hosts == "all" else set(_named(leader, request.hosts))
    busy = {
        host for host in leaving for owner, _ in leader.model.residents.get(host, {}) if owner == namespace
    }
    if busy and not request.force:
        raise Conflict(
            f"{fold(busy)} still run VMs of namespace {namespace}: kill these, or add `force` to leave them there",
            names=tuple(natural_order(busy)),
        )
    changes = Changes()
    hosts = fold(set(current) - leaving)
    changes.put(replace(record, hosts=hosts))
    changes.tell(NamespaceChanged(namespace=namespace, name=namespace, change=f"hosts {hosts}"))
    await call.commit(changes, Done())
    return Done()


async def set_load(leader: Leader, namespace: str, request: SetLoad, call: Call) -> Said:
    """Show or set the load policy."""
    record = leader.namespace(namespace)
    if not request.policy:
        return Said(text=record.policy + (" relative" if record.relative else ""))
    policy = parse_policy(request.policy)
    changes = Changes()
    changes.put(replace(record, policy=policy, relative=request.relative))
    changes.tell(NamespaceChanged(namespace=namespace, name=namespace, change=f"load {policy}"))
    reply = Said(text="")
    await call.commit(changes, reply)
    return reply


def host_row(leader: Leader, host: str) -> HostRow:
    """One host: what its last heartbeat said, and what is committed there."""
    record = leader.model.hosts.get(host)
    seen = leader.inventory.hosts.get(host)
    beat = seen.heartbeat if seen else None
    load = leader.model.loads[host]
    if beat is not None:
        load = add_loads(load, beat.foreign)
    state = leader.inventory.state(host)
    return HostRow(
        host=host,
        state="draining" if state == "alive" and record and record.draining else state,
        role=record.role if record else "host",
        head=host == leader.cluster.head,
        cpus=beat.capacity.cpus if beat else 0,
        load=beat.load_average if beat else 0.0,
        memused_mib=beat.memory_used_mib if beat else 0,
        memtotal_mib=beat.capacity.memory_mib if beat else 0,
        rx_bytes_s=beat.rx_bytes_s if beat else 0.0,
        tx_bytes_s=beat.tx_bytes_s if beat else 0.0,
        vms=load.vms,
        vmlimit=beat.limit.vms if beat else -1,
        cpucommit=load.vcpus,
        memcommit_mib=load.memory_mib,
        netcommit=load.nics,
        uptime_s=beat.uptime_s if beat else 0.0,
        accelerator=beat.accelerator if beat else "",
        version=record.version if record else "",
        underlay=record.underlay if record else "",
        warnings=beat.warnings if beat else (),
    )


def _page(names: list[str], after: str, limit: int) -> tuple[Sequence[str], str]:
    shown, last = page(names, natural_key(after) if after else None, limit, key=natural_key)
    return shown, last or ""


async def list_hosts(leader: Leader, namespace: str, request: ListHosts, _: Call) -> Hosts:
    """The namespace's hosts."""
    names = list(leader.hosts_of(leader.namespace(namespace)))
    shown, following = _page(names, request.after, request.limit)
    rows = tuple(host_row(leader, host) for host in shown)
    return Hosts(items=rows, field=request.field, next=following)


async def list_mesh(leader: Leader, _: str, request: ListMesh, __: Call) -> Mesh:
    """The hosts of the cluster: those that are alive, or all."""
    names = natural_order(leader.model.hosts)
    if request.which == "list":
        names = [host for host in names if leader.inventory.state(host) == "alive"]
    shown, following = _page(names, request.after, request.limit)
    return Mesh(
        items=tuple(host_row(leader, host) for host in shown), next=following, notes=_mass_loss(leader)
    )


def _mass_loss(leader: Leader) -> tuple[str, ...]:
    silent = leader.inventory.frozen
    if not silent:
        return ()
    text = (
        f"{silent} hosts fell silent together: that is rather the network than they, and none is declared lost; "
        "`host forget` takes your word for single ones"
    )
    return (text,)
