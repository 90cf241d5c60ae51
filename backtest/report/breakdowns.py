"""A result cut along months, hours, groups and gates: the numbers behind the tables and charts of a report.

Invariant: rows come in a fixed order; every trade, and every return, is in exactly one row of each cut. A number that
does not exist is None.

    months(result.equity, capital=10_000.0)[0]      # {"month": "2024-01", "return": 0.013}
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from backtest.metrics import column, profit_factor
from risk.gates import GATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Row = dict[str, Any]

# Widths of a bar of the distribution of R, and how many bars there may be.
_WIDTHS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
_MOST_BINS = 60

# As the fill model names them.
_TARGET_FILL, _TARGET_EXIT = "TAKE_PROFIT", "TARGET"


def months(equity: pl.DataFrame, *, capital: float) -> list[Row]:
    """Return of each UTC month of the curve; a row at midnight is the end of the day before it.

    Args:
        equity: Of the result, in the order of time.
        capital: At the start.

    Returns:
        `month` (YYYY-MM) and `return`, a fraction; None after there was nothing left. They multiply to the whole. A
        month without a row of its own is left out: what happened in it is in the next.
    """
    return _returns(equity, "%Y-%m", name="month", capital=capital)


def years(equity: pl.DataFrame, *, capital: float) -> list[Row]:
    """The same of each year: `year` (YYYY) and `return`."""
    return _returns(equity, "%Y", name="year", capital=capital)


def _returns(equity: pl.DataFrame, pattern: str, *, name: str, capital: float) -> list[Row]:
    part = (pl.col("ts") - pl.duration(microseconds=1)).dt.strftime(pattern)
    ends = equity.group_by(part.alias(name), maintain_order=True).agg(pl.col("equity").last())
    rows, before = [], capital
    for label, after in ends.iter_rows():
        rows.append({name: label, "return": after / before - 1 if before > 0 else None})
        before = after
    return rows


def distribution(r: NDArray[np.float64]) -> Row:
    """How many trades ended with how much R: `width`, `from` (lower edges) and `count`; edges are multiples of width.

    The width is the least of a fixed list with at most 60 bars, so that two reports can be compared.
    """
    if not r.size:
        return {"width": _WIDTHS[0], "from": [], "count": []}
    low, high = float(r.min()), float(r.max())
    width = next((w for w in _WIDTHS if _bin(high, w) - _bin(low, w) < _MOST_BINS), None)
    if width is None:  # beyond the list: the power of ten that does
        width = 10.0 ** math.ceil(math.log10((high - low) / (_MOST_BINS - 2)))
    first = _bin(low, width)
    place = np.array([_bin(value, width) - first for value in r.tolist()])
    counts = np.bincount(place)
    return {
        "width": width,
        "from": [round((first + k) * width, 10) for k in range(counts.size)],
        "count": counts.tolist(),
    }


def _bin(value: float, width: float) -> int:
    # The nearest whole number stands for what is only by rounding beside an edge.
    count = value / width
    return round(count) if abs(count - round(count)) < 1e-9 else math.floor(count)


def histogram(values: Sequence[float], *, bins: int = 20) -> Row:
    """Counts in bars of equal width from the least to the greatest value: `width`, `from`, `count`."""
    counts, edges = np.histogram(np.array(values, np.float64), bins=bins)
    return {"width": float(edges[1] - edges[0]), "from": edges[:-1].tolist(), "count": counts.tolist()}


def hours(trades: pl.DataFrame) -> list[Row]:
    """Trades by the UTC hour and weekday (1 = Monday) of their entry: `weekday`, `hour`, `trades`, `mean_r`."""
    at = pl.col("entry_ts").dt
    found = trades.group_by(at.weekday().cast(pl.Int64).alias("weekday"), at.hour().cast(pl.Int64).alias("hour"))
    return (
        found.agg(pl.len().cast(pl.Int64).alias("trades"), mean_r=pl.col("r").mean()).sort("weekday", "hour").to_dicts()
    )


def exits(trades: pl.DataFrame, fills: pl.DataFrame) -> pl.DataFrame:
    """How each trade ended, the part that was taken at targets before included.

    Args:
        trades: Of the result.
        fills: Of the result.

    Returns:
        A row a trade: `targets_taken`, how many fills were targets; `left_by`, the reason of the exit, and before it
        how many targets were taken: a stop behind a target may well be a gain.
    """
    targets = fills.filter(pl.col("role") == _TARGET_FILL)
    taken = targets.group_by("trade_id").agg(pl.len().cast(pl.Int64).alias("taken"))
    found = trades.select("trade_id", "exit_reason").join(taken, on="trade_id", how="left", maintain_order="left")
    count = pl.col("taken").fill_null(0)
    noun = pl.when(count == 1).then(pl.lit("target")).otherwise(pl.lit("targets"))
    parted = (count > 0) & (pl.col("exit_reason") != _TARGET_EXIT)
    told = pl.when(parted).then(pl.format("{} {}, then {}", count, noun, "exit_reason")).otherwise("exit_reason")
    return found.select(targets_taken=count, left_by=told)


def groups(trades: pl.DataFrame, name: str, *, order: Sequence[object] | None = None) -> list[Row]:
    """Trades by the value of a column, null last.

    Args:
        trades: Of the result.
        name: Of the column.
        order: Of the values; None = ascending.

    Returns:
        `name` (None = null), `trades`, `win_rate`, `mean_r`, `sum_r`, `profit_factor`, `pnl`.
    """
    parts = {key[0]: part for key, part in trades.partition_by(name, as_dict=True).items()}
    known = [value for value in parts if value is not None]
    ranks = {value: place for place, value in enumerate(order if order is not None else sorted(known))}
    wanted: list[object] = sorted(known, key=lambda value: ranks[value])
    return [_group(value, parts[value]) for value in [*wanted, *([None] if None in parts else [])]]


def _group(value: object, part: pl.DataFrame) -> Row:
    r, pnl = column(part, "r"), column(part, "pnl")
    return {
        "name": value,
        "trades": part.height,
        "win_rate": float((pnl > 0).mean()),
        "mean_r": float(r.mean()),
        "sum_r": math.fsum(r),
        "profit_factor": profit_factor(pnl),
        "pnl": math.fsum(pnl),
    }


def decided(decisions: pl.DataFrame) -> Row:
    """What became of the signals: `evaluated` and `placed`, how many decisions there were and brackets; `refusals`."""
    return {
        "evaluated": decisions.height,
        "placed": int(decisions["reason"].null_count()),
        "refusals": refusals(decisions),
    }


def refusals(decisions: pl.DataFrame) -> list[Row]:
    """How often each gate said no, in the order of `risk.GATES`.

    Returns:
        `gate`; `first`, how many evaluations it was the first gate to refuse; `failed`, how many it refused at all.
    """
    reasons = decisions["reason"].cast(pl.String).drop_nulls().value_counts()
    first = dict(reasons.iter_rows())
    passed = decisions["passed"].to_numpy()
    return [
        {
            "gate": gate,
            "first": int(first.get(gate, 0)),
            "failed": int(passed.size - np.count_nonzero(passed & np.int32(1 << place))),
        }
        for place, gate in enumerate(GATES)
    ]
