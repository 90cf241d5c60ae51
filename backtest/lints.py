"""What makes a result look better than it is: findings, each with a number, its limit and what to do about it.

In the style of LEAN's analyses of results. A finding is a reason to look, not a proof; the limits are rules of thumb
and stand beside the number in every finding. An empty list is no praise: luck and choice among many trials are judged
by `bootstrap` and `overfitting`.

    for finding in lint(result.trades, result.equity, metrics, stale_fills=3, band=(-4.0, 11.5)): ...
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from backtest.metrics import DAY, Metrics, StatisticsRefused, column, instants
from contracts import Timeframe

if TYPE_CHECKING:
    from numpy.typing import NDArray

Severity = Literal["severe", "warning"]

# Below the first a mean of trades means nothing, below the second little.
FEWEST_TRADES, FEW_TRADES = 30, 100
# Of the trades, how many may carry the whole sum of R; and of the profit, how much a single one.
CARRYING_SHARE, ONE_TRADE_SHARE = 0.02, 0.25
FLAT_SHARE = 0.25
STALE_SHARE, MANY_STALE = 0.01, 0.05
# Times the account, a day. At 5 basis points a fill this costs half a percent of the account a day.
DAILY_TURNOVER = 10.0
ONE_PART_SHARE, FEWEST_PARTS = 0.5, 3
# Losses in a row that fewer than one in twenty such results would show if losses were independent.
STREAK_CHANCE, SHORT_STREAK = 0.05, 5
COST_SHARE = 0.5
# So many symbols are named before the rest is only counted.
_NAMES = 6

_RANKS: dict[Severity, int] = {"severe": 0, "warning": 1}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing to look at before the result is believed.

    Attributes:
        code: Its name, stable.
        severity: `severe` = the result cannot be used as it is; `warning` = find out why first.
        text: What was found and what to do.
        value: The number that was looked at.
        limit: What it was held against.
    """

    code: str
    severity: Severity
    text: str
    value: float
    limit: float

    def to_dict(self) -> dict[str, str | float]:
        """As JSON takes it."""
        return asdict(self)


def lint(
    trades: pl.DataFrame,
    equity: pl.DataFrame,
    metrics: Metrics,
    *,
    stale_fills: int | NDArray[np.bool_] = 0,
    band: tuple[float, float] | None = None,
) -> list[Finding]:
    """Look for everything this module knows.

    Args:
        trades: Of the result.
        equity: Of the result.
        metrics: `metrics_of` these.
        stale_fills: Which fills happened on a bar without volume: a flag a fill; or how many of the two of each trade,
            its entry and its exit.
        band: Net result (R or money: its sign decides) with every bar that could not tell taken at its worst, and at
            its best; None = not known.

    Returns:
        Severe ones first, within a severity in the order in which this module lists them.

    Raises:
        StatisticsRefused: More stale fills than fills, or a band whose worst is above its best.
    """
    stale = _stale_share(trades, stale_fills)
    if band is not None and not band[0] <= band[1]:
        msg = f"the band of a result is its worst and its best, received {band[0]} and {band[1]}"
        raise StatisticsRefused(msg)
    found = [
        *_lost(metrics),
        *_too_few_trades(metrics),
        *_carried_by_few(trades),
        *_needs_ambiguous_bars(band),
        *_liquidated(trades),
        *_bars_ended(trades, equity),
        *_eaten_by_costs(metrics),
        *_stale(stale),
        *_flat(equity, metrics),
        *_turnover(equity, metrics),
        *_one_month(trades, equity),
        *_one_symbol(trades),
        *_losing_streak(trades, metrics),
    ]
    return sorted(found, key=lambda finding: _RANKS[finding.severity])


def _lost(metrics: Metrics) -> Iterator[Finding]:
    if metrics.trades and metrics.net_pnl < 0:
        yield Finding(
            code="lost",
            severity="severe",
            text=f"It lost {abs(metrics.net_pnl):,.2f} after all costs. Nothing below makes that worth trading.",
            value=metrics.net_pnl,
            limit=0.0,
        )


def _too_few_trades(metrics: Metrics) -> Iterator[Finding]:
    if metrics.trades >= FEW_TRADES:
        return
    is_severe = metrics.trades < FEWEST_TRADES
    limit = FEWEST_TRADES if is_severe else FEW_TRADES
    if metrics.trades == 0:
        text = (
            "No trade was opened. Look at the reasons of the decisions: a gate that refuses everything, too short a "
            "history for the indicators, or a capital too small for the least order."
        )
    else:
        text = (
            f"{_counted(metrics.trades, 'trade')}, fewer than {limit}: averages of so few are mostly luck. Test a "
            "longer history or more symbols before comparing anything."
        )
    yield Finding(
        code="too_few_trades",
        severity="severe" if is_severe else "warning",
        text=text,
        value=float(metrics.trades),
        limit=float(limit),
    )


