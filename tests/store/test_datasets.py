import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from random import Random
from typing import Any, Final

import polars as pl
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import VENUES, InstrumentKey, Rejected, SeriesKey, from_us
from contracts.candles import digest
from store.calendar import CalendarEvent, calendar_version, replace_source
from store.candles import merge_candles
from store.catalog import SeriesSetting, record_rules, upsert_series
from store.connections import connect, one_snapshot
from store.datasets import (
    Dataset,
    DatasetRefused,
    EnginePart,
    Manifest,
    Part,
    SeriesPart,
    manifest_of,
    read_dataset,
    record_dataset,
)
from store.funding import FUNDING_SCHEMA, funding_version, merge_funding
from store.ledger import digests, rechain_instrument, write_digest
from store.roles import ANALYST
from tests.databases import Database
from tests.store.frames import KEY, SEEN, T0, candles, minutes
from tests.store.test_catalog import rules

FIVE = SeriesKey("binance_usdm", "BTCUSDT", "5m")
JAN, FEB = date(2022, 1, 1), datetime(2022, 2, 1, tzinfo=UTC)
NOTHING: Final[dict[str, Any]] = {"funding": {}, "rules": {}, "calendar": None, "engine": None}
PART = SeriesPart(chain="a" * 64, rows=2, first=T0, last=T0 + minutes(1))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_id_is_the_hash_of_a_text_anybody_can_write() -> None:
    manifest = Manifest(
        series={KEY: PART},
        funding={KEY.instrument: "b" * 64},
        rules={KEY.instrument: "c" * 64},
        calendar="d" * 64,
        engine=EnginePart(version=2, params_hash="e" * 12),
    )
    text = (
        '{"calendar":"' + "d" * 64 + '",'
        '"engine":{"params_hash":"eeeeeeeeeeee","version":2},'
        '"format":1,'
        '"funding":{"binance_usdm:BTCUSDT":"' + "b" * 64 + '"},'
        '"rules":{"binance_usdm:BTCUSDT":"' + "c" * 64 + '"},'
        '"series":{"binance_usdm:BTCUSDT:1m":{"chain":"' + "a" * 64 + '","first":"2022-01-01T00:00:00Z",'
        '"last":"2022-01-01T00:01:00Z","rows":2}}}'
    )
    assert manifest.text == text
    assert manifest.dataset_id == sha(text)


def test_what_was_not_used_is_not_in_the_text() -> None:
    assert Manifest(series={KEY: PART}).text == (
        '{"format":1,"series":{"binance_usdm:BTCUSDT:1m":{"chain":"' + "a" * 64 + '","first":"2022-01-01T00:00:00Z",'
        '"last":"2022-01-01T00:01:00Z","rows":2}}}'
    )


@pytest.mark.parametrize("value", ["", "a" * 63, "A" * 64, "g" * 64])
def test_a_manifest_with_something_that_is_no_fingerprint_is_refused_by_name(value: str) -> None:
    with pytest.raises(ValueError, match="chain of binance_usdm:BTCUSDT:1m"):
        Manifest(series={KEY: replace(PART, chain=value)})
    with pytest.raises(ValueError, match="rules of binance_usdm:BTCUSDT"):
        Manifest(series={KEY: PART}, rules={KEY.instrument: value})
    with pytest.raises(ValueError, match="without a series"):
        Manifest(series={})


hexes = st.text("0123456789abcdef", min_size=64, max_size=64)
instruments = st.builds(InstrumentKey, st.sampled_from(VENUES), st.sampled_from(["BTCUSDT", "ETHUSDT", "币安USDT"]))
series_keys = st.builds(InstrumentKey.series, instruments, st.sampled_from(["1m", "15m", "1d"]))
instants = st.integers(0, 2**51).map(from_us)
parts = st.builds(SeriesPart, chain=hexes, rows=st.integers(1, 10**7), first=instants, last=instants)
manifests = st.builds(
    Manifest,
    series=st.dictionaries(series_keys, parts, min_size=1, max_size=4),
    funding=st.dictionaries(instruments, hexes, max_size=3),
    rules=st.dictionaries(instruments, hexes, max_size=3),
    calendar=st.none() | hexes,
    engine=st.none() | st.builds(EnginePart, version=st.integers(1, 99), params_hash=hexes),
)


