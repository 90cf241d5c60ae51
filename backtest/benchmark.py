"""Buy and hold: what the same capital would have come to if it had only held what a run traded.

The capital is divided equally among the instruments. Each part buys at the open of its instrument's first bar of the
run and sells at the last close, a taker both times; until that bar it is idle. Nothing is levered, and neither slippage
nor funding is paid: a perpetual is held as if it were the coin.

Invariant: the curve has the instants of the run's own, and tells at each what selling would leave.

    held = buy_and_hold(result, bars)
    held.total_return, held.curve["equity"]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from backtest.metrics import daily_returns, instants, sharpe_ratio
from contracts import InstrumentKey, from_us

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from backtest.config import Versions
    from backtest.report.outcome import Outcome
    from contracts import SeriesKey


@dataclass(frozen=True, kw_only=True, eq=False)
class Holding:
    """What holding came to.

    Attributes:
        instruments: What was held, in equal parts.
        capital: Quote units at the start.
        curve: `ts`, `equity`, `drawdown`, as a run's.
    """

    instruments: tuple[InstrumentKey, ...]
    capital: float
    curve: pl.DataFrame

    @property
    def net_pnl(self) -> float:
        """After both fees, quote units."""
        return float(self.curve["equity"][-1]) - self.capital

    @property
    def total_return(self) -> float:
        """The same as a fraction of the capital."""
        return self.net_pnl / self.capital

    @property
    def max_drawdown(self) -> float:
        """The deepest of the curve, as a fraction."""
        return float(self.curve["drawdown"].to_numpy().max())

    @property
    def sharpe(self) -> float | None:
        """Of its daily returns, by the year."""
        return sharpe_ratio(daily_returns(self.curve, capital=self.capital))


def buy_and_hold(result: Outcome, bars: Mapping[SeriesKey, pl.DataFrame]) -> Holding | None:
    """Hold what a run traded.

    Args:
        result: The run.
        bars: As the run was given them.

    Returns:
        None where an instrument that was traded has no bars, or the run no curve.
    """
    trade = result.config.trade
    # Of an instrument the shortest series that is traded: its closes stand at every sample the longer ones have.
    priced: dict[InstrumentKey, SeriesKey] = {}
    for key in sorted(result.written.keys, key=lambda key: key.tf.us):
        if trade is None or str(key.tf) in trade:
            priced.setdefault(key.instrument, key)
    if not result.equity.height or any(key not in bars for key in priced.values()):
        return None
    capital, ts = float(result.config.capital), instants(result.equity, "ts")
    values = np.zeros(ts.size)
    for instrument, key in priced.items():
        # What is before the start of the run only warmed the engine up.
        frame = bars[key].filter(pl.col("open_time") >= result.start)
        part = capital / len(priced)
        values += _held(frame, key.tf.us, ts, result.config.rules[instrument], part=part) if frame.height else part
    peak = np.maximum.accumulate(np.maximum(values, capital))
    curve = pl.DataFrame({"ts": result.equity["ts"], "equity": values, "drawdown": (peak - values) / peak})
    return Holding(instruments=tuple(sorted(priced)), capital=capital, curve=curve)


def _held(
    frame: pl.DataFrame, tf: int, ts: NDArray[np.int64], versions: Versions, *, part: float
) -> NDArray[np.float64]:
    """What a part of the capital is worth at some instants."""
    opens, closes = instants(frame, "open_time"), frame["close"].to_numpy()
    bought, first = int(opens[0]), float(frame["open"][0])
    # The part pays for the coins and for the fee on them.
    quantity = part / (first * (1.0 + _taker_fee(versions, bought)))
    known = np.searchsorted(opens + tf, ts, side="right") - 1
    price = np.where(known < 0, first, closes[np.maximum(known, 0)])
    sold = quantity * price * (1.0 - _taker_fee(versions, int(ts[-1])))
    return np.where(ts < bought, part, sold)


def _taker_fee(versions: Versions, us: int) -> float:
    """The fee that was in force at an instant; the first record stands in for the time before it."""
    at = from_us(us)
    rules = [rules for since, rules in versions if since <= at] or [versions[0][1]]
    return float(rules[-1].taker_fee)
