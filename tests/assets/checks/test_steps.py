"""The steps in Dagster: what blocks, what warns, which months are looked at, and what a person is shown."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from assets.checks.analysis import indicator_checks, signal_checks, zone_checks
from assets.checks.candle_suite import CANDLE_SUITE
from assets.checks.data_docs import DataDocs
from assets.checks.funding_suite import FUNDING_SUITE
from assets.checks.indicator_suite import INDICATOR_SUITE
from assets.checks.market import LEDGER_QUESTIONS, candle_checks, funding_checks
from assets.checks.signal_suite import SIGNAL_SUITE
from assets.checks.suites import Suite
from assets.checks.zone_suite import ZONE_SUITE
from assets.partitions import Month, instrument_months, partition_key
from assets.resources import Postgres
from store.candle_reads import stored_digest
from store.catalog import SeriesSetting, upsert_series
from store.connections import connect
from store.ledger import rechain_instrument, write_digest
from store.roles import BATCH, OWNER
from tests.assets.fakes import KEY, RefusedRow, slot, venue_of
from tests.assets.runs import QUIET, World, exchange_of, failure_of, keep, months
from tests.databases import Database

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
JAN = months("2022-01")
CANDLE_CHECKS = {*CANDLE_SUITE.expectations, *LEDGER_QUESTIONS}
STEPS: tuple[tuple[dg.AssetChecksDefinition, Suite], ...] = (
    (candle_checks, CANDLE_SUITE),
    (funding_checks, FUNDING_SUITE),
    (indicator_checks, INDICATOR_SUITE),
    (zone_checks, ZONE_SUITE),
    (signal_checks, SIGNAL_SUITE),
)
# What only the owner of the tables may do.
DEFECTS = {
    "ohlc_order": "UPDATE market.candles SET close = high + 0.01 WHERE open_time = '2022-01-13 12:00+00'",
    "no_unexplained_hole": "DELETE FROM market.candles WHERE open_time = '2022-01-13 12:00+00'",
    "digest_matches": "UPDATE market.candles SET trades = trades + 1 WHERE open_time = '2022-01-13 12:00+00'",
}
WARNED_OF = "UPDATE market.candles SET quote_vol = quote_vol * 2 WHERE open_time = '2022-01-13 12:00+00'"


def planting(database: Database, statement: str, *, digested: bool = False) -> Callable[[], None]:
    """Runs the statement; where it is `digested`, the month's digest says so too, as if it had been loaded."""

    def plant() -> None:
        with connect(database.dsn(OWNER), application_name="test") as owner:
            owner.execute(statement.encode())
            if digested:
                revise_digest(owner)

    return plant


def revise_digest(conn: psycopg.Connection) -> None:
    month = JAN[0]
    rows, sha256 = stored_digest(conn, KEY, month.start, month.end)
    write_digest(conn, KEY, month.start.date(), rows=rows, sha256=sha256, computed_at=MARCH)
    rechain_instrument(conn, KEY.instrument)


