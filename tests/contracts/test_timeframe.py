from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Timeframe, from_us, to_us

instants = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis takes naive bounds
    max_value=datetime(2040, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
timeframes = st.sampled_from(list(Timeframe))


def test_the_supported_timeframes_are_those_of_the_specification() -> None:
    assert [str(tf) for tf in Timeframe] == ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d"]


def test_an_unknown_timeframe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown timeframe '7m': use one of 1m, 3m"):
        Timeframe("7m")


def test_a_four_hour_grid_is_anchored_at_midnight() -> None:
    instant = datetime(2022, 1, 31, 7, 59, 59, 999_999, tzinfo=UTC)
    assert Timeframe.H4.floor(instant) == datetime(2022, 1, 31, 4, tzinfo=UTC)
    assert Timeframe.H4.ceil(instant) == datetime(2022, 1, 31, 8, tzinfo=UTC)


def test_close_time_is_the_last_millisecond_and_known_at_the_next_open() -> None:
    opened = datetime(2022, 1, 1, tzinfo=UTC)
    assert Timeframe.M15.close_time(opened) == datetime(2022, 1, 1, 0, 14, 59, 999_000, tzinfo=UTC)
    assert Timeframe.M15.known_at(opened) == datetime(2022, 1, 1, 0, 15, tzinfo=UTC)


def test_a_window_counts_the_bars_that_open_in_it_and_not_its_end() -> None:
    start = datetime(2022, 1, 1, tzinfo=UTC)
    assert Timeframe.M1.bars_in(start, start + timedelta(days=31)) == 44_640
    assert Timeframe.M5.bars_in(start + timedelta(minutes=1), start + timedelta(minutes=5)) == 0
    assert Timeframe.M5.bars_in(start + timedelta(minutes=1), start + timedelta(minutes=6)) == 1
    assert Timeframe.M5.bars_in(start, start - timedelta(days=1)) == 0


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="UTC-aware"):
        to_us(datetime(2022, 1, 1))  # noqa: DTZ001 - the point of the test


@given(timeframes, instants)
def test_floor_is_on_the_grid_and_less_than_one_bar_before(tf: Timeframe, instant: datetime) -> None:
    floor = tf.floor(instant)
    assert tf.on_grid(floor)
    assert timedelta(0) <= instant - floor < tf.duration
    assert tf.ceil(instant) - floor in (timedelta(0), tf.duration)


@given(instants)
def test_microseconds_round_trip(instant: datetime) -> None:
    assert from_us(to_us(instant)) == instant
