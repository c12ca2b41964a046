"""How messages travel in a simulation: late, twice, out of order, or not at all.

Refuses to know what they say; only whether one is an operation on a stream, which a server carries out once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from shoal.bus.memory_weather import Trip

_STREAM = "$JS."


@dataclass(frozen=True, slots=True)
class Climate:
    """Chances for each way of each message; delays in seconds."""

    usual_s: tuple[float, float] = (0.0002, 0.003)
    #: late: within this, instead
    late: float = 0.0
    late_s: tuple[float, float] = (0.05, 2.0)
    lost: float = 0.0
    twice: float = 0.0
    overtaking: float = 0.0
    #: an operation on a stream takes longer than anybody waits for it, and is carried out all the same
    stuck: float = 0.0
    stuck_s: tuple[float, float] = (5.5, 12.0)
    #: the server's answer to an operation on a stream is lost
    unanswered: float = 0.0
    #: a replica that lags, by up to so many seconds, answers a worker's reading of many; and an orchestrator's
    stale: float = 0.0
    stale_takeover: float = 0.0
    stale_s: tuple[float, float] = (0.01, 1.0)


FAIR = Climate()


class SeededWeather:
    """A `shoal.bus.memory_weather.Weather`. `climate` may be changed at any time."""

    def __init__(self, rng: random.Random, climate: Climate = FAIR) -> None:
        self._rng = rng
        self.climate = climate

    def trips(self, sender: str, receiver: str, subject: str) -> Sequence[Trip]:
        """See Climate."""
        del sender
        climate, chance = self.climate, self._rng.random
        if climate is FAIR:
            return (Trip(self._delay(climate)),)
        if subject.startswith(_STREAM):
            if receiver != "server" and chance() < climate.unanswered:
                return ()
            if receiver == "server" and chance() < climate.stuck:
                return (Trip(self._rng.uniform(*climate.stuck_s)),)
            return (Trip(self._delay(climate)),)
        if climate.lost and chance() < climate.lost:
            return ()
        if not climate.twice and not climate.overtaking:
            return (Trip(self._delay(climate)),)
        count = 2 if chance() < climate.twice else 1
        return [Trip(self._delay(climate), chance() < climate.overtaking) for _ in range(count)]

    def _delay(self, climate: Climate) -> float:
        late = climate.late and self._rng.random() < climate.late
        least, most = climate.late_s if late else climate.usual_s
        return least + (most - least) * self._rng.random()

    def lag(self, reader: str) -> float:
        """How old the answer to a reading is."""
        if reader == "oracle":
            return 0.0
        climate = self.climate
        chance = climate.stale_takeover if reader.startswith("orchestrator") else climate.stale
        if chance and self._rng.random() < chance:
            return self._rng.uniform(*self.climate.stale_s)
        return 0.0
