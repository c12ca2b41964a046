"""Fixtures that the system tests share."""

from tests.system.hypervisor_rig import built, image, worker
from tests.system.lab_rig import built_guest, guest_image
from tests.system.small_disk import disk
from tests.system.worker_rig import able

__all__ = ["able", "built", "built_guest", "disk", "guest_image", "image", "worker"]
