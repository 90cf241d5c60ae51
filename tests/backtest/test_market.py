"""Which bars can be walked, traded or not: the same that the engine reads."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from backtest import BacktestRefused, run_backtest
from backtest.market import check_bars
from contracts.candles import BAR_SCHEMA
from tests.backtest.markets import ONE, config, market

KEY = ONE.series("15m")
START = datetime(2024, 1, 1, tzinfo=UTC)


def bars(*minutes: int, **columns: list[float]) -> pl.DataFrame:
    """Bars that open so many minutes after the start, all with the same prices."""
    times = [START + timedelta(minutes=minute) for minute in minutes]
    prices = {"open": 10.0, "high": 11.0, "low": 9.0, "close": 10.5, "volume": 1.0}
    values = {name: [price] * len(minutes) for name, price in prices.items()}
    return pl.DataFrame({"open_time": times} | values | columns, schema=BAR_SCHEMA)


def test_bars_with_holes_are_read() -> None:
    found = check_bars(KEY, bars(0, 15, 60))
    assert found.tolist() == [1_704_067_200_000_000, 1_704_068_100_000_000, 1_704_070_800_000_000]
    assert check_bars(KEY, bars()).size == 0
    assert check_bars(KEY, bars(0).with_columns(more=1)).size == 1


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (bars(0, 15, 37), "bar 2 (open_time 2024-01-01T00:37:00+00:00): off the grid of 15m"),
        (bars(1, 15), "bar 0 (open_time 2024-01-01T00:01:00+00:00): off the grid of 15m"),
        (bars(0, 30, 15), "bar 2 (open_time 2024-01-01T00:15:00+00:00): out of order"),
        (bars(0, 15, 15), "bar 2 (open_time 2024-01-01T00:15:00+00:00): twice the same open_time"),
        (bars(0, 15, high=[11.0, 8.0]), "bar 1 (open_time 2024-01-01T00:15:00+00:00): low 9.0 lies above high 8.0"),
        (bars(0, 15, close=[10.0, 11.5]), "close 11.5 lies outside [low, high] = [9.0, 11.0]"),
        (bars(0, 15, low=[9.0, -1.0]), "low must be finite and positive, received -1.0"),
        (bars(0, 15, open=[10.0, float("nan")]), "open must be finite and positive, received nan"),
        (bars(0).with_columns(close=pl.lit(None, pl.Float64)), "bar 0 (open_time 2024-01-01T00:00:00+00:00): close is"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_series_number_and_time(frame: pl.DataFrame, told: str) -> None:
    with pytest.raises(BacktestRefused) as refused:
        check_bars(KEY, frame)
    assert str(refused.value).startswith(f"{KEY}: bar ")
    assert told in str(refused.value)


def test_bars_of_a_series_that_is_not_traded_must_be_bars_too() -> None:
    given = market(100)
    finer = given[ONE.series("1m")]
    given[ONE.series("1m")] = finer.with_columns(high=pl.when(pl.int_range(pl.len()) == 77).then(0.5).otherwise("high"))
    with pytest.raises(BacktestRefused, match=r"AAAUSDT:1m: bar 77 .*lies above high 0\.5"):
        run_backtest(given, config(trade=("15m",), sub={}))
