"""What a picture is: its file, the sentence under it, and the rows of the engine it claims to show.

Invariant: every instant, price and count in a caption is read from a row or a bar, never written by hand.

    Picture("sweep", chart.svg(), f"…", facts=(Fact("liquidity_events", row, market.params),))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from docs.pictures.market import KEY

if TYPE_CHECKING:
    from datetime import datetime

    from contracts import Timeframe
    from docs.pictures.market import Market
    from engine import EngineParams

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fact:
    """A row that became known at its `ts`, and not before.

    Attributes:
        table: Its table.
        row: The row as the engine gave it.
        params: Of the engine that gave it.
        tf: The series it belongs to.
    """

    table: str
    row: Row
    params: EngineParams
    tf: Timeframe = KEY.tf


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn concept.

    Attributes:
        name: Of the file, without its ending.
        svg: The file.
        caption: Stands under it in the page.
        facts: What the picture shows, in the order in which it became known.
    """

    name: str
    svg: str
    caption: str
    facts: tuple[Fact, ...]


def window(market: Market, first: datetime, last: datetime, *, before: int, after: int) -> pl.DataFrame:
    """The bars from `before` bars before the one of `first` to `after` bars behind the one of `last`."""
    start = max(market.bar(first) - before, 0)
    return market.walk.bars.slice(start, market.bar(last) + after + 1 - start)


def broken_swing(swings: pl.DataFrame, event: Row) -> Row:
    """The swing that a break refers to.

    Args:
        swings: Of the series of the break.
        event: A row of `smc_events`.
    """
    kind = "HIGH" if event["kind"].endswith("UP") else "LOW"
    return swings.row(by_predicate=(pl.col("kind") == kind) & (pl.col("pivot_ts") == event["ref_ts"]), named=True)


def price(value: float) -> str:
    """A price as the page writes it; the table has it in full."""
    return f"{value:,.2f}"


def clock(ts: datetime) -> str:
    """The time of day, which names a bar in a picture."""
    return f"{ts:%H:%M}"
