"""What is counted is what a scrape shows, in Prometheus' own form, and a scraper that misbehaves hurts nobody."""

from __future__ import annotations

import asyncio
import re

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shoal.errors import InvalidRequest, ShoalError
from shoal.metrics.exposition import exposition_of
from shoal.metrics.protocol import NOBODY, Metric, Metrics, Reading
from shoal.metrics.recorder import Recorder
from shoal.metrics.serving import Address, metrics_on, parse_address

TURNS = Metric("turns_total", "counter", "Turns.")
KINDS = Metric("kinds_total", "counter", "By kind.", ("kind",))
LEVEL = Metric("level", "gauge", "A level.", ("where",))
SIZES = Metric("sizes", "histogram", "Sizes.", (), (1, 5))
CATALOGUE = (TURNS, KINDS, LEVEL, SIZES)
LOG = structlog.wrap_logger(structlog.PrintLogger(), processors=[structlog.processors.JSONRenderer()])


def samples(recorder: Recorder) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scrape reads of our own metrics: by sample and labels."""
    text = exposition_of(recorder)("")[0].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def test_a_scrape_shows_what_was_counted() -> None:
    """Counters, gauges and histograms come out with their values, and what has no labels is there from the start."""
    recorder = Recorder(CATALOGUE)
    assert samples(recorder)["turns_total", ()] == 0
    recorder.count(TURNS)
    recorder.count(TURNS, by=2)
    recorder.count(KINDS, "a")
    for value in (0.5, 1, 3, 7):
        recorder.observe(SIZES, value)
    found = samples(recorder)
    assert found["turns_total", ()] == 3
    assert found["kinds_total", (("kind", "a"),)] == 1
    bounds = [found["sizes_bucket", (("le", bound),)] for bound in ("1.0", "5.0", "+Inf")]
    assert bounds == [2, 3, 4]
    assert found["sizes_count", ()] == 4
    assert found["sizes_sum", ()] == 11.5


def test_readings_of_several_add_up_while_they_last() -> None:
    """A gauge is the sum of those who tell of it, for as long as they do."""
    recorder = Recorder(CATALOGUE)
    with recorder.reading(lambda: [Reading(LEVEL, 2, ("here",))]):
        with recorder.reading(lambda: [Reading(LEVEL, 3, ("here",)), Reading(LEVEL, 1, ("there",))]):
            found = samples(recorder)
            assert found["level", (("where", "here"),)] == 5
            assert found["level", (("where", "there"),)] == 1
        assert samples(recorder)["level", (("where", "here"),)] == 2
    assert ("level", (("where", "here"),)) not in samples(recorder)


@given(st.lists(st.floats(0, 10)))
def test_every_value_is_in_one_bucket(values: list[float]) -> None:
    """A bucket counts exactly the values up to its bound."""
    recorder = Recorder((SIZES,))
    for value in values:
        recorder.observe(SIZES, value)
    found = samples(recorder)
    for bound in (1, 5):
        assert found["sizes_bucket", (("le", f"{bound}.0"),)] == sum(value <= bound for value in values)


def test_what_is_not_in_the_catalogue_is_an_error() -> None:
    """A metric that nobody listed, and labels that it has not, are mistakes of the program, found at once."""
    recorder = Recorder((TURNS, SIZES))
    with pytest.raises(ValueError, match="kinds_total"):
        recorder.count(KINDS, "a")
    with pytest.raises(ValueError, match="turns_total"):
        recorder.count(TURNS, "a")
    with pytest.raises(ValueError, match="turns_total"):
        recorder.observe(TURNS, 1)
    with pytest.raises(ValueError, match="twice"):
        Recorder((TURNS, TURNS))


def test_nobody_remembers_nothing() -> None:
    """The twin takes everything, and never asks for a reading."""

    looked = []

    def read() -> list[Reading]:
        looked.append("looked")
        return []

    nobody: Metrics = NOBODY
    with nobody.reading(read):
        nobody.count(KINDS, "a")
        # labels that the catalogue does not have, which a recorder refuses
        nobody.observe(SIZES, 1, "no", "such", "labels")
    assert not looked


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9640", Address("127.0.0.1", 9640)),
        ("[::1]:9640", Address("::1", 9640)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_addresses_are_read_as_they_are_written(text: str, address: Address) -> None:
    """HOST:PORT, an IPv6 address in brackets, and back."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "9640", ":9640", "host", "host:", "host:x", "host:65536", "host:-1", "::1:9640"]
)
def test_other_addresses_are_refused(text: str) -> None:
    """What is not HOST:PORT is refused, with an example."""
    with pytest.raises(InvalidRequest, match=re.escape(f"`{text}`: expected HOST:PORT, such as")):
        parse_address(text)


async def asked(address: Address, request: bytes) -> str:
    """What is answered to these bytes, until the connection is closed."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(request)
    try:
        async with asyncio.timeout(30):
            return (await reader.read()).decode()
    finally:
        writer.close()


async def test_only_scrapes_are_answered(unused_tcp_port: int) -> None:
    """GET /metrics gets the metrics, other paths and methods an error, nonsense nothing; the next scrape works."""
    address = Address("127.0.0.1", unused_tcp_port)
    async with metrics_on(address, CATALOGUE, LOG) as metrics:
        metrics.count(TURNS)
        for garbage in (
            b"\x00" * 20_000,
            b"\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /metrics HTTP/1.1\r\n" + b"x" * 9000,
        ):
            await asked(address, garbage)
        got = await asked(address, b"GET /metrics?x=1 HTTP/1.1\r\nAccept: */*\r\n\r\n")
        head, _, body = got.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain")
        assert f"Content-Length: {len(body.encode())}\r\n" in head
        assert "\nturns_total 1.0\n" in body
        assert (await asked(address, b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith("\r\n\r\n")
        assert (await asked(address, b"GET / HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 404 ")
        assert (await asked(address, b"POST /metrics HTTP/1.1\r\n\r\n")).startswith("HTTP/1.1 405 ")
    with pytest.raises(OSError):  # the port is closed again
        await asked(address, b"")


async def test_a_taken_port_is_an_error_that_says_what_to_do(unused_tcp_port: int) -> None:
    """It names the address, the reason and the option."""
    address = Address("127.0.0.1", unused_tcp_port)
    async with metrics_on(address, CATALOGUE, LOG):
        with pytest.raises(
            ShoalError, match=f"cannot serve metrics on {address}: Address already in use; give"
        ):
            async with metrics_on(address, CATALOGUE, LOG):
                pass
