"""The wall clock, for people's eyes only: nothing is decided by it."""

from __future__ import annotations

from datetime import UTC, datetime


def now_text() -> str:
    """The time now, RFC 3339 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