def _carried_by_few(trades: pl.DataFrame) -> Iterator[Finding]:
    r, pnl = column(trades, "r"), column(trades, "pnl")
    if r.sum() > 0:
        # What is left of the sum once the k best are taken away; the first k at which nothing is.
        left = math.fsum(r) - np.cumsum(np.sort(r)[::-1])
        carrying = int(np.argmax(left <= 0)) + 1 if (left <= 0).any() else r.size
        limit = max(1, math.floor(CARRYING_SHARE * r.size))
        if carrying <= limit:
            yield Finding(
                code="carried_by_few_trades",
                severity="severe" if carrying == 1 else "warning",
                text=f"Without its best {_counted(carrying, 'trade')} of {r.size} the sum of R is not above 0. Look at "
                "them bar by bar; if nothing makes them repeatable, count the result without them.",
                value=float(carrying),
                limit=float(limit),
            )
    net = math.fsum(pnl)
    if net > 0 and pnl.max() > ONE_TRADE_SHARE * net:
        share = float(pnl.max()) / net
        yield Finding(
            code="one_trade_share",
            severity="warning",
            text=f"One trade made {share:.0%} of the profit, more than {ONE_TRADE_SHARE:.0%}. Check its prices against "
            "another source, and test a period that does not contain it.",
            value=share,
            limit=ONE_TRADE_SHARE,
        )


def _needs_ambiguous_bars(band: tuple[float, float] | None) -> Iterator[Finding]:
    if band is not None and band[0] <= 0 < band[1]:
        yield Finding(
            code="needs_ambiguous_bars",
            severity="severe",
            text=f"Bars that could not tell whether stop or target came first decide between {band[0]:.6g} and "
            f"{band[1]:.6g}: the profit is a guess. Give bars of a shorter timeframe, or set stops and targets further "
            "apart.",
            value=float(band[0]),
            limit=0.0,
        )


def _liquidated(trades: pl.DataFrame) -> Iterator[Finding]:
    count = int((trades["exit_reason"] == "LIQUIDATION").sum())
    if count:
        yield Finding(
            code="liquidated",
            severity="severe",
            text=f"{_counted(count, 'position')} ended by liquidation, beyond the stop. Lower the leverage or bring "
            "the stops closer, until the stop comes before the liquidation price.",
            value=float(count),
            limit=0.0,
        )


def _bars_ended(trades: pl.DataFrame, equity: pl.DataFrame) -> Iterator[Finding]:
    # Left at a close after which at least one bar more of its timeframe would have ended within the run.
    last = equity["ts"].max()
    left = trades.filter(pl.col("exit_reason") == "END").select("symbol", "tf", "exit_ts").iter_rows()
    ended = [symbol for symbol, tf, at in left if at + Timeframe(tf).duration <= last]
    if ended:
        symbols = sorted(set(ended))
        rest = len(symbols) - _NAMES
        named = ", ".join(symbols[:_NAMES]) + (f" and {rest} more" if rest > 0 else "")
        yield Finding(
            code="bars_ended",
            severity="warning",
            text=f"{_counted(len(ended), 'position')} ({named}) ended because the bars did, or because the symbol was "
            "not traded any more: at the last close, which nobody may have got. Find out whether it was delisted or "
            "its history is cut off; one whose rules do not tell takes up its place among the positions to the end.",
            value=float(len(ended)),
            limit=0.0,
        )


def _eaten_by_costs(metrics: Metrics) -> Iterator[Finding]:
    costs = metrics.fees + metrics.funding
    gross = metrics.net_pnl + costs
    if gross > 0 and costs > COST_SHARE * gross:
        share = costs / gross
        end = "they turned a gain into a loss" if share > 1 else "a little more slippage than assumed ends the profit"
        yield Finding(
            code="eaten_by_costs",
            severity="severe" if share >= 1 else "warning",
            text=f"Fees and funding took {share:.0%} of what the trades made: {end}. Trade less often, enter by limit, "
            "or choose wider targets.",
            value=share,
            limit=COST_SHARE,
        )


def _stale_share(trades: pl.DataFrame, stale_fills: int | NDArray[np.bool_]) -> float:
    if isinstance(stale_fills, np.ndarray):
        return float(stale_fills.mean()) if stale_fills.size else 0.0
    if not 0 <= stale_fills <= 2 * trades.height:
        msg = f"{trades.height} trades have {2 * trades.height} entries and exits, received {stale_fills} stale ones"
        raise StatisticsRefused(msg)
    return stale_fills / (2 * trades.height) if stale_fills else 0.0


def _stale(share: float) -> Iterator[Finding]:
    if share > STALE_SHARE:
        is_severe = share > MANY_STALE
        yield Finding(
            code="stale_fills",
            severity="severe" if is_severe else "warning",
            text=f"{share:.1%} of the fills happened on bars without volume, where nobody traded. Leave out such "
            "symbols or hours, and look for holes in the data.",
            value=share,
            limit=MANY_STALE if is_severe else STALE_SHARE,
        )


