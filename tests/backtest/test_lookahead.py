"""Nothing is read before it was known: the law, and lookaheads of one bar that are planted to see the law fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from backtest import BacktestResult, Session
from backtest.market import TABLES, Stretch, Tables
from contracts import SeriesKey
from engine import SymbolEngine
from tests.backtest.markets import ONE, config, market, until

START = datetime(2022, 1, 1, tzinfo=UTC)
MARKET = {key: frame for key, frame in market(600).items() if key.instrument == ONE}
KEYS = list(MARKET)

# What may be done to a series' stretch, or to the tables it is made from, before it is walked.
Plant = Callable[[Stretch], Stretch]


def tables_of(bars: dict[SeriesKey, pl.DataFrame]) -> dict[SeriesKey, Tables]:
    """What the engine makes of bars."""
    engine = SymbolEngine(ONE.venue, ONE.symbol, dict.fromkeys(("1m", "15m"), config().params), sub={"15m": "1m"})
    rows = engine.advance({str(key.tf): frame for key, frame in bars.items()})
    return {ONE.series(tf): {name: of_tf.frame(name) for name in TABLES} for tf, of_tf in rows.items()}


def run(bars: dict[SeriesKey, pl.DataFrame], plant: Plant) -> BacktestResult:
    """A run whose stretches were tampered with."""
    tables = tables_of(bars)
    session = Session(KEYS, config(), start=START)
    session.step({key: plant(Stretch.of(key, frame, tables[key], traded=True)) for key, frame in bars.items()})
    return session.finish()


def assert_nothing_is_known_early(plant: Plant) -> None:
    """What is decided by an instant is the same whatever comes after it."""
    whole = run(MARKET, plant)
    for quarters in range(150, 600, 50):
        cut = START + quarters * timedelta(minutes=15)
        short = run(until(MARKET, cut), plant)
        before = whole.decisions.filter(pl.col("ts") <= cut)
        assert short.decisions.equals(before), f"by {cut} something was known that came later"


def as_it_is(stretch: Stretch) -> Stretch:
    return stretch


def closes_of_the_next_bar(stretch: Stretch) -> Stretch:
    opened, high, low, close = stretch.prices
    return replace(stretch, prices=(opened, high, low, np.append(close[1:], close[-1:])))


def volatility_of_the_next_bar(stretch: Stretch) -> Stretch:
    return replace(stretch, vol_state=np.append(stretch.vol_state[1:], stretch.vol_state[-1:]))


def zones_that_end_a_bar_early(stretch: Stretch) -> Stretch:
    signals = stretch.signals.copy()
    signals["zone_ends"] -= stretch.key.tf.us
    return replace(stretch, signals=signals)


def signals_a_bar_early(stretch: Stretch) -> Stretch:
    signals = stretch.signals.copy()
    signals["ts"] -= stretch.key.tf.us
    signals["bar"] -= 1
    return replace(stretch, signals=signals)


def test_nothing_is_known_before_its_time() -> None:
    assert_nothing_is_known_early(as_it_is)


@pytest.mark.parametrize(
    "plant", [closes_of_the_next_bar, volatility_of_the_next_bar, zones_that_end_a_bar_early, signals_a_bar_early]
)
def test_a_planted_lookahead_of_one_bar_is_noticed(plant: Plant) -> None:
    with pytest.raises(AssertionError, match="something was known that came later"):
        assert_nothing_is_known_early(plant)


def test_an_event_of_the_calendar_and_a_funding_rate_are_not_seen_before_they_were_known() -> None:
    # The arrays of a run hold the future too: what is seen of them at a decision is on record, and is of the past.
    settled = pl.DataFrame(
        {
            "funding_time": [START + timedelta(hours=8 * n) for n in range(1, 20)],
            "rate": [n * 1e-5 for n in range(1, 20)],
            "mark_price": [None] * 19,
        },
        schema={"funding_time": pl.Datetime("us", "UTC"), "rate": pl.Float64, "mark_price": pl.Float64},
    )
    asked = config(funding={ONE: settled})
    session = Session(KEYS, asked, start=START)
    session.advance(MARKET)
    result = session.finish()
    rows = result.written.rows("decisions")
    guards = result.written.rows("guards")[rows["guard"]]
    known = guards["funding_last"] > 0
    assert known.sum() > 1_000
    assert (guards["funding_last"][known] <= rows["ts"][known]).all()
    assert (rows["ts"][known] - guards["funding_last"][known] < timedelta(hours=8) // timedelta(microseconds=1)).all()
    nth = (guards["funding_last"][known] - int(START.timestamp() * 1e6)) // (8 * 3_600_000_000)
    assert np.allclose(guards["funding_rate"][known], nth * 1e-5)
