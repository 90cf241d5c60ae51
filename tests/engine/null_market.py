"""Beside the engine, a reader of the same walks that sees one bar further than it may; and a test for such readers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from bench.null_market import read
from bench.walks import KEY
from engine import TABLES

if TYPE_CHECKING:
    from bench.null_market import Reader
    from bench.walks import Walk
    from engine import SeriesRows

# What a life cycle may change after a row was written; the rest of it may never change.
LIFE = ("touches", "first_touch_ts", "status", "ended_ts")


def peek(walk: Walk) -> SeriesRows:
    """The engine with one bar of lookahead: at each bar it sees the prices of the next one, its sub-bars included."""
    return peek_inside(replace(walk, bars=_early(walk.bars, 1)))


def peek_inside(walk: Walk) -> SeriesRows:
    """The engine with one bar of lookahead in the sub-timeframe alone: what `micro_bos` says comes from the future."""
    return read(replace(walk, sub_bars=_early(walk.sub_bars, walk.sub_bars.height // walk.bars.height)))


def _early(bars: pl.DataFrame, by: int) -> pl.DataFrame:
    """Each bar with the values of the one `by` bars later; the last bars keep their own."""
    values = pl.concat([bars.slice(by), bars.tail(by)]).drop("open_time")
    return bars.select("open_time").hstack(values)


def rewritten(reader: Reader, walk: Walk, *, at: int) -> set[str]:
    """The tables in which the rows known after `at` bars are others once the rest of the walk has happened."""
    early, late = reader(walk.head(at)), reader(walk)
    known = walk.bars["open_time"][at - 1] + KEY.tf.duration
    found = set()
    for table in TABLES:
        instant = "created_ts" if table in ("zones", "inversions") else "ts"
        before = early.frame(table).drop(LIFE, strict=False)
        after = late.frame(table).filter(pl.col(instant) <= known).drop(LIFE, strict=False)
        if not before.equals(after):
            found.add(table)
    return found
