"""Every expectation of funding is green on a sound month and red on the one defect it is there for."""

from datetime import timedelta

import polars as pl
import pytest

from assets.checks.funding_suite import FUNDING_SUITE
from assets.partitions import Task
from contracts import InstrumentKey
from store.connections import connect
from store.funding import FUNDING_SCHEMA, merge_funding
from store.roles import BATCH, OWNER
from tests.assets.checks.filled import JAN, NOW, answers, red
from tests.assets.fakes import T0
from tests.assets.runs import keep
from tests.databases import Database

PERPETUAL = InstrumentKey("binance_usdm", "BTCUSDT")
TASK = Task(PERPETUAL, (JAN,))
# Every 8 hours in the first half of January, every 4 from then on; one settlement of the kind that keeps no rhythm.
HOURS = [*range(0, 360, 8), *range(360, 744, 4)]

_AT = "funding_time = '2022-01-10 08:00+00'"
_SET = "UPDATE market.funding_rates SET"
DEFECTS = {
    # Half a minute early: the interval rounds to the same hours.
    "on_the_hour": (f"{_SET} funding_time = funding_time - interval '30 s' WHERE {_AT}",),
    "no_repeated_time": (
        "ALTER TABLE market.funding_rates DROP CONSTRAINT funding_rates_pkey",
        f"INSERT INTO market.funding_rates SELECT * FROM market.funding_rates WHERE {_AT}",  # noqa: S608 - constants
    ),
    "interval_as_realised": (f"{_SET} interval_hours = 7 WHERE {_AT}",),
    # As it would be stored if the exchange had left one out.
    "no_missing_settlement": (
        "DELETE FROM market.funding_rates WHERE funding_time = '2022-01-20 08:00+00'",
        f"{_SET} interval_hours = 8 WHERE funding_time = '2022-01-20 12:00+00'",
    ),
    "rate_plausible": (f"{_SET} rate = -0.051 WHERE {_AT}",),
    "nothing_quarantined": (
        "INSERT INTO market.quarantine (venue, symbol, tf, source, origin, payload, reason, seen_at) VALUES "
        "('binance_usdm', 'BTCUSDT', 'funding', 'rest', 'fundingRate', '{}', 'unreadable', '2022-01-10 09:00+00')",
    ),
}


@pytest.fixture
def settled(database: Database) -> Database:
    """A month of settlements."""
    frame = pl.DataFrame(
        [(T0 + timedelta(hours=hours), "0.0001", "40000.1", "Regular") for hours in HOURS]
        + [(T0 + timedelta(hours=50, minutes=7), "-0.02", None, "Special")],
        schema=FUNDING_SCHEMA,
        orient="row",
    )
    with connect(database.dsn(BATCH), application_name="test") as conn:
        keep(conn, PERPETUAL.series("1h"), PERPETUAL.series("15m"))
        merge_funding(conn, PERPETUAL, frame, source="archive", at=NOW)
    return database


def plant(database: Database, statements: tuple[str, ...]) -> None:
    with connect(database.dsn(OWNER), application_name="test") as conn:
        for statement in statements:
            conn.execute(statement.encode())


def test_every_expectation_has_a_defect_to_find() -> None:
    assert set(DEFECTS) == set(FUNDING_SUITE.expectations)


def test_a_sound_month_is_green_also_where_the_rhythm_changes(settled: Database) -> None:
    found = answers(settled, FUNDING_SUITE, task=TASK)
    assert set(found) == set(FUNDING_SUITE.expectations)
    assert {answer.error for answer in found.values()} == {None}
    assert red(found) == set()


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_turns_its_check_red_and_no_other(settled: Database, check: str) -> None:
    plant(settled, DEFECTS[check])
    found = answers(settled, FUNDING_SUITE, task=TASK)
    assert found[check].error is None
    assert found[check].count == 1, found[check]
    assert found[check].rows[0]["symbol"] == "BTCUSDT"
    assert red(found) == {check}


def test_two_settlements_missing_in_a_row_are_found(settled: Database) -> None:
    plant(
        settled,
        (
            "DELETE FROM market.funding_rates WHERE funding_time IN ('2022-01-10 00:00+00', '2022-01-10 08:00+00')",
            f"{_SET} interval_hours = 24 WHERE funding_time = '2022-01-10 16:00+00'",
        ),
    )
    assert red(answers(settled, FUNDING_SUITE, task=TASK)) == {"no_missing_settlement"}


@pytest.mark.parametrize("instrument", [PERPETUAL, InstrumentKey("binance_spot", "BTCUSDT")])
def test_a_month_without_a_settlement_is_answered_too(database: Database, instrument: InstrumentKey) -> None:
    with connect(database.dsn(BATCH), application_name="test") as conn:
        keep(conn, instrument.series("1h"))
    found = answers(database, FUNDING_SUITE, task=Task(instrument, (JAN,)))
    assert set(found) == set(FUNDING_SUITE.expectations)
    assert {answer.error for answer in found.values()} == {None}
