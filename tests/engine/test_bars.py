"""What may enter a series: each refusal names the row, its open time and what was received, and changes nothing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine
from engine.spans import SPAN
from tests.engine.strategies import KEY, Stretch, make_bars

BARS = make_bars([Stretch("walk", 1500, 3)])
AT = 1234  # in the second block of the validating kernel
OPENED = "2022-01-13T20:45:00+00:00"  # 2022-01-01T00:15Z + 1234 · 15 min = + 12 d 20 h 30 min


def changed(column: str, value: float, row: int = AT) -> pl.DataFrame:
    return BARS.with_columns(pl.when(pl.int_range(pl.len()) == row).then(value).otherwise(column).alias(column))


def opened_at(instant: datetime, row: int = AT) -> pl.DataFrame:
    moved = pl.when(pl.int_range(pl.len()) == row).then(pl.lit(instant)).otherwise("open_time")
    return BARS.with_columns(moved.cast(BAR_SCHEMA["open_time"]).alias("open_time"))


def refused(bars: pl.DataFrame, engine: SeriesEngine | None = None) -> str:
    """The message `advance` refuses with, after a look at the state."""
    engine = SeriesEngine(KEY, EngineParams()) if engine is None else engine
    before = engine.snapshot()
    with pytest.raises(ValueError, match=r".") as refusal:
        engine.advance(bars)
    assert engine.snapshot() == before
    return str(refusal.value)


@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 0.0, -0.0, -1.5])
def test_a_price_that_is_no_positive_number_is_refused_by_row_and_value(column: str, value: float) -> None:
    assert refused(changed(column, value)) == (
        f"bar 1234 (open_time {OPENED}): {column} must be finite and positive, received {value}"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_a_volume_that_is_negative_or_no_number_is_refused(value: float) -> None:
    assert refused(changed("volume", value)) == (
        f"bar 1234 (open_time {OPENED}): volume must be finite and not negative, received {value}"
    )


@pytest.mark.parametrize(("column", "value"), [("open", 5000.0), ("close", 0.5)])
def test_an_open_or_close_outside_its_bar_is_refused_with_the_bounds(column: str, value: float) -> None:
    low, high = BARS["low"][AT], BARS["high"][AT]
    assert refused(changed(column, value)) == (
        f"bar 1234 (open_time {OPENED}): {column} {value} lies outside [low, high] = [{low}, {high}]"
    )


def test_a_low_above_its_high_is_refused() -> None:
    assert refused(changed("low", 9999.0)) == (
        f"bar 1234 (open_time {OPENED}): low 9999.0 lies above high {BARS['high'][AT]}"
    )


def test_an_open_time_off_the_grid_is_refused() -> None:
    moved = opened_at(datetime(2022, 1, 13, 20, 46, tzinfo=UTC))
    assert refused(moved) == "bar 1234 (open_time 2022-01-13T20:46:00+00:00): off the grid of 15m"


def test_the_same_open_time_twice_is_refused() -> None:
    twice = opened_at(datetime(2022, 1, 13, 20, 30, tzinfo=UTC))
    assert refused(twice) == (
        "bar 1234 (open_time 2022-01-13T20:30:00+00:00): twice the same open_time: the row before has "
        "2022-01-13T20:30:00+00:00"
    )


def test_bars_out_of_order_are_refused() -> None:
    early = opened_at(datetime(2022, 1, 13, 19, 0, tzinfo=UTC))
    assert refused(early) == (
        "bar 1234 (open_time 2022-01-13T19:00:00+00:00): out of order: the row before has 2022-01-13T20:30:00+00:00"
    )


@pytest.mark.parametrize("start", [0, 99, 100])
def test_bars_not_after_the_last_one_are_refused(start: int) -> None:
    engine = SeriesEngine(KEY, EngineParams())
    engine.advance(BARS.head(101))
    first, last = BARS["open_time"][start].isoformat(), BARS["open_time"][100].isoformat()
    assert refused(BARS.slice(start), engine) == (
        f"bar 0 (open_time {first}): not after the last bar of the series, which opened at {last}"
    )


def test_the_first_bar_of_a_series_must_be_on_the_grid_too() -> None:
    first = BARS.head(1).with_columns(pl.col("open_time") + timedelta(seconds=1))
    assert "off the grid of 15m" in refused(first)


def test_the_first_unsound_row_is_the_one_named() -> None:
    late_and_early = changed("volume", -1.0, 1400).with_columns(
        pl.when(pl.int_range(pl.len()) == 700).then(0.0).otherwise("close").alias("close")
    )
    assert refused(late_and_early).startswith("bar 700 ")


@pytest.mark.parametrize("row", [SPAN - 1, SPAN, 2 * SPAN + 7])
def test_a_fault_deep_in_a_long_call_leaves_the_state_as_it_was(row: int) -> None:
    # a span of bars is advanced before those of the next are looked at
    engine = SeriesEngine(KEY, EngineParams())
    engine.advance(make_bars([Stretch("walk", 10, 1)]))
    later = make_bars([Stretch("walk", 2 * SPAN + 100, 3)], start=1_650_000_600_000_000)
    times = later["open_time"].to_physical().to_numpy().copy()
    times[row] = times[row - 1]
    twice = later.with_columns(pl.Series("open_time", times).cast(BAR_SCHEMA["open_time"]))
    assert refused(twice, engine).startswith(f"bar {row} ")
    assert "twice the same open_time" in refused(twice, engine)
    assert engine.bars_seen == 10


def test_an_instant_beyond_the_calendar_is_still_named() -> None:
    far = BARS.head(2).with_columns(
        pl.Series("open_time", [0, 100_000 * 366 * 86_400_000_000]).cast(BAR_SCHEMA["open_time"]),
        pl.Series("volume", [1.0, -1.0]),
    )
    assert refused(far) == "bar 1 (open_time 3162240000000000000 µs): open_time must lie in the years 1 to 9998"


@pytest.mark.parametrize("column", BAR_SCHEMA.names())
def test_a_null_is_refused_by_column_and_row(column: str) -> None:
    holed = BARS.with_columns(pl.when(pl.int_range(pl.len()) == AT).then(None).otherwise(column).alias(column))
    place = "bar 1234" if column == "open_time" else f"bar 1234 (open_time {OPENED})"
    assert refused(holed).startswith(f"{place}: {column} is null")


def test_missing_unknown_and_mistyped_columns_are_all_named() -> None:
    wrong = BARS.drop("volume").with_columns(pl.col("close").cast(pl.Float32), quote_vol=1.0)
    message = refused(wrong)
    assert "volume is missing" in message
    assert "quote_vol is not a column of a bar" in message
    assert "close is Float32, not Float64" in message


def test_a_naive_open_time_is_refused() -> None:
    assert "open_time is Datetime" in refused(BARS.with_columns(pl.col("open_time").dt.replace_time_zone(None)))


def test_columns_in_another_order_and_frames_in_several_pieces_are_the_same_bars() -> None:
    pieces = pl.concat([BARS.head(700), BARS.slice(700)], rechunk=False).select(reversed(BARS.columns))
    whole = SeriesEngine(KEY, EngineParams()).advance(BARS)
    assert SeriesEngine(KEY, EngineParams()).advance(pieces).indicators.equals(whole.indicators)


def test_no_bars_are_fine_and_change_nothing() -> None:
    engine = SeriesEngine(KEY, EngineParams())
    for bars in (BARS.clear(), BARS.head(3), BARS.clear()):
        before = engine.snapshot()
        rows = engine.advance(bars)
        assert rows.indicators.height == bars.height
        assert (engine.snapshot() == before) == bars.is_empty()


@given(st.integers(0, 1499), st.sampled_from(["open", "high", "low", "close", "volume"]), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_a_single_unsound_value_is_found_wherever_it_stands(row: int, column: str, which: int) -> None:
    value = [float("nan"), float("inf"), float("-inf"), -1.0, -5e-324, -1e300][which]
    assert refused(changed(column, value, row)).startswith(f"bar {row} ")


@given(st.integers(0, 1499), st.integers(-4000, 4000))
@settings(max_examples=60, deadline=None)
def test_an_open_time_moved_by_any_minutes_is_refused_unless_it_still_follows(row: int, minutes: int) -> None:
    times = BARS["open_time"].to_physical().to_numpy().copy()
    times[row] += minutes * 60_000_000
    moved = BARS.with_columns(pl.Series("open_time", times).cast(BAR_SCHEMA["open_time"]))
    sound = bool((np.diff(times) > 0).all()) and minutes % 15 == 0
    if sound:
        assert SeriesEngine(KEY, EngineParams()).advance(moved).indicators.height == BARS.height
    else:
        refused(moved)


@pytest.mark.parametrize("opened", [-(2**63), -(2**63) + 899_999_999, 2**63 - 1, 253_402_300_800_000_000])
def test_an_open_time_that_no_calendar_knows_is_refused(opened: int) -> None:
    on_grid = opened - opened % KEY.tf.us if opened > 0 else opened + -opened % KEY.tf.us
    bars = BARS.head(1).with_columns(pl.Series("open_time", [on_grid]).cast(BAR_SCHEMA["open_time"]))
    assert "open_time must lie in the years 1 to 9998" in refused(bars)


@pytest.mark.parametrize("side", [-128, -2, 2, 5, 127])
def test_a_micro_bos_that_is_no_side_is_refused_with_its_row(side: int) -> None:
    sides = pl.Series("micro_bos", [side if row == AT else 1 for row in range(BARS.height)], pl.Int8)
    message = refused(BARS.with_columns(sides))
    assert message == f"bar {AT} (open_time {OPENED}): micro_bos must be -1, 0 or 1, received {side}"


def test_a_micro_bos_of_another_type_or_without_a_value_is_refused() -> None:
    assert "micro_bos is Int64, not Int8" in refused(BARS.with_columns(pl.lit(1, pl.Int64).alias("micro_bos")))
    nothing = pl.when(pl.int_range(pl.len()) != AT).then(pl.lit(1, pl.Int8)).alias("micro_bos")
    assert f"bar {AT} (open_time {OPENED}): micro_bos is null" in refused(BARS.with_columns(nothing))
