"""What is read for a backtest, the name of a run, and what is kept of it."""

from datetime import date
from decimal import Decimal

import psycopg
import pytest

from assets.backtests import NothingStored, SubTimeframesDiffer, read_inputs, record, run_id_of
from assets.partitions import Month
from backtest import run_backtest
from contracts import InstrumentKey, Timeframe
from engine import EngineParams
from risk import shipped_profile
from store.research import read_runs
from tests.assets.desk import LATER, QUARTERS, fill, rows
from tests.assets.fakes import KEY, venue_of
from tests.assets.runs import keep, load, months

JAN = Month(2022, 1)
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
