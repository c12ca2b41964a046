"""The version of this distribution, read when it is asked for (importing package metadata takes a while)."""

from __future__ import annotations


def version() -> str:
    """The version of the installed distribution `shoal`."""
    from importlib.metadata import version as installed  # noqa: PLC0415  (slow to import)

    return installed("shoal")
