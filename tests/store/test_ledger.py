import hashlib
from datetime import UTC, date, datetime

import polars as pl
import psycopg

from contracts import SeriesKey
from store.candles import merge_candles
from store.catalog import SeriesSetting, upsert_series
from store.ledger import (
    ArchiveFileRecord,
    MonthDigest,
    archive_files,
    digests,
    quarantine,
    rechain,
    rechain_instrument,
    record_archive_file,
    write_digest,
)
from tests.store.frames import KEY, SEEN, T0, candles, minutes

JAN, FEB, MAR, APR = (date(2022, month, 1) for month in (1, 2, 3, 4))
FIVE = SeriesKey("binance_usdm", "BTCUSDT", "5m")
FIRST_US = 1_640_995_200_000_000  # 2022-01-01T00:00Z


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write(conn: psycopg.Connection, month: date, sha256: str, *, key: SeriesKey = KEY, rows: int = 9) -> None:
    write_digest(conn, key, month, rows=rows, sha256=sha256, computed_at=SEEN)


def chains(conn: psycopg.Connection, key: SeriesKey = KEY) -> list[str | None]:
    return [entry.chain for entry in digests(conn, key)]


def store_first_candle(conn: psycopg.Connection, key: SeriesKey = KEY) -> None:
    merge_candles(conn, key, candles([0]), "archive", seen_at=SEEN)


def test_chains_follow_the_definition_of_the_contract(conn: psycopg.Connection) -> None:
    store_first_candle(conn)
    one, two = "1" * 64, "2" * 64
    write(conn, JAN, one)
    write(conn, FEB, two)
    assert rechain(conn, KEY) == [JAN, FEB]
    start = sha(f"binance_usdm:BTCUSDT:1m{FIRST_US}")
    first = sha(start + one)
    assert digests(conn, KEY) == [MonthDigest(JAN, 9, one, first), MonthDigest(FEB, 9, two, sha(first + two))]
    assert rechain(conn, KEY) == []


def test_a_changed_month_moves_its_chain_and_every_later_one(conn: psycopg.Connection) -> None:
    store_first_candle(conn)
    for month, mark in ((JAN, "1"), (FEB, "2"), (MAR, "3")):
        write(conn, month, mark * 64)
    rechain(conn, KEY)
    before = chains(conn)
    write(conn, FEB, "2" * 64)  # the same again
    assert chains(conn) == before
    write(conn, FEB, "4" * 64)
    assert rechain(conn, KEY) == [FEB, MAR]
    assert chains(conn)[0] == before[0]


def test_a_month_after_one_that_is_not_stored_has_no_chain_until_it_is(conn: psycopg.Connection) -> None:
    store_first_candle(conn)
    for month, mark in ((JAN, "1"), (MAR, "3"), (APR, "4")):
        write(conn, month, mark * 64)
    assert rechain(conn, KEY) == [JAN]
    assert chains(conn)[1:] == [None, None]
    write(conn, FEB, "2" * 64)
    assert rechain(conn, KEY) == [FEB, MAR, APR]
    assert None not in chains(conn)


def test_an_earlier_first_candle_moves_every_chain(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles([1]), "archive", seen_at=SEEN)
    write(conn, JAN, "1" * 64)
    rechain(conn, KEY)
    store_first_candle(conn)
    assert rechain(conn, KEY) == [JAN]
    assert chains(conn) == [sha(sha(f"{KEY}{FIRST_US}") + "1" * 64)]


def test_without_a_candle_there_is_nothing_to_chain_on(conn: psycopg.Connection) -> None:
    write(conn, JAN, "1" * 64, rows=0)
    assert rechain(conn, KEY) == []
    assert chains(conn) == [None]


def test_a_year_turns_over(conn: psycopg.Connection) -> None:
    store_first_candle(conn)
    write(conn, date(2021, 12, 1), "1" * 64)
    write(conn, JAN, "2" * 64)
    assert rechain(conn, KEY) == [date(2021, 12, 1), JAN]


def test_the_chain_of_a_series_contains_its_sub_timeframe(conn: psycopg.Connection) -> None:
    upsert_series(conn, SeriesSetting(FIVE, sub_tf=KEY.tf))
    store_first_candle(conn, FIVE)
    store_first_candle(conn)
    write(conn, JAN, "5" * 64, key=FIVE)
    assert rechain(conn, FIVE) == []  # the 1m month is not stored yet
    write(conn, JAN, "1" * 64)
    assert rechain_instrument(conn, KEY.instrument) == {KEY: [JAN], FIVE: [JAN]}
    assert chains(conn, FIVE) == [sha(sha(f"{FIVE}{FIRST_US}") + "5" * 64 + "1" * 64)]
    write(conn, JAN, "6" * 64)
    assert rechain_instrument(conn, KEY.instrument) == {KEY: [JAN], FIVE: [JAN]}
    assert rechain_instrument(conn, KEY.instrument) == {}


def test_archive_files_are_remembered_in_their_last_version(conn: psycopg.Connection) -> None:
    url = "https://archive.example/BTCUSDT-1m-2022-01.zip"
    record_archive_file(conn, ArchiveFileRecord(url, None, "1" * 64, 10, SEEN))
    second = ArchiveFileRecord(url, '"tag"', "2" * 64, 12, SEEN + minutes(1))
    record_archive_file(conn, second)
    assert archive_files(conn, [url, "https://archive.example/other.zip"]) == {url: second}


def test_refused_rows_are_kept_once_with_their_reason(conn: psycopg.Connection) -> None:
    refused = pl.DataFrame(
        {"open_time": [T0, None], "payload": ["1,2,3", "\x00\tgarbage'; --"], "reason": ["ohlc_order", "unreadable"]},
        schema={"open_time": pl.Datetime("us", "UTC"), "payload": pl.String, "reason": pl.String},
    )
    assert quarantine(conn, KEY, refused, "archive", origin="a.zip", seen_at=SEEN) == 2
    assert quarantine(conn, KEY, refused, "archive", origin="a.zip", seen_at=datetime(2023, 1, 1, tzinfo=UTC)) == 0
    assert quarantine(conn, KEY, refused.head(1), "archive", origin="b.zip", seen_at=SEEN) == 1
    rows = conn.execute(
        "SELECT open_time, payload, reason, origin, seen_at FROM market.quarantine ORDER BY id"
    ).fetchall()
    assert rows[:2] == [
        (T0, "1,2,3", "ohlc_order", "a.zip", SEEN),
        (None, "\\0\tgarbage'; --", "unreadable", "a.zip", SEEN),
    ]


def test_refused_settlements_are_kept_under_funding_beside_candles_of_the_instrument(conn: psycopg.Connection) -> None:
    refused = pl.DataFrame(
        {"open_time": [T0], "payload": ["1,8,x"], "reason": ["number_unreadable"]},
        schema={"open_time": pl.Datetime("us", "UTC"), "payload": pl.String, "reason": pl.String},
    )
    for key in (KEY, KEY.instrument, KEY.instrument):
        quarantine(conn, key, refused, "rest", origin="fundingRate", seen_at=SEEN)
    rows = conn.execute("SELECT venue, symbol, tf, open_time FROM market.quarantine ORDER BY tf").fetchall()
    assert rows == [("binance_usdm", "BTCUSDT", tf, T0) for tf in ("1m", "funding")]
