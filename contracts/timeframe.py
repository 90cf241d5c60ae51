"""Timeframes and the arithmetic of their grid.

All supported durations divide a UTC day, so the grid of every timeframe is anchored at 1970-01-01T00:00Z and an
open time is on the grid exactly when it is a multiple of the duration. Instants are UTC-aware `datetime`s;
the `*_us` twins do the same on integer microseconds since the epoch, the unit of frames and kernels.

    Timeframe("15m").floor(now)      # open time of the bar that `now` falls into
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    """Microseconds since the epoch of a UTC-aware instant.

    Raises:
        ValueError: The instant has no time zone.
    """
    if instant.tzinfo is None:
        msg = f"a UTC-aware instant is needed, received the naive {instant.isoformat()}"
        raise ValueError(msg)
    return (instant - EPOCH) // MICROSECOND


def from_us(microseconds: int) -> datetime:
    """The UTC-aware instant that many microseconds after the epoch."""
    return EPOCH + timedelta(microseconds=microseconds)


class Timeframe(StrEnum):
    """A bar length, written as the exchange writes it (`1m` … `1d`)."""

    M1 = "1m"
    M3 = "3m"
    M5 = "5m"
    M15 = "15m"
    M30 = "30m"
    H1 = "1h"
    H2 = "2h"
    H4 = "4h"
    H6 = "6h"
    H8 = "8h"
    H12 = "12h"
    D1 = "1d"

    @classmethod
    def _missing_(cls, value: object) -> None:
        msg = f"unknown timeframe {value!r}: use one of {', '.join(cls)}"
        raise ValueError(msg)

    @property
    def us(self) -> int:
        """Duration in microseconds."""
        return _DURATION_US[self.value]

    @property
    def duration(self) -> timedelta:
        """Duration of one bar."""
        return timedelta(microseconds=self.us)

    def floor(self, instant: datetime) -> datetime:
        """Open time of the bar that contains `instant`."""
        return from_us(self.floor_us(to_us(instant)))

    def ceil(self, instant: datetime) -> datetime:
        """The first grid point at or after `instant`."""
        return from_us(-self.floor_us(-to_us(instant)))

    def floor_us(self, instant_us: int) -> int:
        """`floor` on microseconds since the epoch."""
        return instant_us - instant_us % self.us

    def on_grid(self, instant: datetime) -> bool:
        """Whether a bar of this timeframe can open at `instant`."""
        return to_us(instant) % self.us == 0

    def close_time(self, open_time: datetime) -> datetime:
        """Close time as the exchange writes it: the last millisecond inside the bar."""
        return open_time + self.duration - timedelta(milliseconds=1)

    def known_at(self, open_time: datetime) -> datetime:
        """`ts` of the bar: the instant at which it is closed and may be used."""
        return open_time + self.duration

    def bars_in(self, start: datetime, end: datetime) -> int:
        """How many bars open in the half-open window [start, end)."""
        return max(0, (to_us(self.ceil(end)) - to_us(self.ceil(start))) // self.us)


_UNIT_US = {"m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}
_DURATION_US = {tf.value: int(tf.value[:-1]) * _UNIT_US[tf.value[-1]] for tf in Timeframe}
