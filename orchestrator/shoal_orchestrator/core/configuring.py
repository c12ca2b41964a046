"""What one change does to a namespace's working configuration, and to the VLANs that it names.

This module refuses to know requests, the store and where a namespace's hosts are listed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from shoal.core.vmconfig import VMConfig
from shoal.core.vmconfig_fields import clear_field, set_field
from shoal.errors import NotFound
from shoal.messages.config import ConfigStep
from shoal_orchestrator.core.networks import allocate
from shoal_orchestrator.core.records import NamespaceRecord
from shoal_orchestrator.core.vlans import VLANs


class Working(NamedTuple):
    """A namespace's record with its working configuration, and all VLANs as they are now."""

    record: NamespaceRecord
    vlans: VLANs


def configured(working: Working, step: ConfigStep, is_member: Callable[[str], bool]) -> Working:
    """Both after a change. `is_member` tells whether a host is the namespace's.

    Raises InvalidRequest for what does not fit its field, NotFound for a host of others, Conflict for contradictions.
    """
    before = working.record.config
    if step.clear:
        config = clear_field(before, step.field, step.key or None) if step.field else VMConfig()
        return working._replace(record=replace(working.record, config=config))
    config = set_field(before, step.field, step.values)
    if config.schedule and config.schedule != before.schedule and not is_member(config.schedule):
        raise NotFound(f"host is not in namespace: {config.schedule}", names=(config.schedule,))
    # An alias has its number from its first use in a configuration on, as in the peer.
    vlans = allocate(working.vlans, working.record.name, config.networks)
    return Working(replace(working.record, config=config), vlans)
