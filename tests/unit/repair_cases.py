"""Records of a VM, its port and a tap, and a host that holds some: what tests of a repair begin with."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shoal.core.vmconfig import DEFAULT_BRIDGE, VMConfig
from shoal.messages.desired import LaunchRecord, Port, State, TapRecord, VMStatus
from shoal_orchestrator.core.holdings import Holding
from shoal_orchestrator.core.model import Model
from shoal_orchestrator.core.records import ClusterRecord, HostRecord
from shoal_orchestrator.core.repairing import Rebuilt, rebuilding

CLUSTER = ClusterRecord(store="s", head="head", blacklist=(7,))
PORT = Port(
    bridge=DEFAULT_BRIDGE, vlan=101, alias="LAN", vni=101, segment="shb-0-101", tap="t", mac="m", driver="e"
)
TAP = TapRecord(
    namespace="red",
    tap="t0",
    revision=1,
    host="head",
    incarnation="i",
    bridge="lan",
    vlan=50,
    vni=3 * 4096 + 50,
    segment="s",
)

VM = LaunchRecord(
    namespace="red",
    name="a",
    id=0,
    instance="i1",
    revision=3,
    power="running",
    host="mm1",
    incarnation="inc",
    uuid="u",
    config=VMConfig(),
)


class Walked(dict[str, LaunchRecord]):
    """Records that count how often somebody goes through all of them."""

    walks = 0

    def values(self):
        self.walks += 1
        return super().values()


def status(
    record: LaunchRecord, state: State = "RUNNING", *, revision: int = 0, gone: bool = False
) -> VMStatus:
    return VMStatus(
        namespace=record.namespace,
        name=record.name,
        instance=record.instance,
        revision=revision or record.revision,
        state=state,
        pid=7 if state in ("RUNNING", "PAUSED") else 0,
        gone=gone,
    )


def holding(
    *records: LaunchRecord, vms: tuple[VMStatus, ...] = (), host: str = "mm1", incarnation: str = "inc"
) -> dict[str, Holding]:
    return {
        host: Holding(
            host=HostRecord(name=host, incarnation=incarnation),
            launches={record.instance: record for record in records},
            vms={each.instance: each for each in vms},
        )
    }


def rebuild(
    model: Model,
    cluster: ClusterRecord,
    holdings: Mapping[str, Holding],
    *,
    backwards: bool,
    meanwhile: Callable[[], None] = lambda: None,
) -> Rebuilt:
    """All parts one after the other; `meanwhile` is done between them."""
    parts = rebuilding(model, cluster, holdings, backwards=backwards)
    while True:
        try:
            next(parts)
        except StopIteration as ended:
            rebuilt: Rebuilt = ended.value
            return rebuilt
        meanwhile()
