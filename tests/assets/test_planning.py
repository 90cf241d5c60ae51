from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from assets.partitions import Month
from assets.planning import months_due
from bots.discovery import FoundBot
from bots.loading import Source
from bots.runner import BotRunner
from contracts import Timeframe
from engine import EngineParams
from store.gaps import settle
from store.ledger import digests
from tests.assets import passes
from tests.assets.fakes import INSTRUMENT, KEY, ORIGINS, FakeVenue, slot, venue_of
from tests.assets.runs import job_for, keep, load, months, revise

MARCH = datetime(2022, 3, 10, 0, 1, tzinfo=UTC)
ALL = JAN, FEB, MAR = months("2022-01", "2022-03")
BARS = 744 + 672 + 9 * 24  # to the tenth of March
PARAMS = EngineParams()
SILENT = b"""
class Silent:
    name, inputs = "sweeper", ()

    def on_bar(self, ctx, bar, feats, state):
        return []
"""


def due(conn: psycopg.Connection, venue: FakeVenue, *wanted: Month, **listing: datetime) -> list[Month]:
    return list(months_due(conn, job_for(venue, wanted or ALL, **listing), PARAMS, bots={}).months)


def analyse(conn: psycopg.Connection, venue: FakeVenue, until: Month = MAR) -> set[Month]:
    """Analyse every series; returns the months written."""
    return {month for _, month in passes.analyse(conn, until, keys=venue.tape).written}


@pytest.fixture
def complete(conn: psycopg.Connection) -> FakeVenue:
    """A venue all of whose months are loaded and analysed."""
    venue = venue_of(BARS, now=MARCH)
    load(conn, venue, ALL)
    analyse(conn, venue)
    venue.calls.clear()
    return venue


def test_everything_is_due_in_an_empty_database(conn: psycopg.Connection) -> None:
    assert due(conn, venue_of(BARS, now=MARCH)) == list(ALL)


def test_nothing_is_due_after_a_run_and_nobody_was_asked(conn: psycopg.Connection, complete: FakeVenue) -> None:
    assert due(conn, complete) == []
    assert complete.calls == []


def test_loaded_months_are_due_until_they_are_analysed(conn: psycopg.Connection) -> None:
    venue = venue_of(BARS, now=MARCH)
    load(conn, venue, ALL)
    assert due(conn, venue) == list(ALL)
    analyse(conn, venue, FEB)
    assert due(conn, venue) == [MAR]


def test_a_revised_candle_makes_its_month_and_the_later_ones_due(conn: psycopg.Connection, complete: FakeVenue) -> None:
    candle = complete.tape[KEY].row(800, named=True)
    revise(conn, complete, candle["open_time"], candle["low"] if candle["low"] != candle["close"] else candle["high"])
    assert due(conn, complete) == [FEB, MAR]
    assert due(conn, complete, JAN) == [JAN]  # a run for January goes on to the last stored month
    assert due(conn, complete, MAR) == [MAR]
    assert analyse(conn, complete) == {FEB, MAR}
    assert due(conn, complete) == []


def test_the_running_month_is_due_again_with_the_next_closed_bar(conn: psycopg.Connection, complete: FakeVenue) -> None:
    complete.clock.now += timedelta(minutes=30)
    assert due(conn, complete) == []
    complete.clock.now += timedelta(minutes=30)
    assert due(conn, complete) == [MAR]


