"""All commands, in the order in which the reference lists them: the only list of them."""

from __future__ import annotations

from typing import Any

from shoal.messages.base import Request
from shoal.messages.config import ClearConfig, CloneConfig, ConfigureVM, RestoreConfig, SaveConfig
from shoal.messages.hosts import AddHosts, ListHosts, ListMesh, ListNamespaceHosts, RemoveHosts, SetLoad
from shoal.messages.namespaces import ClearNamespace, CreateNamespace, ListNamespaces
from shoal.messages.schedule import (
    DryRun,
    DumpPlan,
    FlushQueue,
    MovePlanned,
    Schedule,
    ScheduleStatus,
    SetQueueing,
    ShowQueue,
)
from shoal.messages.taps import CreateTap, DeleteTap, ListTaps
from shoal.messages.vlans import (
    AddBridge,
    AddVLAN,
    BlacklistVLAN,
    ClearVLANs,
    ListVLANs,
    RemoveBridge,
    SetVLANRange,
)
from shoal.messages.vms import (
    ClearTags,
    FlushVMs,
    KillVMs,
    LaunchVMs,
    ListVMs,
    StartVMs,
    StopVMs,
    TagVMs,
)

COMMANDS: tuple[type[Request[Any]], ...] = (
    ListNamespaces,
    CreateNamespace,
    ClearNamespace,
    ListNamespaceHosts,
    AddHosts,
    RemoveHosts,
    SetLoad,
    SetQueueing,
    ShowQueue,
    FlushQueue,
    Schedule,
    DryRun,
    MovePlanned,
    DumpPlan,
    ScheduleStatus,
    AddBridge,
    RemoveBridge,
    ListVLANs,
    AddVLAN,
    SetVLANRange,
    BlacklistVLAN,
    ClearVLANs,
    ConfigureVM,
    ClearConfig,
    SaveConfig,
    RestoreConfig,
    CloneConfig,
    LaunchVMs,
    ListVMs,
    StartVMs,
    StopVMs,
    KillVMs,
    FlushVMs,
    TagVMs,
    ClearTags,
    ListTaps,
    CreateTap,
    DeleteTap,
    ListHosts,
    ListMesh,
)
