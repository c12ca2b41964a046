"""What hosts hold, from the pages of their answers: the evidence that records are rebuilt from.

This module refuses to know the store, and what follows from the evidence.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from shoal import subjects
from shoal.messages.desired import LaunchRecord, SegmentRecord, TapRecord, TapStatus, VMStatus
from shoal.messages.repair_requests import HeldRecords
from shoal_orchestrator.core.records import HostRecord

_ALIVE = ("RUNNING", "PAUSED", "BUILDING")


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """One host: its record as it should be, the latest record of each instance and tap there, what became of them.

    `seen_store` is the store that it obeyed last.
    """

    host: HostRecord
    seen_store: str = ""
    launches: dict[str, LaunchRecord] = {}
    taps: dict[tuple[str, str], TapRecord] = {}
    segments: dict[int, SegmentRecord] = {}
    vms: dict[str, VMStatus] = {}
    tap_states: dict[tuple[str, str], TapStatus] = {}

    def gone(self, instance: str) -> bool:
        """Whether the host has ended an instance for good, and has written that down."""
        status = self.vms.get(instance)
        return status is not None and status.gone

    def alive(self, instance: str) -> bool:
        """Whether the instance has a guest there now."""
        status = self.vms.get(instance)
        return status is not None and bool(status.pid) and status.state in _ALIVE


def unchanged(holdings: Mapping[str, Holding], changed: Collection[str]) -> dict[str, Holding]:
    """The evidence without what it says of the records that were `changed` (their subjects) while hosts were asked.

    A host that was claimed meanwhile has not answered: the store's word stands.
    """
    if not changed:
        return dict(holdings)
    return {
        name: _without(holding, changed)
        for name, holding in holdings.items()
        if subjects.host_record(name) not in changed
    }


def _without(holding: Holding, changed: Collection[str]) -> Holding:
    host = holding.host.name

    def vm(each: LaunchRecord | VMStatus) -> bool:
        return subjects.launch(host, each.namespace, each.name) not in changed

    def tap(key: tuple[str, str]) -> bool:
        return subjects.tap(host, *key) not in changed

    return replace(
        holding,
        launches={instance: each for instance, each in holding.launches.items() if vm(each)},
        vms={instance: each for instance, each in holding.vms.items() if vm(each)},
        taps={key: each for key, each in holding.taps.items() if tap(key)},
        tap_states={key: each for key, each in holding.tap_states.items() if tap(key)},
        segments={vni: each for vni, each in holding.segments.items() if subjects.tunnel(vni) not in changed},
    )


def holding_of(host: str, pages: Iterable[HeldRecords]) -> Holding:
    """The pages of one host's answer as one. Records that are for another host are left out."""
    pages = list(pages)
    first = pages[0]
    record = HostRecord(
        name=host,
        incarnation=first.incarnation,
        role=first.role,
        underlay=first.underlay,
        machine=first.machine,
        version=first.version,
    )
    return Holding(
        host=record,
        seen_store=first.seen_store,
        launches={each.instance: each for page in pages for each in page.launches if each.host == host},
        taps={(each.namespace, each.tap): each for page in pages for each in page.taps if each.host == host},
        segments={each.vni: each for page in pages for each in page.segments},
        vms={each.instance: each for page in pages for each in page.vms},
        tap_states={(each.namespace, each.tap): each for page in pages for each in page.tap_states},
    )
