import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg
import pytest

from assets.partitions import Month
from assets.verification_run import REFETCHED, Sources, Verification, verify
from contracts.candles import digest
from store.candle_reads import read_candles, source_counts
from store.candles import MergeCounts
from store.ledger import digests
from tests.assets.fakes import KEY, FakeVenue, RefusedRow, slot, venue_of, with_close
from tests.assets.runs import job_for, ledger_of, load, months, stored
from venues.binance.errors import ArchiveRejected, VenueUnavailable

JAN, FEB = months("2022-01", "2022-02")
JAN_BARS, FEB_BARS = 744, 672
BOTH = (JAN, FEB)
# The tape ends with February: in March nothing is recent any more.
MARCH = datetime(2022, 3, 10, tzinfo=UTC)
# 20 days of January have passed: REST and daily files keep the running month.
RUNNING = datetime(2022, 1, 20, 6, 0, 5, tzinfo=UTC)


def verified(conn: psycopg.Connection, venue: FakeVenue, wanted: Sequence[Month]) -> Verification:
    """A verification a minute later; its calls alone are left in the venue."""
    venue.clock.now += timedelta(minutes=1)
    venue.calls.clear()
    return asyncio.run(verify(job_for(venue, wanted), conn, Sources(venue, venue, venue.clock)))


def verified_at(conn: psycopg.Connection) -> dict[str, datetime]:
    """File name → when it was last compared."""
    rows = conn.execute("SELECT url, verified_at FROM market.archive_files").fetchall()
    return {str(url).rsplit("/", 1)[-1]: at for url, at in rows}


def close_of(conn: psycopg.Connection, opened: datetime) -> str:
    return str(read_candles(conn, KEY, opened, opened + KEY.tf.duration)["close"][0])


def revisions(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    """What does not stand (any more): open time, close, source, lost."""
    return conn.execute(
        "SELECT open_time, close::text, source, lost FROM market.candle_revisions ORDER BY open_time"
    ).fetchall()


def chains(conn: psycopg.Connection) -> list[str | None]:
    return [entry.chain for entry in digests(conn, KEY)]


def test_a_month_that_did_not_change_costs_one_request_and_writes_nothing_but_when(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, BOTH)
    before = stored(conn)
    del before["archive_files"]
    report = verified(conn, venue, BOTH)
    assert venue.calls == ["unchanged BTCUSDT-1h-2022-01", "unchanged BTCUSDT-1h-2022-02"]
    assert verified_at(conn) == dict.fromkeys(("BTCUSDT-1h-2022-01.zip", "BTCUSDT-1h-2022-02.zip"), venue.clock.now)
    after = stored(conn)
    del after["archive_files"]
    assert after == before
    assert (report.months, report.unchanged, report.replaced, report.published) == (2, 2, [], [])
    assert (report.moved, report.first_moved, report.merged.counts) == ({}, None, MergeCounts())


def test_a_month_published_anew_replaces_what_differs_and_moves_the_chain_from_there_on(
    conn: psycopg.Connection,
) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, BOTH)
    changed, before = slot(JAN_BARS + 7), chains(conn)
    was = close_of(conn, changed)
    venue.archived[KEY] = with_close(venue.tape[KEY], changed, "99999.5")
    report = verified(conn, venue, BOTH)
    assert venue.calls[-2:] == ["unchanged BTCUSDT-1h-2022-02", "month BTCUSDT-1h-2022-02"]
    assert close_of(conn, changed) == "99999.5"
    assert revisions(conn) == [(changed, was, "archive", False)]
    assert [url.rsplit("/", 1)[-1] for url in report.replaced] == ["BTCUSDT-1h-2022-02.zip"]
    assert report.merged.counts == MergeCounts(revised=1, unchanged=FEB_BARS - 1)
    assert report.moved == {KEY: {FEB}}
    published = venue.archived[KEY].filter(pl.col("open_time") >= FEB.start)
    assert [entry.sha256 for entry in digests(conn, KEY)][1] == digest(published)
    assert chains(conn)[0] == before[0]
    assert chains(conn)[1] != before[1]
    assert verified(conn, venue, BOTH).moved == {}


