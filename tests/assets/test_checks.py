from collections.abc import Callable
from datetime import UTC, datetime

import dagster as dg
import psycopg
import pytest

from assets.checks.market import CANDLE_CHECKS
from assets.partitions import Month
from store.connections import connect
from store.roles import OWNER
from tests.assets.fakes import KEY, RefusedRow, slot, venue_of
from tests.assets.runs import World, exchange_of, failure_of, keep, months
from tests.databases import Database

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
JAN = months("2022-01")
# Statements of the owner that no other role may run; each plants the one defect that its check is there for.
DEFECTS: dict[str, tuple[str, ...]] = {
    "on_grid": ("UPDATE market.candles SET close_time = close_time + interval '1 ms' WHERE open_time = %(at)s",),
    "no_duplicates": (
        "ALTER TABLE market.candles DROP CONSTRAINT candles_pkey",
        "INSERT INTO market.candles SELECT * FROM market.candles WHERE open_time = %(at)s",
    ),
    "ohlc_order": ("UPDATE market.candles SET high = low - 1 WHERE open_time = %(at)s",),
    "no_unexplained_hole": ("DELETE FROM market.candles WHERE open_time = %(at)s",),
    "digest_matches": ("UPDATE market.candles SET volume = volume + 0.001 WHERE open_time = %(at)s",),
}


def planting(database: Database, statements: tuple[str, ...]) -> Callable[[], None]:
    def plant() -> None:
        with connect(database.dsn(OWNER)) as owner:
            for statement in statements:
                owner.execute(statement.encode(), {"at": slot(300)} if "%(at)s" in statement else None)

    return plant


def answers(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def analysed(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM analysis.indicators").fetchone()
    return 0 if row is None else int(row[0])


@pytest.fixture
def kept(conn: psycopg.Connection) -> psycopg.Connection:
    keep(conn, KEY)
    return conn


def test_every_check_has_a_defect_to_find() -> None:
    assert set(DEFECTS) == set(CANDLE_CHECKS)


def test_sound_data_with_explained_holes_is_green_and_is_analysed(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    # `clock` of a run inside Dagster is the wall clock: a quarantined row and an archive hole are explained at once.
    venue = venue_of(744, now=MARCH)
    venue.lacks["monthly"] = {slot(100)}
    bad = RefusedRow(slot(300), slot(300))
    venue.refused = {"monthly": [bad], "daily": [bad], "rest": [bad]}
    result = World(database, exchange_of(venue), instance).run(JAN)
    assert result.success, failure_of(result)
    assert answers(result) == dict.fromkeys(CANDLE_CHECKS, True)
    assert analysed(kept) == 743


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_turns_its_check_red_and_blocks_the_analysis_of_the_same_run(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance, check: str
) -> None:
    # The defect comes between the load, which is done with the exchange then, and the checks.
    exchange = exchange_of(venue_of(744, now=MARCH), after=planting(database, DEFECTS[check]))
    result = World(database, exchange, instance).run(JAN)
    assert not result.success
    assert answers(result)[check] is False
    [found] = [e for e in result.get_asset_check_evaluations() if e.check_name == check]
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.metadata["violations"].value == 1
    assert "2022-01" in (found.description or "")
    materialized = {str(e.asset_key) for e in result.all_events if e.is_step_materialization}
    assert materialized == {str(dg.AssetKey("candles")), str(dg.AssetKey("candle_gaps"))}
    assert analysed(kept) == 0


@pytest.mark.parametrize("check", ["on_grid", "ohlc_order"])
def test_a_defect_turns_no_check_red_that_it_is_not_for(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance, check: str
) -> None:
    exchange = exchange_of(venue_of(744, now=MARCH), after=planting(database, DEFECTS[check]))
    red = {name for name, passed in answers(World(database, exchange, instance).run(JAN)).items() if not passed}
    assert red - {"digest_matches"} == {check}


def test_a_candle_off_the_grid_is_found(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    shift = "UPDATE market.candles SET open_time = open_time + interval '1 s', close_time = close_time + interval '1 s'"
    exchange = exchange_of(venue_of(744, now=MARCH), after=planting(database, (f"{shift} WHERE open_time = %(at)s",)))
    assert answers(World(database, exchange, instance).run(JAN))["on_grid"] is False


def test_checks_look_at_every_month_of_the_run_and_at_no_other(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    venue = venue_of(744 + 672, now=MARCH)
    assert World(database, exchange_of(venue), instance).run(months("2022-01", "2022-02")).success
    planting(database, DEFECTS["digest_matches"])()
    world = World(database, exchange_of(venue), instance)
    assert answers(world.run((Month(2022, 2),))) == dict.fromkeys(CANDLE_CHECKS, True)
    assert answers(world.run(months("2022-01", "2022-02")))["digest_matches"] is False