def _flat(equity: pl.DataFrame, metrics: Metrics) -> Iterator[Finding]:
    ts, values = instants(equity, "ts"), column(equity, "equity")
    if metrics.trades == 0 or ts.size < 2:
        return
    changes = np.concatenate(([0], np.flatnonzero(np.diff(values)) + 1, [ts.size]))
    lasted = ts[changes[1:] - 1] - ts[changes[:-1]]
    share = float(lasted.max() / (ts[-1] - ts[0]))
    if share > FLAT_SHARE:
        yield Finding(
            code="flat_equity",
            severity="warning",
            text=f"The equity did not change for {lasted.max() / DAY:.1f} days in a row, {share:.0%} of the time. Look "
            "for missing bars, and for a lock or limit that stopped trading; the averages hold for the rest alone.",
            value=share,
            limit=FLAT_SHARE,
        )


def _turnover(equity: pl.DataFrame, metrics: Metrics) -> Iterator[Finding]:
    ts, values = instants(equity, "ts"), column(equity, "equity")
    # An account that grew trades more of the capital it began with: hold it against what there was.
    if ts.size < 2 or values.mean() <= 0:
        return
    daily = metrics.turnover * metrics.capital / float(values.mean()) / (int(ts[-1] - ts[0]) / DAY)
    if daily > DAILY_TURNOVER:
        yield Finding(
            code="unrealistic_turnover",
            severity="warning",
            text=f"The account was turned over {daily:.1f} times a day, more than {DAILY_TURNOVER:g}. Check that such "
            "sizes find their match at the prices assumed; raise slippage and fees and see what is left.",
            value=daily,
            limit=DAILY_TURNOVER,
        )


def _one_month(trades: pl.DataFrame, equity: pl.DataFrame) -> Iterator[Finding]:
    first, last = (equity["ts"][row] for row in (0, -1)) if equity.height else (None, None)
    if first is None or last is None:
        return
    months = (last.year - first.year) * 12 + last.month - first.month + 1
    best, share = _best_part(trades, pl.col("exit_ts").dt.strftime("%Y-%m"))
    if months >= FEWEST_PARTS and share > ONE_PART_SHARE:
        yield Finding(
            code="one_month",
            severity="warning",
            text=f"{best} made {share:.0%} of the profit of {months} months. Find out what was special about it, and "
            "whether the rest is worth its risk.",
            value=share,
            limit=ONE_PART_SHARE,
        )


def _one_symbol(trades: pl.DataFrame) -> Iterator[Finding]:
    symbols = trades["symbol"].n_unique()
    best, share = _best_part(trades, pl.col("symbol"))
    if symbols >= FEWEST_PARTS and share > ONE_PART_SHARE:
        yield Finding(
            code="one_symbol",
            severity="warning",
            text=f"{best} made {share:.0%} of the profit of {symbols} symbols. Test it on other periods; if it does "
            "not hold there, the portfolio has no edge without it.",
            value=share,
            limit=ONE_PART_SHARE,
        )


def _best_part(trades: pl.DataFrame, part: pl.Expr) -> tuple[str, float]:
    # Which part of the trades made most, and what share of the net profit; a share of 0 where there is no profit.
    net = math.fsum(column(trades, "pnl"))
    if net <= 0:
        return "", 0.0
    sums = trades.group_by(part.alias("part")).agg(pl.col("pnl").sum()).sort("pnl", "part", descending=[True, False])
    return str(sums["part"][0]), float(sums["pnl"][0]) / net


def _losing_streak(trades: pl.DataFrame, metrics: Metrics) -> Iterator[Finding]:
    count = trades.height
    lost = int((column(trades, "pnl") < 0).sum())
    if count < FEWEST_TRADES or not 0 < lost < count:
        return
    # Of n trades of which a share q is lost, about n (1 − q) qᴸ runs reach L losses; as a Poisson count, none does
    # with probability exp of minus that (Feller 1968, XIII.7). The least L that is rare enough is too long.
    expected = -math.log1p(-STREAK_CHANCE) / (count - lost)
    limit = max(SHORT_STREAK, math.ceil(math.log(expected) / math.log(lost / count)) - 1)
    if metrics.losing_streak > limit:
        yield Finding(
            code="losing_streak",
            severity="warning",
            text=f"{metrics.losing_streak} losses in a row, where independent trades would seldom show more than "
            f"{limit}: losses come in clusters. Look at regime and symbols of that stretch; a cooldown or a stop-loss "
            "guard may end it sooner. Risk as much as such a stretch can bear.",
            value=float(metrics.losing_streak),
            limit=float(limit),
        )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
