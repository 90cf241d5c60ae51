from typing import Any

import psycopg
import pytest

from assets.checks.batches import Window, query_of, series_of, spans_of, windows_of
from assets.checks.candle_suite import CANDLES, CANDLES_LED_IN
from assets.checks.funding_suite import FUNDING
from assets.checks.suites import Rows
from assets.partitions import Month, Task
from contracts import InstrumentKey, SeriesKey, Timeframe
from tests.assets.checks.filled import JAN
from tests.assets.fakes import INSTRUMENT, KEY, T0, hours, slot, venue_of
from tests.assets.runs import keep, load

FEB = Month(2022, 2)
WINDOW = Window(KEY, JAN.start, JAN.end)


def rows(conn: psycopg.Connection, query: str) -> list[dict[str, Any]]:
    with conn.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()


@pytest.fixture
def loaded(conn: psycopg.Connection) -> psycopg.Connection:
    """January and February of 1h."""
    venue = venue_of(744 + 672, now=T0 + hours(24 * 68))
    keep(conn, KEY)
    load(conn, venue, (JAN, FEB))
    return conn


def test_a_batch_is_the_windows_rows_and_no_others(loaded: psycopg.Connection) -> None:
    found = rows(loaded, query_of(CANDLES, [WINDOW]))
    assert sorted(row["open_time"] for row in found) == [slot(index) for index in range(744)]
    assert {(row["length"], row["base_tf"], row["base_length"]) for row in found} == {(hours(1), None, None)}


def test_a_lead_in_adds_the_bars_before_the_window(loaded: psycopg.Connection) -> None:
    found = rows(loaded, query_of(CANDLES_LED_IN, [Window(KEY, FEB.start, FEB.end)]))
    assert sorted(row["open_time"] for row in found) == [slot(index) for index in range(744 - 14, 744 + 672)]


def test_rows_that_become_known_belong_to_the_bar_that_makes_them_known(loaded: psycopg.Connection) -> None:
    known = Rows("analysis.indicators", "ts", known=True)
    loaded.execute(
        "INSERT INTO analysis.indicators (venue, symbol, tf, ts) SELECT venue, symbol, tf, open_time + interval '1 h' "
        "FROM market.candles"
    )
    found = sorted(row["ts"] for row in rows(loaded, query_of(known, [WINDOW])))
    assert (found[0], found[-1], len(found)) == (slot(1), slot(744), 744)


def test_series_of_no_window_are_left_out_and_no_window_is_an_empty_batch(loaded: psycopg.Connection) -> None:
    other = Window(SeriesKey("binance_spot", "ETHUSDT", "1h"), JAN.start, JAN.end)
    assert rows(loaded, query_of(CANDLES, [other])) == []
    assert rows(loaded, query_of(CANDLES, [])) == []
    assert rows(loaded, series_of([])) == []
    assert len(rows(loaded, query_of(CANDLES, [other, WINDOW]))) == 744


def test_a_value_is_quoted_whatever_it_holds(conn: psycopg.Connection) -> None:
    odd = Window(SeriesKey("binance_spot", "BTCUSDT", "1h"), JAN.start, JAN.end)
    object.__setattr__(odd.key, "symbol", "'; DROP TABLE market.candles; --")
    assert rows(conn, query_of(CANDLES, [odd])) == []
    assert rows(conn, "SELECT count(*) FROM market.candles") == [{"count": 0}]


def test_rows_of_an_instrument_are_taken_once_however_many_series_it_has(conn: psycopg.Connection) -> None:
    perpetual = InstrumentKey("binance_usdm", "BTCUSDT")
    windows = [Window(perpetual.series(tf), JAN.start, JAN.end) for tf in ("15m", "1h")]
    assert query_of(FUNDING, windows).count("FROM") == 1
    assert rows(conn, query_of(FUNDING, windows)) == []
    assert len(rows(conn, series_of(windows))) == 2
    span = {"venue": "binance_usdm", "symbol": "BTCUSDT", "starts": JAN.start, "ends": JAN.end}
    assert rows(conn, spans_of(windows)) == [span]
    assert rows(conn, spans_of([])) == []


def test_longer_series_are_compared_with_the_shortest_kept_one_that_divides_them(conn: psycopg.Connection) -> None:
    keep(conn, *(INSTRUMENT.series(tf) for tf in ("3m", "5m", "15m")))
    found = windows_of(conn, [Task(INSTRUMENT, (JAN,))])
    assert {str(window.key.tf): window.base for window in found} == {"3m": None, "5m": None, "15m": Timeframe("3m")}
    assert {(window.start, window.end) for window in found} == {(JAN.start, JAN.end)}
