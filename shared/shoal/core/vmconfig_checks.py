"""Whether a configuration that a program has made can be one: what setting its fields by words would have refused.

This module refuses to know namespaces, hosts and files.
"""

from __future__ import annotations

from shoal.core.names import check_bridge
from shoal.core.vmconfig import DiskSpec, NetSpec, VMConfig
from shoal.core.vmconfig_fields import FIELDS, check_value, is_default, value_of
from shoal.core.vmconfig_specs import DISK_CACHES, DISK_DRIVERS, NIC_DRIVERS, parse_mac, parse_vlan
from shoal.errors import InvalidRequest


def check_config(config: VMConfig) -> None:
    """Raise InvalidRequest for the first field that has no possible value, or contradicts another."""
    for field in FIELDS:
        if field.attribute and not is_default(config, field):
            check_value(field, value_of(config, field))
    if config.schedule and config.colocate:
        raise InvalidRequest("cannot specify schedule and colocate in the same config")
    for net in config.networks:
        _check_net(net)
    for disk in config.disks:
        _check_disk(disk)


def _check_net(net: NetSpec) -> None:
    parse_vlan(net.vlan)
    if net.bridge:
        check_bridge(net.bridge)
    if net.mac:
        parse_mac(net.mac)
    if net.driver not in NIC_DRIVERS:
        raise InvalidRequest(
            f"unknown driver of an interface: `{net.driver}`; there are {', '.join(sorted(NIC_DRIVERS))}"
        )


def _check_disk(disk: DiskSpec) -> None:
    if not disk.path:
        raise InvalidRequest("a disk has no path")
    for what, word, known in (("driver", disk.driver, DISK_DRIVERS), ("cache", disk.cache, DISK_CACHES)):
        if word and word not in known:
            raise InvalidRequest(
                f"unknown {what} of disk {disk.path}: `{word}`; there are {', '.join(sorted(known))}"
            )
