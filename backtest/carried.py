"""What of a series the next call of a session needs again: signals that still live, and bars inside a longer one's bar.

Invariant: columns that were lent by a frame are copied; nothing holds on to the bars of earlier calls.

    carried = carried.followed(stretch, living, zones, since=since)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from backtest.records import FOREVER, SIGNAL

if TYPE_CHECKING:
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
        zones: Zone of each of them: `zone_kind`, `zone_created_ts`.
        open_time: Of the bars, µs.
        prices: Of the bars, a row each for open, high, low, close.
    """

    signals: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, SIGNAL))
    zones: pl.DataFrame = field(default_factory=pl.DataFrame)
    open_time: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    prices: NDArray[np.float64] = field(default_factory=lambda: np.zeros((PRICES, 0)))

    def end_zones(self, changed: pl.DataFrame) -> None:
        """Write when the zones of the signals end, where that became known with these rows of table `zones`."""
        ended = changed.select(
            pl.col("kind").cast(pl.String).alias("zone_kind"),
            pl.col("created_ts").alias("zone_created_ts"),
            "ended_ts",
        ).drop_nulls("ended_ts")
        found = self.zones.join(ended, on=("zone_kind", "zone_created_ts"), how="left", maintain_order="left")
        ends = found["ended_ts"].to_physical().fill_null(FOREVER).to_numpy()
        self.signals["zone_ends"] = np.minimum(self.signals["zone_ends"], ends)

    def followed(
        self, stretch: Stretch | None, living: NDArray[np.void], zones: pl.DataFrame, *, since: int
    ) -> Carried:
        """What is carried behind a call.

        Args:
            stretch: The new bars; None = there were none.
            living: Signals that live on.
            zones: Their zones.
            since: Open time of the first bar that may be asked for again, µs.
        """
        times, prices = self.open_time, self.prices
        if stretch is not None and stretch.open_time.size:
            first = int(np.searchsorted(stretch.open_time, since))
            times = np.concatenate((times, stretch.open_time[first:]))
            prices = np.concatenate((prices, np.stack([column[first:] for column in stretch.prices])), axis=1)
        recent = times >= since
        return Carried(living, zones, times[recent], prices[:, recent])


def living_at(last: int, signals: NDArray[np.void], tf: Timeframe) -> NDArray[np.void]:
    """Copies of the signals that may be acted on at a bar that ends after `last`; their bars are no longer at hand."""
    lives = (signals["acted"] == 0) & (signals["ts"] + signals["ttl_bars"] * tf.us > last)
    living: NDArray[np.void] = signals[lives].copy()
    living["bar"] = -1
    return living
