"""What time it is at Binance, from a steady clock of this machine and a measured offset (binance-api.md §7.1).

An answer of GET time was written somewhere between question and answer: the middle is off by half the round trip at
most. The estimate is then kept `BEHIND_S` back, because Binance takes 3 s of the past and only 1 s of the future.

Invariant: between two measurements the estimate advances as a steady clock does, whatever is done to the wall clock:
an instant that it has passed stays passed. Before the first measurement the wall clock stands in; one that is too far
off is refused by Binance (-1021) and then measured.

    clock = ServerClock()
    await clock.sync(read)                 # read() answers with the server's milliseconds, None = no answer
    clock.now() >= outcome.until           # a request without an answer can no longer be admitted
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from venues.binance.limits import Clock

Read = Callable[[], Awaitable[int | None]]
"""Asks the server for its milliseconds since the epoch; None = no answer."""

BEHIND_S: Final = 0.05
_SAMPLES: Final = 3
# A round trip this short leaves so little doubt that no further sample is worth its weight.
_SHORT_S: Final = 0.2


class ServerClock:
    """The clock of one host.

    Attributes:
        generation: How often it was measured; 0 = never.

    Args:
        ticks: A steady clock in seconds, from any origin.
        wall: Seconds since the epoch, for the time before the first measurement.
    """

    def __init__(self, *, ticks: Clock = time.monotonic, wall: Clock = time.time) -> None:
        self.generation = 0
        self._ticks = ticks
        self._offset = wall() - ticks()
        self._measured = 0.0

    def seconds(self) -> float:
        """Seconds since the epoch by the server's clock."""
        return self._ticks() + self._offset

    def now(self) -> datetime:
        """The instant by the server's clock, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    @property
    def age_s(self) -> float | None:
        """Seconds since the last measurement; None = never measured."""
        return None if self.generation == 0 else self._ticks() - self._measured

    async def sync(self, read: Read) -> bool:
        """Measure the offset anew, by the shortest of a few round trips.

        Returns:
            Whether there was an answer; without one all stays as it was.
        """
        best: tuple[float, float] | None = None
        for _ in range(_SAMPLES):
            asked = self._ticks()
            server_ms = await read()
            answered = self._ticks()
            if server_ms is None:
                continue
            trip = answered - asked
            if best is None or trip < best[0]:
                best = trip, server_ms / 1000 + trip / 2 - answered
            if trip <= _SHORT_S:
                break
        if best is None:
            return False
        self._offset = best[1] - BEHIND_S
        self._measured = self._ticks()
        self.generation += 1
        return True
