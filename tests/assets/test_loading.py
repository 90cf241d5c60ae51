import asyncio
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from assets.holes import Run
from assets.loading import Absence, Fetched, Wanted, ask_rest, days_of, fetch
from contracts import SeriesKey
from tests.assets.fakes import KEY, T0, FakeVenue, RefusedRow, slot, venue_of
from venues.binance.archive_files import ArchiveName
from venues.binance.errors import ArchiveRejected, VenueUnavailable

JAN_BARS = 744
JAN = Run(T0, slot(JAN_BARS))
MARCH = datetime(2022, 3, 10, tzinfo=UTC)
MONTHLY = "month BTCUSDT-1h-2022-01"


def want(
    venue: FakeVenue,
    *missing: Run,
    window: Run = JAN,
    read: Iterable[ArchiveName] = (),
    key: SeriesKey = KEY,
) -> Fetched:
    """Fetch what is missing of January (all of it where nothing is said)."""
    wanted = Wanted(key, window, missing or (window,), frozenset(read), venue.clock())
    return asyncio.run(fetch(wanted, venue, venue))


def one(index: int) -> Run:
    return Run(slot(index), slot(index + 1))


def arrived(fetched: Fetched) -> pl.DataFrame:
    files = (file.parsed.candles for _, file in fetched.files)
    return pl.concat([*files, fetched.rest]).unique().sort("open_time")


def test_a_closed_month_is_its_monthly_file() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    fetched = want(venue)
    assert venue.calls == [MONTHLY]
    assert [period for period, _ in fetched.files] == [JAN]
    assert arrived(fetched).equals(venue.tape[KEY])
    assert fetched.rest.is_empty()
    assert fetched.absences == []


def test_the_month_is_asked_before_its_days_and_its_days_before_rest() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks = {"monthly": {slot(30), slot(100)}, "daily": {slot(100)}, "rest": set()}
    fetched = want(venue)
    assert [call.split()[0] for call in venue.calls] == ["month", "day", "day", "klines"]
    assert [period for period, _ in fetched.files] == [
        JAN,
        Run(slot(24), slot(48)),
        Run(slot(96), slot(120)),
    ]
    assert fetched.rest["open_time"].to_list() == [slot(100)]
    assert arrived(fetched).equals(venue.tape[KEY])


def test_daily_files_are_read_for_days_that_lack_something_and_are_over() -> None:
    venue = venue_of(JAN_BARS, now=slot(75))  # in the fourth day
    want(venue, one(1), one(26), one(73), window=Run(T0, slot(75)))
    assert venue.calls[:2] == ["day BTCUSDT-1h-2022-01-01", "day BTCUSDT-1h-2022-01-02"]
    assert venue.requests("day") == venue.calls[:2]
    assert venue.requests("month") == []
    assert venue.requests("klines") == ["klines 01-04T01:00 01-06T14:00"]


def test_a_file_that_was_read_before_is_not_fetched_again() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    read = [ArchiveName.of_month(KEY, date(2022, 1, 1)), ArchiveName.of_day(KEY, date(2022, 1, 2))]
    fetched = want(venue, one(26), one(100), read=read)
    assert venue.calls == ["day BTCUSDT-1h-2022-01-05", "klines 01-02T02:00 01-04T15:00"]
    assert fetched.rest["open_time"].to_list() == [slot(26)]


def test_rest_is_asked_for_each_run_that_is_left_and_for_nothing_else() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks["monthly"] = venue.lacks["daily"] = {slot(30), slot(31), slot(400)}
    fetched = want(venue)
    assert venue.requests("klines") == ["klines 01-02T06:00 01-04T20:00", "klines 01-17T16:00 01-20T05:00"]
    # The later bars are proof, they are not wanted.
    assert fetched.rest["open_time"].to_list() == [slot(30), slot(31), slot(400)]


def test_files_that_do_not_exist_leave_everything_to_rest() -> None:
    venue = venue_of(48, now=slot(48) + timedelta(minutes=1))
    venue.unpublished = {"BTCUSDT-1h-2022-01-01", "BTCUSDT-1h-2022-01-02"}
    fetched = want(venue, window=Run(T0, slot(48)))
    assert fetched.files == []
    assert fetched.rest.equals(venue.tape[KEY])


def test_what_rest_lacks_before_later_bars_is_an_absence() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    gone = {slot(30), slot(31), slot(33)}
    venue.lacks = {"monthly": gone | {slot(32)}, "daily": gone | {slot(32)}, "rest": gone}
    fetched = want(venue)
    assert fetched.rest["open_time"].to_list() == [slot(32)]
    assert fetched.absences == [Absence(Run(slot(30), slot(32)), MARCH), Absence(one(33), MARCH)]


def test_the_end_of_the_tape_is_no_absence() -> None:
    venue = venue_of(30, now=slot(40) + timedelta(minutes=30))
    fetched = want(venue, window=Run(T0, slot(40)))
    assert arrived(fetched).height == 30
    assert fetched.absences == []


