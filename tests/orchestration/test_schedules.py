from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import psycopg
import pytest

from assets.partitions import Month
from assets.resources import Postgres
from contracts import InstrumentKey
from orchestration.definitions import defs
from orchestration.requests import last_month
from orchestration.schedules import SCHEDULES, recent_months, reported_month, running_months, tail_months
from store.candle_reads import missing_ranges
from store.candles import merge_candles
from store.errors import DatabaseUnavailable
from store.ledger import write_digest
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, KEY, slot, tape, venue_of
from tests.assets.kept import keep_profile
from tests.assets.runs import load, months
from tests.databases import Database
from tests.orchestration.test_requests import PERP, SPOT, keep

AT = datetime(2024, 6, 15, 10, 2, tzinfo=UTC)
# Dagster says so of the names that it gives to the dimensions of a partition itself (1.13). Drop it when it does not.
OWN_TAGS = pytest.mark.filterwarnings("ignore:Non-compliant tag keys like .'dagster/partition:DeprecationWarning")
BY_NAME: dict[str, Any] = {schedule.name: schedule for schedule in SCHEDULES}


def evaluate(url: str, instance: dg.DagsterInstance, name: str, at: datetime = AT) -> Any:  # noqa: ANN401 - Dagster's own
    """One tick of a schedule."""
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=at,
        resources={"database": Postgres(url=url)},
        repository_def=defs().get_repository_def(),
    ) as context:
        return BY_NAME[name].evaluate_tick(context)


