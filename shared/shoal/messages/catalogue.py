"""All commands, in the order in which the reference lists them: the only list of them."""

from __future__ import annotations

from typing import Any

from shoal.messages.base import Request
from shoal.messages.config import ClearConfig, CloneConfig, ConfigureVM, RestoreConfig, SaveConfig
from shoal.messages.files import DeleteFile, GetFile, ListFiles, PutFile
from shoal.messages.hosts import (
    AddHosts,
    DrainHosts,
    ListHosts,
    ListMesh,
    ListNamespaceHosts,
    RemoveHosts,
    ResumeHosts,
    SetLoad,
)
from shoal.messages.namespaces import ClearNamespace, CreateNamespace, ListNamespaces
from shoal.messages.schedule import (
    DryRun,
    DumpPlan,
    ExplainVM,
    FlushQueue,
    MovePlanned,
    Schedule,
    ScheduleStatus,
    SetLimit,
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
    ConnectNet,
    DisconnectNet,
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
    SetLimit,
    SetQueueing,
    ShowQueue,
    FlushQueue,
    Schedule,
    DryRun,
    MovePlanned,
    DumpPlan,
    ScheduleStatus,
    ExplainVM,
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
    ConnectNet,
    DisconnectNet,
    TagVMs,
    ClearTags,
    ListTaps,
    CreateTap,
    DeleteTap,
    ListHosts,
    DrainHosts,
    ResumeHosts,
    ListMesh,
    ListFiles,
    PutFile,
    GetFile,
    DeleteFile,
)
