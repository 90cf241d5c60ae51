"""Surrogate markets: the shapes of the bars and nothing of their order; and the place of a result among them."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from backtest.surrogates import surrogate
from backtest.workers import Workers
from contracts.candles import BAR_SCHEMA
from tests.backtest.markets import ONE, TWO, config, market

MARKET = market(400)


def shapes(frame: pl.DataFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Each bar's close against the close before, sorted; the first against its own open."""
    close, opened = frame["close"].to_numpy(), frame["open"].to_numpy()
    found: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = close / np.concatenate((opened[:1], close[:-1]))
    return found


def test_a_surrogate_has_the_times_and_the_shapes_of_the_bars() -> None:
    made = surrogate(MARKET, seed=1)
    assert list(made) == list(MARKET)
    for key, frame in MARKET.items():
        assert made[key].schema == BAR_SCHEMA
        assert made[key]["open_time"].equals(frame["open_time"])
    minutes = ONE.series("1m")
    # The first bar of a surrogate follows no close: it stands against its own first price.
    real, drawn = shapes(MARKET[minutes]), shapes(made[minutes])[1:]
    known = np.sort(real)
    nearest = known[np.clip(np.searchsorted(known, drawn), 0, known.size - 1)]
    before = known[np.clip(np.searchsorted(known, drawn) - 1, 0, known.size - 1)]
    assert np.minimum(abs(nearest - drawn), abs(before - drawn)).max() < 1e-12
    assert made[minutes]["open"][0] == pytest.approx(MARKET[minutes]["open"][0], rel=1e-3)  # its own gap from there
    assert drawn.std() == pytest.approx(real.std(), rel=0.1)


def test_every_bar_of_a_surrogate_can_be() -> None:
    for frame in surrogate(MARKET, seed=2).values():
        low = frame.select((pl.min_horizontal("open", "close") - pl.col("low")).min()).item()
        high = frame.select((pl.col("high") - pl.max_horizontal("open", "close")).min()).item()
        assert min(low, high) >= 0.0
        assert (frame["low"] > 0).all()


def test_longer_bars_are_made_of_the_shortest() -> None:
    made = surrogate(MARKET, seed=3)
    minutes, quarters = made[ONE.series("1m")], made[ONE.series("15m")]
    for at in (0, 17, 399):
        inside = minutes[15 * at : 15 * at + 15]
        row = quarters.row(at, named=True)
        assert (row["open"], row["close"]) == (inside["open"][0], inside["close"][-1])
        assert (row["high"], row["low"]) == (inside["high"].max(), inside["low"].min())
        assert row["volume"] == pytest.approx(inside["volume"].sum())


def test_instruments_with_the_same_times_still_move_together() -> None:
    twin = {**MARKET, TWO.series("1m"): MARKET[ONE.series("1m")], TWO.series("15m"): MARKET[ONE.series("15m")]}
    made = surrogate(twin, seed=4)
    assert made[ONE.series("1m")].equals(made[TWO.series("1m")])


def test_seeds_name_markets() -> None:
    one, same, other = (surrogate(MARKET, seed=seed)[ONE.series("1m")] for seed in (5, 5, 6))
    assert one.equals(same)
    assert not one.equals(other)


def test_blocks_keep_neighbours_together_and_no_more_than_that() -> None:
    minutes = ONE.series("1m")
    # Volume that counts the bars says which bar stands where.
    numbered = {minutes: MARKET[minutes].with_columns(volume=pl.int_range(pl.len()).cast(pl.Float64))}
    order = surrogate(numbered, seed=7, mean_block=20)[minutes]["volume"].to_numpy()
    follows = np.mean(np.diff(order) == 1)
    assert 0.93 < follows < 0.97  # 19 of 20
    assert np.unique(order).size > 0.5 * order.size


def test_surrogates_are_traded_as_the_market_is() -> None:
    one = {key: frame for key, frame in MARKET.items() if key.instrument == ONE}
    with Workers(one, config(), processes=1) as workers:
        values = list(workers.surrogates(range(4), measure="net_pnl"))
        assert list(workers.surrogates([2], measure="net_pnl")) == values[2:3]
    assert len({*values}) == 4
    assert all(value is not None for value in values)
