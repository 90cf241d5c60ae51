"""Which series a report is made from, and what is read beside them."""

from decimal import Decimal

import psycopg
import pytest

from assets.backtests import WARM_UP_BARS, NothingStored
from assets.partitions import Month
from assets.report_inputs import ReportConfig, read_report_inputs, traded_series
from contracts import InstrumentKey, Timeframe
from store.catalog import SeriesSetting, upsert_series
from tests.assets.desk import LATER, MINUTES, QUARTERS, fill
from tests.assets.fakes import KEY, hours, slot, venue_of
from tests.assets.runs import keep, load, months

JAN, FEB, MARCH = (Month(2022, number) for number in (1, 2, 3))
OTHER = InstrumentKey("binance_spot", "ETHUSDT").series("1h")


def test_the_window_is_the_month_and_those_before_it_from_the_first_candle_on(conn: psycopg.Connection) -> None:
    fill(conn)
    whole = read_report_inputs(conn, FEB, ReportConfig(), at=LATER)
    assert sorted(whole.bars) == [QUARTERS, KEY]
    assert (whole.bars[KEY]["open_time"][0], whole.bars[KEY]["open_time"][-1]) == (slot(0), FEB.end - hours(1))
    assert (whole.start, whole.end) == (Month(2021, 2).start, FEB.end)
    short = read_report_inputs(conn, MARCH, ReportConfig(lookback_months=1), at=LATER)
    assert short.start == FEB.start
    assert short.bars[QUARTERS]["open_time"][0] == FEB.start - WARM_UP_BARS * QUARTERS.tf.duration
    assert short.dataset_id != whole.dataset_id


def test_minutes_tell_what_came_first_and_are_traded_only_where_they_are_asked_for(conn: psycopg.Connection) -> None:
    minutes = 60 * 24 * 31
    keep(conn, KEY, MINUTES)
    load(conn, venue_of({KEY: 744, MINUTES: minutes}, now=LATER), months("2022-01"))
    assert traded_series(conn, JAN.start, JAN.end) == [KEY]
    inputs = read_report_inputs(conn, JAN, ReportConfig(), at=LATER)
    assert (inputs.traded, sorted(inputs.bars)) == (("1h",), [MINUTES, KEY])
    assert inputs.bars[MINUTES].height == minutes
    asked = read_report_inputs(conn, JAN, ReportConfig(timeframes=["1m"]), at=LATER)
    assert (asked.traded, list(asked.bars)) == (("1m",), [MINUTES])


def test_a_series_that_is_not_enabled_or_has_nothing_in_the_window_is_left_out(conn: psycopg.Connection) -> None:
    fill(conn)
    keep(conn, OTHER)
    assert traded_series(conn, JAN.start, MARCH.end) == [QUARTERS, KEY]
    upsert_series(conn, SeriesSetting(QUARTERS, enabled=False))
    assert traded_series(conn, JAN.start, MARCH.end) == [KEY]
    inputs = read_report_inputs(conn, MARCH, ReportConfig(), at=LATER)
    assert inputs.traded == ("1h",)
    assert set(inputs.bars) == {QUARTERS, KEY}  # the finest that is kept, enabled or not


def test_an_instrument_that_ended_before_the_month_is_still_part_of_its_report(conn: psycopg.Connection) -> None:
    fill(conn)
    keep(conn, OTHER)
    load(conn, venue_of({OTHER: 744}, now=LATER), months("2022-01"))
    assert OTHER in read_report_inputs(conn, MARCH, ReportConfig(), at=LATER).bars
    with pytest.raises(NothingStored, match="no enabled series of 5m or longer has a candle in 2022-04"):
        read_report_inputs(conn, Month(2022, 4), ReportConfig(), at=LATER)


def test_a_sub_timeframe_comes_along_also_where_it_is_not_the_finest(conn: psycopg.Connection) -> None:
    fives = KEY.instrument.series("5m")
    keep(conn, MINUTES, fives)
    keep(conn, KEY, sub_tf=Timeframe.M5)
    counts = {KEY: 744, fives: 744 * 12, MINUTES: 744 * 60}
    load(conn, venue_of(counts, now=LATER), months("2022-01"))
    inputs = read_report_inputs(conn, JAN, ReportConfig(timeframes=["1h"]), at=LATER)
    assert (inputs.sub, sorted(inputs.bars)) == ({"1h": "5m"}, [MINUTES, fives, KEY])


def test_capital_is_what_was_written() -> None:
    assert ReportConfig(capital=0.1).exact_capital == Decimal("0.1")
