"""The twin of `tcpdump_recorder` for simulated hosts: files in memory that hold a header and no packets.

Refuses to know links: any interface may be recorded. A filter is refused where its parentheses do not match.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable, Collection

from shoal.errors import InvalidRequest, Refused
from shoal_worker.packet_recorder import End, Recording

_WHOLE = 262144
_ETHERNET = 1


class SimulatedRecorder:
    """The recordings of a simulated host; they outlive the worker that uses it, not the process."""

    def __init__(self) -> None:
        #: path → content
        self.files: dict[str, bytes] = {}
        self._running: dict[int, Recording] = {}
        self._watching: dict[int, Callable[[], None]] = {}
        self._last = 0

    async def check(self, expression: str) -> None:
        """Refuse what no expression is, as far as that can be seen."""
        if expression.count("(") != expression.count(")"):
            raise InvalidRequest(
                f"invalid filter `{expression}`: can't parse filter expression: syntax error"
            )

    async def start(
        self, key: str, interface: str, *, path: str = "", snaplen: int = 0, expression: str = ""
    ) -> Recording:
        """Write the file's header."""
        del interface
        await self.check(expression)
        path = path or f"/simulated/{key}.pcap"
        self._last += 1
        recording = Recording(pid=self._last, started=self._last, path=path)
        # libpcap's savefile format: magic, version 2.4, zone, accuracy, snaplen, link type (pcap-savefile(5))
        self.files[path] = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, snaplen or _WHOLE, _ETHERNET)
        self._running[recording.pid] = recording
        return recording

    def runs(self, recording: Recording) -> bool:
        """Whether nobody has ended it."""
        return recording.pid in self._running

    def watch(self, recording: Recording, ended: Callable[[], None]) -> None:
        """Call `ended` when `die` is called for it; soon, when it is over already."""
        if self.runs(recording):
            self._watching[recording.pid] = ended
        else:
            asyncio.get_running_loop().call_soon(ended)

    def die(self, pid: int) -> None:
        """Let a recording be over without anybody's having asked for it."""
        self._running.pop(pid)
        self._watching.pop(pid, lambda: None)()

    async def end(self, recording: Recording) -> End:
        """End it."""
        self._watching.pop(recording.pid, None)
        ran = self._running.pop(recording.pid, None) is not None
        return End(ran, "0 packets captured" if ran else "")

    async def tidy(self, known: Collection[Recording]) -> list[Recording]:
        """End what is not known, and remove drafts of others."""
        for recording in [each for each in self._running.values() if each not in known]:
            await self.end(recording)
        paths = {recording.path for recording in known}
        for path in self.files.keys() - paths:
            self._discard(path)
        return [recording for recording in known if recording.path not in self.files]

    async def rename(self, recording: Recording, path: str) -> None:
        """Move the file."""
        self.files[path] = self.files.pop(recording.path, b"")

    async def read(self, recording: Recording) -> AsyncGenerator[bytes, None]:
        """The header."""
        if recording.path not in self.files:
            raise Refused(f"cannot read the capture {recording.path}: no such file")
        yield self.files[recording.path]

    async def remove(self, recording: Recording) -> None:
        """Forget a draft."""
        self._discard(recording.path)

    def _discard(self, path: str) -> None:
        if path.startswith("/simulated/"):
            self.files.pop(path, None)
