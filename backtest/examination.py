"""What a result is worth: everything that speaks against it, gathered before anybody believes it.

Intervals by bootstrap, orders of the trades by Monte Carlo, the band of what no bar could tell, the lints, and the
place among surrogate markets.

    found = examine(bars, result, surrogates=100, seed=0, processes=2)
    found.report(bars).write(folder)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from backtest.bootstrap import Interval, intervals
from backtest.lints import Finding, lint
from backtest.monte_carlo import shuffled
from backtest.report import NullPlace, Report, build
from backtest.report.made_from import UNNAMED
from backtest.run import run_backtest
from backtest.workers import Workers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backtest.market import Tables
    from backtest.result import BacktestResult
    from contracts import SeriesKey

# What the null-market gate compares.
MEASURE: Final = "sharpe"


@dataclass(frozen=True, slots=True, eq=False)
class Examination:
    """A result with what speaks for and against it.

    Attributes:
        result: The run.
        findings: Lints, severe ones first.
        ranges: Bootstrap intervals by metric.
        orders: Percentiles over orders of the trades.
        band: Net result with every bar that could not tell at its worst and at its best, quote units.
        null: The place among surrogate markets; None = it was not looked for, or none of them has the measure.
    """

    result: BacktestResult
    findings: Sequence[Finding]
    ranges: Mapping[str, Interval]
    orders: pl.DataFrame
    band: tuple[float, float]
    null: NullPlace | None

    def report(self, bars: Mapping[SeriesKey, pl.DataFrame], *, versions: Mapping[str, str] = UNNAMED) -> Report:
        """The page and its numbers; `bars` are drawn around the trades, `versions` name parameters by their hash."""
        return build(
            self.result,
            findings=self.findings,
            intervals=self.ranges,
            monte_carlo=self.orders,
            null=self.null,
            band=self.band,
            bars=bars,
            versions=versions,
        )


def examine(
    bars: Mapping[SeriesKey, pl.DataFrame],
    result: BacktestResult,
    *,
    surrogates: int,
    seed: int = 0,
    processes: int = 1,
    tables: Mapping[SeriesKey, Tables] | None = None,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Examination:
    """Look at a result from every side.

    Args:
        bars: What it was made of.
        result: The run.
        surrogates: How many surrogate markets it is held against; 0 = none, which the report warns of.
        seed: Of all draws.
        processes: How many trade the surrogates.
        tables: The engine's tables of the bars, where they are at hand.
        told: Is told how many surrogates are done, and of how many.
    """
    capital = float(result.config.capital)
    band = band_of(bars, result, tables=tables)
    null = None
    if surrogates:
        with Workers(bars, result.config, processes=processes) as workers:
            values = []
            for value in workers.surrogates(range(seed, seed + surrogates), measure=MEASURE):
                values.append(value)
                told(len(values), surrogates)
        # A market in which nothing was traded has earned nothing: that is 0, not an absence.
        null = NullPlace(
            statistic=MEASURE,
            value=getattr(result.metrics, MEASURE),
            surrogates=tuple(sorted(0.0 if value is None else value for value in values)),
        )
    return Examination(
        result,
        lint(result.trades, result.equity, result.metrics, stale_fills=stale_fills(bars, result), band=band),
        intervals(result.trades, result.equity, seed=seed, capital=capital),
        shuffled(result.trades, capital=capital, risk_fraction=result.config.profile.risk_fraction, seed=seed),
        band,
        null,
    )


def band_of(
    bars: Mapping[SeriesKey, pl.DataFrame],
    result: BacktestResult,
    *,
    tables: Mapping[SeriesKey, Tables] | None = None,
) -> tuple[float, float]:
    """Net results with the policy at its worst and at its best; both the same where every bar could tell."""
    net = result.metrics.net_pnl
    if not result.guesses:
        return net, net
    other = run_backtest(
        bars,
        replace(result.config, ambiguity="target" if result.config.ambiguity == "stop" else "stop"),
        tables=tables,
    ).metrics.net_pnl
    return min(net, other), max(net, other)


def stale_fills(bars: Mapping[SeriesKey, pl.DataFrame], result: BacktestResult) -> NDArray[np.bool_]:
    """Which fills happened where nothing was traded, a flag a fill.

    A fill stands at the open of its bar or at its end, where it was certain: it is stale where neither the bar that
    ends then nor the one that opens then has volume.
    """
    found = np.zeros(result.fills.height, bool)
    of_trade = result.trades.select("trade_id", "venue", "symbol", "tf")
    fills = result.fills.with_row_index("row").join(of_trade, on="trade_id", maintain_order="left")
    for key, frame in bars.items():
        own = fills.filter((pl.col("venue") == key.venue, pl.col("symbol") == key.symbol, pl.col("tf") == str(key.tf)))
        if not own.height:
            continue
        volume = frame.select(pl.col("open_time").alias("ts"), "volume")
        ended = volume.with_columns(pl.col("ts") + key.tf.duration)
        seen = own.join(volume, on="ts", how="left", maintain_order="left")
        seen = seen.join(ended, on="ts", how="left", suffix="_before", maintain_order="left")
        stale = (seen["volume"].fill_null(0.0) == 0.0) & (seen["volume_before"].fill_null(0.0) == 0.0)
        found[own["row"].to_numpy()] = stale.to_numpy()
    return found
