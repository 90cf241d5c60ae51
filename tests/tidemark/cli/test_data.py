"""`tidemark data`: what was known then, and datasets with their id, on the session's database."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import psycopg
import pytest

from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA, digest
from store.candles import merge_candles
from store.catalog import SeriesSetting, upsert_series
from store.connections import connect
from store.ledger import rechain, write_digest
from tests.databases import Database
from tests.e2e.commands import Ended, run

KEY = SeriesKey("binance_spot", "BTCUSDT", "1h")
T0 = datetime(2024, 1, 1, tzinfo=UTC)
FIRST, SECOND = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 2, 5, tzinfo=UTC)
SERIES = ("--symbol", "btcusdt", "--tf", "1h")
SETS = ("--symbols", "BTCUSDT", "--tf", "1h")
FILE = "candles/binance_spot_BTCUSDT_1h.parquet"


def candles(closes: list[str]) -> pl.DataFrame:
    """Hourly candles from midnight, each 1 wide around its close."""
    return pl.DataFrame(
        {
            "open_time": [T0 + timedelta(hours=hour) for hour in range(len(closes))],
            "open": closes,
            "high": [str(Decimal(close) + 1) for close in closes],
            "low": [str(Decimal(close) - 1) for close in closes],
            "close": closes,
            "volume": ["1.25"] * len(closes),
            "trades": [3] * len(closes),
            "taker_buy_vol": ["0.5"] * len(closes),
            "quote_vol": ["100"] * len(closes),
        },
        schema=CANDLE_SCHEMA,
    )


def store(conn: psycopg.Connection, closes: list[str], at: datetime) -> None:
    merge_candles(conn, KEY, candles(closes), "archive", seen_at=at)
    write_digest(conn, KEY, T0.date(), rows=len(closes), sha256=digest(candles(closes)), computed_at=at)
    rechain(conn, KEY)


@pytest.fixture
def variables(database: Database) -> dict[str, str]:
    """An installation with three candles, of which the second was replaced four days later."""
    with connect(database.dsn("tidemark_batch")) as conn:
        upsert_series(conn, SeriesSetting(KEY))
        store(conn, ["100.10", "101.5", "102"], FIRST)
        store(conn, ["100.10", "101.75", "102"], SECOND)
    return {"TIDEMARK_BATCH_URL": database.dsn("tidemark_batch")}


def closes(ended: Ended) -> list[str]:
    assert ended.code == 0, ended.err
    return pl.read_csv(io.StringIO(ended.out), infer_schema=False)["close"].to_list()


def test_asof_gives_the_candles_as_they_were_known_to_standard_output(variables: dict[str, str]) -> None:
    then = run("data", "asof", "--at", "2024-02-04", *SERIES, variables=variables)
    now = run("data", "asof", "--at", "2024-02-05T00:00Z", *SERIES, variables=variables)
    assert closes(then) == ["100.1", "101.5", "102"]
    assert closes(now) == ["100.1", "101.75", "102"]
    assert then.out.splitlines()[1] == (
        "2024-01-01T00:00:00Z,100.1,101.1,99.1,100.1,1.25,3,0.5,100,archive,2024-02-01T00:00:00Z"
    )
    assert "3 candles as known at 2024-02-04 00:00:00 UTC" in then.err


def test_asof_writes_csv_or_exact_parquet_and_takes_a_window(variables: dict[str, str], tmp_path: Path) -> None:
    window = ("--from", "2024-01-01T01:00Z", "--to", "2024-01-01T02:00Z")
    for name in ("then.parquet", "then.csv"):
        ended = run(
            "data", "asof", "--at", "2024-02-04", *SERIES, *window, "--out", str(tmp_path / name), variables=variables
        )
        assert (ended.code, ended.out) == (0, ""), ended.err
    assert pl.read_parquet(tmp_path / "then.parquet")["close"].to_list() == [Decimal("101.5")]
    assert pl.read_csv(tmp_path / "then.csv", infer_schema=False)["close"].to_list() == ["101.5"]
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--at", "2024-01-15", *SERIES), 1, "no candle of that window was known at 2024-01-15 00:00:00 UTC"),
        (("--at", "2024-02-04", "--symbol", "ETHUSDT", "--tf", "1h"), 1, "of binance_spot:ETHUSDT:1h no candle"),
        (("--at", "2999-01", *SERIES), 1, "lies in the future"),
        (("--at", "soon", *SERIES), 2, "--at needs a month"),
        (("--at", "2024-02-04", "--symbol", "BTCUSDT", "--tf", "7m"), 2, "'7m'"),
        (("--at", "2024-02-04", "--symbol", "BTC/USDT", "--tf", "1h"), 2, "BTC/USDT"),
        (("--at", "2024-02-04", *SERIES, "--venue", "kraken"), 2, "kraken"),
        (("--at", "2024-02-04", *SERIES, "--from", "2024-02", "--to", "2024-01"), 1, "nothing lies between them"),
        (("--at", "2024-02-04", *SERIES, "--out", "candles.xlsx"), 1, "needs the suffix .parquet or .csv"),
        (("--at", "2024-02-04", *SERIES, "--out", "/nowhere/at/all.csv"), 1, "cannot be written: No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_asof_tells_what_cannot_be_asked_for(
    variables: dict[str, str], arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = run("data", "asof", *arguments, variables=variables)
    assert (ended.code, ended.out) == (code, "")
    assert told in " ".join(ended.err.split())
    assert "Traceback" not in ended.err


def test_export_writes_a_dataset_prints_its_id_and_says_when_nothing_is_new(
    variables: dict[str, str], tmp_path: Path
) -> None:
    export = ("data", "export", "--parquet", str(tmp_path / "set"), *SETS)
    first = run(*export, variables=variables)
    assert first.code == 0, first.err
    name, dataset_id = first.out.splitlines()[-1].split()
    assert (name, len(dataset_id)) == ("dataset", 64)
    assert f"{FILE}     3".split() == first.out.splitlines()[-2].split()
    assert pl.read_parquet(tmp_path / "set" / FILE)["close"].to_list()[1] == Decimal("101.75")
    again = run(*export, variables=variables)
    assert again.out == first.out
    assert "holds exactly this dataset already: nothing was written" in again.err
    other = run(*export[:2], "--parquet", str(tmp_path / "other"), *SETS, variables=variables)
    assert other.out == first.out
    assert "exported before: every table that both exports hold is the same" in other.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--symbols", "ETHUSDT", "--tf", "1h"), 1, "binance_spot:ETHUSDT:1h holds no candle"),
        ((*SETS, "--with", "zones"), 1, "run `tidemark backfill`"),
        ((*SETS, "--with", "weather"), 2, "there is no such table; use indicators,"),
        ((*SETS, "--to", "2023-01"), 1, "holds no candle"),
        (("--symbols", ",", "--tf", "1h"), 2, "at least one symbol and one timeframe are needed"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_export_tells_what_cannot_be_exported_and_leaves_nothing(
    variables: dict[str, str], tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = run("data", "export", "--parquet", str(tmp_path / "set"), *arguments, variables=variables)
    assert ended.code == code, ended.err
    assert told in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


def test_export_says_whose_funding_is_not_there(variables: dict[str, str], tmp_path: Path) -> None:
    asked = ("data", "export", "--parquet", str(tmp_path / "set"), *SETS, "--with", "funding")
    ended = run(*asked, variables=variables)
    assert (ended.code, sorted(path.name for path in (tmp_path / "set").iterdir())) == (0, ["candles", "manifest.json"])
    assert "no settlement of binance_spot:BTCUSDT is stored: there is no file of its funding" in ended.err


def test_a_folder_that_is_somebodys_is_not_touched(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    ended = run("data", "export", "--parquet", str(tmp_path), *SETS, variables=variables)
    assert (ended.code, "no folder of an exported dataset" in ended.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("command", [[], ["asof"], ["export"]], ids=" ".join)
def test_help_is_there_for_data(command: list[str]) -> None:
    ended = run("data", *command, "--help", variables={})
    assert (ended.code, ended.err) == (0, "")
    assert " ".join(["Usage: tidemark data", *command]) in ended.out


def test_a_database_that_does_not_run_is_told(tmp_path: Path) -> None:
    ended = run("data", "asof", "--at", "2024-02-04", *SERIES, variables={"TIDEMARK_HOME": str(tmp_path)})
    assert ended.code == 1
    assert "the database is not running: start it with `tidemark db up`" in ended.err
