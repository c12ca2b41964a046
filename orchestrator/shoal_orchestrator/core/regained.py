"""What namespaces must be, given the VMs and taps that are in them: aliases, keys of private bridges, numbers of VMs.

This module refuses to know where the VMs come from. Nothing that is in use is given out twice: a VLAN that a port names
without an alias is kept from aliases, a key that a VNI bears is its bridge's, ids go on after the highest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from msgspec.structs import replace

from shoal.core.names import ALIAS_SEPARATOR
from shoal.core.ranges import fold
from shoal.core.vmconfig import DEFAULT_BRIDGE
from shoal.messages.desired import LaunchRecord, Port, TapRecord
from shoal_orchestrator.core.keys import split_vni
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import BridgeRecord, ClusterRecord, NamespaceRecord


class Regained:
    """Namespaces, and the cluster's record, as they come to be. `troubles`: object, and what does not fit together."""

    def __init__(self, model: Model, cluster: ClusterRecord) -> None:
        self._model = model
        self.cluster = cluster
        self.namespaces: dict[str, NamespaceRecord] = dict(model.namespaces)
        self.troubles: list[tuple[str, str]] = []
        self._plain: set[int] = set()
        #: hosts with VMs, by namespace
        self._hosts: defaultdict[str, set[str]] = defaultdict(set)
        #: what ports and taps have said already, each by its namespace: VMs by the thousand say the same
        self._said: set[tuple[str, str, int, int, str]] = set()

    def take(self, vms: Iterable[LaunchRecord], taps: Iterable[TapRecord]) -> None:
        """Make everything fit these VMs and taps."""
        vms, taps = list(vms), list(taps)
        for vm in vms:
            record = self._known(vm.namespace)
            self._hosts[vm.namespace].add(vm.host)
            if record.next_id <= vm.id:
                self.namespaces[vm.namespace] = replace(record, next_id=vm.id + 1)
            for port in vm.ports:
                self._port(vm.namespace, port)
        for tap in taps:
            self._known(tap.namespace)
            if tap.trunk:
                self._key(tap.namespace, tap.bridge, max(0, tap.key))
            else:
                self._port(tap.namespace, tap)
        self._widen()
        self._reserve()

    def changed(self) -> list[NamespaceRecord]:
        """The namespaces that are not as they were."""
        return [
            record for name, record in self.namespaces.items() if self._model.namespaces.get(name) != record
        ]

    def _known(self, namespace: str) -> NamespaceRecord:
        """The record of a namespace, which there is from now on."""
        return self.namespaces.setdefault(namespace, NamespaceRecord(name=namespace, hosts=""))

    def _widen(self) -> None:
        """See that hosts with VMs of a namespace are among its hosts."""
        for namespace, hosts in self._hosts.items():
            record = self.namespaces[namespace]
            if record.hosts is None:
                continue
            members = set(self._model.members(record) or ())
            if not hosts <= members:
                self.namespaces[namespace] = replace(record, hosts=fold(members | hosts))

    def _port(self, namespace: str, port: Port | TapRecord) -> None:
        key, _ = split_vni(port.vni)
        said = namespace, port.bridge, key, port.vlan, port.alias
        if said in self._said:
            return
        self._said.add(said)
        self._key(namespace, port.bridge, key)
        if not port.vlan:
            return
        if not port.alias:
            self._plain.add(port.vlan)
            return
        owner, _, alias = port.alias.rpartition(ALIAS_SEPARATOR)
        owner = owner or namespace
        record = self._known(owner)
        known = record.aliases.get(alias)
        if known is None:
            self.namespaces[owner] = replace(record, aliases={**record.aliases, alias: port.vlan})
        elif known != port.vlan:
            self._trouble(
                f"vlan {owner}{ALIAS_SEPARATOR}{alias}",
                f"it has number {known}, and VMs or taps of {namespace} are on {port.vlan} by that name",
            )

    def _key(self, namespace: str, bridge: str, key: int) -> None:
        """A private bridge has the key of the VNIs on it."""
        if not key or bridge == DEFAULT_BRIDGE:
            return
        record = self.namespaces[namespace]
        known = record.bridges.get(bridge)
        if known is not None and known.key == key:
            return
        holder = self._holder(key)
        if holder or (known is not None and self._in_use(known.key)):
            told = f"the key is that of {holder}" if holder else f"the bridge has key {known and known.key}"
            self._trouble(f"bridge {namespace}/{bridge}", f"VMs or taps on it have key {key}, and {told}")
            return
        self.namespaces[namespace] = replace(
            record, bridges={**record.bridges, bridge: BridgeRecord(key=key)}
        )

    def _holder(self, key: int) -> str:
        """Which bridge has a key; empty if none has."""
        for name, record in self.namespaces.items():
            for bridge, held in record.bridges.items():
                if held.key == key:
                    return f"{name}/{bridge}"
        return ""

    def _in_use(self, key: int) -> bool:
        return any(hosts and split_vni(vni)[0] == key for vni, hosts in self._model.ports.items())

    def _reserve(self) -> None:
        """Keep numbers that were used without an alias from aliases."""
        given = {number for record in self.namespaces.values() for number in record.aliases.values()}
        blacklist = {*self.cluster.blacklist, *(self._plain - given)}
        if blacklist != set(self.cluster.blacklist):
            self.cluster = replace(self.cluster, blacklist=tuple(sorted(blacklist)))

    def _trouble(self, about: str, told: str) -> None:
        if (about, told) not in self.troubles:
            self.troubles.append((about, told))
