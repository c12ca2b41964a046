"""How long and how much of the events is kept, as it is written."""

from __future__ import annotations

import pytest

from shoal.bus.protocol import Retention
from shoal.errors import InvalidRequest
from shoal_orchestrator.core.retention import age_s, size_bytes
from shoal_orchestrator.settings import parse


@pytest.mark.parametrize(
    ("text", "seconds"), [("120s", 120), ("2m", 120), ("1h", 3600), ("7d", 604_800), ("30d", 2_592_000)]
)
def test_ages_are_read(text: str, seconds: int) -> None:
    """A number and its unit is an age in seconds."""
    assert age_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("1024KiB", 1 << 20), ("1MiB", 1 << 20), ("2GiB", 2 << 30), ("1TiB", 1 << 40)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    """A number and its unit is a size in bytes."""
    assert size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "7 d", "7d\n", "1w", "1.5h", "٣d", "1s", "119s", "0d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    """Whatever is not a number with a unit, or is under the server's window for copies, is refused by name."""
    with pytest.raises(InvalidRequest) as refused:
        age_s(text)
    assert f"`{text}`" in refused.value.message


@pytest.mark.parametrize("text", ["", "1", "GiB", "1GB", "1gib", "-1GiB", "1.5GiB", "1GiB\n", "1023KiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """Whatever is not a number with a unit, or is under 1 MiB, is refused by name."""
    with pytest.raises(InvalidRequest) as refused:
        size_bytes(text)
    assert f"`{text}`" in refused.value.message


def test_the_orchestrator_takes_them_as_flags_or_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`--event-age` and `--event-size` go before SHOAL_EVENT_AGE and SHOAL_EVENT_SIZE, and those before the defaults."""
    monkeypatch.delenv("SHOAL_EVENT_AGE", raising=False)
    monkeypatch.delenv("SHOAL_EVENT_SIZE", raising=False)
    assert parse([]).events == Retention()
    monkeypatch.setenv("SHOAL_EVENT_AGE", "3h")
    monkeypatch.setenv("SHOAL_EVENT_SIZE", "8MiB")
    assert parse([]).events == Retention(3 * 3600, 8 << 20)
    assert parse(["--event-age", "2d", "--event-size", "2GiB"]).events == Retention(2 * 24 * 3600, 2 << 30)


@pytest.mark.parametrize("flag", ["--event-age", "--event-size"])
def test_a_flag_that_cannot_be_read_ends_with_the_reason(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The orchestrator does not start with a guess: it ends with code 2 and one line that names the value."""
    with pytest.raises(SystemExit) as ended:
        parse([flag, "forever"])
    assert ended.value.code == 2
    assert "`forever`" in capsys.readouterr().err.splitlines()[-1]
