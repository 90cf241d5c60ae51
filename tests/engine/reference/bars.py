"""The bars of one series as plain lists: what every module of this reading looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

HIGH, LOW = "HIGH", "LOW"
UP, DOWN = 1, -1
DEMAND, SUPPLY = "DEMAND", "SUPPLY"
# The side of the zones that a direction looks for: those that carried it.
SIDE = {UP: DEMAND, DOWN: SUPPLY}


@dataclass(frozen=True)
class Bars:
    """Bars t = 0, 1, 2 … of a series; times in µs since the epoch."""

    tf_us: int
    open_time: list[int]
    open: list[float]
    high: list[float]
    low: list[float]
    close: list[float]
    volume: list[float]
    micro_bos: list[int]

    @classmethod
    def of(cls, frame: pl.DataFrame, tf_us: int, micro_bos: Sequence[int] | None = None) -> Self:
        """The bars of a bar frame; without `micro_bos` no sub-timeframe is configured: 0 throughout."""
        opened, high, low, close, volume = (
            frame[name].to_list() for name in ("open", "high", "low", "close", "volume")
        )
        signs = [0] * frame.height if micro_bos is None else list(micro_bos)
        return cls(tf_us, frame["open_time"].to_physical().to_list(), opened, high, low, close, volume, signs)

    def __len__(self) -> int:
        return len(self.open_time)

    def ts(self, t: int) -> int:
        """The instant at which bar t becomes known."""
        return self.open_time[t] + self.tf_us
