"""Which function carries out which command: one line for each class of `shoal.messages.catalogue`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from shoal.messages.base import Reply, Request
from shoal.messages.config import ClearConfig, CloneConfig, ConfigureVM, RestoreConfig, SaveConfig
from shoal.messages.files import DeleteFile, GetFile, ListFiles, PutFile
from shoal.messages.guests import (
    AddHotplug,
    AskQEMU,
    ChangeCDROM,
    EjectCDROM,
    ListHotplug,
    RemoveHotplug,
    Screenshot,
    ShowTop,
)
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
from shoal_orchestrator.handlers import (
    carrying_out,
    configs,
    draining,
    files,
    guests,
    hosts,
    limits,
    media,
    namespaces,
    nets,
    queue,
    schedule,
    taps,
    vlans,
    vms,
)
from shoal_orchestrator.leader import Call, Leader

Handler = Callable[[Leader, str, Any, Call], Awaitable[Reply]]

HANDLERS: dict[type[Request[Any]], Handler] = {
    ListNamespaces: namespaces.list_namespaces,
    CreateNamespace: namespaces.create_namespace,
    ClearNamespace: namespaces.clear_namespace,
    ListNamespaceHosts: hosts.list_namespace_hosts,
    AddHosts: hosts.add_hosts,
    RemoveHosts: hosts.remove_hosts,
    SetLoad: hosts.set_load,
    SetLimit: limits.set_limit,
    ExplainVM: limits.explain_vm,
    DrainHosts: draining.drain_hosts,
    ResumeHosts: draining.resume_hosts,
    ListHosts: hosts.list_hosts,
    ListMesh: hosts.list_mesh,
    SetQueueing: queue.set_queueing,
    ShowQueue: queue.show_queue,
    FlushQueue: queue.flush_queue,
    Schedule: schedule.schedule,
    DryRun: schedule.dry_run,
    DumpPlan: schedule.dump_plan,
    MovePlanned: schedule.move_planned,
    ScheduleStatus: carrying_out.schedule_status,
    AddBridge: vlans.add_bridge,
    RemoveBridge: vlans.remove_bridge,
    ListVLANs: vlans.list_vlans,
    AddVLAN: vlans.add_vlan,
    SetVLANRange: vlans.set_vlan_range,
    BlacklistVLAN: vlans.blacklist_vlan,
    ClearVLANs: vlans.clear_vlans,
    ConfigureVM: configs.configure_vm,
    ClearConfig: configs.clear_config,
    SaveConfig: configs.save_config,
    RestoreConfig: configs.restore_config,
    CloneConfig: configs.clone_config,
    LaunchVMs: schedule.launch_vms,
    ListVMs: vms.list_vms,
    StartVMs: vms.start_vms,
    StopVMs: vms.stop_vms,
    KillVMs: vms.kill_vms,
    FlushVMs: vms.flush_vms,
    ConnectNet: nets.connect_net,
    DisconnectNet: nets.disconnect_net,
    TagVMs: vms.tag_vms,
    ClearTags: vms.clear_tags,
    ShowTop: guests.show_top,
    AskQEMU: guests.ask_qemu,
    Screenshot: guests.take_screenshot,
    ChangeCDROM: media.change_cdrom,
    EjectCDROM: media.eject_cdrom,
    ListHotplug: media.list_hotplug,
    AddHotplug: media.add_hotplug,
    RemoveHotplug: media.remove_hotplug,
    ListTaps: taps.list_taps,
    CreateTap: taps.create_tap,
    DeleteTap: taps.delete_tap,
    ListFiles: files.list_files,
    PutFile: files.put_file,
    GetFile: files.get_file,
    DeleteFile: files.delete_file,
}
