"""Buy and hold: what the capital would have come to, worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import polars as pl
import pytest

from backtest import run_backtest
from backtest.benchmark import Holding, buy_and_hold
from backtest.config import ALWAYS
from contracts import SeriesKey
from tests.backtest.markets import ONE, TWO, config, market, rules_of
from tests.backtest.reported import CAPITAL, KEYS, Told, told
from tests.backtest.results import START

# A fee that can be reckoned in the head.
PERCENT = Decimal("0.01")


def closing_at(*closes: float, first: float, later: timedelta = timedelta(0)) -> pl.DataFrame:
    """Quarters of an hour from START (or later) on, the first opening at `first`."""
    count = len(closes)
    return pl.DataFrame(
        {
            "open_time": pl.Series(
                [START + later + k * timedelta(minutes=15) for k in range(count)], dtype=pl.Datetime("us", "UTC")
            ),
            "open": [first, *closes][:count],
            "high": [max([first, *closes])] * count,
            "low": [min([first, *closes])] * count,
            "close": list(closes),
            "volume": [1.0] * count,
        }
    )


def held(run: Told, bars: dict[SeriesKey, pl.DataFrame]) -> Holding:
    found = buy_and_hold(run, bars)
    assert found is not None
    return found


def charging(fee: Decimal) -> Told:
    """Three hours, sampled every hour, of a run that traded both instruments."""
    asked = config(rules={key: [(ALWAYS, rules_of(key, taker_fee=fee))] for key in (ONE, TWO)}, trade=("15m",))
    return replace(told([1.0]), config=asked)


def test_each_half_of_the_capital_buys_one_pays_the_fee_and_is_worth_what_selling_leaves() -> None:
    # 5,000 buy at 100 and at 50; after an hour 110 and 50, after two 120 and 40, after three 130 and 60.
    bars = {
        KEYS[0]: closing_at(*[110.0] * 4, *[120.0] * 4, *[130.0] * 4, first=100.0),
        KEYS[1]: closing_at(*[50.0] * 4, *[40.0] * 4, *[60.0] * 4, first=50.0),
    }
    found = held(charging(PERCENT), bars)
    # Each part pays for the coins and 1 % on them, and what is sold leaves 99 %.
    kept = 0.99 / 1.01
    worth = [5_000 * (1.1 + 1.0) * kept, 5_000 * (1.2 + 0.8) * kept, 5_000 * (1.3 + 1.2) * kept]
    assert found.curve["equity"].to_list() == pytest.approx(worth)
    assert found.net_pnl == pytest.approx(12_500 * kept - CAPITAL)
    assert found.total_return == pytest.approx(1.25 * kept - 1)
    assert found.instruments == (ONE, TWO)
    # From 10,500 · kept to 10,000 · kept.
    assert found.max_drawdown == pytest.approx(1 - 10_000 / 10_500)
    assert found.curve["ts"].to_list() == told([1.0]).equity["ts"].to_list()


def test_what_falls_from_the_first_bar_on_is_below_the_capital_it_began_with() -> None:
    bars = {key: closing_at(*[80.0] * 12, first=100.0) for key in KEYS}
    assert held(charging(Decimal(0)), bars).curve["drawdown"].to_list() == pytest.approx([0.2] * 3)


def test_the_part_of_an_instrument_that_begins_later_is_idle_until_then() -> None:
    bars = {
        KEYS[0]: closing_at(*[100.0] * 12, first=100.0),
        KEYS[1]: closing_at(*[75.0] * 4, first=50.0, later=timedelta(hours=2)),
    }
    found = held(charging(Decimal(0)), bars)
    # At its open after two hours the second is bought at 50; a quarter later it is worth half as much again.
    assert found.curve["equity"].to_list() == pytest.approx([10_000.0, 10_000.0, 12_500.0])


def test_the_fee_is_that_of_its_time() -> None:
    later = START + timedelta(hours=2)
    versions = [(ALWAYS, rules_of(ONE, taker_fee=Decimal(0))), (later, rules_of(ONE, taker_fee=PERCENT))]
    run = charging(PERCENT)
    run = replace(run, config=replace(run.config, rules={**run.config.rules, ONE: versions}))
    run = replace(run, written=replace(run.written, keys=KEYS[:1]))
    # Bought without a fee, sold at 1 %.
    assert held(run, {KEYS[0]: closing_at(*[100.0] * 12, first=100.0)}).net_pnl == pytest.approx(-100.0)


def test_only_what_is_traded_is_held_and_its_shortest_traded_series_prices_it() -> None:
    bars = {
        KEYS[0]: closing_at(*[110.0] * 12, first=100.0),
        ONE.series("1h"): closing_at(*[900.0] * 12, first=900.0),
        TWO.series("1m"): closing_at(*[900.0] * 12, first=1.0),
    }
    run = charging(Decimal(0))
    run = replace(
        run, config=replace(run.config, trade=("15m", "1h")), written=replace(run.written, keys=tuple(reversed(bars)))
    )
    found = held(run, bars)
    assert found.instruments == (ONE,)
    assert found.total_return == pytest.approx(0.1)


def test_bars_before_the_run_are_not_held() -> None:
    bars = {key: closing_at(*[50.0] * 4, *[100.0] * 4, *[110.0] * 4, first=50.0) for key in KEYS}
    run = replace(charging(Decimal(0)), start=START + timedelta(hours=1, minutes=1))
    # The bar at 01:15 opens at 100.
    assert held(run, bars).curve["equity"].to_list() == pytest.approx([10_000.0, 10_000.0, 11_000.0])


def test_an_instrument_without_a_bar_in_the_run_leaves_its_part_idle() -> None:
    bars = {KEYS[0]: closing_at(*[110.0] * 12, first=100.0), KEYS[1]: closing_at(first=50.0)}
    assert held(charging(Decimal(0)), bars).curve["equity"].to_list() == pytest.approx([10_500.0] * 3)


@pytest.mark.parametrize("bars", [{}, {KEYS[0]: closing_at(100.0, first=100.0)}])
def test_without_the_bars_of_everything_that_was_traded_there_is_none(bars: dict[SeriesKey, pl.DataFrame]) -> None:
    assert buy_and_hold(charging(PERCENT), bars) is None


def test_a_real_run_is_held_from_its_first_open_to_its_last_close() -> None:
    bars = market(300)
    result = run_backtest(bars, config())
    found = buy_and_hold(result, bars)
    assert found is not None
    fee = float(rules_of(ONE).taker_fee)
    grown = [frame["close"][-1] / frame["open"][0] for key, frame in bars.items() if str(key.tf) == "1m"]
    assert len(grown) == 2
    assert found.total_return == pytest.approx(sum(grown) / 2 * (1 - fee) / (1 + fee) - 1, rel=1e-12)
    assert found.curve.select("ts").equals(result.equity.select("ts"))