def test_no_bar_is_looked_for_after_the_venues_time() -> None:
    venue = venue_of(30, now=slot(40) + timedelta(minutes=30))
    want(venue, Run(slot(30), slot(40)), window=Run(T0, slot(40)))
    assert venue.requests("klines") == ["klines 01-02T06:00 01-05T04:00"]


@pytest.mark.parametrize(
    ("silent", "questions"),
    [
        (59, ["01-02T06:00 01-04T19:00"]),
        (61, ["01-02T06:00 01-04T19:00", "01-04T19:00 01-14T19:00"]),
        (400, ["01-02T06:00 01-04T19:00", "01-04T19:00 01-14T19:00", "01-14T19:00 02-23T19:00"]),
    ],
)
def test_the_look_for_a_later_bar_grows_until_one_is_found(silent: int, questions: list[str]) -> None:
    venue = venue_of(JAN_BARS + 600, now=MARCH)
    venue.lacks["rest"] = {slot(30 + index) for index in range(silent + 1)}
    answer = asyncio.run(ask_rest(venue, KEY, one(30), now=MARCH))
    assert venue.calls == [f"klines {question}" for question in questions]
    assert answer.candles.is_empty()
    assert answer.absences == [Absence(one(30), MARCH)]


def test_the_look_for_a_later_bar_ends_at_the_venues_time() -> None:
    venue = venue_of(30, now=MARCH)
    answer = asyncio.run(ask_rest(venue, KEY, one(30), now=MARCH))
    assert answer.absences == []
    # 60, 240, 960 and 3840 bars: the last of them begins on 23 February and ends long after the tenth of March.
    assert [call.split()[1] for call in venue.calls] == ["01-02T06:00", "01-04T19:00", "01-14T19:00", "02-23T19:00"]


def test_a_hole_inside_a_run_is_proven_by_the_bars_of_the_run_itself() -> None:
    venue = venue_of(36, now=slot(40) + timedelta(minutes=30))
    venue.lacks["rest"] = {slot(31), slot(32)}
    answer = asyncio.run(ask_rest(venue, KEY, Run(slot(30), slot(40)), now=venue.clock()))
    # The tape ends at slot 36: what follows proves nothing.
    assert answer.candles["open_time"].to_list() == [slot(30), slot(33), slot(34), slot(35)]
    assert answer.absences == [Absence(Run(slot(31), slot(33)), venue.clock())]


def test_a_run_that_rest_has_whole_costs_one_question() -> None:
    venue = venue_of(40, now=MARCH)
    answer = asyncio.run(ask_rest(venue, KEY, Run(slot(30), slot(40)), now=MARCH))
    assert len(venue.calls) == 1
    assert answer.absences == []


def test_refused_rows_of_a_run_are_kept_and_those_after_it_are_not() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.refused["rest"] = [
        RefusedRow(slot(30), slot(30), payload="inside"),
        RefusedRow(slot(35), None, payload="unreadable"),
        RefusedRow(slot(36), slot(36), payload="after"),
    ]
    answer = asyncio.run(ask_rest(venue, KEY, one(30), now=MARCH))
    assert answer.quarantined["payload"].to_list() == ["inside", "unreadable"]


def test_refused_rows_of_every_source_are_brought_back() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.refused = {
        "monthly": [RefusedRow(slot(30), slot(30), payload="m")],
        "daily": [RefusedRow(slot(30), None, payload="d")],
        "rest": [RefusedRow(slot(30), slot(30), payload="r")],
    }
    fetched = want(venue)
    refused = pl.concat(fetched.refused())
    assert refused["payload"].to_list() == ["m", "d", "r"]
    assert refused["open_time"].to_list() == [slot(30), None, slot(30)]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (MONTHLY, ArchiveRejected("two hashes")),
        ("day BTCUSDT-1h-2022-01-02", ArchiveRejected("two hashes")),
        ("klines 01-02T06:00 01-04T19:00", VenueUnavailable("no answer")),
    ],
)
def test_the_error_of_a_source_is_the_fetchs(call: str, error: Exception) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks["monthly"] = venue.lacks["daily"] = {slot(30)}
    venue.errors = {call: error}
    with pytest.raises(type(error)) as raised:
        want(venue)
    assert raised.value is error


def test_nothing_missing_asks_nobody() -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    fetched = asyncio.run(fetch(Wanted(KEY, JAN, (), frozenset(), MARCH), venue, venue))
    assert venue.calls == []
    assert fetched.files == []


def test_days_are_those_of_utc_each_once() -> None:
    runs = [Run(slot(20), slot(49)), Run(slot(50), slot(51)), Run(slot(71), slot(72))]
    assert days_of(runs) == [date(2022, 1, 1), date(2022, 1, 2), date(2022, 1, 3)]
    assert days_of([Run(slot(23), slot(24))]) == [date(2022, 1, 1)]
    assert days_of([]) == []