def asked(database: Database, instance: dg.DagsterInstance, name: str) -> dict[str, tuple[str, str]]:
    """What a tick asks for: instrument → first and last month."""
    data = evaluate(database.dsn(BATCH), instance, name)
    found = {}
    for request in data.run_requests:
        first, last = (request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
        instrument, _, month = first.partition("|")
        assert last.startswith(f"{instrument}|")
        found[instrument] = (month, last.partition("|")[2])
    assert bool(found) != bool(data.skip_message)
    return found


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance that a schedule can open by its reference; it is gone after the test."""
    with dg.instance_for_test() as lasting:
        yield lasting


@pytest.fixture
def kept(conn: psycopg.Connection) -> list[InstrumentKey]:
    """Two instruments with enabled series, and one without."""
    keep(conn, SPOT.series("1m"))
    keep(conn, PERP.series("1m"))
    keep(conn, InstrumentKey("binance_spot", "OLDUSDT").series("1m"), enabled=False)
    return [SPOT, PERP]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hourly_tail", {str(SPOT): ("2024-06", "2024-06"), str(PERP): ("2024-06", "2024-06")}),
        ("daily_truth", {str(SPOT): ("2024-04", "2024-06"), str(PERP): ("2024-04", "2024-06")}),
        ("funding_settlements", {str(PERP): ("2024-04", "2024-06")}),
    ],
)
def test_a_tick_asks_for_one_run_of_each_enabled_instrument(
    database: Database, instance: dg.DagsterInstance, name: str, expected: dict[str, tuple[str, str]]
) -> None:
    assert asked(database, instance, name) == expected


@pytest.mark.usefixtures("kept")
def test_the_tail_begins_at_the_last_stored_bar_of_the_series_that_ends_first(
    conn: psycopg.Connection, database: Database, instance: dg.DagsterInstance
) -> None:
    keep(conn, SPOT.series("1h"))
    for tf, opened in (("1m", AT), ("1h", datetime(2024, 3, 30, 11, tzinfo=UTC))):
        key = SPOT.series(tf)
        merge_candles(conn, key, tape(key, key.tf.floor(opened), 1), "rest", seen_at=AT)
    assert asked(database, instance, "hourly_tail") == {
        str(SPOT): ("2024-03", "2024-06"),
        str(PERP): ("2024-06", "2024-06"),
    }


def test_a_month_that_ended_while_nothing_ran_is_completed_by_the_next_tail(conn: psycopg.Connection) -> None:
    keep(conn, KEY)
    load(conn, venue_of(29 * 24 + 12, now=slot(29 * 24 + 12)), months("2022-01"))
    back = datetime(2022, 2, 3, 6, 2, tzinfo=UTC)
    venue = venue_of(33 * 24 + 6, now=back)
    venue.unpublished = {
        name for day in range(1, 32) for name in ("BTCUSDT-1h-2022-01", f"BTCUSDT-1h-2022-01-{day:02d}")
    }
    first, last = tail_months(back, last_month(conn, INSTRUMENT))
    load(conn, venue, months(str(first), str(last)))
    assert missing_ranges(conn, KEY, slot(0), slot(33 * 24 + 6)) == []


@pytest.mark.parametrize(
    ("last_stored", "first"),
    [
        (None, Month(2024, 6)),
        (Month(2024, 6), Month(2024, 6)),
        (Month(2024, 5), Month(2024, 5)),
        (Month(2023, 6), Month(2023, 6)),
        (Month(2019, 1), Month(2023, 6)),
        (Month(2024, 7), Month(2024, 6)),
    ],
)
def test_the_tail_makes_up_for_a_year_without_a_tick_and_no_more(last_stored: Month | None, first: Month) -> None:
    assert tail_months(AT, last_stored) == (first, Month(2024, 6))


@pytest.mark.usefixtures("kept")
def test_the_monthly_tick_asks_for_every_stored_month(
    conn: psycopg.Connection, database: Database, instance: dg.DagsterInstance
) -> None:
    write_digest(conn, SPOT.series("1m"), Month(2023, 2).start.date(), rows=1, sha256="a" * 64, computed_at=AT)
    assert asked(database, instance, "monthly_truth") == {str(SPOT): ("2023-02", "2024-06")}


@pytest.mark.parametrize("name", [name for name in BY_NAME if name not in {"daily_rules", "daily_calendar"}])
def test_where_nothing_is_kept_a_tick_says_why_it_asks_for_nothing(
    database: Database, instance: dg.DagsterInstance, name: str
) -> None:
    assert asked(database, instance, name) == {}


@pytest.mark.usefixtures("kept")
def test_the_same_tick_has_the_same_run_keys_and_the_next_one_others(
    database: Database, instance: dg.DagsterInstance
) -> None:
    def keys(at: datetime) -> set[str]:
        data = evaluate(database.dsn(BATCH), instance, "hourly_tail", at)
        return {request.run_key for request in data.run_requests}

    assert keys(AT) == keys(AT)
    assert keys(AT).isdisjoint(keys(AT.replace(hour=11)))


def test_a_database_that_is_gone_fails_the_tick_and_nothing_else(instance: dg.DagsterInstance) -> None:
    nowhere = "postgresql://tidemark_batch:x@127.0.0.1:9/tidemark"
    with pytest.raises(Exception, match="Error occurred during the evaluation of schedule hourly_tail") as failed:
        evaluate(nowhere, instance, "hourly_tail")
    assert isinstance(failed.value.__cause__, DatabaseUnavailable)


def test_the_last_day_of_a_month_is_completed_on_the_first_of_the_next() -> None:
    may, june = Month(2024, 5), Month(2024, 6)
    assert running_months(datetime(2024, 6, 1, 0, 2, tzinfo=UTC)) == (may, june)
    assert running_months(datetime(2024, 6, 1, 23, 2, tzinfo=UTC)) == (may, june)
    assert running_months(datetime(2024, 6, 2, 0, 2, tzinfo=UTC)) == (june, june)


def test_recent_months_reach_over_the_turn_of_the_year() -> None:
    assert recent_months(datetime(2024, 1, 31, 9, 30, tzinfo=UTC)) == (Month(2023, 11), Month(2024, 1))


@pytest.mark.parametrize(
    ("monday", "month"),
    [
        (datetime(2024, 6, 24, 6, tzinfo=UTC), Month(2024, 6)),
        (datetime(2024, 6, 10, 6, tzinfo=UTC), Month(2024, 6)),
        (datetime(2024, 6, 3, 6, tzinfo=UTC), Month(2024, 5)),
        (datetime(2024, 7, 1, 6, tzinfo=UTC), Month(2024, 6)),
        (datetime(2024, 10, 7, 6, tzinfo=UTC), Month(2024, 9)),
        (datetime(2024, 1, 1, 6, tzinfo=UTC), Month(2023, 12)),
    ],
)
def test_a_week_reports_the_running_month_and_the_first_of_a_month_the_one_that_ended(
    monday: datetime, month: Month
) -> None:
    assert monday.weekday() == 0
    assert reported_month(monday) == month


def test_every_month_is_reported_once_it_is_whole() -> None:
    first = datetime(2023, 1, 2, 6, tzinfo=UTC)
    mondays = [first + timedelta(weeks=week) for week in range(200)]
    whole = {reported_month(monday) for monday in mondays if reported_month(monday).end <= monday}
    assert whole == {reported_month(monday) for monday in mondays if reported_month(monday).end <= mondays[-1]}


@OWN_TAGS
def test_a_monday_asks_for_both_reports_of_every_profile_that_is_shipped_or_live(
    conn: psycopg.Connection, database: Database, instance: dg.DagsterInstance
) -> None:
    keep(conn, KEY)
    load(conn, venue_of(200 * 24, now=slot(200 * 24)), months("2022-01", "2022-07"))
    keep_profile(conn, "main", state="live", risk_fraction=0.002)
    monday = datetime(2022, 7, 18, 6, tzinfo=UTC)
    data = evaluate(database.dsn(BATCH), instance, "weekly_reports", monday)
    assert {request.partition_key for request in data.run_requests} == {
        "2022-07|conservative",
        "2022-07|default",
        "2022-07|aggressive",
        "2022-07|main",
    }
    assert set(instance.get_dynamic_partitions("profiles")) == {"conservative", "default", "aggressive", "main"}
    for request in data.run_requests:
        assert {key.to_user_string() for key in request.asset_selection} == {"backtest_report", "walk_forward_report"}
        assert request.tags["dagster/partition/month"] == "2022-07"
    again = evaluate(database.dsn(BATCH), instance, "weekly_reports", monday)
    assert [one.run_key for one in again.run_requests] == [one.run_key for one in data.run_requests]
    later = evaluate(database.dsn(BATCH), instance, "weekly_reports", monday + timedelta(weeks=1))
    assert "has a candle in 2022-07" not in (later.skip_message or "")
    assert {one.run_key for one in later.run_requests}.isdisjoint(one.run_key for one in data.run_requests)


@OWN_TAGS
def test_while_less_is_stored_than_a_fold_takes_the_backtest_is_asked_for_alone(
    conn: psycopg.Connection, database: Database, instance: dg.DagsterInstance
) -> None:
    keep(conn, KEY)
    load(conn, venue_of(744, now=slot(744)), months("2022-01"))
    data = evaluate(database.dsn(BATCH), instance, "weekly_reports", datetime(2022, 2, 7, 6, tzinfo=UTC))
    assert [[key.to_user_string() for key in request.asset_selection] for request in data.run_requests] == [
        ["backtest_report"]
    ] * 3


def test_a_monday_says_why_it_asks_for_no_report(
    conn: psycopg.Connection, database: Database, instance: dg.DagsterInstance
) -> None:
    keep(conn, KEY)
    load(conn, venue_of(744, now=slot(744)), months("2022-01"))
    data = evaluate(database.dsn(BATCH), instance, "weekly_reports", datetime(2022, 3, 7, 6, tzinfo=UTC))
    assert data.skip_message == "no enabled series of 5m or longer has a candle in 2022-02"


def test_every_schedule_is_on_in_utc_and_says_what_it_does() -> None:
    for schedule in BY_NAME.values():
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING, schedule.name
        assert schedule.execution_timezone == "UTC", schedule.name
        assert schedule.description, schedule.name
