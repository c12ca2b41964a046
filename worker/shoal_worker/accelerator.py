"""Decides whether guests run under KVM or under TCG, QEMU's emulation of a processor.

/dev/kvm proves nothing: there are machines where it opens and Linux hangs in it. So `auto` boots the small guest
once, with a deadline, and remembers the outcome for this boot and this QEMU.
This module refuses to know libvirt.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec

from shoal_worker.core.domain_xml import AcceleratorKind
from shoal_worker.guest import READY_MARKER, GuestImage
from shoal_worker.hypervisor import HypervisorError

Setting = Literal["auto", "kvm", "tcg"]

EMULATOR = "qemu-system-x86_64"
#: a guest under a working KVM is ready within two seconds (DESIGN.md section 6 allows ten)
PROBE_TIMEOUT_S = 10.0
_DEVICE = Path("/dev/kvm")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SLOW = "guests run without KVM, slowly"


class Accelerator(msgspec.Struct, frozen=True, kw_only=True):
    """The decision, and what a person should know of it."""

    kind: AcceleratorKind
    warnings: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A remembered probe: what was tried where, and whether the guest came up."""

    boot_id: str
    emulator: str
    works: bool


async def choose_accelerator(setting: Setting, *, cache: Path, image: GuestImage | None) -> Accelerator:
    """Decide. `auto` without an `image` to probe with, or without a working KVM, is TCG with a warning.

    Takes up to PROBE_TIMEOUT_S. Raises HypervisorError when there is no QEMU, or `kvm` is asked for and there is no
    /dev/kvm.
    """
    if setting == "tcg":
        return Accelerator(kind="tcg")
    usable = os.access(_DEVICE, os.R_OK | os.W_OK)
    if setting == "kvm":
        if not usable:
            raise HypervisorError(
                f"accelerator kvm was asked for, but {_DEVICE} cannot be opened: use auto or tcg"
            )
        return Accelerator(kind="kvm")
    if not usable:
        return Accelerator(kind="tcg", warnings=(f"{_SLOW}: {_DEVICE} cannot be opened",))
    if image is None:
        reason = "KVM was not probed, as the small guest is not built (shoal guest build)"
        return Accelerator(kind="tcg", warnings=(f"{_SLOW}: {reason}",))
    version = await _emulator_version()
    boot_id = _boot_id()
    verdict = _recall(cache)
    if verdict is None or (verdict.boot_id, verdict.emulator) != (boot_id, version):
        works = await guest_boots("kvm", image, timeout_s=PROBE_TIMEOUT_S)
        verdict = Verdict(boot_id=boot_id, emulator=version, works=works)
        _remember(cache, verdict)
    if verdict.works:
        return Accelerator(kind="kvm")
    reason = f"{_DEVICE} is there, but the small guest was not up in it after {PROBE_TIMEOUT_S:.0f} s"
    return Accelerator(kind="tcg", warnings=(f"{_SLOW}: {reason}",))


async def guest_boots(kind: AcceleratorKind, image: GuestImage, *, timeout_s: float) -> bool:
    """Boot the small guest in a QEMU of its own; whether its marker came within the time. Leaves nothing behind."""
    process = await asyncio.create_subprocess_exec(
        *(EMULATOR, "-accel", kind, "-machine", "pc", "-cpu", "host" if kind == "kvm" else "max", "-m", "80"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *(
            "-kernel",
            str(image.kernel),
            "-initrd",
            str(image.initrd),
            "-append",
            "quiet shoal.name=probe/kvm",
        ),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(timeout_s):
            async for line in process.stdout:
                if READY_MARKER.encode() in line:
                    return True
    except TimeoutError:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return False


async def _emulator_version() -> str:
    try:
        process = await asyncio.create_subprocess_exec(EMULATOR, "--version", stdout=asyncio.subprocess.PIPE)
    except FileNotFoundError:
        raise HypervisorError(f"no program {EMULATOR}: install QEMU (Debian: qemu-system-x86)") from None
    answer, _ = await process.communicate()
    return answer.decode(errors="replace").partition("\n")[0]


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _recall(cache: Path) -> Verdict | None:
    try:
        return msgspec.json.decode((cache / "kvm.json").read_bytes(), type=Verdict)
    except (OSError, msgspec.DecodeError):
        return None


def _remember(cache: Path, verdict: Verdict) -> None:
    """Not being able to remember only costs the next start its probe."""
    with contextlib.suppress(OSError):
        cache.mkdir(parents=True, exist_ok=True)
        draft = cache / f".kvm.json.{os.getpid()}"
        draft.write_bytes(msgspec.json.encode(verdict))
        draft.replace(cache / "kvm.json")
