"""What a backtest comes to, in numbers that a person can check with a pencil.

Everything is computed from the frames of a result (`trades`, `equity`); only what these cannot say exactly is handed
in. Returns are those of UTC days, a year has 365 of them (the markets never close), the risk-free rate is 0.

Invariant: a number is finite or None. None = not defined for this result: a ratio whose denominator is 0, a mean of
nothing, a dispersion of fewer than two days. Left out: what the numbers are worth (`bootstrap`, `overfitting`,
`lints`).

    metrics_of(trades, equity, capital=10_000.0, max_drawdown=0.12, open_share=0.3, turnover=41.0).sharpe
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from contracts import Rejected

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

DAY = 86_400_000_000
DAYS_A_YEAR = 365

_HOUR = DAY // 24

# To state a shorter result by the year raises it to a power above 12: that says nothing but how lucky the weeks were.
_ANNUAL_FROM = 30 * DAY

# Returns that differ by less than this part of the greatest one differ by rounding alone.
_ROUNDING = 1e-9

# The greatest exponent whose power of e is safely a float64.
_HIGHEST_LOG = 700.0


class StatisticsRefused(Rejected):
    """A statistic was asked of something that has none; the message says of what, and what it takes."""


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The numbers of one result. Shares are fractions of 1, money quote units, R units of the risk taken.

    Attributes:
        capital: At the start.
        days: UTC days with a return.
        trades: Positions that were opened.
        win_rate: Share of trades with pnl > 0. A pnl of exactly 0 is neither won nor lost.
        profit_factor: Σ pnl of the won ÷ |Σ pnl of the lost| (Schwager 1984); None where nothing was lost.
        expectancy_r: Mean r of all trades (Tharp 1998).
        average_win_r: Mean r of the won.
        average_loss_r: Mean r of the lost, negative.
        best_r: Of one trade.
        worst_r: Of one trade.
        net_pnl: Σ pnl of the trades, after fees and funding.
        total_return: Last equity ÷ capital − 1.
        cagr: (Last equity ÷ capital)^(365 ÷ days) − 1, the days counted from one sample before the first row to the
            last; −1 once nothing is left; None below 30 days.
        sharpe: mean ÷ standard deviation (n − 1) of the daily returns × √365 (Sharpe 1994).
        sortino: mean ÷ √(mean of min(r, 0)² over all days) × √365, target 0 (Sortino & Price 1994).
        calmar: cagr ÷ max_drawdown, over the whole curve (Young 1991).
        max_drawdown: The deepest fall below the peak before it, as a fraction of that peak, at every bar.
        underwater_hours: The longest time from a row at the peak to the next row that is not below it, or to the end
            of the curve where none is; one sample before the first row the capital was the peak.
        exposure: Share of the time with a position open.
        turnover: Σ notional of all fills ÷ capital.
        tail_ratio: 95th ÷ |5th| percentile of the daily returns, linear between the ranks (as in `empyrical`).
        fees: Paid.
        funding: Paid; negative = received.
        ambiguous_share: Share of trades that met a bar which could not tell what came first.
        average_holding_hours: Mean time from entry to exit.
        long_trades: Their number.
        long_pnl: Σ pnl of these.
        short_trades: Their number.
        short_pnl: Σ pnl of these.
        losing_streak: Most losses in a row, in the order of exits.
    """

    capital: float
    days: int
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy_r: float | None
    average_win_r: float | None
    average_loss_r: float | None
    best_r: float | None
    worst_r: float | None
    net_pnl: float
    total_return: float | None
    cagr: float | None
    sharpe: float | None
    sortino: float | None
    calmar: float | None
    max_drawdown: float
    underwater_hours: float
    exposure: float
    turnover: float
    tail_ratio: float | None
    fees: float
    funding: float
    ambiguous_share: float | None
    average_holding_hours: float | None
    long_trades: int
    long_pnl: float
    short_trades: int
    short_pnl: float
    losing_streak: int

    def to_dict(self) -> dict[str, float | int | None]:
        """Every number by its name, as JSON takes it."""
        return asdict(self)