def verdicts(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def red(result: dg.ExecuteInProcessResult) -> set[str]:
    return {name for name, passed in verdicts(result).items() if not passed}


def evaluation(result: dg.ExecuteInProcessResult, check: str) -> dg.AssetCheckEvaluation:
    [found] = [one for one in result.get_asset_check_evaluations() if one.check_name == check]
    return found


def analysed(conn: psycopg.Connection) -> int:
    row = conn.execute("SELECT count(*) FROM analysis.indicators").fetchone()
    return 0 if row is None else int(row[0])


@pytest.fixture
def kept(conn: psycopg.Connection) -> psycopg.Connection:
    keep(conn, KEY)
    return conn


@pytest.mark.parametrize(("step", "suite"), STEPS, ids=[suite.name for _, suite in STEPS])
def test_a_step_has_the_checks_of_its_suite_with_their_sentences(step: dg.AssetChecksDefinition, suite: Suite) -> None:
    specs = {spec.name: spec for spec in step.check_specs}
    beside = LEDGER_QUESTIONS if suite is CANDLE_SUITE else {}
    assert set(specs) == {*suite.expectations, *beside}
    for name, expectation in suite.expectations.items():
        assert specs[name].asset_key == dg.AssetKey(expectation.asset)
        assert specs[name].blocking == expectation.blocking
        assert specs[name].description == expectation.text


def test_sound_candles_are_green_and_a_refused_row_warns_with_its_payload_and_stops_nothing(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    # `clock` of a run inside Dagster is the wall clock: a quarantined row and an archive hole are explained at once.
    venue = venue_of(744, now=MARCH)
    venue.lacks["monthly"] = {slot(100)}
    bad = RefusedRow(slot(300), slot(300))
    venue.refused = {"monthly": [bad], "daily": [bad], "rest": [bad]}
    result = World(database, exchange_of(venue), instance).run(JAN)
    assert result.success, failure_of(result)
    assert set(verdicts(result)) == CANDLE_CHECKS
    assert red(result) == {"nothing_quarantined"}
    found = evaluation(result, "nothing_quarantined")
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert bad.payload in str(found.metadata["places"].value)
    assert bad.reason in (found.description or "")
    assert analysed(kept) == 743


@pytest.mark.parametrize("check", DEFECTS)
def test_a_defect_that_would_mislead_blocks_the_analysis_of_the_same_run(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance, check: str
) -> None:
    # The defect comes between the load, which is done with the exchange then, and the checks.
    plant = planting(database, DEFECTS[check], digested=check != "digest_matches")
    result = World(database, exchange_of(venue_of(744, now=MARCH), after=plant), instance).run(JAN)
    assert not result.success
    assert red(result) == {check}
    found = evaluation(result, check)
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.metadata["violations"].value == 1
    assert "2022-01" in (found.description or "")
    materialized = {str(e.asset_key) for e in result.all_events if e.is_step_materialization}
    assert materialized == {str(dg.AssetKey("candles")), str(dg.AssetKey("candle_gaps"))}
    assert analysed(kept) == 0


def test_a_defect_that_only_warns_is_told_and_stops_nothing(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    plant = planting(database, WARNED_OF, digested=True)
    result = World(database, exchange_of(venue_of(744, now=MARCH), after=plant), instance).run(JAN)
    assert result.success, failure_of(result)
    assert red(result) == {"quote_volume_bounds"}
    assert evaluation(result, "quote_volume_bounds").severity == dg.AssetCheckSeverity.WARN
    assert analysed(kept) == 744


def test_checks_look_at_every_month_of_the_run_and_at_no_other(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    venue = venue_of(744 + 672, now=MARCH)
    world = World(database, exchange_of(venue), instance)
    assert world.run(months("2022-01", "2022-02")).success
    planting(database, DEFECTS["ohlc_order"])()
    assert red(world.run((Month(2022, 2),))) == set()
    assert red(world.run(months("2022-01", "2022-02"))) == {"ohlc_order", "digest_matches"}


def test_what_the_pass_wrote_is_checked_in_its_run_with_a_page_that_opens(
    database: Database, kept: psycopg.Connection, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    checks = (candle_checks, indicator_checks, zone_checks, signal_checks)
    docs = DataDocs(folder=str(tmp_path))
    world = World(database, exchange_of(venue_of(744, now=MARCH)), instance, docs=docs, checks=checks)
    result = world.run(JAN)
    assert result.success, failure_of(result)
    suites = (INDICATOR_SUITE, ZONE_SUITE, SIGNAL_SUITE)
    assert set(verdicts(result)) == CANDLE_CHECKS.union(*(suite.expectations for suite in suites))
    assert red(result) == set()
    expectations: Mapping[str, object] = {
        name: one for suite in (CANDLE_SUITE, *suites) for name, one in suite.expectations.items()
    }
    for name in expectations:
        page = Path(str(evaluation(result, name).metadata["data docs"].value))
        assert page.is_relative_to(tmp_path)
        assert "2022-01 to 2022-01" in page.read_text(encoding="utf-8")
    assert len(list(tmp_path.iterdir())) == len(checks)


def test_an_instrument_without_an_enabled_series_has_nothing_to_check_and_the_checks_say_so(
    database: Database, conn: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    keep(conn, KEY)
    upsert_series(conn, SeriesSetting(KEY, enabled=False))
    instance.add_dynamic_partitions("instruments", [str(KEY.instrument)])

    @dg.asset(name="candles", partitions_def=instrument_months)
    def loaded() -> None:
        """Loads nothing."""

    result = dg.materialize(
        [loaded, candle_checks],
        instance=instance,
        partition_key=str(partition_key(KEY.instrument, JAN[0])),
        resources={"database": Postgres(url=database.dsn(BATCH)), "data_docs": DataDocs()},
        run_config=QUIET,
    )
    assert verdicts(result) == dict.fromkeys(CANDLE_CHECKS, True)
    told = {check.description for check in result.get_asset_check_evaluations()}
    assert told == {"nothing to check: no series of the run's instruments is enabled"}