def test_a_change_of_an_early_month_moves_every_later_chain(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, BOTH)
    venue.archived[KEY] = with_close(venue.tape[KEY], slot(3), "99999.5")
    report = verified(conn, venue, (JAN,))
    assert report.moved == {KEY: {JAN, FEB}}
    assert report.first_moved == JAN


def test_a_month_that_rest_kept_while_it_ran_is_compared_once_its_file_is_there(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=datetime(2022, 2, 1, 0, 0, 5, tzinfo=UTC))
    venue.unpublished = {"BTCUSDT-1h-2022-01", *(f"BTCUSDT-1h-2022-01-{day:02d}" for day in range(1, 32))}
    load(conn, venue, (JAN,))
    assert source_counts(conn, KEY, JAN.start, JAN.end) == {"rest": JAN_BARS}
    was = close_of(conn, slot(9))
    venue.unpublished = set()
    venue.archived[KEY] = with_close(venue.tape[KEY], slot(9), "12345.6")
    venue.clock.now = datetime(2022, 2, 8, tzinfo=UTC)
    report = verified(conn, venue, (JAN,))
    assert venue.calls == ["month BTCUSDT-1h-2022-01"]
    assert [url.rsplit("/", 1)[-1] for url in report.published] == ["BTCUSDT-1h-2022-01.zip"]
    assert close_of(conn, slot(9)) == "12345.6"
    assert revisions(conn) == [(slot(9), was, "rest", False)]
    assert report.moved == {KEY: {JAN}}
    verified(conn, venue, (JAN,))
    assert venue.calls == ["unchanged BTCUSDT-1h-2022-01"]


def test_a_running_month_is_compared_with_each_daily_file_once_and_then_by_etag(conn: psycopg.Connection) -> None:
    venue = venue_of(19 * 24, now=RUNNING)
    venue.unpublished = {"BTCUSDT-1h-2022-01", *(f"BTCUSDT-1h-2022-01-{day:02d}" for day in range(1, 20))}
    load(conn, venue, (JAN,))
    venue.unpublished = {"BTCUSDT-1h-2022-01", "BTCUSDT-1h-2022-01-19"}
    first = verified(conn, venue, (JAN,))
    assert len(venue.requests("day ")) == 19
    assert (len(first.published), first.unchanged, first.moved) == (18, 0, {})
    venue.unpublished = {"BTCUSDT-1h-2022-01"}
    venue.archived[KEY] = with_close(venue.tape[KEY], slot(30), "12345.6")
    second = verified(conn, venue, (JAN,))
    assert len(venue.requests("unchanged ")) == 18
    assert sorted(venue.requests("day ")) == ["day BTCUSDT-1h-2022-01-02", "day BTCUSDT-1h-2022-01-19"]
    assert (len(second.published), len(second.replaced), second.unchanged) == (1, 1, 17)
    assert second.moved == {KEY: {JAN}}


def test_the_last_days_are_asked_for_again_and_the_later_answer_stands(conn: psycopg.Connection) -> None:
    venue = venue_of(19 * 24, now=RUNNING)
    venue.unpublished = {"BTCUSDT-1h-2022-01", *(f"BTCUSDT-1h-2022-01-{day:02d}" for day in range(1, 20))}
    load(conn, venue, (JAN,))
    old, recent = RUNNING - REFETCHED - timedelta(days=1), datetime(2022, 1, 18, 12, tzinfo=UTC)
    old = KEY.tf.floor(old)
    was = close_of(conn, recent)
    for opened in (old, recent):
        venue.tape[KEY] = with_close(venue.tape[KEY], opened, "12345.6")
    report = verified(conn, venue, (JAN,))
    assert venue.requests("klines") == ["klines 01-17T07:00 01-22T12:00"]
    assert revisions(conn) == [(recent, was, "rest", False)]
    assert close_of(conn, old) != "12345.6"
    assert report.moved == {KEY: {JAN}}


