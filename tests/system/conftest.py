"""Fixtures that the system tests share."""

from tests.system.hypervisor_rig import built, image, worker
from tests.system.lab_rig import built_guest, guest_image

__all__ = ["built", "built_guest", "guest_image", "image", "worker"]
