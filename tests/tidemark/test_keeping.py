"""Which series are kept, and that a sub-timeframe of the settings reaches them, their chain and the person."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from contracts import InstrumentKey, Rejected, SeriesKey, Timeframe
from store.catalog import SeriesSetting, list_series, upsert_series
from store.connections import connect
from store.ledger import digests, rechain, write_digest
from store.roles import BATCH
from tests.databases import Database
from tidemark.keeping import keep

BTC = InstrumentKey("binance_spot", "BTCUSDT")
MINUTE, QUARTER, HOUR = (BTC.series(tf) for tf in ("1m", "15m", "1h"))
SUB = {"15m": "1m"}
JANUARY = datetime(2024, 1, 1, tzinfo=UTC).date()


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """A connection of the role that loads."""
    with connect(database.dsn(BATCH)) as connection:
        yield connection


def kept(conn: psycopg.Connection, *timeframes: str, sub: dict[str, str] | None = None) -> list[str]:
    """Keep these timeframes; what a person is told."""
    said: list[str] = []
    keep(conn, BTC, timeframes, sub_timeframes=sub or {}, say=said.append)
    return said


def subs(conn: psycopg.Connection) -> dict[SeriesKey, Timeframe | None]:
    return {setting.key: setting.sub_tf for setting in list_series(conn, enabled_only=True)}


def test_new_series_get_their_sub_timeframe_without_a_word(conn: psycopg.Connection) -> None:
    assert kept(conn, "15m", "1m", "1h", sub=SUB) == []
    assert subs(conn) == {MINUTE: None, QUARTER: Timeframe.M1, HOUR: None}


def test_a_sub_timeframe_that_is_kept_already_need_not_be_asked_for(conn: psycopg.Connection) -> None:
    kept(conn, "1m", sub=SUB)
    assert kept(conn, "15m", sub=SUB) == []
    assert subs(conn) == {MINUTE: None, QUARTER: Timeframe.M1}


@pytest.mark.parametrize("known", [False, True])
def test_a_sub_timeframe_that_is_not_kept_is_rejected_and_nothing_is_stored(
    conn: psycopg.Connection, *, known: bool
) -> None:
    if known:
        upsert_series(conn, SeriesSetting(MINUTE, enabled=False))
    with pytest.raises(Rejected, match=rf"{QUARTER} takes its micro_bos from 1m .*backfill 1m too, or take 15m out"):
        kept(conn, "1h", "15m", sub=SUB)
    assert subs(conn) == {}


def test_a_series_that_exists_is_told_of_when_its_sub_timeframe_changes_and_gets_another_chain(
    conn: psycopg.Connection,
) -> None:
    kept(conn, "1m", "15m")
    conn.execute(
        "INSERT INTO market.candles (venue, symbol, tf, open_time, close_time, open, high, low, close, volume, trades, "
        "taker_buy_vol, quote_vol, source, ingested_at) SELECT 'binance_spot', 'BTCUSDT', tf, '2024-01-01T00:00Z', "
        "'2024-01-01T00:00:59.999Z', 1, 1, 1, 1, 1, 1, 1, 1, 'rest', now() FROM unnest(ARRAY['1m', '15m']) AS tf"
    )
    for key in (MINUTE, QUARTER):
        write_digest(conn, key, JANUARY, rows=1, sha256="ab" * 32, computed_at=datetime.now(UTC))
        rechain(conn, key)
    alone = digests(conn, QUARTER)
    [told] = kept(conn, "15m", sub=SUB)
    assert told == f"{QUARTER} takes its micro_bos from 1m now: what was analysed of it is computed again"
    assert digests(conn, QUARTER)[0].chain not in {None, alone[0].chain}
    assert kept(conn, "15m", sub=SUB) == []
    [told] = kept(conn, "15m")
    assert told.startswith(f"{QUARTER} takes its micro_bos from nowhere now")
    assert digests(conn, QUARTER) == alone


def test_a_series_that_is_not_asked_for_stays_as_it_is(conn: psycopg.Connection) -> None:
    kept(conn, "1m", "15m")
    assert kept(conn, "1m", sub=SUB) == []
    assert subs(conn)[QUARTER] is None


def test_a_series_that_was_switched_off_is_kept_again_and_one_that_runs_live_goes_on(conn: psycopg.Connection) -> None:
    upsert_series(conn, SeriesSetting(MINUTE, enabled=False, live=True))
    upsert_series(conn, SeriesSetting(QUARTER, live=True))
    kept(conn, "1m", "15m", sub=SUB)
    assert list_series(conn) == [
        SeriesSetting(MINUTE, live=True),
        SeriesSetting(QUARTER, sub_tf=Timeframe.M1, live=True),
    ]
