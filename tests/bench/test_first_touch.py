"""Every expected result is worked out from a path of a few prices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from bench.first_touch import NEVER, Orders, clustered_mean, outcomes, signal_orders, zone_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2022, 1, 1, tzinfo=UTC)
BAR = timedelta(minutes=15)  # 60 steps


def order(
    side: int, *, entry: float, stop: float, target: float, risk: float, start: int = 0, until: int = NEVER
) -> Orders:
    reals = [np.array([float(value)]) for value in (side, entry, stop, target, risk)]
    return Orders(reals[0], np.array([start]), np.array([until]), *reals[1:])


def result(prices: Sequence[float], one: Orders) -> list[float]:
    return [float(x) for x in outcomes(np.array(prices, dtype=np.float64), one)]


def long(**window: int) -> Orders:
    return order(1, entry=100, stop=98, target=104, risk=2, **window)


def test_a_buyer_is_filled_beyond_the_edge_and_keeps_the_overshoot_of_the_target() -> None:
    # filled at 99.5, left at 104.25: 4.75 of 2 at risk
    assert result([101, 99.5, 103.75, 104.25, 90], long()) == [2.375]


def test_a_buyer_pays_the_overshoot_of_the_stop() -> None:
    assert result([101, 100, 99, 97.5, 110], long()) == [-1.25]


def test_a_seller_is_the_mirror_of_a_buyer() -> None:
    short = order(-1, entry=100, stop=102, target=96, risk=2)
    assert result([99, 100.5, 97, 95.5], short) == [2.5]
    assert result([99, 100.5, 103], short) == [-1.25]


def test_what_is_open_at_the_end_is_closed_at_the_last_price() -> None:
    assert result([101, 100, 102], long()) == [1.0]


def test_a_fill_at_the_last_price_gains_nothing() -> None:
    assert result([101, 100], long()) == [0.0]


def test_a_jump_over_the_whole_zone_is_filled_there_and_left_at_the_next_price() -> None:
    assert result([101, 97, 97.5, 110], long()) == [0.25]


def test_the_price_the_order_waits_for_is_not_seen_before_it_starts_nor_after_it_ends() -> None:
    prices = [99, 101, 101, 99, 105]
    assert result(prices, long(start=1)) == [3.0]
    assert result(prices, long(start=1, until=3)) == []
    assert result(prices, long(start=1, until=4)) == [3.0]
    assert result(prices, long(start=5)) == []


def zone_frame(**changed: Any) -> pl.DataFrame:  # noqa: ANN401 - any column
    zone = {"side": "DEMAND", "price_lo": 98.0, "price_hi": 100.0, "created_ts": START + 3 * BAR, "ended_ts": None}
    instant = pl.Datetime("us", "UTC")
    return pl.DataFrame([zone | changed], schema_overrides={"created_ts": instant, "ended_ts": instant})


def test_a_zone_is_bought_at_its_near_edge_from_the_step_after_it_became_known() -> None:
    orders = zone_orders(zone_frame())
    assert (orders.side[0], orders.entry[0], orders.stop[0], orders.target[0], orders.risk[0]) == (1, 100, 98, 104, 2)
    assert (orders.start[0], orders.until[0]) == (180, NEVER)


def test_a_supply_zone_is_sold_and_waits_until_the_bar_that_ended_it_has_closed() -> None:
    orders = zone_orders(zone_frame(side="SUPPLY", ended_ts=START + 5 * BAR), target=3)
    assert (orders.side[0], orders.entry[0], orders.stop[0], orders.target[0], orders.risk[0]) == (-1, 98, 100, 92, 2)
    assert (orders.start[0], orders.until[0]) == (180, 300)


def test_a_signal_is_filled_at_the_next_price_whatever_it_is() -> None:
    signal = {"side_hint": "LONG", "entry_hint": 100.0, "sl_hint": 98.0, "ts": START + BAR}
    frame = pl.DataFrame([signal], schema_overrides={"ts": pl.Datetime("us", "UTC")})
    prices = [50.0] * 60 + [101.0, 102.0, 103.5]
    assert result(prices, signal_orders(frame)) == [1.25]  # from 101 to the target of 103 and its overshoot
    mirrored = frame.with_columns(pl.lit("SHORT").alias("side_hint"), pl.lit(102.0).alias("sl_hint"))
    assert result([50.0] * 60 + [99.0, 96.5], signal_orders(mirrored)) == [1.25]


def test_the_interval_of_equal_clusters_is_that_of_their_means() -> None:
    # walks of two equal trades: three observations 1, 2, 3; s = 1, error 1/√3; t(2, 97.5 %) is 4.303, here to 1/G
    estimate = clustered_mean([np.array([x, x]) for x in (1.0, 2.0, 3.0)], confidence=0.95)
    z = 1.959964
    assert estimate.mean == 2.0
    assert estimate.half_width == pytest.approx((z + (z**3 + z) / 8) / np.sqrt(3), rel=1e-6)
    assert (estimate.wins, estimate.trades, estimate.walks) == (1.0, 6, 3)
    assert (estimate.low, estimate.high) == (2.0 - estimate.half_width, 2.0 + estimate.half_width)


def test_overlapping_trades_of_one_walk_do_not_make_the_interval_narrower() -> None:
    once = clustered_mean([np.array([x]) for x in (1.0, -1.0, 2.0, -2.0)])
    hundredfold = clustered_mean([np.full(100, x) for x in (1.0, -1.0, 2.0, -2.0)])
    assert hundredfold.half_width == pytest.approx(once.half_width)


def test_the_interval_has_its_stated_coverage_over_walks_of_unequal_size() -> None:
    rng = np.random.default_rng(7)
    contained = 0
    for _ in range(1_000):
        walks = [rng.normal(0, 1) + rng.normal(0, 1, rng.integers(0, 20)) for _ in range(60)]
        estimate = clustered_mean(walks, confidence=0.9)
        contained += estimate.low <= 0.0 <= estimate.high
    assert 870 <= contained <= 930  # three standard errors of a share of 0.9 in 1,000


def test_a_trade_that_gains_nothing_is_not_won() -> None:
    assert clustered_mean([np.array([0.0, 1.0]), np.array([-1.0, 2.0])]).wins == 0.5


def test_no_trade_and_a_single_walk_have_no_interval() -> None:
    with pytest.raises(ValueError, match="received 1 walks and 2 trades"):
        clustered_mean([np.zeros(2)])
    with pytest.raises(ValueError, match="received 2 walks and 0 trades"):
        clustered_mean([np.empty(0), np.empty(0)])
