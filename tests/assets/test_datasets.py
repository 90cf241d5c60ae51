import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import psycopg
import pytest
from psycopg import sql

from assets.datasets import MANIFEST, TABLES, AnalysisBehind, Export, FolderUnusable, export_dataset
from contracts.candles import CANDLE_SCHEMA, DECIMALS
from store.calendar import CalendarEvent, replace_source
from store.candle_reads import read_candles
from store.catalog import record_rules
from store.connections import connect
from store.datasets import DatasetRefused, read_dataset
from store.funding import FUNDING_SCHEMA, FundingSource, merge_funding
from store.roles import OWNER
from store.zones import zones_as_of
from tests.assets.fakes import INSTRUMENT, KEY, RULES, T0, FakeVenue, slot, venue_of
from tests.assets.passes import analyse
from tests.assets.runs import keep, load, months, revise
from tests.databases import Database

JAN, FEB = months("2022-01", "2022-02")
MARCH = datetime(2022, 3, 10, tzinfo=UTC)
BEGINNING, FOREVER = datetime(2017, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
CANDLES = Export((KEY,), BEGINNING, FOREVER)
NAME = "binance_spot_BTCUSDT_1h.parquet"
BARS = 744 + 672


@pytest.fixture
def venue(conn: psycopg.Connection) -> FakeVenue:
    """An exchange of which January and February are stored and analysed."""
    venue = venue_of(BARS, now=MARCH)
    keep(conn, KEY)
    load(conn, venue, (JAN, FEB))
    analyse(conn)
    return venue


def test_candles_are_written_exactly_and_the_manifest_tells_from_what(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    done = export_dataset(conn, CANDLES, folder, at=MARCH)
    assert done.files == {f"candles/{NAME}": BARS}
    frame = pl.read_parquet(folder / "candles" / NAME)
    assert frame.select("venue", "symbol", "tf").unique().rows() == [("binance_spot", "BTCUSDT", "1h")]
    stored = read_candles(conn, KEY, JAN.start, FEB.end)
    for name in CANDLE_SCHEMA:
        told = [Decimal(text) for text in stored[name]] if name in DECIMALS else stored[name].to_list()
        assert frame[name].to_list() == told, name
    manifest = json.loads((folder / MANIFEST).read_text())
    text = json.dumps(manifest["manifest"], sort_keys=True, separators=(",", ":"))
    assert manifest["dataset_id"] == done.dataset_id == hashlib.sha256(text.encode()).hexdigest()
    assert manifest["manifest"]["series"][str(KEY)]["rows"] == BARS
    path = folder / "candles" / NAME
    assert manifest["files"][f"candles/{NAME}"] == {
        "rows": BARS,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
    }
    recorded = read_dataset(conn, done.dataset_id)
    assert recorded is not None
    assert recorded.created_at == MARCH
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_the_same_again_writes_nothing_and_in_another_folder_gives_the_same_id_and_bytes(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    first = export_dataset(conn, CANDLES, tmp_path / "a", at=MARCH)
    before = (tmp_path / "a" / MANIFEST).stat().st_mtime_ns
    again = export_dataset(conn, CANDLES, tmp_path / "a", at=MARCH + timedelta(days=1))
    assert (first.known, first.written, again.known, again.written) == (False, True, True, False)
    assert (tmp_path / "a" / MANIFEST).stat().st_mtime_ns == before
    other = export_dataset(conn, CANDLES, tmp_path / "b", at=MARCH + timedelta(days=2))
    assert (other.known, other.written, other.dataset_id) == (True, True, first.dataset_id)
    for name in (MANIFEST, f"candles/{NAME}"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_damaged_or_different_export_of_the_same_data_is_written_anew(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    first = export_dataset(conn, CANDLES, folder, at=MARCH)
    (folder / "candles" / NAME).write_bytes(b"damaged")
    assert export_dataset(conn, CANDLES, folder, at=MARCH).written
    assert pl.read_parquet(folder / "candles" / NAME).height == BARS
    with_rules = replace(CANDLES, parts=frozenset({"rules"}))  # of which none are known
    more = export_dataset(conn, with_rules, folder, at=MARCH)
    assert (more.dataset_id, more.written) == (first.dataset_id, True)
    assert more.files == {f"candles/{NAME}": BARS, "exchange_rules.parquet": 0}


def test_what_the_manifest_does_not_list_is_left_as_it_is(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    first = export_dataset(conn, replace(CANDLES, tables=("zones", "swings")), folder, at=MARCH)
    (folder / "notebook.ipynb").write_text("mine")
    (folder / "zones" / "mine.csv").write_text("mine")
    second = export_dataset(conn, replace(CANDLES, tables=("indicators",)), folder, at=MARCH)
    assert (second.dataset_id, second.written) == (first.dataset_id, True)
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert left == [f"candles/{NAME}", f"indicators/{NAME}", MANIFEST, "notebook.ipynb", "zones/mine.csv"]
    assert not (folder / "swings").exists()
    assert (folder / "zones" / "mine.csv").read_text() == "mine"
    assert sorted(json.loads((folder / MANIFEST).read_text())["files"]) == left[:2]
    assert [entry.name for entry in tmp_path.iterdir()] == ["set"]


def test_a_file_of_somebodys_in_the_place_of_one_of_the_dataset_refuses_the_export(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    export_dataset(conn, CANDLES, folder, at=MARCH)
    before = (folder / MANIFEST).read_text()
    (folder / "exchange_rules.parquet").write_text("mine")
    with pytest.raises(FolderUnusable, match=r"exchange_rules\.parquet is no file of the exported dataset"):
        export_dataset(conn, replace(CANDLES, parts=frozenset({"rules"})), folder, at=MARCH)
    assert (folder / "exchange_rules.parquet").read_text() == "mine"
    assert (folder / MANIFEST).read_text() == before


def test_the_way_by_which_funding_came_in_changes_neither_the_id_nor_a_byte(
    database: Database, conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    settled = [(T0 + timedelta(hours=hour), "0.0001", "40000.5", "Regular") for hour in (0, 8)]
    frame = pl.DataFrame(settled, schema=FUNDING_SCHEMA, orient="row")
    sources: list[FundingSource] = ["archive", "rest"]
    ids = set()
    for hour, source in enumerate(sources):
        with connect(database.dsn(OWNER), application_name="test") as owner:
            owner.execute("TRUNCATE market.funding_rates")
        merge_funding(conn, INSTRUMENT, frame, source=source, at=MARCH + timedelta(hours=hour))
        wanted = replace(CANDLES, parts=frozenset({"funding"}))
        ids.add(export_dataset(conn, wanted, tmp_path / source, at=MARCH).dataset_id)
    assert len(ids) == 1
    for name in (MANIFEST, "funding_rates/binance_spot_BTCUSDT.parquet"):
        assert (tmp_path / "archive" / name).read_bytes() == (tmp_path / "rest" / name).read_bytes()


def test_a_candle_that_changed_makes_another_dataset_which_does_not_replace_the_first(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    first = export_dataset(conn, CANDLES, folder, at=MARCH)
    revise(conn, venue, slot(9), "99999.5")
    with pytest.raises(FolderUnusable, match=f"holds the dataset {first.dataset_id}"):
        export_dataset(conn, CANDLES, folder, at=MARCH)
    second = export_dataset(conn, CANDLES, tmp_path / "other", at=MARCH)
    assert second.dataset_id != first.dataset_id
    assert json.loads((folder / MANIFEST).read_text())["dataset_id"] == first.dataset_id


def test_every_table_of_the_analysis_is_written_as_it_was_computed(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    done = export_dataset(conn, replace(CANDLES, tables=TABLES), tmp_path / "set", at=MARCH)
    assert sorted(done.files) == sorted(f"{table}/{NAME}" for table in ("candles", *TABLES))
    assert all(done.files.values())
    for table in TABLES:
        counted = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("analysis", table))
        assert conn.execute(counted).fetchone() == (done.files[f"{table}/{NAME}"],), table
    written = pl.read_parquet(tmp_path / "set" / "indicators" / NAME)
    [(atr,)] = conn.execute("SELECT atr14 FROM analysis.indicators ORDER BY ts DESC LIMIT 1").fetchall()
    assert written["atr14"][-1] == atr
    assert written["ema200"].null_count() == 199


def test_a_window_knows_nothing_behind_its_end(conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path) -> None:
    window = replace(CANDLES, start=slot(200), end=slot(1000), tables=("indicators", "zones", "signals_raw"))
    done = export_dataset(conn, window, tmp_path / "set", at=MARCH)
    assert done.files[f"candles/{NAME}"] == done.files[f"indicators/{NAME}"] == 800
    zones = pl.read_parquet(tmp_path / "set" / "zones" / NAME)
    known = zones_as_of(conn, KEY, slot(1000)).filter(pl.col("created_ts") > slot(200))
    assert zones["status"].to_list() == known["status"].cast(pl.String).to_list()
    assert "ACTIVE" in zones["status"].to_list()
    for column in ("created_ts", "ended_ts", "first_touch_ts"):
        latest = zones[column].max()
        assert isinstance(latest, datetime)
        assert latest <= slot(1000)


def test_analysis_that_was_not_made_from_these_candles_is_refused(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    revise(conn, venue, slot(744 + 3), "99999.5")
    wanted = replace(CANDLES, tables=("zones",))
    with pytest.raises(AnalysisBehind, match="up to 2022-02-01 00:00, the dataset goes to 2022-02-28 23:00"):
        export_dataset(conn, wanted, tmp_path / "set", at=MARCH)
    assert list(tmp_path.iterdir()) == []
    assert export_dataset(conn, replace(wanted, end=FEB.start), tmp_path / "jan", at=MARCH).written
    analyse(conn)
    assert export_dataset(conn, wanted, tmp_path / "set", at=MARCH).written


def test_funding_rules_and_calendar_come_along_and_count_into_the_id(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    settled = [(T0, "0.0001", "40000.5", "Regular"), (T0 + timedelta(hours=8), "-0.00025", None, "Regular")]
    early = (T0 - timedelta(hours=8), "0.0003", None, "Regular")
    frame = pl.DataFrame([early, *settled], schema=FUNDING_SCHEMA, orient="row")
    merge_funding(conn, INSTRUMENT, frame, source="rest", at=MARCH)
    record_rules(conn, RULES, sha256="ab" * 32, seen_at=T0)
    event = CalendarEvent(
        uid="1", ts_start=slot(5), ts_end=slot(6), severity="HIGH", title="FOMC", currency="USD", known_from=T0
    )
    replace_source(conn, "fed", [event], at=MARCH)
    everything = replace(CANDLES, parts=frozenset({"funding", "rules", "calendar"}))
    done = export_dataset(conn, everything, tmp_path / "all", at=MARCH + timedelta(hours=1))
    assert done.dataset_id != export_dataset(conn, CANDLES, tmp_path / "candles", at=MARCH).dataset_id
    funding = pl.read_parquet(tmp_path / "all" / "funding_rates" / "binance_spot_BTCUSDT.parquet")
    assert funding.select("funding_time", "rate", "mark_price", "rate_type").rows() == [
        (at, Decimal(rate), None if mark is None else Decimal(mark), kind) for at, rate, mark, kind in settled
    ]
    rules = pl.read_parquet(tmp_path / "all" / "exchange_rules.parquet")
    assert json.loads(rules["rules"][0])["tick_size"] == "0.01"
    calendar = pl.read_parquet(tmp_path / "all" / "calendar_events.parquet")
    assert calendar.select("title", "ts_start", "known_from").rows() == [("FOMC", slot(5), T0)]
    again = export_dataset(conn, everything, tmp_path / "all", at=MARCH + timedelta(days=1))
    assert (again.dataset_id, again.written) == (done.dataset_id, False)


def test_a_window_without_a_candle_is_refused_and_leaves_nothing(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    with pytest.raises(DatasetRefused, match="holds no candle"):
        export_dataset(conn, replace(CANDLES, start=FEB.end), tmp_path / "set", at=MARCH)
    assert list(tmp_path.iterdir()) == []


def _a_file(folder: Path) -> None:
    folder.write_text("mine")


def _somebodys(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("mine")


def _one_that_points_outside(folder: Path) -> None:
    folder.mkdir()
    (folder / MANIFEST).write_text(json.dumps({"dataset_id": "ab" * 32, "files": {"../thesis.txt": {}}}))
    (folder.parent / "thesis.txt").write_text("mine")


def _another_manifest(folder: Path) -> None:
    folder.mkdir()
    (folder / MANIFEST).write_text('{"name": "another program"}')


@pytest.mark.parametrize("occupied", [_a_file, _somebodys, _one_that_points_outside, _another_manifest])
def test_a_folder_that_is_somebodys_is_left_as_it_is(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path, occupied: Callable[[Path], None]
) -> None:
    folder = tmp_path / "set"
    occupied(folder)
    before = sorted((path, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file())
    with pytest.raises(FolderUnusable, match="no folder of an exported dataset"):
        export_dataset(conn, CANDLES, folder, at=MARCH)
    assert sorted((path, path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file()) == before


def test_an_empty_folder_is_filled_and_one_below_a_file_is_refused(
    conn: psycopg.Connection, venue: FakeVenue, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    assert export_dataset(conn, CANDLES, tmp_path / "empty", at=MARCH).written
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FolderUnusable, match=r"no folder of an exported dataset|Not a directory"):
        export_dataset(conn, CANDLES, tmp_path / "file" / "below", at=MARCH)
