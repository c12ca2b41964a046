"""Prepares the file from which libvirt lets a guest go on from a saved state, and says why it cannot.

Everything here blocks: call it on a thread. This module refuses to know libvirt's calls, and where states come from.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from shoal.core.saved_machine import SavedMachine, differences
from shoal_worker.core.domain_xml import AcceleratorKind
from shoal_worker.core.machine_layout import laid_out
from shoal_worker.core.saved_state import LONGEST_HEAD, libvirt_head, read_state_head
from shoal_worker.hypervisor import GuestSpec, HypervisorError

_PART_BYTES = 1 << 20


def read_machine(spec: GuestSpec, accelerator: AcceleratorKind) -> SavedMachine:
    """The machine that the state of a guest needs. HypervisorError when the guest or the host is another one."""
    path = spec.config.state
    try:
        with Path(path).open("rb") as file:
            machine, _ = read_state_head(file.read(LONGEST_HEAD))
    except (OSError, ValueError) as error:
        raise _refused(_text(error)) from error
    if found := differences(machine, spec.config):
        raise _refused(f"the VM is not as it was saved; set with `vm config`: {'; '.join(found)}")
    if machine.accelerator and machine.accelerator != accelerator:
        raise _refused(f"it was saved under {machine.accelerator}, and this host has {accelerator}")
    return machine


def write_image(state: Path, image: Path, xml: str) -> None:
    """Write the file that libvirt restores: the domain of `xml`, going on from `state`."""
    try:
        with state.open("rb") as source, image.open("xb") as target:
            machine, start = read_state_head(source.read(LONGEST_HEAD))
            target.write(libvirt_head(laid_out(xml, machine.board, machine.layout)))
            source.seek(start)
            shutil.copyfileobj(source, target, _PART_BYTES)
    except (OSError, ValueError) as error:
        image.unlink(missing_ok=True)
        raise _refused(_text(error)) from error


def _text(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)


def _refused(reason: str) -> HypervisorError:
    return HypervisorError(f"cannot go on from its saved state: {reason}")
