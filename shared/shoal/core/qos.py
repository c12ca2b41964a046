"""How the traffic to a VM's interface is hampered: loss, delay and rate, as users write them and as numbers.

This module refuses to know queue disciplines and which VMs there are.

Forms and error texts are the peer's (minimega 3.1, `qos add`). Loss and delay go together; a rate replaces them, and
they replace a rate.
"""

from __future__ import annotations

import re
from decimal import Decimal

import msgspec

from shoal.errors import InvalidRequest

_PERCENT = re.compile(r"\+?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DIGITS = re.compile(r"[0-9]+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
#: Go's units of time (time.ParseDuration), in microseconds
_MICROSECONDS = {
    "ns": Decimal("0.001"),
    "us": Decimal(1),
    "µs": Decimal(1),
    "μs": Decimal(1),  # Go reads both letters
    "ms": Decimal(1000),
    "s": Decimal(10**6),
    "m": Decimal(60 * 10**6),
    "h": Decimal(3600 * 10**6),
}
_BITS = {"kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
#: words longer than this are no numbers that anybody means
_LONGEST = 24
#: what fits into the kernel's 32 bits: ticks of 64 ns (struct tc_netem_qopt), bytes a second (struct tc_ratespec)
_LONGEST_DELAY_US = 200 * 10**6
_HIGHEST_RATE_BIT_S = 32 * 10**9

#: every interface of a VM, in `clear qos`
ALL_INTERFACES = -1


class Shaping(msgspec.Struct, frozen=True, omit_defaults=True):
    """The same as numbers, exactly what the kernel is told; all 0 is no shaping. Rate, or loss and delay."""

    loss_ppm: int = 0
    delay_us: int = 0
    rate_bit_s: int = 0


class Qos(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `qos add` has set on one interface, in the user's spelling: `5`, `100ms`, `1mbit`; empty: not set.

    Raises ValueError when made of a text that cannot be read, or of a rate beside loss or delay.
    """

    loss: str = ""
    delay: str = ""
    rate: str = ""

    def __post_init__(self) -> None:
        if self.rate and (self.loss or self.delay):
            raise ValueError(f"a rate ({self.rate}) goes with neither loss nor delay")
        try:
            self.shaping()
        except InvalidRequest as error:
            raise ValueError(error.message) from error

    def __bool__(self) -> bool:
        return bool(self.loss or self.delay or self.rate)

    def shaping(self) -> Shaping:
        """As numbers."""
        number, unit = self.rate[:-4], self.rate[-4:]
        return Shaping(
            loss_ppm=_loss_ppm(self.loss) if self.loss else 0,
            delay_us=_delay_us(self.delay) if self.delay else 0,
            rate_bit_s=_rate_bit_s(number, unit) if self.rate else 0,
        )

    def text(self) -> str:
        """As `vm info` prints it: `rate 1mbit`, `loss 5 delay 100ms`."""
        parts = (("rate", self.rate), ("loss", self.loss), ("delay", self.delay))
        return " ".join(f"{word} {value}" for word, value in parts if value)


def with_option(before: Qos, kind: str, value: str, unit: str = "") -> Qos:
    """`before`, with one more constraint: `kind` is `loss`, `delay` or `rate`, `unit` the rate's.

    Raises InvalidRequest with the peer's texts, such as ``invalid loss: `150` ``.
    """
    if kind == "rate":
        _rate_bit_s(value, unit)
        return Qos(rate=f"{value}{unit}")
    if kind == "loss":
        _loss_ppm(value)
        return Qos(loss=value, delay=before.delay)
    delay = f"{value}ms" if _bare(value) else value
    _delay_us(delay, value)
    return Qos(loss=before.loss, delay=delay)


def parse_interface(word: str) -> int:
    """The number of an interface; `all`, or nothing, is ALL_INTERFACES. Raises InvalidRequest."""
    if word in ("", "all"):
        return ALL_INTERFACES
    if not _DIGITS.fullmatch(word) or len(word) > _LONGEST:
        raise InvalidRequest(f"invalid tap index {word}")
    return int(word)


def _loss_ppm(text: str) -> int:
    if not _PERCENT.fullmatch(text) or len(text) > _LONGEST or Decimal(text) >= 100:
        raise InvalidRequest(f"invalid loss: `{text}`")
    return int(Decimal(text) * 10_000)


def _bare(text: str) -> bool:
    """Whether a duration is a number alone: milliseconds. A lone `0` is a duration in Go, and the same."""
    return _PERCENT.fullmatch(text) is not None


def _delay_us(text: str, said: str = "") -> int:
    if text.startswith("-") and _PART.match(text, 1):
        raise InvalidRequest("delay cannot be negative")
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text.removeprefix("+"):
        raise InvalidRequest(f"invalid duration: `{said or text}`")
    total = sum((Decimal(number) * _MICROSECONDS[unit] for number, unit in parts), Decimal(0))
    if total > _LONGEST_DELAY_US:
        raise InvalidRequest(
            f"invalid duration: `{said or text}`: the longest is {_LONGEST_DELAY_US // 10**6}s"
        )
    return int(total)


def _rate_bit_s(number: str, unit: str) -> int:
    if not _DIGITS.fullmatch(number) or len(number) > _LONGEST or unit not in _BITS or not int(number):
        raise InvalidRequest(f"invalid rate: `{number}`")
    rate = int(number) * _BITS[unit]
    if rate > _HIGHEST_RATE_BIT_S:
        raise InvalidRequest(f"invalid rate: `{number}`: the highest is {_HIGHEST_RATE_BIT_S // 10**9} gbit")
    return rate
