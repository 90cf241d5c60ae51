"""What is read for a backtest, the name of a run, and what is kept of it."""

from datetime import date
from decimal import Decimal

import polars as pl
import psycopg
import pytest

from assets.backtests import WARM_UP_BARS, NothingStored, SubTimeframesDiffer, read_inputs, record, run_id_of
from assets.partitions import Month
from backtest import run_backtest
from contracts import InstrumentKey, Timeframe
from engine import EngineParams
from risk import shipped_profile
from store.research import read_runs
from tests.assets.desk import LATER, QUARTERS, fill, rows
from tests.assets.fakes import KEY, venue_of
from tests.assets.runs import keep, load, months

JAN, MARCH = Month(2022, 1), Month(2022, 3)
OTHER = InstrumentKey("binance_spot", "ETHUSDT").series("1h")


def test_a_run_is_named_by_what_was_asked_and_kept_once(conn: psycopg.Connection) -> None:
    fill(conn)
    inputs = read_inputs(conn, [KEY, QUARTERS], JAN.start, JAN.end, at=LATER, params=EngineParams())
    results = [
        run_backtest(inputs.bars, inputs.config(shipped_profile(name), capital=Decimal(capital)))
        for name, capital in (("default", 10_000), ("default", 20_000), ("aggressive", 10_000))
    ]
    assert len({run_id_of(result) for result in results}) == len(results)
    first = results[0]
    assert record(conn, first, at=LATER, report_path="/somewhere/report.html", month=date(2022, 1, 1))
    before = rows(conn)
    again = run_backtest(inputs.bars, first.config)
    assert run_id_of(again) == run_id_of(first)
    assert not record(conn, again, at=LATER)
    assert rows(conn) == before
    [run] = read_runs(conn)
    assert (run.run_id, run.report_path, run.month) == (run_id_of(first), "/somewhere/report.html", date(2022, 1, 1))


def test_a_run_that_begins_later_sees_the_signals_that_an_earlier_one_saw(conn: psycopg.Connection) -> None:
    fill(conn)
    seen = []
    for start in (JAN.start, MARCH.start):
        inputs = read_inputs(conn, [KEY, QUARTERS], start, MARCH.end, at=LATER, params=EngineParams())
        result = run_backtest(inputs.bars, inputs.config(shipped_profile("aggressive"), capital=Decimal(10_000)))
        assert result.start == start
        seen.append(result.decisions)
    whole, later = seen
    born = whole.group_by("signal_id").agg(pl.col("ts").min()).filter(pl.col("ts") >= MARCH.start)
    assert born.height > 20
    assert set(later["signal_id"]) == set(born["signal_id"])
    warmed = [inputs.bars[key]["open_time"][0] for key in (KEY, QUARTERS)]
    assert warmed == [MARCH.start - WARM_UP_BARS * key.tf.duration for key in (KEY, QUARTERS)]


def test_what_is_not_stored_warms_nothing_up(conn: psycopg.Connection) -> None:
    fill(conn)
    inputs = read_inputs(conn, [KEY], JAN.start, JAN.end, at=LATER, params=EngineParams())
    assert inputs.bars[KEY]["open_time"][0] == JAN.start


def test_a_window_that_ends_before_it_begins_is_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(NothingStored, match=r"begins before it ends, received 2022-02-01\S* to 2022-01-01"):
        read_inputs(conn, [KEY], JAN.end, JAN.start, at=LATER, params=EngineParams())


def test_candles_before_the_start_alone_are_no_candles_of_the_window(conn: psycopg.Connection) -> None:
    fill(conn)
    april = Month(2022, 4)
    with pytest.raises(NothingStored, match="no candles of binance_spot:BTCUSDT:1h from 2022-04-01 to 2022-05-01"):
        read_inputs(conn, [KEY], april.start, april.end, at=LATER, params=EngineParams())


def test_a_sub_timeframe_without_candles_is_named(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    load(conn, venue_of(744, now=LATER), months("2022-01"))
    keep(conn, KEY, sub_tf=Timeframe.M15)
    with pytest.raises(NothingStored, match="no candles of binance_spot:BTCUSDT:15m from 2022-01-01 to 2022-02-01"):
        read_inputs(conn, [KEY], JAN.start, JAN.end, at=LATER, params=EngineParams())


def test_two_sub_timeframes_of_one_timeframe_are_refused(conn: psycopg.Connection) -> None:
    fill(conn)
    keep(conn, KEY, sub_tf=Timeframe.M15)
    keep(conn, OTHER)
    load(conn, venue_of({OTHER: 744}, now=LATER), months("2022-01"))
    with pytest.raises(SubTimeframesDiffer, match="BTCUSDT:1h from 15m and binance_spot:ETHUSDT:1h from nowhere"):
        read_inputs(conn, [KEY, OTHER], JAN.start, JAN.end, at=LATER, params=EngineParams())
