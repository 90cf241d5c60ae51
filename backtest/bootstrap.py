"""How far a result could have been another one by chance: confidence intervals by the stationary bootstrap.

Days and trades are drawn again in blocks of random length from the ones that happened, so that what follows upon each
other (volatile weeks, losses in a row) stays together: Politis & Romano, "The Stationary Bootstrap", JASA 89 (1994).
Blocks are geometric with mean n^⅓, the order that minimises the error of a variance, and wrap around at the end.

Invariant: the same frames and the same seed give the same intervals. Intervals say nothing of a result that was chosen
among many (`overfitting`), nor of a market that changes.

    intervals(trades, equity, seed=7)["sharpe"].low
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from backtest.metrics import DAYS_A_YEAR, StatisticsRefused, column, daily_returns, profit_factor, sharpe_ratio
from backtest.paths import batches, log_steps, walked

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

# Of as many days or trades as this nothing can be said; of few more, little.
_LEAST = 2


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number of a result and the range in which the same number of redrawn results lies.

    Attributes:
        value: Of the result as it was; None = not defined.
        low: The lower bound; None = unbounded (or nothing to draw from).
        high: The upper bound, likewise.
        level: Share of the redrawn results between the bounds.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float

    def to_dict(self) -> dict[str, float | None]:
        """As JSON takes it."""
        return asdict(self)


def intervals(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
    capital: float | None = None,
) -> dict[str, Interval]:
    """Percentile intervals of `sharpe`, `max_drawdown` (from days), `expectancy_r`, `profit_factor` (from trades).

    The drawdown is that of the ends of days: its value is at most the one the loop saw at every bar. A redrawn result
    in which nothing moved has a Sharpe ratio of 0, one that won without a loss an infinite profit factor.

    Args:
        trades: Of the result, in the order of exits.
        equity: Of the result.
        seed: Of the draws.
        draws: Redrawn results; at least 100.
        level: Between 0 and 1.
        capital: See `daily_returns`.

    Returns:
        All four, by their names in `Metrics`; bounds are None where fewer than two days or trades are to draw from.

    Raises:
        StatisticsRefused: Too few draws, a level out of its range, numbers that are not finite.
    """
    if draws < 100 or not 0 < level < 1:
        msg = f"intervals need at least 100 draws and a level between 0 and 1, received {draws} and {level}"
        raise StatisticsRefused(msg)
    of_days, of_trades = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
    returns = daily_returns(equity, capital=capital)
    r, pnl = column(trades, "r"), column(trades, "pnl")
    values = {
        "sharpe": sharpe_ratio(returns),
        "max_drawdown": float(walked(log_steps(returns)[None, :])[1][0]) if returns.size else None,
        "expectancy_r": float(r.mean()) if r.size else None,
        "profit_factor": profit_factor(pnl),
    }
    drawn: dict[str, NDArray[np.float64]] = {}
    if returns.size >= _LEAST:
        drawn["sharpe"], drawn["max_drawdown"] = _drawn_days(returns, of_days, draws)
    if r.size >= _LEAST:
        drawn["expectancy_r"], drawn["profit_factor"] = _drawn_trades(r, pnl, of_trades, draws)
    return {name: interval(value, drawn.get(name), level=level) for name, value in values.items()}


def interval(value: float | None, drawn: NDArray[np.float64] | None, *, level: float) -> Interval:
    """The percentile interval of a number.

    Args:
        value: Of the result as it was.
        drawn: Of each redrawn result, may be infinite; None = nothing was drawn, which leaves it unbounded.
        level: Between 0 and 1.
    """
    if drawn is None:
        return Interval(value=value, low=None, high=None, level=level)
    tail = (1 - level) / 2
    # The ranks themselves: between a number and infinity nothing can be interpolated.
    low, high = np.quantile(drawn, tail, method="lower"), np.quantile(drawn, 1 - tail, method="higher")
    return Interval(value=value, low=_bound(low), high=_bound(high), level=level)


def _bound(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None


def _drawn_days(
    returns: NDArray[np.float64], rng: np.random.Generator, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # The Sharpe ratio and the deepest drawdown of each draw.
    starts, lengths = blocks(returns.size, draws, rng)
    steps = log_steps(returns)
    sharpes, deepest = np.empty(draws), np.empty(draws)
    for rows in batches(draws, steps=returns.size):
        days = drawn_rows(starts[rows], lengths[rows], returns.size)
        deepest[rows] = walked(steps[days])[1]
        sharpes[rows] = sharpe_ratios(returns[days])
    return sharpes, deepest


def sharpe_ratios(returns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of daily returns, draws × days, by the year; 0 or infinite where the days of a draw do not differ."""
    mean, deviation = returns.mean(axis=1), returns.std(axis=1, ddof=1)
    still = deviation <= 1e-9 * np.abs(returns).max(axis=1)
    sharpes = mean / np.where(still, 1.0, deviation) * math.sqrt(DAYS_A_YEAR)
    return np.where(still, np.where(mean == 0, 0.0, np.copysign(np.inf, mean)), sharpes)


def _drawn_trades(
    r: NDArray[np.float64], pnl: NDArray[np.float64], rng: np.random.Generator, draws: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    # The mean r and the profit factor of each draw; sums over blocks, so that no draw is written out.
    starts, lengths = blocks(r.size, draws, rng)
    won = _totals(np.maximum(pnl, 0.0), starts, lengths)
    lost = _totals(np.maximum(-pnl, 0.0), starts, lengths)
    moved = (won > 0) | (lost > 0)
    with np.errstate(over="ignore"):
        factors = np.divide(won, lost, out=np.where(moved, np.inf, 1.0), where=lost > 0)
    return _totals(r, starts, lengths) / r.size, factors


def _totals(values: NDArray[np.float64], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.concatenate(([0.0], np.cumsum(np.tile(values, 2))))
    totals: NDArray[np.float64] = (sums[starts + lengths] - sums[starts]).sum(axis=1)
    return totals


def blocks(size: int, draws: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut every draw of `size` things into blocks.

    Args:
        size: Things there are, and things in a draw.
        draws: Rows.
        rng: Its state moves on.

    Returns:
        Where each block starts, uniform in [0, size), and how long it is: draws × blocks, each row of lengths summing
        to `size`, with blocks of length 0 at its end. A block that runs over the end goes on at 0.
    """
    mean = size ** (1 / 3)
    some = math.ceil(size / mean + 4 * math.sqrt(size / mean)) + 1
    ends = np.cumsum(rng.geometric(1 / mean, (draws, some)), axis=1)
    while ends[:, -1].min() < size:
        ends = np.hstack([ends, ends[:, -1:] + np.cumsum(rng.geometric(1 / mean, (draws, some)), axis=1)])
    lengths = np.diff(np.minimum(ends, size), axis=1, prepend=0)
    return rng.integers(size, size=lengths.shape), lengths


def drawn_rows(starts: NDArray[np.int64], lengths: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Write the blocks of `blocks` out: which thing stands where, draws × size."""
    flat = lengths.ravel()
    # Within a block the number grows by one a place; what a block adds to its places is its start less its own place.
    places = np.arange(starts.shape[0] * size)
    before = np.cumsum(flat) - flat
    rows: NDArray[np.int64] = (places + np.repeat(starts.ravel() - before, flat)) % size
    return rows.reshape(-1, size)
