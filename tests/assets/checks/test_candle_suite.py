"""Every expectation of candles is green on sound ones and red on the one defect it is there for."""

from datetime import datetime

import polars as pl
import pytest

from assets.checks.candle_suite import CANDLE_SUITE
from store.connections import connect
from store.ledger import quarantine
from store.roles import BATCH
from tests.assets.checks.filled import LONG, answers, plant, red
from tests.databases import Database
from venues.binance.validation import QUARANTINE_SCHEMA

# Hours over a hole of 15m; the first is the first of its series too. The third is compared with its four quarters.
_FIRST, _AT, _WHOLE = (
    f"symbol = 'BTCUSDT' AND tf = '1h' AND open_time = '2022-01-{at}+00'" for at in ("01 00:00", "13 12:00", "13 13:00")
)
_SET = "UPDATE market.candles SET"
# Check -> what is done to sound candles. Each is told apart from every other check.
DEFECTS = {
    "on_grid": (
        f"{_SET} open_time = open_time + interval '1 s', close_time = close_time + interval '1 s' WHERE {_AT}",
    ),
    "close_time": (f"{_SET} close_time = close_time + interval '1 ms' WHERE {_AT}",),
    "no_duplicates": (
        "ALTER TABLE market.candles DROP CONSTRAINT candles_pkey",
        f"INSERT INTO market.candles SELECT * FROM market.candles WHERE {_AT}",  # noqa: S608 - constants
    ),
    "positive_prices": (f"{_SET} low = 0 WHERE {_FIRST}",),
    "ohlc_order": (f"{_SET} close = high + 0.01 WHERE {_AT}",),
    "volume_bounds": (f"{_SET} taker_buy_vol = volume + 0.001 WHERE {_AT}",),
    "quote_volume_bounds": (f"{_SET} quote_vol = volume * high * 1.001 WHERE {_AT}",),
    "timeframes_agree": (f"{_SET} trades = trades + 1 WHERE {_WHOLE}",),
    "price_jumps": (f"{_SET} high = high * 10 WHERE {_AT}",),
    "nothing_quarantined": (
        "INSERT INTO market.quarantine (venue, symbol, tf, open_time, source, origin, payload, reason, seen_at) "
        "VALUES ('binance_spot', 'BTCUSDT', '1h', '2022-01-13 12:00+00', 'rest', 'klines', '1,2', 'prices_contradict', "
        "'2022-03-10 00:00+00')",
    ),
}


def test_every_expectation_has_a_defect_to_find() -> None:
    assert set(DEFECTS) == set(CANDLE_SUITE.expectations)


def test_sound_candles_are_green(sound: Database) -> None:
    found = answers(sound, CANDLE_SUITE)
    assert set(found) == set(CANDLE_SUITE.expectations)
    assert {answer.error for answer in found.values()} == {None}
    assert red(found) == set()


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_turns_its_check_red(sound: Database, check: str) -> None:
    plant(sound, DEFECTS[check])
    found = answers(sound, CANDLE_SUITE)
    assert found[check].error is None
    assert found[check].count == 1, found[check]
    assert red(found) == {check}


@pytest.mark.parametrize(
    ("origin", "seen", "found"),
    [
        ("https://archive/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2022-01.zip", "2022-03-10", 1),
        ("https://archive/data/spot/daily/klines/BTCUSDT/1h/BTCUSDT-1h-2022-01-31.zip", "2022-03-10", 1),
        ("binance_spot klines 2022-01", "2022-03-10", 1),
        ("https://archive/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2021-12.zip", "2022-01-10", 0),
        ("a stream", "2022-01-10", 1),
        ("a stream", "2022-03-10", 0),
    ],
)
def test_a_refused_row_without_a_readable_time_belongs_to_what_was_asked_for(
    sound: Database, origin: str, seen: str, found: int
) -> None:
    with connect(sound.dsn(BATCH), application_name="test") as conn:
        row = pl.DataFrame([(None, "?", "number_unreadable")], schema=QUARANTINE_SCHEMA, orient="row")
        quarantine(conn, LONG, row, "rest", origin=origin, seen_at=datetime.fromisoformat(f"{seen}T00:00Z"))
    [answer] = answers(sound, CANDLE_SUITE, ["nothing_quarantined"]).values()
    assert (answer.error, answer.count) == (None, found)
