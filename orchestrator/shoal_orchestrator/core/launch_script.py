"""Writes the script that launches saved VMs again: `launch.mm`.

This module refuses to know where VMs were saved to, and who reads the script. Words are quoted as the language wants
them, so that what users have written stays words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from shoal.core.ranges import fold
from shoal.core.vmconfig import NetSpec, VMConfig
from shoal.core.vmconfig_text import to_words
from shoal.grammar.lexer import join
from shoal.messages.desired import LaunchRecord
from shoal_orchestrator.core.records import NamespaceRecord


class SavedVM(NamedTuple):
    """A VM that was saved: its record, whether it ran, and the cluster's files that it was saved to."""

    record: LaunchRecord
    running: bool
    state: str
    disks: tuple[str, ...]


def launch_script(namespace: NamespaceRecord, saved: Sequence[SavedVM]) -> str:
    """The script: bridges, each VM with its constraints and its saved state, and those that ran are started."""
    names = {vm.record.name for vm in saved}
    lines = [
        f"# The VMs of namespace {namespace.name}, to go on from where they were saved.",
        join(["namespace", namespace.name]),
        *(join(["ns", "bridge", bridge, of.kind]) for bridge, of in sorted(namespace.bridges.items())),
        "ns queueing true",
    ]
    for vm in saved:
        lines += ["", *_vm(vm, names)]
    lines += ["", "clear vm config", "ns schedule", f"ns queueing {str(namespace.queueing).lower()}"]
    for vm in saved:
        lines += [
            join(["vm", "net", "disconnect", vm.record.name, str(index)])
            for index, port in enumerate(vm.record.ports)
            if not port.vlan
        ]
    running = [vm.record.name for vm in saved if vm.running]
    if running:
        lines.append(join(["vm", "start", fold(running)]))
    return "\n".join(lines) + "\n"


def _vm(vm: SavedVM, names: Iterable[str]) -> list[str]:
    record = vm.record
    config = restored(record, vm.state, vm.disks)
    lines = [f"# {record.name} ran on {record.host}"]
    if config.colocate and config.colocate not in names:
        lines.append(f"# it was colocated with {config.colocate}, which was not saved")
        config = replace(config, colocate="")
    if record.config.disks and not record.config.snapshot:
        lines.append(
            "# its disks were written to directly; what is written from here on is thrown away with it"
        )
    return [
        *lines,
        "clear vm config",
        *(join(words) for words in to_words(config)),
        join(["vm", "launch", "kvm", record.name]),
    ]


def restored(record: LaunchRecord, state: str, disks: Sequence[str]) -> VMConfig:
    """The configuration of a VM that goes on from what `record` was saved to."""
    config = record.config
    return replace(
        config,
        state=state,
        snapshot=True,
        disks=tuple(replace(disk, path=path) for disk, path in zip(config.disks, disks, strict=True)),
        networks=tuple(
            NetSpec(vlan=net.vlan, bridge=net.bridge, mac=port.mac, driver=port.driver)
            for net, port in zip(config.networks, record.ports, strict=True)
        ),
    )