def other(text: str) -> str:
    """Another fingerprint: the last digit is the next one."""
    return text[:-1] + "0123456789abcdef0"["0123456789abcdef".index(text[-1]) + 1]


def changes_of(manifest: Manifest) -> list[Manifest]:
    """The manifest with each of its parts changed, taken away or added, one at a time."""
    tick = timedelta(microseconds=1)
    in_a_part: list[Callable[[SeriesPart], SeriesPart]] = [
        lambda part: replace(part, chain=other(part.chain)),
        lambda part: replace(part, rows=part.rows + 1),
        lambda part: replace(part, first=part.first + tick),
        lambda part: replace(part, last=part.last + tick),
    ]
    new = InstrumentKey("binance_spot", "NEWUSDT")
    found = [
        replace(manifest, series={**manifest.series, key: change(part)})
        for key, part in manifest.series.items()
        for change in in_a_part
    ]
    found.append(replace(manifest, series={**manifest.series, new.series("1m"): PART}))
    for part in ("funding", "rules"):
        held: dict[InstrumentKey, str] = dict(getattr(manifest, part))
        others = [{**held, new: "0" * 64}]
        others += [{**held, key: other(version)} for key, version in held.items()]
        others += [{k: version for k, version in held.items() if k != key} for key in held]
        found += [
            replace(manifest, funding=one) if part == "funding" else replace(manifest, rules=one) for one in others
        ]
    calendar, engine = manifest.calendar, manifest.engine
    found.append(replace(manifest, calendar="0" * 64 if calendar is None else other(calendar)))
    if calendar is not None:
        found.append(replace(manifest, calendar=None))
    if engine is None:
        found.append(replace(manifest, engine=EnginePart(version=1, params_hash="0" * 64)))
    else:
        found.append(replace(manifest, engine=None))
        found.append(replace(manifest, engine=replace(engine, version=engine.version + 1)))
        found.append(replace(manifest, engine=replace(engine, params_hash=other(engine.params_hash))))
    return found


@given(manifest=manifests)
def test_each_change_of_a_part_changes_the_id(manifest: Manifest) -> None:
    changed = changes_of(manifest)
    assert manifest.dataset_id not in {one.dataset_id for one in changed}
    assert len({one.dataset_id for one in changed}) == len({one.text for one in changed})


@given(manifest=manifests, random=st.randoms(use_true_random=False))
def test_the_id_does_not_depend_on_the_order_of_parts_nor_on_the_zone_of_instants(
    manifest: Manifest, random: Random
) -> None:
    tokyo = timezone(timedelta(hours=9))
    series, funding, rules = list(manifest.series.items()), list(manifest.funding.items()), list(manifest.rules.items())
    for items in (series, funding, rules):
        random.shuffle(items)
    there = {
        key: replace(part, first=part.first.astimezone(tokyo), last=part.last.astimezone(tokyo)) for key, part in series
    }
    again = replace(manifest, series=there, funding=dict(funding), rules=dict(rules))
    assert again.dataset_id == manifest.dataset_id


@given(manifest=manifests)
def test_a_manifest_is_read_back_from_its_text(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.text) == manifest


def test_a_manifest_of_another_format_is_refused() -> None:
    with pytest.raises(ValueError, match="format 2"):
        Manifest.parse('{"format":2,"series":{}}')


