"""Which function carries out which command: one line for each class of `shoal.messages.catalogue`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from shoal.console.session import console_grammar
from shoal.messages.base import Reply, Request
from shoal.messages.bridges import AddTrunk, ListBridges, RemoveTrunk
from shoal.messages.captures import (
    CaptureBridge,
    CaptureVM,
    ClearCaptures,
    EndBridgeCaptures,
    EndVMCaptures,
    ListCaptures,
    SetFilter,
    SetSnaplen,
)
from shoal.messages.catalogue import COMMANDS
from shoal.messages.config import (
    ClearConfig,
    CloneConfig,
    ConfigureSteps,
    ConfigureVM,
    RestoreConfig,
    SaveConfig,
)
from shoal.messages.disks import CreateDisk, ShowDisk, SnapshotDisk
from shoal.messages.doctor import CheckCluster, RepairCluster
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
from shoal.messages.overview import ShowOverview
from shoal.messages.qos import AddQos, ClearQos
from shoal.messages.recovery import ForgetHosts, SetRecovery
from shoal.messages.running import RunOnHosts, SendToHosts
from shoal.messages.saving import ListSaves, SaveNamespace, SaveVM, ShowSave
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
from shoal.messages.taps import ClearMirrors, ClearTaps, CreateTap, DeleteTap, ListTaps, MirrorTap
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
    AddNet,
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
    bridges,
    captures,
    carrying_out,
    configs,
    disks,
    doctor,
    draining,
    files,
    guests,
    hosts,
    limits,
    media,
    mirrors,
    namespaces,
    nets,
    overview,
    qos,
    queue,
    recovery,
    repairing,
    running,
    saving,
    schedule,
    starting,
    taps,
    vlans,
    vms,
)
from shoal_orchestrator.leader import Call, Leader

Handler = Callable[[Leader, str, Any, Call], Awaitable[Reply]]

_GRAMMAR = console_grammar(COMMANDS)

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
    ForgetHosts: recovery.forget_hosts,
    SetRecovery: recovery.set_recovery,
    ListHosts: hosts.list_hosts,
    ListMesh: hosts.list_mesh,
    ShowOverview: overview.show_overview,
    CheckCluster: doctor.check_cluster,
    RepairCluster: repairing.repair_cluster,
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
    ListBridges: bridges.list_bridges,
    AddTrunk: bridges.add_trunk,
    RemoveTrunk: bridges.remove_trunk,
    ListVLANs: vlans.list_vlans,
    AddVLAN: vlans.add_vlan,
    SetVLANRange: vlans.set_vlan_range,
    BlacklistVLAN: vlans.blacklist_vlan,
    ClearVLANs: vlans.clear_vlans,
    ConfigureVM: configs.configure_vm,
    ConfigureSteps: configs.configure_steps,
    ClearConfig: configs.clear_config,
    SaveConfig: configs.save_config,
    RestoreConfig: configs.restore_config,
    CloneConfig: configs.clone_config,
    LaunchVMs: schedule.launch_vms,
    ListVMs: vms.list_vms,
    StartVMs: starting.start_vms,
    StopVMs: vms.stop_vms,
    KillVMs: vms.kill_vms,
    FlushVMs: vms.flush_vms,
    AddNet: nets.add_net,
    ConnectNet: nets.connect_net,
    DisconnectNet: nets.disconnect_net,
    AddQos: qos.add_qos,
    ClearQos: qos.clear_qos,
    TagVMs: vms.tag_vms,
    ClearTags: vms.clear_tags,
    ShowTop: guests.show_top,
    SaveVM: saving.save_vm,
    ListSaves: saving.list_saves,
    SaveNamespace: saving.save_namespace,
    ShowSave: saving.show_save,
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
    MirrorTap: mirrors.mirror_tap,
    ClearMirrors: mirrors.clear_mirrors,
    ClearTaps: mirrors.clear_taps,
    RunOnHosts: partial(running.run_on_hosts, _GRAMMAR),
    SendToHosts: partial(running.send_to_hosts, _GRAMMAR),
    ListCaptures: captures.list_captures,
    CaptureVM: captures.capture_vm,
    CaptureBridge: captures.capture_bridge,
    SetSnaplen: captures.set_snaplen,
    SetFilter: captures.set_filter,
    EndVMCaptures: captures.end_vm_captures,
    EndBridgeCaptures: captures.end_bridge_captures,
    ClearCaptures: captures.clear_captures,
    CreateDisk: disks.create_disk,
    SnapshotDisk: disks.snapshot_disk,
    ShowDisk: disks.show_disk,
    ListFiles: files.list_files,
    PutFile: files.put_file,
    GetFile: files.get_file,
    DeleteFile: files.delete_file,
}
