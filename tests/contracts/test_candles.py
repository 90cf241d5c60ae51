import hashlib
from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA, CANDLE_SCHEMA, bars, chain_next, chain_start, digest

FIRST = {
    "open_time": datetime(2022, 1, 1, tzinfo=UTC),
    "open": "46319.00000000",
    "high": "46385.5",
    "low": "46319",
    "close": "100.10",
    "volume": "0.00000000",
    "trades": 12,
    "taker_buy_vol": "1.50",
    "quote_vol": "2000",
}


def frame(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=CANDLE_SCHEMA)


def test_the_digest_is_the_sha256_of_one_line_a_candle_without_trailing_zeros() -> None:
    line = "1640995200000000|46319|46385.5|46319|100.1|0|2000|12|1.5\n"
    assert digest(frame(FIRST)) == hashlib.sha256(line.encode()).hexdigest()


def test_the_same_values_written_with_other_zeros_have_the_same_digest() -> None:
    rewritten = FIRST | {"open": "46319", "high": "46385.50000000", "volume": "0", "quote_vol": "2000.000"}
    assert digest(frame(rewritten)) == digest(frame(FIRST))


def test_the_digest_of_no_candles_is_the_hash_of_nothing() -> None:
    assert digest(frame()) == hashlib.sha256(b"").hexdigest()


decimals = st.decimals(min_value=0, max_value=10**9, places=8, allow_nan=False).map(lambda d: format(d, "f"))


@given(st.lists(decimals, min_size=7, max_size=7), st.integers(0, 6))
def test_any_changed_value_changes_the_digest(values: list[str], position: int) -> None:
    names = ["open", "high", "low", "close", "volume", "taker_buy_vol", "quote_vol"]
    row = FIRST | dict(zip(names, values, strict=True))
    changed = row | {names[position]: values[position][:-1] + ("1" if values[position][-1] != "1" else "2")}
    assert digest(frame(row)) != digest(frame(changed))


@given(decimals, st.integers(0, 8))
def test_trailing_zeros_never_matter(value: str, zeros: int) -> None:
    assert digest(frame(FIRST | {"open": value})) == digest(frame(FIRST | {"open": value + "0" * zeros}))


def test_a_chain_depends_on_the_series_its_first_bar_and_every_month() -> None:
    key = SeriesKey("binance_spot", "BTCUSDT", "1m")
    start = chain_start(key, 1_640_995_200_000_000)
    assert start == hashlib.sha256(b"binance_spot:BTCUSDT:1m1640995200000000").hexdigest()
    assert chain_next(start, "ab") == hashlib.sha256(f"{start}ab".encode()).hexdigest()
    assert chain_next(start, "ab", "cd") != chain_next(start, "ab")
    assert chain_start(SeriesKey("binance_spot", "BTCUSDT", "5m"), 1_640_995_200_000_000) != start


def test_bars_are_the_nearest_floats_of_the_candles() -> None:
    second = FIRST | {"open_time": datetime(2022, 1, 1, tzinfo=UTC) + timedelta(minutes=1), "open": "0.1"}
    found = bars(frame(FIRST, second))
    assert found.schema == BAR_SCHEMA
    assert found["open"].to_list() == [46319.0, 0.1]
