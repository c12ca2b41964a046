"""Records packets by tcpdump(8): one process for each recording, which outlives the worker.

Refuses to know VMs, namespaces and the bus. A process is known by its number and the time of its start, so that
nothing is done to another one that got a dead one's number.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
from collections.abc import AsyncGenerator, Callable, Collection
from pathlib import Path

from shoal.errors import InvalidRequest, Refused
from shoal_worker.packet_recorder import End, Recording
from shoal_worker.shelving import parts_of

_PROGRAM = "tcpdump"
_START_S = 20.0
_END_S = 10.0
_POLL_S = 0.01
#: how the files begin that tcpdump writes and reads (pcap-savefile(5), and pcapng's section header)
_MAGICS = tuple(
    bytes.fromhex(text) for text in ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d", "0a0d0d0a", "")
)


class TcpdumpRecorder:
    """Recordings by processes of tcpdump; drafts and what the processes say are in `folder` (absolute)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def check(self, expression: str) -> None:
        """Have tcpdump compile the filter, for the frames of an Ethernet."""
        if not expression:
            return
        process = await _started("-d", "-y", "EN10MB", "--", expression)
        _, said = await process.communicate()
        if process.returncode:
            why = " ".join(said.decode(errors="replace").split()).removeprefix("tcpdump: ")
            raise InvalidRequest(f"invalid filter `{expression}`: {why}")

    async def start(
        self, key: str, interface: str, *, path: str = "", snaplen: int = 0, expression: str = ""
    ) -> Recording:
        """Start tcpdump, and wait until it says that it listens."""
        await self.check(expression)
        log = self._folder / f"{key}.log"
        target = path or str(self._folder / f"{key}.pcap")
        try:
            if path:
                await asyncio.to_thread(_check_replaceable, Path(path))
            pid = await asyncio.to_thread(self._spawn, log, interface, target, snaplen, expression)
        except OSError as error:
            raise Refused(f"cannot capture {interface} to {target}: {error.strerror or error}") from error
        recording = Recording(pid=pid, started=_stat(pid)[1], path=target, log=str(log))
        try:
            async with asyncio.timeout(_START_S):
                while "listening on" not in await asyncio.to_thread(_said, log):
                    if not self.runs(recording):
                        raise Refused(
                            f"cannot capture {interface} to {target}: {self._last_words(recording)}"
                        )
                    await asyncio.sleep(_POLL_S)
        except BaseException as error:
            await self.end(recording)
            await self.remove(recording)
            if isinstance(error, TimeoutError):
                raise Refused(
                    f"cannot capture {interface}: tcpdump did not begin in {_START_S:g} s"
                ) from error
            raise
        return recording

    def _spawn(self, log: Path, interface: str, path: str, snaplen: int, expression: str) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Immediate mode: what passes the interface is in the file a moment later, and seldom lost at the end.
        argv = [_PROGRAM, "-Z", "root", "-U", "--immediate-mode", "-n", "-i", interface, "-w", path]
        argv += ["-s", str(snaplen)] if snaplen else []
        argv += ["--", expression] if expression else []
        quiet = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        try:
            return os.posix_spawnp(
                _PROGRAM,
                argv,
                # Nothing else of ours: whoever ends the processes of a lab by its mark leaves guests, and this.
                {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_OPEN, 2, str(log), quiet, 0o600),
                ],
                setsid=True,
                setsigdef=[signal.SIGPIPE, signal.SIGINT],
            )
        except FileNotFoundError:
            raise Refused("cannot capture: there is no program tcpdump on this host; install it") from None

    def runs(self, recording: Recording) -> bool:
        """Whether that very process is there, and no zombie. One that is ours and dead is reaped."""
        state, started = _stat(recording.pid)
        if started != recording.started:
            return False
        if state in ("Z", "X"):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(recording.pid, os.WNOHANG)
            return False
        return True

    def watch(self, recording: Recording, ended: Callable[[], None]) -> None:
        """Have the event loop look at the process's handle."""
        loop = asyncio.get_running_loop()
        handle = self._handle(recording)
        if handle < 0:
            loop.call_soon(ended)
            return

        def over() -> None:
            loop.remove_reader(handle)
            os.close(handle)
            self.runs(recording)
            ended()

        loop.add_reader(handle, over)

    async def end(self, recording: Recording) -> End:
        """SIGTERM, at which tcpdump writes what it has; SIGKILL when it does not go."""
        ran = self.runs(recording)
        for number in (signal.SIGTERM, signal.SIGKILL):
            handle = self._handle(recording)
            if handle < 0:
                break
            try:
                signal.pidfd_send_signal(handle, number)
                async with asyncio.timeout(_END_S):
                    while self.runs(recording):  # noqa: ASYNC110  # no event tells of a process that is no child
                        await asyncio.sleep(_POLL_S)
            except (TimeoutError, ProcessLookupError):
                continue
            finally:
                os.close(handle)
        return End(ran, self._last_words(recording))

    async def tidy(self, known: Collection[Recording]) -> list[Recording]:
        """Look through all processes for those that write what they say into our folder."""
        logs = {recording.log for recording in known}
        for recording in await asyncio.to_thread(_writing_into, self._folder):
            if recording.log not in logs:
                await self.end(recording)
        kept = logs | {recording.path for recording in known}
        await asyncio.to_thread(_remove_others, self._folder, kept)
        there = await asyncio.gather(*(asyncio.to_thread(Path(each.path).exists) for each in known))
        return [each for each, is_there in zip(known, there, strict=True) if not is_there]

    def _handle(self, recording: Recording) -> int:
        """A handle on the process (pidfd_open(2)); -1 when it is over."""
        try:
            handle = os.pidfd_open(recording.pid)
        except OSError:
            return -1
        if not self.runs(recording):
            os.close(handle)
            return -1
        return handle

    def _last_words(self, recording: Recording) -> str:
        lines = [line for line in _said(Path(recording.log)).splitlines() if "listening on" not in line]
        return " ".join("; ".join(lines).removeprefix("tcpdump: ").split()) or "tcpdump said nothing"

    async def rename(self, recording: Recording, path: str) -> None:
        """Rename the file, where it is there."""
        try:
            await asyncio.to_thread(Path(recording.path).rename, path)
        except OSError as error:
            raise Refused(f"cannot rename {recording.path} to {path}: {error.strerror or error}") from error

    async def read(self, recording: Recording) -> AsyncGenerator[bytes, None]:
        """Read the file on a thread."""
        async with contextlib.aclosing(parts_of(Path(recording.path))) as parts:
            async for part in parts:
                yield part

    async def remove(self, recording: Recording) -> None:
        """Remove log and draft."""
        for path in (Path(recording.log), Path(recording.path)):
            if path.parent == self._folder:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(path.unlink, missing_ok=True)