def test_a_dataset_is_recorded_once_and_nobody_may_change_it(conn: psycopg.Connection) -> None:
    manifest = Manifest(series={KEY: PART})
    for at in (SEEN, SEEN + minutes(1)):
        assert record_dataset(conn, manifest, at=at) == manifest.dataset_id
    assert read_dataset(conn, manifest.dataset_id) == Dataset(manifest.dataset_id, manifest, SEEN)
    assert read_dataset(conn, "0" * 64) is None
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("UPDATE market.datasets SET manifest = ''")


def test_the_database_refuses_a_manifest_under_another_id(conn: psycopg.Connection) -> None:
    text = Manifest(series={SeriesKey("binance_usdm", "币安USDT", "1m"): PART}).text
    insert = "INSERT INTO market.datasets VALUES (%s, %s, now())"
    with pytest.raises(psycopg.errors.CheckViolation, match="named_by_its_manifest"):
        conn.execute(insert, ["0" * 64, text])
    conn.execute(insert, [sha(text), text])


def chained(conn: psycopg.Connection, *frames: tuple[SeriesKey, pl.DataFrame]) -> None:
    """Candles of January as a backfill leaves them: merged, digested, chained."""
    for key, frame in frames:
        merge_candles(conn, key, frame, "archive", seen_at=SEEN)
        write_digest(conn, key, JAN, rows=frame.height, sha256=digest(frame), computed_at=SEEN)
    rechain_instrument(conn, KEY.instrument)


def five(slots: list[int]) -> pl.DataFrame:
    return candles([5 * slot for slot in slots])


def test_the_manifest_of_whole_months_names_the_stored_chain(conn: psycopg.Connection) -> None:
    upsert_series(conn, SeriesSetting(FIVE, sub_tf=KEY.tf))
    chained(conn, (KEY, candles([0, 1, 2, 44_639])), (FIVE, five([0, 1])))
    manifest = manifest_of(conn, [FIVE, KEY], T0, FEB, at=SEEN)
    [stored], [stored_five] = digests(conn, KEY), digests(conn, FIVE)
    assert stored.chain is not None
    assert stored_five.chain is not None
    assert manifest.series == {
        KEY: SeriesPart(chain=stored.chain, rows=4, first=T0, last=T0 + minutes(44_639)),
        FIVE: SeriesPart(chain=stored_five.chain, rows=2, first=T0, last=T0 + minutes(5)),
    }
    assert manifest.text == manifest_of(conn, [KEY, FIVE], T0, FEB + timedelta(days=400), at=SEEN).text


def test_inside_a_month_the_chain_ends_with_the_window(conn: psycopg.Connection) -> None:
    chained(conn, (KEY, candles([0, 1, 2])))
    merge_candles(conn, KEY, candles([44_640, 44_641, 44_642]), "rest", seen_at=SEEN)
    manifest = manifest_of(conn, [KEY], T0 + minutes(1), FEB + minutes(2), at=SEEN)
    start = sha(f"binance_usdm:BTCUSDT:1m{1_640_995_200_000_000}")  # 2022-01-01T00:00Z
    january = sha(start + digest(candles([0, 1, 2])))
    chain = sha(january + digest(candles([44_640, 44_641])))
    part = SeriesPart(chain=chain, rows=4, first=T0 + minutes(1), last=T0 + minutes(44_641))
    assert manifest.series == {KEY: part}
    first_month = manifest_of(conn, [KEY], T0, T0 + minutes(2), at=SEEN).series[KEY]
    assert first_month.chain == sha(start + digest(candles([0, 1])))


def test_a_changed_candle_before_the_end_makes_another_dataset_and_one_behind_it_does_not(
    conn: psycopg.Connection,
) -> None:
    chained(conn, (KEY, candles([0, 1, 2])))

    def dataset_id() -> str:
        return manifest_of(conn, [KEY], T0, T0 + minutes(2), at=SEEN).dataset_id

    first = dataset_id()
    merge_candles(conn, KEY, candles([2], close="9"), "archive", seen_at=SEEN)
    assert dataset_id() == first
    merge_candles(conn, KEY, candles([1], close="9"), "archive", seen_at=SEEN)
    assert dataset_id() != first


