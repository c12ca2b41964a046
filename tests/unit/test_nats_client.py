"""The short way through headers finds what nats-py's own finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from nats.aio.client import Client

from shoal.bus.nats_client import QuickClient

RECORD = (
    b"Nats-Stream: SHOAL_STATE\r\nNats-Subject: shoal.launch.mm1.red.vm1\r\nNats-Sequence: 7\r\n"
    b"Nats-Time-Stamp: 2026-01-01T00:00:00Z\r\nNats-Last-Sequence: 5\r\nNats-Batch-Id: a-1\r\n\r\n"
)


def test_headers_of_a_record_are_found() -> None:
    """Names and values, without the white space around them."""
    found = QuickClient._parse_header_lines(RECORD)
    assert found["Nats-Subject"] == "shoal.launch.mm1.red.vm1"
    assert found["Nats-Time-Stamp"] == "2026-01-01T00:00:00Z"
    assert len(found) == 6
    assert found == Client._parse_header_lines(RECORD)


@given(st.lists(st.text(alphabet="ab:\r\n \tü\x00-", max_size=12).map(str.encode), max_size=6))
def test_it_agrees_with_nats_py(lines: list[bytes]) -> None:
    """Whatever comes: nats-py's way is the measure."""
    raw = b"\r\n".join(lines)
    assert QuickClient._parse_header_lines(raw) == Client._parse_header_lines(raw)


def test_nats_py_still_asks_for_it() -> None:
    """A nats-py that calls it by another name would silently be slow again."""
    assert "_parse_header_lines" in Client._process_headers.__code__.co_names