def test_a_series_that_is_asked_for_beside_complete_ones_makes_its_months_due(
    conn: psycopg.Connection, complete: FakeVenue
) -> None:
    both = venue_of({KEY: BARS, INSTRUMENT.series("4h"): BARS // 4}, now=MARCH)
    assert due(conn, both, FEB) == [FEB]


def test_months_before_the_listing_and_after_the_delisting_are_never_due(conn: psycopg.Connection) -> None:
    venue = venue_of(100, now=MARCH, start=slot(800))
    listing = {"listed": slot(800), "delisted": slot(900)}
    assert due(conn, venue, *months("2021-11", "2022-03"), **listing) == [FEB]
    load(conn, venue, months("2021-11", "2022-03"), **listing)
    analyse(conn, venue)
    assert due(conn, venue, *months("2021-11", "2022-03"), **listing) == []


def gone(*indices: int) -> Callable[[], FakeVenue]:
    def venue() -> FakeVenue:
        found = venue_of(BARS, now=MARCH)
        found.lacks = {origin: {slot(index) for index in indices} for origin in ORIGINS}
        return found

    return venue


@pytest.mark.parametrize("venue", [gone(300), gone(0), gone(743, 744), gone(*range(744, 744 + 672))])
def test_explained_holes_are_not_due(conn: psycopg.Connection, venue: Callable[[], FakeVenue]) -> None:
    found = venue()
    load(conn, found, ALL)
    analyse(conn, found)
    assert due(conn, found) == []
    assert due(conn, found, JAN, FEB) == []


def test_a_pending_hole_is_due_until_it_is_settled_and_what_follows_is_analysed(conn: psycopg.Connection) -> None:
    venue = gone(800)()
    venue.clock.on_sleep = lambda: setattr(venue.clock, "now", MARCH)  # thirty seconds never pass
    load(conn, venue, ALL)
    analyse(conn, venue)
    assert due(conn, venue) == [FEB]
    settle(conn, KEY, slot(800), cause="exchange", at=MARCH)
    assert due(conn, venue) == [FEB, MAR]
    analyse(conn, venue)
    assert due(conn, venue) == []


def test_a_month_that_waits_for_an_earlier_one_is_not_due_and_the_reason_is_told(conn: psycopg.Connection) -> None:
    venue = venue_of(BARS, now=MARCH)
    load(conn, venue, (JAN,))
    load(conn, venue, (MAR,))
    assert analyse(conn, venue) == {JAN}
    found = months_due(conn, job_for(venue, (JAN, MAR)), PARAMS, bots={})
    assert list(found.months) == []
    assert list(found.reasons) == [f"{KEY} stops before 2022-03: an earlier month is not stored"]
    assert due(conn, venue) == [FEB]
    load(conn, venue, (FEB,))
    assert analyse(conn, venue) == {FEB, MAR}
    assert due(conn, venue) == []


def test_what_is_due_is_what_a_run_changes(conn: psycopg.Connection) -> None:
    venue = gone(20, 900)()
    for now in (slot(200), slot(750), slot(1000), slot(BARS)):
        venue.clock.now = now + timedelta(minutes=1)
        foreseen = due(conn, venue)
        before = {entry.month: entry.sha256 for entry in digests(conn, KEY)}
        load(conn, venue, ALL)
        changed = {
            Month(entry.month.year, entry.month.month)
            for entry in digests(conn, KEY)
            if entry.sha256 != before.get(entry.month)
        }
        assert foreseen == sorted(changed | analyse(conn, venue))
        assert due(conn, venue) == []


def test_a_bot_that_was_added_or_changed_makes_every_analysed_month_due_and_one_that_is_gone_none(
    conn: psycopg.Connection, complete: FakeVenue
) -> None:
    job = job_for(complete, ALL)
    assert list(months_due(conn, job, PARAMS, bots={"sweeper": "1"}).months) == list(ALL)
    with BotRunner([FoundBot("sweeper", (), "1", Source("file", "sweeper.py", SILENT))]) as runner:
        passes.analyse(conn, runner=runner)
    assert list(months_due(conn, job, PARAMS, bots={"sweeper": "1"}).months) == []
    assert list(months_due(conn, job, PARAMS, bots={}).months) == []
    for others in ({"sweeper": "2"}, {"sweeper": "1", "another": "1"}):
        assert list(months_due(conn, job, PARAMS, bots=others).months) == list(ALL)


def test_a_month_of_the_sub_timeframe_that_changed_makes_the_series_due_that_hang_on_it(
    conn: psycopg.Connection,
) -> None:
    four = INSTRUMENT.series("4h")
    keep(conn, KEY)
    keep(conn, four, sub_tf=Timeframe.H1)
    venue = venue_of({KEY: BARS, four: BARS // 4}, now=MARCH)
    load(conn, venue, ALL)
    analyse(conn, venue)
    assert due(conn, venue) == []
    candle = venue.tape[KEY].row(800, named=True)
    revise(conn, venue, candle["open_time"], candle["low"] if candle["low"] != candle["close"] else candle["high"])
    alone = FakeVenue({four: venue.tape[four]}, clock=venue.clock)
    assert due(conn, alone) == [FEB, MAR]
    assert analyse(conn, alone) == {FEB, MAR}
    assert (due(conn, alone), due(conn, venue)) == ([], [])
