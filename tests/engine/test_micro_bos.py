"""Golden bars for the part of engine-spec section 6 that joins two timeframes: which break is `micro_bos` of which bar.

The bar asked about is bar 5 of 15m: a doji in a DEMAND zone (test_retest.py), which only a `micro_bos` of 1 confirms.
The sub-timeframe's bars are mere prices of its own making; swings have a half-width of 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
import pytest

from contracts import Timeframe
from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SymbolEngine
from tests.engine import reference
from tests.engine.hand_bars import candles
from tests.engine.strategies import START, STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.engine.hand_bars import Candle

TWO = EngineParams(pivot_n=2)
QUARTERS: list[Candle] = [
    (100, 102, 100, 101),
    (101, 103, 101, 102),
    (102, 102.5, 100.5, 101),
    (101, 103, 101, 103),
    (103.5, 105, 103.5, 105),
    (105, 105.5, 103.5, 105),  # the doji, in FVG [102.5, 103.5]
]
OPENED = START + 5 * STEP  # of the doji
MINUTE = 60_000_000

# HIGH 13 of bar 2 is known at bar 4 and broken by the seventh bar: BOS_UP
BREAK_UP = [10, 11, 13, 12, 11, 13, 13.5]
# BOS_DN at the eighth bar, CHOCH_UP at the eleventh (test_structure.py), nothing after it
DOWN_THEN_UP = [18, 19, 20, 17, 15, 16, 16.5, 14, 13, 15, 17]


def prices(values: Sequence[float], tf: str, *, last_ts: int) -> pl.DataFrame:
    """Consecutive bars without a range, the last of them known at `last_ts`."""
    step = Timeframe(tf).us
    first = last_ts - len(values) * step
    opened = pl.Series([first + t * step for t in range(len(values))], dtype=pl.Int64)
    columns = dict.fromkeys(("open", "high", "low", "close"), values)
    frame = pl.DataFrame({"open_time": opened, **columns, "volume": [1.0] * len(values)}, strict=False)
    return frame.cast(BAR_SCHEMA)


class Confirmed(Protocol):
    """Whether bar 5 is a signal, given the bars of the sub-timeframe; it opens `late` bars after bar 4 has closed."""

    def __call__(self, sub: pl.DataFrame, tf: str, *, late: int = 0) -> bool: ...


def confirmed_in_reference(sub: pl.DataFrame, tf: str, *, late: int = 0) -> bool:
    parent = quarters(late)
    signs = reference.micro_bos(parent, STEP, reference.read(sub, TWO, Timeframe(tf).us))
    return _is_bar_5([row["ts"] for row in reference.read(parent, TWO, STEP, signs).rows["signals_raw"]], late)


def confirmed_in_engine(sub: pl.DataFrame, tf: str, *, late: int = 0) -> bool:
    engine = SymbolEngine("binance_spot", "BTCUSDT", {tf: TWO, "15m": TWO}, sub={"15m": tf})
    rows = engine.advance({tf: sub, "15m": quarters(late)})[Timeframe("15m")]
    return _is_bar_5(rows.frame("signals_raw")["ts"].dt.epoch("us").to_list(), late)


def quarters(late: int) -> pl.DataFrame:
    return candles(QUARTERS, lead=220, slots=[0, 1, 2, 3, 4, 5 + late])


def _is_bar_5(found: list[Any], late: int) -> bool:
    assert found in ([], [OPENED + (1 + late) * STEP])
    return bool(found)


pytestmark = pytest.mark.parametrize(
    "confirmed",
    [pytest.param(confirmed_in_reference, id="reference"), pytest.param(confirmed_in_engine, id="engine")],
)


@pytest.mark.parametrize(
    ("minutes", "counts"),
    [
        (0, False),  # known when the bar opens: it was the bar's before
        (5, True),
        (10, True),
        (15, True),  # known when the bar closes
        (20, False),
    ],
)
def test_a_break_counts_for_the_bar_in_which_it_becomes_known_its_close_included(
    confirmed: Confirmed, minutes: int, *, counts: bool
) -> None:
    assert confirmed(prices(BREAK_UP, "5m", last_ts=OPENED + minutes * MINUTE), "5m") is counts


def test_a_bar_without_a_break_of_its_sub_timeframe_is_not_confirmed_by_it(confirmed: Confirmed) -> None:
    assert not confirmed(prices([10.0] * 7, "5m", last_ts=OPENED + STEP), "5m")


@pytest.mark.parametrize("minutes", [11, 12, 15])
def test_of_several_breaks_in_a_bar_the_last_counts(confirmed: Confirmed, minutes: int) -> None:
    # the BOS_DN is three minutes before the CHOCH_UP, in the same bar
    up = prices(DOWN_THEN_UP, "1m", last_ts=OPENED + minutes * MINUTE)
    assert confirmed(up, "1m")
    down = prices([40 - value for value in DOWN_THEN_UP], "1m", last_ts=OPENED + minutes * MINUTE)
    assert not confirmed(down, "1m")


def test_a_break_of_the_bar_before_is_not_carried_over(confirmed: Confirmed) -> None:
    # BOS_UP becomes known one minute before the bar opens; the bar's own minutes break nothing
    quiet = [*BREAK_UP, *[13.5] * 15]
    assert not confirmed(prices(quiet, "1m", last_ts=OPENED + 14 * MINUTE), "1m")


@pytest.mark.parametrize(("minutes", "counts"), [(15, False), (20, True)])
def test_a_break_of_a_missing_bar_is_nobody_s(confirmed: Confirmed, minutes: int, *, counts: bool) -> None:
    # the bar opens a quarter later, after a hole; a break known at that moment was the missing bar's
    assert confirmed(prices(BREAK_UP, "5m", last_ts=OPENED + minutes * MINUTE), "5m", late=1) is counts
