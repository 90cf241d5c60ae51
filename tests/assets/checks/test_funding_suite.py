"""Every expectation of funding is green on a sound month and red on the one defect it is there for."""

from collections.abc import Iterable
from datetime import timedelta

import polars as pl
import pytest

from assets.checks.funding_suite import FUNDING_SUITE
from assets.partitions import Month, Task
from contracts import InstrumentKey
from store.candles import merge_candles
from store.connections import connect
from store.funding import FUNDING_SCHEMA, merge_funding
from store.ledger import quarantine
from store.roles import BATCH, OWNER
from tests.assets.checks.filled import JAN, NOW, answers, red
from tests.assets.fakes import T0, tape
from tests.assets.runs import keep
from tests.databases import Database
from venues.binance.validation import QUARANTINE_SCHEMA

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


def refill(database: Database, hours: Iterable[int]) -> None:
    """Nothing but regular settlements that many hours after the beginning of January."""
    plant(database, ("TRUNCATE market.funding_rates",))
    rows = [(T0 + timedelta(hours=hour), "0.0001", None, "Regular") for hour in hours]
    frame = pl.DataFrame(rows, schema=FUNDING_SCHEMA, orient="row")
    with connect(database.dsn(BATCH), application_name="test") as conn:
        merge_funding(conn, PERPETUAL, frame, source="rest", at=NOW)


EIGHTS, FOURS = range(0, 744, 8), range(0, 744, 4)
DECEMBER, FEBRUARY = range(-744, 0, 4), range(744, 1416, 4)
WEEK = range(200, 368)


@pytest.mark.parametrize(
    ("hours", "found"),
    [
        pytest.param([h for h in EIGHTS if h not in (80, 88)], 1, id="two in a row"),
        pytest.param([h for h in FOURS if h not in (200, 208)], 2, id="two with one between"),
        pytest.param([h for h in FOURS if h not in WEEK or h % 8 == 4], 21, id="every other one for a week"),
        pytest.param(FOURS[:-20], 1, id="the last twenty"),
        pytest.param([*FOURS[:-20], *FEBRUARY], 1, id="the last twenty, and then it goes on"),
        pytest.param(FOURS[5:], 1, id="the first five"),
        pytest.param([*DECEMBER, *FOURS[5:]], 1, id="the first five of a month behind another"),
        pytest.param(DECEMBER, 1, id="the whole month, and all that follows"),
        pytest.param([*DECEMBER, *FEBRUARY], 1, id="the whole month between two others"),
    ],
)
def test_settlements_left_out_are_found(settled: Database, hours: Iterable[int], found: int) -> None:
    refill(settled, hours)
    answer = answers(settled, FUNDING_SUITE, {"no_missing_settlement"}, task=TASK)["no_missing_settlement"]
    assert (answer.error, answer.count) == (None, found), answer.rows


@pytest.mark.parametrize(
    "hours",
    [
        pytest.param([*range(0, 360, 8), *range(360, 744, 4)], id="eight hours become four"),
        pytest.param([*range(0, 360, 4), *range(360, 744, 8)], id="four hours become eight"),
        pytest.param([*range(0, 200, 4), *range(200, 544, 8), *range(544, 744, 4)], id="eight for two weeks"),
        pytest.param([*range(0, 360, 8), *range(360, 376), *range(376, 744, 8)], id="every hour for a while"),
        pytest.param([*DECEMBER, *FOURS, *FEBRUARY], id="one of three months"),
        pytest.param(FEBRUARY, id="before the first that is known"),
        pytest.param([], id="nothing is known"),
    ],
)
def test_a_rhythm_that_changes_is_not_taken_for_settlements_left_out(settled: Database, hours: Iterable[int]) -> None:
    refill(settled, hours)
    answer = answers(settled, FUNDING_SUITE, {"no_missing_settlement"}, task=TASK)["no_missing_settlement"]
    assert (answer.error, answer.count) == (None, 0), answer.rows


def test_what_is_missing_is_judged_between_the_first_candle_and_the_last(settled: Database) -> None:
    key = PERPETUAL.series("1h")
    with connect(settled.dsn(BATCH), application_name="test") as conn:
        for hours, found in ((range(96, 480), 0), (range(744), 2)):  # listed on the 5th, loaded to the 20th; all
            bars = tape(key, T0, 744)[hours.start : hours.stop]
            merge_candles(conn, key, bars, "archive", seen_at=NOW)
            refill(settled, FOURS[24:-60])
            answer = answers(settled, FUNDING_SUITE, {"no_missing_settlement"}, task=TASK)["no_missing_settlement"]
            assert (answer.error, answer.count) == (None, found), answer.rows


def test_one_settlement_under_two_kinds_is_found_and_a_special_one_beside_a_regular_is_lawful(
    settled: Database,
) -> None:
    special = pl.DataFrame(
        [(T0 + timedelta(hours=224), rate, None, kind) for rate, kind in (("0.0001", "Regular"), ("0.003", "Special"))],
        schema=FUNDING_SCHEMA,
        orient="row",
    )
    with connect(settled.dsn(BATCH), application_name="test") as conn:
        merge_funding(conn, PERPETUAL, special, source="rest", at=NOW)
    assert red(answers(settled, FUNDING_SUITE, task=TASK)) == set()
    plant(settled, ("UPDATE market.funding_rates SET source = 'archive' WHERE rate = 0.003",))
    assert red(answers(settled, FUNDING_SUITE, task=TASK)) == {"no_repeated_time"}


@pytest.mark.parametrize(
    ("origin", "month"),
    [
        ("https://archive.test/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2022-01.zip", JAN),
        ("binance_usdm fundingRate 2022-01", JAN),
        ("binance_usdm fundingRate", Month(2022, 3)),
    ],
)
def test_a_refused_row_without_a_readable_time_belongs_to_the_month_it_was_asked_for(
    settled: Database, origin: str, month: Month
) -> None:
    refused = pl.DataFrame([(None, "{}", "funding_time_unreadable")], schema=QUARANTINE_SCHEMA, orient="row")
    with connect(settled.dsn(BATCH), application_name="test") as conn:
        quarantine(conn, PERPETUAL, refused, "rest", origin=origin, seen_at=NOW)  # in March
    for asked in (JAN, Month(2022, 2), Month(2022, 3)):
        found = answers(settled, FUNDING_SUITE, {"nothing_quarantined"}, task=Task(PERPETUAL, (asked,)))
        assert found["nothing_quarantined"].error is None
        assert red(found) == ({"nothing_quarantined"} if asked == month else set())


@pytest.mark.parametrize("instrument", [PERPETUAL, InstrumentKey("binance_spot", "BTCUSDT")])
def test_a_month_without_a_settlement_is_answered_too(database: Database, instrument: InstrumentKey) -> None:
    with connect(database.dsn(BATCH), application_name="test") as conn:
        keep(conn, instrument.series("1h"))
    found = answers(database, FUNDING_SUITE, task=Task(instrument, (JAN,)))
    assert set(found) == set(FUNDING_SUITE.expectations)
    assert {answer.error for answer in found.values()} == {None}