async def _started(*arguments: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            _PROGRAM,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "LC_ALL": "C"},
        )
    except FileNotFoundError:
        raise Refused("cannot read a filter: there is no program tcpdump on this host; install it") from None


def _check_replaceable(path: Path) -> None:
    """Raise Refused when something is there that is neither a capture nor a device such as /dev/null."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISCHR(mode):
        return
    if not stat.S_ISREG(mode):
        raise Refused(f"cannot capture to {path}: something is there that is no file; choose another name")
    with path.open("rb") as file:
        if file.read(4) not in _MAGICS:
            raise Refused(f"cannot capture to {path}: a file is there that is no capture; remove it first")


def _stat(pid: int) -> tuple[str, int]:
    """The state of a process, and when it was started in clock ticks after boot (proc(5)); -1 for none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "X", -1
    # the second field, the program's name, may hold spaces and parentheses
    words = fields.rpartition(")")[2].split()
    return words[0], int(words[19])


def _writing_into(folder: Path) -> list[Recording]:
    """The tcpdumps whose words go into a folder: of what other programs do there nothing is known."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            log = (process / "fd" / "2").readlink()
            argv = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it has ended, or is somebody else's
        if log.parent == folder and argv[0] == _PROGRAM and "-w" in argv:
            pid = int(process.name)
            path = argv[argv.index("-w") + 1]
            found.append(Recording(pid=pid, started=_stat(pid)[1], path=path, log=str(log)))
    return found


def _remove_others(folder: Path, kept: Collection[str]) -> None:
    for path in (*folder.glob("*.log"), *folder.glob("*.pcap")):
        if str(path) not in kept:
            with contextlib.suppress(OSError):
                path.unlink()


def _said(log: Path) -> str:
    try:
        return log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
