"""What the Dagster UI shows of the analysis: counts that add up to the stored rows, and plots it shows in place."""

from datetime import UTC, datetime

import psycopg

from assets.analysis_shown import shown_of
from engine import TABLES
from tests.assets.fakes import INSTRUMENT, KEY, venue_of
from tests.assets.passes import FEB, FEB_BARS, JAN, JAN_BARS, analyse, tables
from tests.assets.runs import load

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
PLOTTED = {"swings", "smc_events", "liquidity_events", "zones", "signals_raw"}


def test_every_table_is_counted_by_kind_and_what_has_a_rhythm_is_drawn(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS + FEB_BARS, now=MARCH), (JAN, FEB))
    analyse(conn)
    shown = shown_of(conn, KEY, JAN.start, FEB.end)
    assert set(shown) == set(TABLES)
    assert str(shown["indicators"]["rsi14"].value).startswith("![rsi14 of ")
    for table in set(TABLES) - {"indicators"}:
        lines = str(shown[table]["1h by kind"].value).splitlines()[2:]
        assert sum(int(line.split("|")[-2]) for line in lines) == tables(conn)[table].height, table
        drawn = shown[table].get("over time")
        assert (drawn is not None) == (table in PLOTTED), table
        if drawn is not None:
            assert str(drawn.value).startswith(f"![{table} of {KEY} over time](data:image/svg+xml")
            assert len(str(drawn.value)) < 1_000


def test_a_window_shows_its_own_bars_alone(conn: psycopg.Connection) -> None:
    load(conn, venue_of(JAN_BARS + FEB_BARS, now=MARCH), (JAN, FEB))
    analyse(conn)
    parts = [shown_of(conn, KEY, month.start, month.end)["zones"]["1h by kind"] for month in (JAN, FEB)]
    counts = [sum(int(line.split("|")[-2]) for line in str(part.value).splitlines()[2:]) for part in parts]
    assert sum(counts) == tables(conn)["zones"].height
    assert min(counts) > 0


def test_a_series_without_rows_is_shown_as_having_none(conn: psycopg.Connection) -> None:
    shown = shown_of(conn, INSTRUMENT.series("4h"), JAN.start, FEB.end)
    assert {str(shown[table]["4h by kind"].value) for table in set(TABLES) - {"indicators"}} == {"no rows"}
    assert "over time" not in shown["zones"]
