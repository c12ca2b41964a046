"""Turns the kernel's refusals into errors for people.

Refuses to know what was asked for: the caller says it.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyroute2.netlink.exceptions import NetlinkError

from shoal_worker.network import NetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Turn the kernel's refusal into a NetworkError that begins with `what`."""
    try:
        yield
    except NetlinkError as error:
        reason = error.args[1] if len(error.args) > 1 else os.strerror(error.code)
        raise NetworkError(
            f"{what}: {reason} (errno {errno.errorcode.get(error.code, error.code)})"
        ) from error
    except OSError as error:
        raise NetworkError(f"{what}: {error.strerror or error}") from error


def code_of(error: NetworkError) -> int:
    """The kernel's errno behind an error of `doing`; 0 if it was none of the kernel's."""
    return int(getattr(error.__cause__, "code", 0))
