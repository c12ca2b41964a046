"""Sees to it that the cluster's files that VMs need are on this host before the VMs are created.

Refuses to know the bus, and how content is kept. A file that several VMs need is fetched once. What cannot be
fetched for good is the reason of the VMs that need it; what cannot be fetched now is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from msgspec.structs import replace

from shoal.core.files import placed
from shoal.errors import ShoalError, TimedOut, Unavailable
from shoal.messages.desired import LaunchRecord
from shoal_worker.core.actions import VMKey
from shoal_worker.core.desired import PRESENT, DesiredState
from shoal_worker.file_cache import CacheError, FileCache
from shoal_worker.hypervisor import GuestSpec

_RETRY_S = 2.0

#: an instance and the revision of its record
Mark = tuple[str, int]


class HostFiles:
    """The files of one host. `wake` is called when something has come, or has failed."""

    def __init__(self, cache: FileCache, desired: DesiredState, wake: Callable[[], None], log: Any) -> None:
        self._cache = cache
        self._desired = desired
        self._wake = wake
        self._log = log
        #: what is being fetched: digest → percent that is here
        self._fetching: dict[str, int] = {}
        #: why it failed, by digest, and the instances and revisions that waited for it and are to be told
        self._failed: dict[str, tuple[str, Collection[Mark]]] = {}
        #: the instances and revisions that need it, by digest
        self._needed: dict[str, set[Mark]] = {}
        self._delayed: dict[str, str] = {}
        self._waiting: dict[VMKey, str] = {}
        self._broken: dict[VMKey, str] = {}
        self._alive: Collection[str] = ()
        self._orphans = False

    def ensure(
        self,
        wanting: Iterable[LaunchRecord],
        alive: Collection[str],
        group: asyncio.TaskGroup,
        *,
        orphans: bool,
    ) -> None:
        """Begin to fetch what is missing for VMs that are to be created.

        `alive` are the instances that have a guest; `orphans` says that there are guests without a record, of which
        nobody knows what they use.
        """
        self._alive, self._orphans = alive, orphans
        self._waiting, self._broken = {}, {}
        self._needed = {}
        for record in wanting:
            key = (record.namespace, record.name)
            for name, digest in record.files.items():
                if digest not in self._fetching and self._cache.holds(digest):
                    continue
                mark = (record.instance, record.revision)
                self._needed.setdefault(digest, set()).add(mark)
                reason, waited = self._failed.get(digest, ("", ()))
                if mark in waited:
                    self._broken[key] = f"cannot fetch file {name} to host {self._desired.host}: {reason}"
                    break
                if digest not in self._fetching and digest not in self._delayed:
                    self._fetching[digest] = 0
                    group.create_task(self._fetch(name, digest), name=f"fetch {name}")
                self._waiting.setdefault(key, self._reason(name, digest))
        # Whoever asks again, or for the first time, has it tried again.
        for digest in list(self._failed):
            if digest not in self._needed or digest in self._fetching:
                del self._failed[digest]

    def _reason(self, name: str, digest: str) -> str:
        if digest in self._delayed:
            return f"fetching {name}: {self._delayed[digest]}; it is tried again"
        percent = self._fetching.get(digest, 0)
        return f"fetching {name} ({percent} %)" if percent else f"fetching {name}"

    def waiting(self) -> dict[VMKey, str]:
        """The VMs that cannot be created yet, and what they wait for."""
        return {key: reason for key, reason in self._waiting.items() if key not in self._broken}

    def broken(self) -> dict[VMKey, str]:
        """The VMs that cannot be created, because a file cannot be had."""
        return self._broken

    def spec(self, spec: GuestSpec, record: LaunchRecord) -> GuestSpec:
        """The guest with its files where they are on this host."""
        if not record.files:
            return spec
        paths = {name: self._cache.path(digest) for name, digest in record.files.items()}
        return replace(spec, config=placed(spec.config, paths))

    def _used(self) -> set[str] | None:
        """What guests use, and what is about to be used; None: whatever there is."""
        if self._orphans:
            return None
        return {
            digest
            for record in self._desired.launches()
            if record.power in PRESENT or record.instance in self._alive
            for digest in record.files.values()
        }

    async def _fetch(self, name: str, digest: str) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await self._cache.fetch(digest, self._used, partial(self._come, digest))
        except (Unavailable, TimedOut) as error:
            self._log.warning("file-not-fetched-yet", file=name, error=str(error))
            self._delayed[digest] = str(error)
            loop.call_later(_RETRY_S, self._retry, digest)
        except (CacheError, ShoalError) as error:
            self._log.error("file-not-fetched", file=name, error=str(error))  # one line says it
            self._failed[digest] = (str(error), self._needed.get(digest, ()))
        except Exception:  # noqa: BLE001  # a fault in one fetch must not end the worker
            self._log.exception("file-not-fetched", file=name)
            self._failed[digest] = ("the worker failed: see its log", self._needed.get(digest, ()))
        else:
            self._log.info("file-fetched", file=name, digest=digest, seconds=round(loop.time() - began, 3))
        finally:
            self._fetching.pop(digest, None)
            self._wake()

    def _come(self, digest: str, done: int, size: int) -> None:
        percent = 100 * done // size if size else 100
        before = self._fetching.get(digest, 0)
        self._fetching[digest] = percent
        if percent // 10 > before // 10:
            self._wake()

    def _retry(self, digest: str) -> None:
        self._delayed.pop(digest, None)
        self._wake()
