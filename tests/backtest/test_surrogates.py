"""Surrogate markets: the bars in another order and nothing more; and the place of a result among them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.surrogates import surrogate
from backtest.workers import Workers
from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA
from tests.backtest.markets import ONE, TWO, config, market

MARKET = market(400)
MINUTES, QUARTERS = ONE.series("1m"), ONE.series("15m")
START = datetime(2024, 1, 1, tzinfo=UTC)


def of_one(*keys: SeriesKey) -> dict[SeriesKey, pl.DataFrame]:
    return {key: MARKET[key] for key in keys}


def shapes(frame: pl.DataFrame) -> list[tuple[float, ...]]:
    """Each bar's close, high and low against its open, and its volume."""
    opened = frame["open"].to_numpy()
    columns = [frame[name].to_numpy() / opened for name in ("high", "low", "close")] + [frame["volume"].to_numpy()]
    return [tuple(float(f"{value:.9g}") for value in row) for row in zip(*columns, strict=True)]


def numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Volume that counts the bars says which bar stands where."""
    return frame.with_columns(volume=pl.int_range(pl.len()).cast(pl.Float64))


def walk(count: int, *, tf: timedelta, seed: int = 1) -> pl.DataFrame:
    """Bars whose prices are multiples of one close after another."""
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, count)))
    opened = np.concatenate(([100.0], close[:-1]))
    return pl.DataFrame(
        {
            "open_time": [START + n * tf for n in range(count)],
            "open": opened,
            "high": np.maximum(opened, close) * 1.001,
            "low": np.minimum(opened, close) * 0.999,
            "close": close,
            "volume": np.arange(1.0, count + 1),
        },
        schema=BAR_SCHEMA,
    )


@pytest.mark.parametrize("traded", [(), ("15m",)])
def test_a_surrogate_has_the_times_of_the_bars_and_no_bar_that_is_not_one_of_them(traded: tuple[str, ...]) -> None:
    made = surrogate(MARKET, seed=1, traded=traded)
    assert list(made) == list(MARKET)
    for key, frame in MARKET.items():
        assert made[key].schema == BAR_SCHEMA
        assert made[key]["open_time"].equals(frame["open_time"])
    for key in (MINUTES, QUARTERS) if traded else (MINUTES,):
        assert set(shapes(made[key])) <= set(shapes(MARKET[key]))
        assert made[key]["open"][0] == pytest.approx(MARKET[key]["open"][0], rel=1e-3)  # its own gap from there


def test_every_bar_of_a_surrogate_can_be() -> None:
    for frame in surrogate(MARKET, seed=2).values():
        low = frame.select((pl.min_horizontal("open", "close") - pl.col("low")).min()).item()
        high = frame.select((pl.col("high") - pl.max_horizontal("open", "close")).min()).item()
        assert min(low, high) >= 0.0
        assert (frame["low"] > 0).all()


@pytest.mark.parametrize("traded", [(), ("15m",)])
def test_a_longer_bar_agrees_with_the_shorter_ones_in_it(traded: tuple[str, ...]) -> None:
    made = surrogate(MARKET, seed=3, traded=traded)
    minutes, quarters = made[MINUTES], made[QUARTERS]
    for at in (0, 17, 399):
        inside = minutes[15 * at : 15 * at + 15]
        row = quarters.row(at, named=True)
        assert (row["open"], row["close"]) == pytest.approx((inside["open"][0], inside["close"][-1]))
        assert (row["high"], row["low"]) == pytest.approx((inside["high"].max(), inside["low"].min()))
        assert row["volume"] == pytest.approx(inside["volume"].sum())


def test_finer_bars_change_nothing_of_what_is_traded() -> None:
    alone = surrogate(of_one(QUARTERS), seed=4, traded=("15m",))
    with_minutes = surrogate(of_one(MINUTES, QUARTERS), seed=4, traded=("15m",))
    assert with_minutes[QUARTERS].equals(alone[QUARTERS])


def test_finer_bars_of_a_part_of_the_window_are_moved_with_the_bars_they_lie_in() -> None:
    some = MARKET[MINUTES][-15 * 40 :]  # of the last 40 quarters
    made = surrogate({QUARTERS: MARKET[QUARTERS], MINUTES: some}, seed=5, traded=("15m",))
    assert made[QUARTERS].height == 400  # not only where there are minutes
    for opened in made[MINUTES]["open_time"].dt.truncate("15m").unique():
        inside = made[MINUTES].filter(pl.col("open_time").dt.truncate("15m") == opened)
        row = made[QUARTERS].row(by_predicate=pl.col("open_time") == opened, named=True)
        assert (row["open"], row["close"]) == pytest.approx((inside["open"][0], inside["close"][-1]))


def test_instruments_still_move_together() -> None:
    twin = {**of_one(MINUTES, QUARTERS), TWO.series("1m"): MARKET[MINUTES], TWO.series("15m"): MARKET[QUARTERS]}
    made = surrogate(twin, seed=4)
    assert made[MINUTES].equals(made[TWO.series("1m")])


@given(st.integers(0, 2**32), st.sets(st.integers(0, 299), min_size=1, max_size=30))
@settings(max_examples=20)
def test_holes_of_one_instrument_leave_the_others_where_both_have_bars_together(seed: int, holes: set[int]) -> None:
    whole = walk(300, tf=timedelta(minutes=15))
    part = whole.filter(~pl.int_range(pl.len()).is_in(list(holes)))
    twin = TWO.series("15m")
    made = surrogate({QUARTERS: whole, twin: part}, seed=seed)
    assert made[twin]["open_time"].equals(part["open_time"])
    both = made[QUARTERS].join(made[twin], on="open_time", suffix="_twin")
    # Volume counts the bars. The twin stands elsewhere only where it has no such bar.
    apart = both.filter(pl.col("volume") != pl.col("volume_twin"))
    assert {int(volume) - 1 for volume in apart["volume"]} <= holes


def test_an_instrument_that_was_listed_later_has_no_bars_before() -> None:
    late = walk(100, tf=timedelta(minutes=15), seed=2)
    late = late.with_columns(pl.col("open_time") + timedelta(minutes=15 * 200))
    made = surrogate({QUARTERS: walk(300, tf=timedelta(minutes=15)), TWO.series("15m"): late}, seed=6)
    assert made[TWO.series("15m")]["open_time"].equals(late["open_time"])
    assert set(made[TWO.series("15m")]["volume"]) <= set(late["volume"])


@pytest.mark.parametrize(("short", "long"), [("3m", "5m"), ("8h", "12h")])
def test_timeframes_that_do_not_nest_are_moved_by_what_both_divide(short: str, long: str) -> None:
    keys = ONE.series(short), ONE.series(long)
    both = {key: walk(600 if key is keys[0] else 400, tf=key.tf.duration) for key in keys}
    made = surrogate(both, seed=7)
    for key in keys:
        assert set(made[key]["volume"]) <= set(both[key]["volume"])  # whole bars, none made of parts of others


def test_seeds_name_markets() -> None:
    one, same, other = (surrogate(MARKET, seed=seed)[MINUTES] for seed in (5, 5, 6))
    assert one.equals(same)
    assert not one.equals(other)


@pytest.mark.parametrize("keys", [(MINUTES,), (MINUTES, QUARTERS)])
def test_stretches_are_counted_in_bars_of_what_is_traded(keys: tuple[SeriesKey, ...]) -> None:
    traded = keys[-1]
    bars = of_one(*keys) | {traded: numbered(MARKET[traded])}
    order = surrogate(bars, seed=7, traded=(str(traded.tf),), mean_block=20)[traded]["volume"].to_numpy()
    follows = np.mean(np.diff(order) == 1)
    assert 0.92 < follows < 0.98  # 19 of 20
    assert np.unique(order).size > 0.5 * order.size


def test_surrogates_are_traded_as_the_market_is() -> None:
    one = {key: frame for key, frame in MARKET.items() if key.instrument == ONE}
    with Workers(one, config(), processes=1) as workers:
        values = list(workers.surrogates(range(4), measure="net_pnl"))
        assert list(workers.surrogates([2], measure="net_pnl")) == values[2:3]
    assert len({*values}) == 4
    assert all(value is not None for value in values)