def test_rest_that_disagrees_with_the_archive_loses_and_is_kept(conn: psycopg.Connection) -> None:
    venue = venue_of(19 * 24, now=RUNNING)
    load(conn, venue, (JAN,))
    opened = slot(18 * 24 + 3)
    stands = close_of(conn, opened)
    venue.archived[KEY] = venue.tape[KEY]
    venue.tape[KEY] = with_close(venue.tape[KEY], opened, "12345.6")
    report = verified(conn, venue, (JAN,))
    assert close_of(conn, opened) == stands
    assert revisions(conn) == [(opened, "12345.6", "rest", True)]
    assert (report.merged.counts.lost, report.moved) == (1, {})


def kept_by_rest(conn: psycopg.Connection) -> FakeVenue:
    """A running month that REST alone brought; its daily files are there from now on."""
    venue = venue_of(19 * 24, now=RUNNING)
    venue.unpublished = {"BTCUSDT-1h-2022-01", *(f"BTCUSDT-1h-2022-01-{day:02d}" for day in range(1, 20))}
    load(conn, venue, (JAN,))
    venue.unpublished = {"BTCUSDT-1h-2022-01"}
    return venue


@pytest.mark.parametrize("confirmed", ["before", "by the same verification"])
def test_rest_does_not_overrule_an_archive_that_confirmed_what_rest_brought_first(
    conn: psycopg.Connection, confirmed: str
) -> None:
    venue, opened = kept_by_rest(conn), slot(18 * 24 + 3)
    stands = close_of(conn, opened)
    if confirmed == "before":
        assert verified(conn, venue, (JAN,)).merged.counts.unchanged > 0
    venue.archived[KEY] = venue.tape[KEY]
    venue.tape[KEY] = with_close(venue.tape[KEY], opened, "12345.6")
    for _ in range(2):
        verified(conn, venue, (JAN,))
        assert close_of(conn, opened) == stands
        assert (opened, "12345.6", "rest") in [row[:3] for row in revisions(conn)]
    assert [lost for *_, lost in revisions(conn) if lost] == [True]
    assert digests(conn, KEY)[0].sha256 == digest(venue.archived[KEY])


def test_of_a_candle_that_the_archives_file_lacks_rest_has_the_last_word(conn: psycopg.Connection) -> None:
    opened = slot(18 * 24 + 3)
    venue = kept_by_rest(conn)
    venue.lacks["daily"] = {opened}
    verified(conn, venue, (JAN,))
    assert ledger_of(conn) == [("archive", 18 * 24 + 3, 18 * 24 + 4)]
    venue.archived[KEY] = venue.tape[KEY]
    venue.tape[KEY] = with_close(venue.tape[KEY], opened, "12345.6")
    verified(conn, venue, (JAN,))
    assert close_of(conn, opened) == "12345.6"


def test_what_a_file_published_anew_lacks_and_what_it_holds_again_is_true_in_the_ledger(
    conn: psycopg.Connection,
) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, BOTH)
    stands = close_of(conn, slot(5))
    venue.lacks["monthly"] = {slot(5)}
    report = verified(conn, venue, BOTH)
    assert (close_of(conn, slot(5)), report.moved) == (stands, {})
    assert ledger_of(conn) == [("archive", 5, 6)]
    venue.lacks["monthly"] = set()
    verified(conn, venue, BOTH)
    assert ledger_of(conn) == []


