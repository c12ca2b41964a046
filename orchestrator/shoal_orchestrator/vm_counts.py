"""How many VMs there are in each state, of each namespace, without a look at all of them.

Refuses to know the bus. What may have changed is noted as it happens, and looked at once when somebody asks: a VM that
changes a hundred times between two questions costs one look.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.observed import SeenHost, view


class _Counted(NamedTuple):
    host: str
    namespace: str
    state: str


class VMCounts:
    """Counts by namespace and state, always those of `view`."""

    def __init__(self, model: Model, hosts: Mapping[str, SeenHost]) -> None:
        self._model = model
        self._hosts = hosts
        self._seen: dict[str, _Counted] = {}
        self._on: defaultdict[str, set[str]] = defaultdict(set)
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def host_changed(self, host: str) -> None:
        """All that is known of a host may read differently now."""
        self._model.changed_hosts.add(host)

    def vm_changed(self, instance: str) -> None:
        """The VM's host has said something of it."""
        self._model.changed_vms.add(instance)

    def by_namespace(self) -> Mapping[str, Counter[str]]:
        """The counts of each namespace that has VMs."""
        self.catch_up()
        return self._counts

    def total(self) -> Counter[str]:
        """The counts of all namespaces together."""
        self.catch_up()
        return sum(self._counts.values(), Counter())

    def catch_up(self) -> None:
        """Look at what has changed. To be called now and then, so that what is noted does not pile up."""
        changed, hosts = self._model.changed_vms, self._model.changed_hosts
        while hosts:
            changed |= self._on.get(hosts.pop(), set())
        while changed:
            instance = changed.pop()
            before, now = self._seen.get(instance), self._look(instance)
            if before == now:
                continue
            if before is not None:
                self._add(before, -1)
                self._on[before.host].discard(instance)
            if now is None:
                del self._seen[instance]
            else:
                self._add(now, 1)
                self._on[now.host].add(instance)
                self._seen[instance] = now

    def _look(self, instance: str) -> _Counted | None:
        record = self._model.instances.get(instance)
        if record is None:
            return None
        seen, host = self._hosts.get(record.host), self._model.hosts.get(record.host)
        found = view(
            record,
            seen.instances.get(instance) if seen else None,
            seen.state if seen else "unknown",
            host.incarnation if host else "",
            fenced=host is not None and host.fenced,
        )
        return _Counted(record.host, record.namespace, found.state)

    def _add(self, counted: _Counted, by: int) -> None:
        counts = self._counts[counted.namespace]
        counts[counted.state] += by
        if not counts[counted.state]:
            del counts[counted.state]
        if not counts:
            del self._counts[counted.namespace]