def metrics_of(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    *,
    capital: float,
    max_drawdown: float,
    open_share: float,
    turnover: float,
) -> Metrics:
    """Reckon every number of `Metrics`.

    Args:
        trades: Of the result, by exit; may be empty.
        equity: Of the result, in the order of time; may be empty.
        capital: Quote units at the start.
        max_drawdown: Fraction, as the loop saw it at every bar; the curve knows only its own rows.
        open_share: Share of the time with a position open.
        turnover: Σ notional of all fills ÷ capital.

    Raises:
        StatisticsRefused: Capital is not above 0, a given number is negative, or anything is not finite.
    """
    given = {"max_drawdown": max_drawdown, "open_share": open_share, "turnover": turnover}
    check_capital(capital)
    for name, value in given.items():
        if not (math.isfinite(value) and value >= 0):
            msg = f"metrics of a result: {name} must be finite and not below 0, received {value}"
            raise StatisticsRefused(msg)
    r, pnl = column(trades, "r"), column(trades, "pnl")
    returns = daily_returns(equity, capital=capital)
    cagr = _cagr(equity, capital)
    is_long = (trades["side"] == "LONG").to_numpy()
    won, lost = pnl > 0, pnl < 0
    return Metrics(
        capital=capital,
        days=returns.size,
        trades=trades.height,
        win_rate=_mean(won),
        profit_factor=profit_factor(pnl),
        expectancy_r=_mean(r),
        average_win_r=_mean(r[won]),
        average_loss_r=_mean(r[lost]),
        best_r=float(r.max()) if r.size else None,
        worst_r=float(r.min()) if r.size else None,
        net_pnl=math.fsum(pnl),
        total_return=float(column(equity, "equity")[-1]) / capital - 1 if equity.height else None,
        cagr=cagr,
        sharpe=sharpe_ratio(returns),
        sortino=_sortino(returns),
        calmar=None if cagr is None else _ratio(cagr, max_drawdown),
        max_drawdown=max_drawdown,
        underwater_hours=_longest_under_water(equity, capital) / _HOUR,
        exposure=open_share,
        turnover=turnover,
        tail_ratio=_tail_ratio(returns),
        fees=math.fsum(column(trades, "fees")),
        funding=math.fsum(column(trades, "funding")),
        ambiguous_share=_mean(trades["ambiguous"].to_numpy()),
        average_holding_hours=_mean((instants(trades, "exit_ts") - instants(trades, "entry_ts")) / _HOUR),
        long_trades=int(is_long.sum()),
        long_pnl=math.fsum(pnl[is_long]),
        short_trades=int((~is_long).sum()),
        short_pnl=math.fsum(pnl[~is_long]),
        losing_streak=_longest_run(lost),
    )


def daily_returns(equity: pl.DataFrame, *, capital: float | None = None) -> NDArray[np.float64]:
    """Returns of the UTC days of the curve, the unfinished ones at both ends included: their product is the whole.

    A row at midnight is the end of the day before it. A day without a row of its own returned 0. After a day that
    ends at or below 0 there is nothing left to have a return, and no day follows.

    Args:
        equity: `ts`, `equity`, in the order of time.
        capital: What there was before the first row; None = as much as in the first row, which then begins the curve
            and ends no day of its own.

    Returns:
        One fraction a day.

    Raises:
        StatisticsRefused: An equity is not finite, or the capital not above 0.
    """
    if capital is not None:
        check_capital(capital)
    values = column(equity, "equity")
    if not values.size:
        return values
    day = (instants(equity, "ts") - 1) // DAY
    last_rows = np.searchsorted(day, np.arange(day[0], day[-1] + 1), side="right") - 1
    closes = values[last_rows]
    opens = np.concatenate(([values[0] if capital is None else capital], closes[:-1]))
    first = int(capital is None and last_rows[0] == 0)
    ruined = np.flatnonzero(closes <= 0)
    end = closes.size if not ruined.size else int(ruined[0]) + 1
    if opens[0] <= 0:
        end = 0
    return closes[first:end] / opens[first:end] - 1.0


