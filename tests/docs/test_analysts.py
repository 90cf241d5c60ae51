"""docs/analysts.md: its queries run as the analyst, give the answers under them, and name what there is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl
import pytest
from psycopg import sql

from assets.backtests import record
from backtest import BacktestConfig, run_backtest
from bench.walks import START_US
from contracts import from_us
from contracts.candles import CANDLE_SCHEMA
from docs.pictures.market import KEY, Market
from risk import shipped_profile
from store.analysis import replace_window
from store.candles import merge_candles
from store.catalog import Instrument, SeriesSetting, upsert_instrument, upsert_series
from store.connections import connect
from store.roles import ANALYST, BATCH
from store.signals import replace_signals
from store.zones import replace_zones
from tests.databases import Database, Server, fresh_database
from tests.docs.page import FOLDER, Example, table
from tests.transforms.hand_made import MARTS
from transforms.invocation import build

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

TEXT = (FOLDER / "analysts.md").read_text(encoding="utf-8")
EXAMPLES = [Example(*found) for found in re.findall(r"```sql\n(.*?)\n```\n\n```\n(.*?)\n```", TEXT, re.DOTALL)]


def fill(database: Database, folder: Path) -> None:
    """Store the walk of the pictures, candles and all, trade it twice, and build the marts of it."""
    market = Market.of_the_pictures()
    rows, bars = market.rows, market.walk.bars
    start, end = from_us(START_US), from_us(START_US + bars.height * KEY.tf.us)
    prices = [pl.col(name).cast(pl.String) for name in ("open", "high", "low", "close")]
    volume = pl.col("volume").round(3)
    candles = bars.select(
        "open_time",
        *prices,
        volume.cast(pl.String),
        pl.lit(100).alias("trades"),
        (volume * 0.5).round(3).cast(pl.String).alias("taker_buy_vol"),
        (volume * (pl.col("high") + pl.col("low")) * 0.5).round(2).cast(pl.String).alias("quote_vol"),
    )
    with connect(database.dsn(BATCH), application_name="test") as conn:
        upsert_series(conn, SeriesSetting(KEY))
        upsert_instrument(conn, Instrument(KEY.instrument, "SPOT", "BTC", "USDT", "TRADING", listed_at=start))
        frame = candles.select([pl.col(name).cast(kind) for name, kind in CANDLE_SCHEMA.items()])
        merge_candles(conn, KEY, frame, "archive", seen_at=end)
        for name in ("indicators", "regimes"):
            replace_window(conn, name, KEY, start=start, end=end, frame=rows.frame(name))
        lives = {name: rows.frame(name) for name in ("zone_events", "zones", "inversions")}
        replace_zones(
            conn,
            KEY,
            start=start,
            end=end,
            zone_events=lives["zone_events"],
            zones=lives["zones"],
            inversions=lives["inversions"],
        )
        replace_signals(conn, KEY, agents=["retest"], start=start, end=end, frame=rows.signals)
        for name in ("default", "aggressive"):
            record(conn, run_backtest({KEY: bars}, BacktestConfig(profile=shipped_profile(name))), at=end)
    build(database.dsn(BATCH), folder=folder, variables={}).raise_for_models("the walk")


@pytest.fixture(scope="module")
def conn(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection]:
    """The walk of the pictures with its marts, seen as the analyst."""
    with fresh_database(server) as database:
        fill(database, tmp_path_factory.mktemp("dbt"))
        with connect(database.dsn(ANALYST), application_name="test") as connection:
            yield connection


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_a_query_of_the_page_gives_the_answer_under_it(conn: psycopg.Connection, example: Example) -> None:
    cursor = conn.execute(example.query.encode())
    assert cursor.description is not None
    assert table([column.name for column in cursor.description], cursor.fetchall()) == example.answer


def test_there_are_ten_queries_and_two_about_backtests_and_each_has_an_answer() -> None:
    assert len(EXAMPLES) == TEXT.count("```sql") == 12


def test_excursions_have_the_signs_that_the_page_states(conn: psycopg.Connection) -> None:
    assert "of a signal both are never below 0; of a trade MFE is 0 or above and MAE 0 or below" in " ".join(
        TEXT.split()
    )
    for mart, wrong, some in (
        ("fct_signals", "mfe_r_20 < 0 OR mae_r_20 < 0", "mae_r_20 > 0"),
        ("fct_trades", "mfe_r < 0 OR mae_r > 0", "mae_r < 0"),
    ):
        query = "SELECT count(*) FILTER (WHERE {}), count(*) FILTER (WHERE {}) FROM marts.{}"
        row = conn.execute(sql.SQL(query).format(sql.SQL(wrong), sql.SQL(some), sql.Identifier(mart))).fetchone()
        assert row is not None
        assert row[0] == 0
        assert row[1] > 0


@pytest.mark.parametrize("mart", MARTS)
def test_every_mart_stands_in_the_page_with_its_grain(conn: psycopg.Connection, mart: str) -> None:
    conn.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier("marts", mart)))
    assert re.search(rf"^\| `{mart}` \| [^|]{{5,}} \|", TEXT, re.MULTILINE)


def test_the_analyst_cannot_change_what_the_page_shows(conn: psycopg.Connection) -> None:
    row = conn.execute("SELECT has_table_privilege('marts.fct_signals', 'INSERT, UPDATE, DELETE')").fetchone()
    assert row == (False,)
