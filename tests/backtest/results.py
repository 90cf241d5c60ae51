"""Frames of a result, with the columns that statistics read, from the few numbers that a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import strategies as st

# Results to the hundredth of an R: a power of two times one of them is exact, which a subnormal number's is not.
HUNDREDTHS = st.integers(-300, 500).map(lambda n: n / 100)

START = datetime(2024, 1, 1, tzinfo=UTC)
_TS = pl.Datetime("us", "UTC")

TRADE_COLUMNS = pl.Schema(
    {
        "trade_id": pl.Int64(),
        "symbol": pl.String(),
        "tf": pl.String(),
        "side": pl.String(),
        "entry_ts": _TS,
        "exit_ts": _TS,
        "r": pl.Float64(),
        "pnl": pl.Float64(),
        "fees": pl.Float64(),
        "funding": pl.Float64(),
        "exit_reason": pl.String(),
        "ambiguous": pl.Boolean(),
    }
)


def trades_of(
    r: Sequence[float],
    *,
    pnl: Sequence[float] | None = None,
    sides: Sequence[str] = ("LONG",),
    symbols: Sequence[str] = ("BTCUSDT",),
    reasons: Sequence[str] = ("STOP",),
    ambiguous: Sequence[bool] = (False,),
    fees: float = 0.0,
    funding: float = 0.0,
    every: timedelta = timedelta(days=1),
    held: timedelta = timedelta(hours=2),
) -> pl.DataFrame:
    """A trade for each r, entered one after the other from `START` on; shorter lists are repeated.

    Args:
        r: Results in units of risk.
        pnl: In quote units; None = 100 times r.
        sides: LONG or SHORT.
        symbols: Traded.
        reasons: Of the exit.
        ambiguous: Whether a bar could not tell.
        fees: Of each trade.
        funding: Of each trade.
        every: From entry to entry.
        held: From entry to exit.
    """
    entered = [START + k * every for k in range(len(r))]
    columns = {
        "trade_id": range(len(r)),
        "symbol": [symbols[k % len(symbols)] for k in range(len(r))],
        "tf": ["1h"] * len(r),
        "side": [sides[k % len(sides)] for k in range(len(r))],
        "entry_ts": entered,
        "exit_ts": [ts + held for ts in entered],
        "r": list(r),
        "pnl": [100.0 * value for value in r] if pnl is None else list(pnl),
        "fees": [fees] * len(r),
        "funding": [funding] * len(r),
        "exit_reason": [reasons[k % len(reasons)] for k in range(len(r))],
        "ambiguous": [ambiguous[k % len(ambiguous)] for k in range(len(r))],
    }
    return pl.DataFrame(columns, schema=TRADE_COLUMNS)


def equity_of(
    values: Sequence[float], *, first: datetime = START + timedelta(hours=1), every: timedelta = timedelta(hours=1)
) -> pl.DataFrame:
    """A curve with these values; its first row is one hour after `START`.

    Args:
        values: Quote units.
        first: Instant of the first row.
        every: Between two rows.
    """
    columns = {
        "ts": pl.Series([first + k * every for k in range(len(values))], dtype=_TS),
        "equity": pl.Series(values, dtype=pl.Float64),
    }
    return pl.DataFrame(columns)


def days_of(values: Sequence[float]) -> pl.DataFrame:
    """A curve with one row a day, at its end: the first at the end of the first day of `START`."""
    return equity_of(values, first=START + timedelta(days=1), every=timedelta(days=1))