@pytest.mark.parametrize("how", ["hole", "refused"])
def test_a_slot_that_rest_alone_settled_is_asked_for_again_and_filled_when_it_has_it(
    conn: psycopg.Connection, how: str
) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    if how == "hole":
        venue.lacks = {"monthly": {slot(9)}, "daily": {slot(9)}, "rest": {slot(9)}}
    else:
        refused = [RefusedRow(slot(9), slot(9))]
        venue.refused = {"monthly": refused, "daily": refused, "rest": refused}
    load(conn, venue, BOTH)
    assert ledger_of(conn) == [({"hole": "exchange", "refused": "quarantined"}[how], 9, 10)]
    report = verified(conn, venue, BOTH)
    assert (report.asked_again, report.moved, len(ledger_of(conn))) == (1, {}, 1)
    venue.lacks["rest"], venue.refused["rest"] = set(), []
    report = verified(conn, venue, BOTH)
    assert report.merged.counts.inserted == 1
    assert report.moved == {KEY: {JAN, FEB}}
    assert ledger_of(conn) == [("archive", 9, 10)]


def test_what_rest_does_not_have_any_more_makes_no_hole_of_a_stored_candle(conn: psycopg.Connection) -> None:
    venue = venue_of(19 * 24, now=RUNNING)
    load(conn, venue, (JAN,))
    venue.lacks["rest"] = {slot(18 * 24 + 3)}
    before = stored(conn)
    report = verified(conn, venue, (JAN,))
    after = stored(conn)
    assert ledger_of(conn) == []
    assert (after["candles"], report.moved) == (before["candles"], {})


def test_no_series_is_made_longer_by_rest_than_it_is(conn: psycopg.Connection) -> None:
    venue = venue_of(10 * 24, now=datetime(2022, 1, 11, 0, 0, 5, tzinfo=UTC))
    load(conn, venue, (JAN,))
    longer = venue_of(19 * 24, now=RUNNING)
    verified(conn, longer, (JAN,))
    assert read_candles(conn, KEY, JAN.start, JAN.end).height == 10 * 24
    assert longer.requests("klines") == []


def test_months_of_which_nothing_is_stored_are_left_alone(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, (JAN,))
    report = verified(conn, venue, BOTH)
    assert venue.calls == ["unchanged BTCUSDT-1h-2022-01"]
    assert report.months == 1


def test_a_file_that_contradicts_itself_is_told_and_the_other_months_go_on(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, BOTH)
    before = stored(conn)["candles"]
    venue.archived[KEY] = with_close(with_close(venue.tape[KEY], slot(3), "9.5"), slot(JAN_BARS + 3), "99999.5")
    venue.errors["month BTCUSDT-1h-2022-01"] = ArchiveRejected("BTCUSDT-1h-2022-01.zip contradicts its checksum")
    report = verified(conn, venue, BOTH)
    assert [str(error) for error in report.rejected] == ["BTCUSDT-1h-2022-01.zip contradicts its checksum"]
    assert report.moved == {KEY: {FEB}}
    assert len(before) == len(stored(conn)["candles"])
    assert close_of(conn, slot(JAN_BARS + 3)) == "99999.5"


def test_a_file_that_is_gone_changes_nothing_and_is_told(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, BOTH)
    before = stored(conn)
    venue.unpublished = {"BTCUSDT-1h-2022-01"}
    report = verified(conn, venue, (JAN,))
    assert venue.calls == ["unchanged BTCUSDT-1h-2022-01", "month BTCUSDT-1h-2022-01"]
    assert stored(conn) == before
    assert (report.unchanged, report.replaced) == (0, [])
    assert [url.rsplit("/", 1)[-1] for url in report.vanished] == ["BTCUSDT-1h-2022-01.zip"]


def test_an_archive_that_cannot_be_reached_fails_and_keeps_what_was_verified(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS + FEB_BARS, now=MARCH)
    load(conn, venue, BOTH)
    venue.errors["unchanged BTCUSDT-1h-2022-02"] = VenueUnavailable("no answer")
    with pytest.raises(VenueUnavailable, match="no answer"):
        verified(conn, venue, BOTH)
    assert verified_at(conn)["BTCUSDT-1h-2022-01.zip"] == venue.clock.now
    assert verified_at(conn)["BTCUSDT-1h-2022-02.zip"] == MARCH