def test_a_dataset_of_candles_that_nothing_chains_is_refused(conn: psycopg.Connection) -> None:
    with pytest.raises(DatasetRefused, match="holds no candle from 2022-01-01"):
        manifest_of(conn, [KEY], T0, FEB, at=SEEN)
    merge_candles(conn, KEY, candles([0, 44_640]), "rest", seen_at=SEEN)
    with pytest.raises(DatasetRefused, match="no chain up to 2022-02") as refused:
        manifest_of(conn, [KEY], T0, FEB + minutes(1), at=SEEN)
    assert isinstance(refused.value, Rejected)


def test_a_dataset_is_refused_behind_a_month_that_is_not_stored(conn: psycopg.Connection) -> None:
    chained(conn, (KEY, candles([0])))
    march = (31 + 28) * 1440
    merge_candles(conn, KEY, candles([march]), "rest", seen_at=SEEN)
    with pytest.raises(DatasetRefused, match="no chain up to 2022-03"):
        manifest_of(conn, [KEY], T0, T0 + minutes(march + 1), at=SEEN)


def test_a_dataset_is_refused_where_the_sub_timeframe_is_not_stored(conn: psycopg.Connection) -> None:
    upsert_series(conn, SeriesSetting(FIVE, sub_tf=KEY.tf))
    chained(conn, (FIVE, five([0, 1])))
    with pytest.raises(DatasetRefused, match="or its sub-timeframe"):
        manifest_of(conn, [FIVE], T0, FEB, at=SEEN)


def test_parts_are_named_where_they_are_used_and_known(conn: psycopg.Connection) -> None:
    chained(conn, (KEY, candles([0])))
    instrument = KEY.instrument
    everything: tuple[Part, ...] = ("funding", "calendar", "rules")
    rows = [(T0, "0.0001", None, "Regular"), (FEB, "0.0002", None, "Regular")]
    engine = EnginePart(version=2, params_hash="f" * 64)

    def used() -> Manifest:
        return manifest_of(conn, [KEY], T0, FEB, at=SEEN, using=everything, engine=engine)

    bare = used()
    assert (bare.funding, bare.rules, bare.engine) == ({}, {}, engine)
    merge_funding(conn, instrument, pl.DataFrame(rows, FUNDING_SCHEMA, orient="row"), source="rest", at=SEEN)
    event = CalendarEvent(uid="a", ts_start=T0, ts_end=T0, severity="HIGH", title="CPI", currency="USD")
    replace_source(conn, "file", [event], at=SEEN)
    record_rules(conn, rules("0.1"), sha256="1" * 64, seen_at=SEEN)
    record_rules(conn, rules("0.2"), sha256="2" * 64, seen_at=SEEN + minutes(1))
    full = used()
    assert full.funding == {instrument: sha("1640995200000000|0.0001||Regular\n")}
    assert full.funding == {instrument: funding_version(conn, instrument, until=FEB)}
    assert full.rules == {instrument: "1" * 64}
    assert full.calendar == calendar_version(conn, SEEN) != bare.calendar
    assert manifest_of(conn, [KEY], T0, FEB, at=SEEN).text == replace(full, **NOTHING).text


def test_a_manifest_is_made_of_one_snapshot_while_others_write(database: Database, conn: psycopg.Connection) -> None:
    chained(conn, (KEY, candles([0, 1])))
    with connect(database.dsn(ANALYST)) as reader, one_snapshot(reader):
        before = manifest_of(reader, [KEY], T0, FEB, at=SEEN)
        merge_candles(conn, KEY, candles([0, 1], close="9"), "archive", seen_at=SEEN)
        assert manifest_of(reader, [KEY], T0, FEB, at=SEEN) == before
    assert manifest_of(conn, [KEY], T0, FEB, at=SEEN) != before
