"""What of a series the next call of a session needs again.

Signals that still live, zones that are active, and the bars inside a longer one's bar that has not ended.

Invariant: columns that were lent by a frame are copied; nothing holds on to the bars of earlier calls.

    carried = carried.followed(stretch, living, last=last, since=since)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from backtest.market import ZONES_SCHEMA
from backtest.records import FOREVER, SIGNAL
from backtest.saved import frame_of, of_frame
from contracts import from_us

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from backtest.market import Stretch
    from contracts import Timeframe

# Open, high, low, close.
PRICES = 4


@dataclass(slots=True, eq=False)
class Carried:
    """What one call hands to the next.

    Attributes:
        signals: SIGNAL records that may still be acted on.
        zones: Zones that are active (`backtest.market.ZONES_SCHEMA`).
        open_time: Of the bars, µs.
        prices: Of the bars, a row each for open, high, low, close.
    """

    signals: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, SIGNAL))
    zones: pl.DataFrame = field(default_factory=ZONES_SCHEMA.to_frame)
    open_time: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    prices: NDArray[np.float64] = field(default_factory=lambda: np.zeros((PRICES, 0)))

    def end_zones(self, known: pl.DataFrame, *, named: pl.DataFrame) -> None:
        """Write when the zones of the signals end, where that is known by now.

        Args:
            known: `Stretch.zones`.
            named: The zone of each signal: `zone_kind`, `zone_created_ts`.
        """
        ended = known.select(
            pl.col("kind").alias("zone_kind"), pl.col("created_ts").alias("zone_created_ts"), "ended_ts"
        ).drop_nulls("ended_ts")
        found = named.join(ended, on=("zone_kind", "zone_created_ts"), how="left", maintain_order="left")
        ends = found["ended_ts"].to_physical().fill_null(FOREVER).to_numpy()
        self.signals["zone_ends"] = np.minimum(self.signals["zone_ends"], ends)

    def followed(self, stretch: Stretch | None, living: NDArray[np.void], *, last: int, since: int) -> Carried:
        """What is carried behind a call.

        Args:
            stretch: The new bars; None = there were none.
            living: Signals that live on.
            last: The instant to which the call went, µs.
            since: Open time of the first bar that may be asked for again, µs.
        """
        times, prices, zones = self.open_time, self.prices, self.zones
        if stretch is not None and stretch.open_time.size:
            first = int(np.searchsorted(stretch.open_time, since))
            times = np.concatenate((times, stretch.open_time[first:]))
            prices = np.concatenate((prices, np.stack([column[first:] for column in stretch.prices])), axis=1)
            zones = _active_at(last, stretch.zones)
        recent = times >= since
        return Carried(living, zones, times[recent], prices[:, recent])

    def saved(self, name: str) -> dict[str, NDArray[Any]]:
        """All of it as arrays, whose names begin with `name`."""
        return {
            f"{name}.signals": self.signals,
            f"{name}.zones": of_frame(self.zones),
            f"{name}.open_time": self.open_time,
            f"{name}.prices": self.prices,
        }

    @classmethod
    def restored(cls, arrays: Mapping[str, NDArray[Any]], name: str) -> Self:
        """What `saved` was taken from."""
        return cls(
            arrays[f"{name}.signals"].copy(),
            frame_of(arrays[f"{name}.zones"]),
            arrays[f"{name}.open_time"],
            arrays[f"{name}.prices"],
        )


def living_at(last: int, signals: NDArray[np.void], tf: Timeframe) -> NDArray[np.void]:
    """Copies of the signals that may be acted on at a bar that ends after `last`; their bars are no longer at hand."""
    lives = (signals["acted"] == 0) & (signals["ts"] + signals["ttl_bars"] * tf.us > last)
    living: NDArray[np.void] = signals[lives].copy()
    living["bar"] = -1
    return living


def _active_at(last: int, zones: pl.DataFrame) -> pl.DataFrame:
    """The zones that were created by an instant and have not ended by it; a table may know later ones."""
    now = from_us(last)
    return zones.filter(pl.col("created_ts") <= now, pl.col("ended_ts").is_null() | (pl.col("ended_ts") > now))
