"""docs/concepts.md says what the engine says: its pictures, captions, defaults, names and SQL."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import polars as pl
import pytest

from bench.walks import START_US
from contracts import from_us, to_us
from docs.pictures.chart import KNOWN
from docs.pictures.gallery import FOLDER, pictures
from docs.pictures.market import KEY, SUB_TF, Market
from engine import TABLES, EngineParams
from engine.rows import BREAK_KINDS, LABELS, LIQUIDITY_KINDS, SIDES, STATUSES, SWING_KINDS, ZONE_EVENTS, ZONE_KINDS
from store.analysis import replace_window
from store.connections import connect
from store.roles import BATCH
from store.signals import replace_signals
from store.zones import replace_zones
from tests.databases import Server, fresh_database
from tests.docs.page import TEXT, WORDS, Example, examples, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from docs.pictures.picture import Fact, Picture

FACTS = [
    pytest.param(fact, id=f"{picture.name}-{number}")
    for picture in pictures()
    for number, fact in enumerate(picture.facts)
]
every_picture = pytest.mark.parametrize("picture", pictures(), ids=lambda picture: picture.name)


@every_picture
def test_a_picture_is_byte_for_byte_what_the_engine_draws_today(picture: Picture) -> None:
    committed = (FOLDER / f"{picture.name}.svg").read_bytes()
    assert committed == picture.svg.encode(), "draw them again: python -m docs.pictures"


def test_no_picture_is_left_over() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{picture.name}.svg" for picture in pictures()}


@every_picture
def test_a_picture_stands_in_the_page_with_words_for_who_cannot_see_it(picture: Picture) -> None:
    assert re.search(rf"!\[[^\]]{{30,}}\]\(images/concepts/{picture.name}\.svg\)", TEXT)


@every_picture
def test_the_caption_under_a_picture_is_what_the_engine_says(picture: Picture) -> None:
    assert f"{picture.name}.svg) *{picture.caption}*" in WORDS


def bars_until(fact: Fact) -> int:
    """How many 15m bars are needed for the bar that makes a fact known."""
    return -((START_US - to_us(fact.row["ts"])) // KEY.tf.us)


def is_known(fact: Fact, *, bars: int) -> bool:
    market = Market(Market.of_the_pictures().walk.head(bars), fact.params)
    rows = market.sub_rows if fact.tf == SUB_TF else market.rows
    return fact.row in rows.frame(fact.table).to_dicts()


@pytest.mark.parametrize("fact", FACTS)
def test_what_a_picture_calls_known_is_known_with_the_bars_up_to_then_and_not_with_one_fewer(fact: Fact) -> None:
    assert is_known(fact, bars=bars_until(fact))
    assert not is_known(fact, bars=bars_until(fact) - 1)


@every_picture
def test_every_known_fact_of_a_picture_is_marked_at_its_instant(picture: Picture) -> None:
    for fact in picture.facts:
        assert re.search(rf'fill="{KNOWN}"[^>]*>[^<]* {fact.row["ts"]:%H:%M}</text>', picture.svg), fact


def test_a_default_named_in_the_page_is_the_engine_s() -> None:
    named = dict(re.findall(r"`(\w+)` \(([^)]+)\)", WORDS))
    defaults = EngineParams().model_dump()
    found = {name: named[name] for name in defaults if name in named}
    assert len(found) >= 15
    for name, text in found.items():
        value = defaults[name]
        said = text if isinstance(value, str) else ast.literal_eval(f"({text},)" if isinstance(value, tuple) else text)
        assert said == value, name


@pytest.mark.parametrize(
    "name", [*SWING_KINDS, *LABELS, *BREAK_KINDS, *LIQUIDITY_KINDS, *ZONE_KINDS, *SIDES, *STATUSES, *ZONE_EVENTS]
)
def test_no_name_the_engine_writes_is_left_unexplained(name: str) -> None:
    plain = name in ("OB", "FVG")  # introduced as words
    assert (name if plain else f"`{name}`") in WORDS


@pytest.mark.parametrize("name", [name for name in TABLES if name != "regimes"])
def test_every_table_is_named_with_its_columns(name: str) -> None:
    assert f"`analysis.{name}`" in WORDS
    if name not in ("indicators", "inversions", "zone_events"):  # named in part, or as the columns of `zones`
        columns = Market.of_the_pictures().head(1).rows.frame(name).columns
        assert [column for column in columns if column not in KEY_COLUMNS and f"`{column}`" not in WORDS] == []


KEY_COLUMNS = ("venue", "symbol", "tf")


def test_every_concept_says_when_it_is_known_and_how_it_is_usually_misread() -> None:
    assert WORDS.count("**Known at**") >= 8
    assert WORDS.count("**The usual mistake") == WORDS.count("**Known at**: ")


@pytest.fixture(scope="module")
def conn(server: Server) -> Iterator[psycopg.Connection]:
    """A database that holds the walk of the pictures."""
    market = Market.of_the_pictures()
    rows, start, end = market.rows, from_us(START_US), from_us(START_US + market.walk.bars.height * KEY.tf.us)
    with fresh_database(server) as database, connect(database.dsn(BATCH), application_name="test") as connection:
        for name in ("indicators", "regimes", "swings", "smc_events", "liquidity_events"):
            replace_window(connection, name, KEY, start=start, end=end, frame=rows.frame(name))
        zones = {name: rows.frame(name) for name in ("zone_events", "zones", "inversions")}
        replace_zones(
            connection,
            KEY,
            start=start,
            end=end,
            zone_events=zones["zone_events"],
            zones=zones["zones"],
            inversions=zones["inversions"],
        )
        replace_signals(connection, KEY, agents=["retest"], start=start, end=end, frame=rows.signals)
        yield connection


@pytest.mark.parametrize("example", examples(), ids=range(len(examples())))
def test_a_query_of_the_page_gives_the_answer_under_it(conn: psycopg.Connection, example: Example) -> None:
    cursor = conn.execute(example.query.encode())
    assert cursor.description is not None
    assert table([column.name for column in cursor.description], cursor.fetchall()) == example.answer


def test_there_is_a_query_with_an_answer_for_each_group_of_tables() -> None:
    assert len(examples()) == TEXT.count("```sql") == 6
    for name in TABLES:
        if name != "regimes":
            assert any(f"analysis.{name}" in example.query for example in examples()), name


def test_the_zones_of_the_page_s_query_are_those_the_bars_up_to_that_day_give() -> None:
    """The page's way of asking what was known a day ago, against an engine that had no later bars."""
    market = Market.of_the_pictures()
    then = market.head(market.walk.bars.height - 96).rows.zones.filter(pl.col("status") == "ACTIVE")
    latest = then.sort("created_ts", "kind", descending=[True, False]).head(4)
    query = next(example for example in examples() if "AS touched" in example.query)
    told = [line.split(" | ")[:5] for line in query.answer.splitlines()[2:]]
    assert [[cell.strip() for cell in line] for line in told] == [
        [
            row["kind"],
            row["side"],
            f"{row['price_lo']:.2f}",
            f"{row['price_hi']:.2f}",
            f"{row['created_ts']:%Y-%m-%d %H:%M}",
        ]
        for row in latest.to_dicts()
    ]
