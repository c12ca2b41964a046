"""nats-py's client with a short way through headers: every stored record arrives with seven of them.

Refuses to know what headers mean. `tests/unit/test_nats_client.py` holds it to what nats-py itself makes of them.
"""

from __future__ import annotations

from nats.aio.client import Client


class QuickClient(Client):
    """A NATS connection."""

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        """Names and values of a header block; nats-py's own way takes what is not plain ASCII, at four times the cost."""
        found: dict[str, str] = {}
        if not raw.isascii():
            return Client._parse_header_lines(raw)  # noqa: SLF001  (what this overrides)
        for line in raw.decode("ascii").split("\r\n"):
            name, colon, value = line.partition(":")
            if not colon:
                continue
            name = name.strip()
            if len(name.split()) > 1:
                continue  # RFC 5322, section 3.6.8: no white space inside a name
            found[name] = value.strip()
        return found
