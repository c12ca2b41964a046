"""The libvirt adapter when libvirt is slow or goes away: over domains that only are said to run."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("libvirt")

from tests.unit.reconciler_rig import DEADLINE_S, soon

from shoal.core.vmconfig import VMConfig
from shoal.messages.desired import Load
from shoal_worker import libvirt_hypervisor
from shoal_worker.accelerator import Accelerator
from shoal_worker.core import ledger
from shoal_worker.core.domain_xml import Identity
from shoal_worker.core.ledger import Seen
from shoal_worker.hypervisor import GuestSpec, HypervisorBusy, HypervisorError
from shoal_worker.libvirt_hypervisor import LibvirtHypervisor

SPEC = GuestSpec(namespace="red", name="vm1", instance="i1", revision=1, uuid="u-1", config=VMConfig())
WHO = Identity(namespace="red", name="vm1", instance="i1", revision=1)
SEEN = Seen(uuid="u-1", name="vm1@red", identity=WHO, load=Load(), state="paused", pid=7)


class Domains:
    """Has domains in a list; may be told to hold a listing after it was made, or a creation, or what to raise then."""

    def __init__(self) -> None:
        self.there: list[Seen] = []
        self.listed = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()
        self.created = 0
        self.may_create = threading.Event()
        self.may_create.set()
        self.raises: HypervisorError | None = None

    def active(self) -> list[Seen]:
        found = list(self.there)
        self.listed.set()
        assert self.go_on.wait(DEADLINE_S)
        return found

    def create(self, *_: str) -> int:
        self.created += 1
        assert self.may_create.wait(DEADLINE_S)
        if self.raises is not None:
            raise self.raises
        self.there.append(SEEN)
        return SEEN.pid

    def is_there(self, uuid: str, _instance: str) -> bool:
        return any(seen.uuid == uuid for seen in self.there)

    def obituary(self, _name: str) -> tuple[str, str]:
        return "", ""


@pytest.fixture
def domains() -> Domains:
    return Domains()


@pytest.fixture
def state() -> Iterator[Path]:
    # shorter than pytest's own, since the paths of sockets are limited
    with tempfile.TemporaryDirectory(prefix="shoal-") as folder:
        yield Path(folder)


@pytest.fixture
def hypervisor(state: Path, domains: Domains, monkeypatch: pytest.MonkeyPatch) -> Iterator[LibvirtHypervisor]:
    monkeypatch.setattr(ledger, "GRACE_S", 1e-6)  # less than any listing takes
    found = LibvirtHypervisor(state, host="h", accelerator=Accelerator(kind="tcg"), cache=state / "cache")
    found._domains = domains  # type: ignore[assignment]
    found._emulator = "qemu"
    yield found
    found._pool.close()


async def test_a_newborn_guest_is_not_missing_from_an_older_listing(
    hypervisor: LibvirtHypervisor, domains: Domains
) -> None:
    """A guest that was created while a slow listing was on its way lives, however long that listing took."""
    domains.go_on.clear()
    survey = asyncio.create_task(hypervisor.survey())
    await asyncio.to_thread(domains.listed.wait, DEADLINE_S)
    await hypervisor.create(SPEC)
    domains.go_on.set()
    for found in (await survey, await hypervisor.survey()):
        assert [(guest.instance, guest.state) for guest in found.guests] == [("i1", "paused")]


async def test_one_listing_without_a_guest_is_not_believed(
    hypervisor: LibvirtHypervisor, domains: Domains
) -> None:
    """A listing that took longer than the grace is still only one: the next one decides."""
    await hypervisor.create(SPEC)
    domains.there.clear()
    (guest,) = (await hypervisor.survey()).guests
    assert guest.state == "paused"
    (guest,) = (await hypervisor.survey()).guests
    assert guest.state == "failed"
    assert "no worker watched" in guest.reason
    with pytest.raises(HypervisorError, match="has ended: destroy it first"):
        await hypervisor.create(SPEC)


async def test_a_creation_that_hangs_is_not_refused_when_it_is_asked_for_again(
    hypervisor: LibvirtHypervisor, domains: Domains, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    """While it may yet succeed it is neither begun again nor failed; once the guest is there it is as asked."""
    monkeypatch.setattr(libvirt_hypervisor, "_CREATE_S", 0.05)
    domains.may_create.clear()
    with pytest.raises(HypervisorBusy, match="did not end within"):
        await hypervisor.create(SPEC)
    with pytest.raises(HypervisorBusy, match="creating guest red/vm1 is still going on"):
        await hypervisor.create(SPEC)
    domains.may_create.set()
    note = state / "guests/i1/guest.json"
    await soon(lambda: note.exists() and not hypervisor._ledger._creating)
    with pytest.raises(HypervisorBusy, match="red/vm1: it is there already, and is taken up"):
        await hypervisor.create(SPEC)
    (guest,) = (await hypervisor.survey()).guests
    assert guest.state == "paused"
    await hypervisor.create(SPEC)
    assert domains.created == 1
    assert note.exists()


async def test_a_connection_that_breaks_while_a_guest_is_created_leaves_it_its_files(
    hypervisor: LibvirtHypervisor, domains: Domains, state: Path
) -> None:
    """Whether QEMU was started nobody knows then: its folder stays for the guest, or for the next attempt to remove."""
    overlay = state / "guests/i1/disk0.qcow2"
    domains.raises = HypervisorBusy("Cannot recv data: Connection reset by peer")
    with pytest.raises(HypervisorBusy):
        await hypervisor.create(SPEC)
    assert overlay.parent.exists()
    overlay.write_text("precious")
    domains.raises = HypervisorError("no such machine")
    domains.there.append(SEEN)
    with pytest.raises(HypervisorBusy, match="it is there already"):
        await hypervisor.create(SPEC)
    assert overlay.exists()
    domains.there.clear()
    with pytest.raises(HypervisorError, match="no such machine"):
        await hypervisor.create(SPEC)
    assert not list((state / "guests").iterdir()), "what is refused leaves nothing"
    domains.raises = None
    await hypervisor.create(SPEC)
    assert (await hypervisor.survey()).guests[0].state == "paused"
