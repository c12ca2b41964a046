"""Loss, delay and rate as users write them."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.qos import ALL_INTERFACES, Qos, Shaping, parse_interface, with_option
from shoal.errors import InvalidRequest


@pytest.mark.parametrize(
    ("kind", "value", "unit", "text", "shaping"),
    [
        ("rate", "1", "mbit", "rate 1mbit", Shaping(rate_bit_s=1_000_000)),
        ("rate", "512", "kbit", "rate 512kbit", Shaping(rate_bit_s=512_000)),
        ("rate", "10", "gbit", "rate 10gbit", Shaping(rate_bit_s=10_000_000_000)),
        ("loss", "25", "", "loss 25", Shaping(loss_ppm=250_000)),
        ("loss", "0.25", "", "loss 0.25", Shaping(loss_ppm=2_500)),
        ("delay", "100ms", "", "delay 100ms", Shaping(delay_us=100_000)),
        ("delay", "100", "", "delay 100ms", Shaping(delay_us=100_000)),
        ("delay", "1.5s", "", "delay 1.5s", Shaping(delay_us=1_500_000)),
        ("delay", "1m2s", "", "delay 1m2s", Shaping(delay_us=62_000_000)),
        ("delay", "500us", "", "delay 500us", Shaping(delay_us=500)),
    ],
)
def test_what_users_write(kind: str, value: str, unit: str, text: str, shaping: Shaping) -> None:
    """Each spelling is printed as it was written, and means these numbers."""
    qos = with_option(Qos(), kind, value, unit)
    assert qos.text() == text
    assert qos.shaping() == shaping


@pytest.mark.parametrize(
    ("kind", "value", "unit", "message"),
    [
        ("loss", "150", "", "invalid loss: `150`"),
        ("loss", "100", "", "invalid loss: `100`"),
        ("loss", "-1", "", "invalid loss: `-1`"),
        ("loss", "nan", "", "invalid loss: `nan`"),
        ("loss", "lots", "", "invalid loss: `lots`"),
        ("delay", "100xbit", "", "invalid duration: `100xbit`"),
        ("delay", "ms", "", "invalid duration: `ms`"),
        ("delay", "-5ms", "", "delay cannot be negative"),
        ("delay", "1h", "", "invalid duration: `1h`: the longest is 200s"),
        ("rate", "1.5", "mbit", "invalid rate: `1.5`"),
        ("rate", "0", "mbit", "invalid rate: `0`"),
        ("rate", "64", "gbit", "invalid rate: `64`: the highest is 32 gbit"),
        ("rate", "9" * 99, "kbit", f"invalid rate: `{'9' * 99}`"),
    ],
)
def test_what_cannot_be_read(kind: str, value: str, unit: str, message: str) -> None:
    """A bad value is refused in the peer's words."""
    with pytest.raises(InvalidRequest) as refused:
        with_option(Qos(), kind, value, unit)
    assert refused.value.message == message


def test_loss_and_delay_go_together_and_rate_replaces_them() -> None:
    """Loss and delay add up; a rate and they replace each other."""
    both = with_option(with_option(Qos(), "loss", "5"), "delay", "100ms")
    assert both.text() == "loss 5 delay 100ms"
    rate = with_option(both, "rate", "1", "mbit")
    assert rate.text() == "rate 1mbit"
    assert with_option(rate, "loss", "5").text() == "loss 5"


def test_a_record_of_nonsense_is_no_record() -> None:
    """What arrives in a record is checked as what a user writes."""
    for bad in ({"loss": "150"}, {"rate": "1mbit", "loss": "5"}, {"rate": "fast"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, Qos)


@given(st.text(max_size=12), st.sampled_from(["loss", "delay", "rate"]))
def test_any_text_is_read_or_refused(text: str, kind: str) -> None:
    """No text makes anything but a Qos that can be read back, or an InvalidRequest."""
    try:
        qos = with_option(Qos(), kind, text, "kbit")
    except InvalidRequest:
        return
    assert msgspec.json.decode(msgspec.json.encode(qos), type=Qos) == qos


def test_interfaces_are_numbers_or_all() -> None:
    """`all` and nothing mean every interface; anything else must be a number."""
    assert parse_interface("3") == 3
    assert parse_interface("all") == parse_interface("") == ALL_INTERFACES
    with pytest.raises(InvalidRequest, match="invalid tap index -1"):
        parse_interface("-1")