def sharpe_ratio(returns: NDArray[np.float64]) -> float | None:
    """Of daily returns, by the year; None where fewer than two days, or days that do not differ, were given."""
    if returns.size < 2:
        return None
    deviation = float(returns.std(ddof=1))
    if deviation <= _ROUNDING * float(np.abs(returns).max()):
        return None
    return float(returns.mean()) / deviation * math.sqrt(DAYS_A_YEAR)


def profit_factor(pnl: NDArray[np.float64]) -> float | None:
    """What was won for each unit lost; None where nothing was lost."""
    lost = -math.fsum(pnl[pnl < 0])
    return _ratio(math.fsum(pnl[pnl > 0]), lost)


def instants(frame: pl.DataFrame, name: str) -> NDArray[np.int64]:
    """A column of instants as µs since the epoch."""
    return frame[name].dt.timestamp("us").to_numpy()


def column(frame: pl.DataFrame, name: str) -> NDArray[np.float64]:
    """A column of finite numbers.

    Raises:
        StatisticsRefused: One is null, NaN or infinite.
    """
    values = frame[name].to_numpy().astype(np.float64, copy=False)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        msg = f"`{name}` of a result must be finite numbers, row {wrong[0]} is {frame[name][int(wrong[0])]}"
        raise StatisticsRefused(msg)
    return values


def check_capital(capital: float) -> None:
    """Refuse a capital that no part of can be risked.

    Raises:
        StatisticsRefused: It is not above 0, or not finite.
    """
    if not (math.isfinite(capital) and capital > 0):
        msg = f"statistics of a result need the capital it began with, above 0, received {capital}"
        raise StatisticsRefused(msg)


def _ratio(value: float, unit: float) -> float | None:
    # Of a unit that is none, or so small that the ratio is beyond a float, there is no ratio.
    ratio = value / unit if unit > 0 else math.inf
    return ratio if math.isfinite(ratio) else None


def _mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if values.size else None


def _curve(equity: pl.DataFrame, capital: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    # With the beginning before its first row: the capital, one sample earlier.
    ts, values = instants(equity, "ts"), column(equity, "equity")
    before = ts[:1] - (ts[1:2] - ts[:1] if ts.size > 1 else 0)
    return np.concatenate((before, ts)), np.concatenate(([capital], values))


def _cagr(equity: pl.DataFrame, capital: float) -> float | None:
    if not equity.height:
        return None
    ts, values = _curve(equity, capital)
    span = int(ts[-1] - ts[0])
    if span < _ANNUAL_FROM:
        return None
    left = float(values[-1]) / capital
    if left <= 0:
        return -1.0
    growth = math.log(left) * DAYS_A_YEAR * DAY / span
    return math.expm1(growth) if growth < _HIGHEST_LOG else None


def _sortino(returns: NDArray[np.float64]) -> float | None:
    if not returns.size:
        return None
    downside = math.sqrt(float((np.minimum(returns, 0.0) ** 2).mean()))
    return _ratio(float(returns.mean()) * math.sqrt(DAYS_A_YEAR), downside)


def _tail_ratio(returns: NDArray[np.float64]) -> float | None:
    if not returns.size:
        return None
    low, high = np.percentile(returns, (5, 95))
    return _ratio(float(high), abs(float(low)))


def _longest_under_water(equity: pl.DataFrame, capital: float) -> int:
    # µs.
    if not equity.height:
        return 0
    ts, values = _curve(equity, capital)
    below = values < np.maximum.accumulate(values)
    at_peak = np.maximum.accumulate(np.where(below, ts[0], ts))
    lasted = np.where(below[1:] | below[:-1], ts[1:] - at_peak[:-1], 0)
    return int(lasted.max())


def _longest_run(flags: NDArray[np.bool_]) -> int:
    breaks = np.concatenate(([-1], np.flatnonzero(~flags), [flags.size]))
    return int(np.diff(breaks).max()) - 1
