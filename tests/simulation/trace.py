"""What happened in a simulation, line by line, with a digest by which two runs are compared.

Refuses to judge, but for faults that a program has logged with a traceback: those it collects as complaints.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import sys
import traceback
from collections import deque
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog
from tests.simulation.virtual_loop import PROCESS, VirtualLoop

_KEPT = 4000


class Trace:
    """Lines with their virtual time and process. `show`: print each as it comes."""

    def __init__(self, loop: VirtualLoop, *, show: bool = False) -> None:
        self._loop = loop
        self._show = show
        self._digest = hashlib.sha256()
        self._begun = loop.time()
        self._closed = False
        #: the last lines
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self.count = 0
        #: errors that nobody expected, with their tracebacks
        self.complaints: list[str] = []

    def note(self, text: str, who: str = "") -> None:
        """One line."""
        if self._closed:
            return
        who = who or PROCESS.get(self._loop.world).name
        line = f"{self._loop.time() - self._begun:11.5f} {who:<16} {text}"
        self._digest.update(line.encode())
        self.lines.append(line)
        self.count += 1
        if self._show:
            print(line)

    def complain(self, text: str) -> None:
        """An error that nobody expected."""
        if not self._closed:
            self.note(f"!!! {text}")
            self.complaints.append(text)

    def close(self) -> None:
        """Take in nothing more."""
        self._closed = True

    @property
    def digest(self) -> str:
        """The same for two runs that were the same."""
        return self._digest.hexdigest()[:16]

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Take in everything that is logged."""
        before = structlog.get_config()
        structlog.configure(
            processors=[self._take],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=structlog.ReturnLoggerFactory(),
            cache_logger_on_first_use=False,
        )
        handler = _Handler(self)
        loggers = [logging.getLogger(name) for name in ("shoal", "asyncio")]
        for logger in loggers:
            logger.addHandler(handler)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeHandler(handler)
            structlog.configure(**before)

    def _take(self, _: Any, method: str, words: MutableMapping[str, Any]) -> str:
        event = words.pop("event")
        failed = words.pop("exc_info", None)
        text = " ".join([f"[{method}] {event}", *(f"{key}={value}" for key, value in sorted(words.items()))])
        if failed:
            error = failed if isinstance(failed, BaseException) else sys.exc_info()[1]
            self.complain(f"{text}\n{_told(error)}")
        else:
            self.note(text)
        raise structlog.DropEvent


class _Handler(logging.Handler):
    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._trace = trace

    def emit(self, record: logging.LogRecord) -> None:
        text = f"[{record.levelname.lower()}] {record.name}: {record.getMessage()}"
        if record.exc_info:
            self._trace.complain(f"{text}\n{_told(record.exc_info[1])}")
        else:
            self._trace.note(text)


def _told(error: BaseException | None) -> str:
    return "".join(traceback.format_exception(error)) if error is not None else "(no traceback)"
