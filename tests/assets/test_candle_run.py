from datetime import UTC, datetime, timedelta

import polars as pl
import psycopg
import pytest

from assets.holes import Run
from assets.partitions import Month
from assets.progress import listening
from contracts.candles import digest
from store import gaps
from store.candle_reads import read_candles, source_counts, stored_digest
from store.candles import MergeCounts, merge_candles
from store.ledger import digests
from tests.assets.fakes import INSTRUMENT, KEY, ORIGINS, RefusedRow, slot, venue_of, with_close
from tests.assets.runs import job_for, keep, ledger_of, load, load_without_confirming, months, stored
from venues.binance.errors import ArchiveRejected, VenueUnavailable

JAN, FEB = Month(2022, 1), Month(2022, 2)
JAN_BARS, FEB_BARS = 744, 672
MARCH = datetime(2022, 3, 10, tzinfo=UTC)
# The tape of most tests reaches to the end of February: every hole of January has later bars.
TWO_MONTHS = JAN_BARS + FEB_BARS


def values(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    """The candles with their numbers as numbers: a trailing zero is no difference."""
    numbers = [pl.col(name).cast(pl.Decimal(30, 8)) for name in frame.columns if frame.schema[name] == pl.String]
    return frame.with_columns(numbers).rows()


def test_a_closed_month_costs_one_archive_file_and_no_rest(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    report = load(conn, venue, months("2022-01"))
    assert venue.calls == ["month BTCUSDT-1h-2022-01"]
    assert report.counts == MergeCounts(inserted=JAN_BARS)
    assert (report.loaded, report.complete, report.pending, report.quarantined) == (1, 0, 0, 0)
    assert report.by_source == {"archive": JAN_BARS, "rest": 0}
    assert values(read_candles(conn, KEY, JAN.start, JAN.end)) == values(venue.tape[KEY])
    assert ledger_of(conn) == []


def test_a_second_run_makes_no_request_and_changes_nothing(conn: psycopg.Connection) -> None:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    venue.lacks = {"monthly": {slot(9), slot(700)}, "daily": {slot(700)}, "rest": {slot(700)}}
    load(conn, venue, months("2022-01", "2022-02"))
    before = stored(conn)
    venue.calls.clear()
    venue.clock.now += timedelta(days=3)
    report = load(conn, venue, months("2022-01", "2022-02"))
    assert venue.calls == []
    assert (report.complete, report.loaded, report.counts) == (2, 0, MergeCounts())
    assert stored(conn) == before


def test_what_the_month_lacks_comes_from_daily_files_then_rest_and_is_told_as_archive(
    conn: psycopg.Connection,
) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    by_day, by_rest = slot(100), slot(300)
    venue.lacks = {"monthly": {by_day, by_rest}, "daily": {by_rest}, "rest": set()}
    report = load(conn, venue, months("2022-01"))
    assert venue.calls == [
        "month BTCUSDT-1h-2022-01",
        "day BTCUSDT-1h-2022-01-05",  # hour 100 is 04:00 of the fifth day
        "day BTCUSDT-1h-2022-01-13",
        "klines 01-13T12:00 01-16T01:00",  # one slot and sixty bars to look for a later one
    ]
    assert report.counts.inserted == JAN_BARS
    assert source_counts(conn, KEY, JAN.start, JAN.end) == {"archive": JAN_BARS - 1, "rest": 1}
    assert ledger_of(conn) == [("archive", 100, 101), ("archive", 300, 301)]
    assert venue.clock.slept == []


def test_a_hole_is_asked_for_again_after_thirty_seconds_and_then_the_exchanges(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    gone = {slot(300), slot(301)}
    venue.lacks = {"monthly": gone, "daily": gone, "rest": gone}
    report = load(conn, venue, months("2022-01"))
    assert sum(venue.clock.slept) == 30.0
    assert len(venue.requests("klines")) == 2
    assert venue.said == ["1 holes of binance_spot:BTCUSDT: asking again in 30 s"]
    assert ledger_of(conn) == [("exchange", 300, 302)]
    [hole] = gaps.holes(conn, KEY, JAN.start, JAN.end)
    assert (hole.first_seen, hole.resolved_at) == (MARCH, MARCH + timedelta(seconds=30))
    assert report.pending == 0
    assert digests(conn, KEY)[0].rows == JAN_BARS - 2


def test_all_holes_of_a_run_wait_once(conn: psycopg.Connection) -> None:
    fifteen = INSTRUMENT.series("15m")
    venue = venue_of({KEY: TWO_MONTHS, fifteen: 4 * TWO_MONTHS}, now=MARCH)
    gone = {slot(300), slot(800)}
    venue.lacks = {"monthly": gone, "daily": gone, "rest": gone}
    load(conn, venue, months("2022-01", "2022-02"))
    assert sum(venue.clock.slept) == 30.0
    assert ledger_of(conn) == [("exchange", 300, 301), ("exchange", 800, 801)]
    assert ledger_of(conn, fifteen) == [("exchange", 1200, 1201), ("exchange", 3200, 3201)]


def test_a_hole_that_the_second_answer_fills_is_no_hole(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks = {origin: {slot(300)} for origin in ORIGINS}
    venue.clock.on_sleep = venue.lacks["rest"].clear
    report = load(conn, venue, months("2022-01"))
    assert sum(venue.clock.slept) == 30.0
    assert values(read_candles(conn, KEY, JAN.start, JAN.end)) == values(venue.tape[KEY])
    assert [row for row in ledger_of(conn) if row[0] != "archive"] == []
    assert report.pending == 0
    assert digests(conn, KEY)[0].sha256 == stored_digest(conn, KEY, JAN.start, JAN.end)[1]


class Killed(BaseException):
    """The process ends here."""


def kill() -> None:
    raise Killed


def test_a_killed_run_leaves_the_hole_pending_and_the_next_one_settles_it_without_waiting(
    conn: psycopg.Connection,
) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks = {origin: {slot(300)} for origin in ORIGINS}
    venue.clock.on_sleep = kill
    with pytest.raises(Killed):
        load(conn, venue, months("2022-01"))
    assert ledger_of(conn) == [("pending", 300, 301)]
    venue.clock.now, venue.clock.on_sleep = MARCH + timedelta(seconds=30), lambda: None
    venue.calls.clear()
    venue.clock.slept.clear()
    report = load(conn, venue, months("2022-01"))
    assert venue.clock.slept == []
    assert venue.requests("month") == []
    assert len(venue.requests("klines")) == 1
    assert ledger_of(conn) == [("exchange", 300, 301)]
    assert report.pending == 0


def test_a_run_soon_after_a_killed_one_waits_for_the_rest_of_the_thirty_seconds(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks = {origin: {slot(300)} for origin in ORIGINS}
    venue.clock.on_sleep = kill
    with pytest.raises(Killed):
        load(conn, venue, months("2022-01"))
    venue.clock.now, venue.clock.on_sleep = MARCH + timedelta(seconds=12), lambda: None
    venue.clock.slept.clear()
    load(conn, venue, months("2022-01"))
    assert sum(venue.clock.slept) == 18.0
    [hole] = gaps.holes(conn, KEY, JAN.start, JAN.end)
    assert (hole.cause, hole.first_seen) == ("exchange", MARCH)


def test_a_run_that_is_not_to_confirm_holes_leaves_them_pending_and_waits_for_nothing(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks = {origin: {slot(300)} for origin in ORIGINS}
    report = load_without_confirming(conn, venue, months("2022-01"))
    assert venue.clock.slept == []
    assert ledger_of(conn) == [("pending", 300, 301)]
    assert report.pending == 1
    venue.clock.now = MARCH + timedelta(seconds=30)
    assert load(conn, venue, months("2022-01")).pending == 0
    assert venue.clock.slept == []
    assert ledger_of(conn) == [("exchange", 300, 301)]


def test_holes_of_two_runs_wait_for_the_younger_one(conn: psycopg.Connection) -> None:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    venue.lacks = {origin: {slot(300), slot(800)} for origin in ORIGINS}
    venue.clock.on_sleep = kill
    with pytest.raises(Killed):
        load(conn, venue, months("2022-01"))
    venue.clock.now, venue.clock.on_sleep = MARCH + timedelta(seconds=12), lambda: None
    venue.clock.slept.clear()
    load(conn, venue, months("2022-01", "2022-02"))
    assert sum(venue.clock.slept) == 30.0
    assert ledger_of(conn) == [("exchange", 300, 301), ("exchange", 800, 801)]


def test_slots_before_the_listing_are_unlisted_and_never_asked_for(conn: psycopg.Connection) -> None:
    listed = slot(50) + timedelta(minutes=20)
    venue = venue_of(JAN_BARS - 50, now=MARCH, start=slot(50))
    report = load(conn, venue, months("2021-12", "2022-01"), listed=listed)
    assert venue.calls == ["month BTCUSDT-1h-2022-01"]
    assert ledger_of(conn) == [("unlisted", 0, 50)]
    assert [(entry.month.month, entry.rows) for entry in digests(conn, KEY)] == [(1, JAN_BARS - 50)]
    assert report.counts.inserted == JAN_BARS - 50


def test_nothing_is_wanted_after_the_delisting(conn: psycopg.Connection) -> None:
    venue = venue_of(100, now=MARCH)
    load(conn, venue, months("2022-01", "2022-02"), delisted=slot(99) + timedelta(minutes=30))
    assert venue.calls == ["month BTCUSDT-1h-2022-01"]
    assert ledger_of(conn) == []
    assert [entry.rows for entry in digests(conn, KEY)] == [100]


def test_a_row_that_every_source_refuses_is_quarantined_with_its_hole(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    bad = RefusedRow(slot(300), slot(300))
    venue.refused = {"monthly": [bad], "daily": [bad], "rest": [bad]}
    report = load(conn, venue, months("2022-01"))
    assert ledger_of(conn) == [("quarantined", 300, 301)]
    kept = conn.execute("SELECT source, origin, open_time, payload FROM market.quarantine ORDER BY id").fetchall()
    assert kept == [
        ("rest", "binance_spot klines 2022-01", slot(300), bad.payload),
        ("archive", venue_url("monthly", "BTCUSDT-1h-2022-01"), slot(300), bad.payload),
        ("archive", venue_url("daily", "BTCUSDT-1h-2022-01-13"), slot(300), bad.payload),
    ]
    assert report.quarantined == 3
    assert venue.clock.slept == []


def venue_url(grain: str, stem: str) -> str:
    return f"https://archive.test/data/spot/{grain}/klines/BTCUSDT/1h/{stem}.zip"


def test_a_row_refused_by_the_archive_and_good_at_rest_is_told_as_archive(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.refused["monthly"] = [RefusedRow(slot(300), slot(300))]
    venue.refused["daily"] = [RefusedRow(slot(300), None)]
    report = load(conn, venue, months("2022-01"))
    assert ledger_of(conn) == [("archive", 300, 301)]
    assert report.counts.inserted == JAN_BARS
    assert conn.execute("SELECT open_time FROM market.quarantine ORDER BY id").fetchall() == [(slot(300),), (None,)]


def test_the_end_of_the_tape_is_no_hole(conn: psycopg.Connection) -> None:
    now = slot(300) + timedelta(minutes=40)
    venue = venue_of(298, now=now)  # the exchange is two closed bars late
    report = load(conn, venue, months("2022-01"))
    assert venue.requests("month") == []
    assert len(venue.requests("day")) == 12  # hour 300 is in the thirteenth day, which is not over
    assert ledger_of(conn) == []
    assert report.pending == 0
    assert digests(conn, KEY)[0].rows == 298
    assert source_counts(conn, KEY, JAN.start, JAN.end) == {"archive": 288, "rest": 10}


def test_the_running_month_goes_on_where_it_ended(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=slot(300) + timedelta(minutes=1))
    load(conn, venue, months("2022-01"))
    venue.calls.clear()
    venue.clock.now = slot(303) + timedelta(minutes=1)
    report = load(conn, venue, months("2022-01"))
    assert venue.calls == ["klines 01-13T12:00 01-16T03:00"]
    assert report.counts == MergeCounts(inserted=3)


def test_days_that_are_over_and_not_published_come_by_rest(conn: psycopg.Connection) -> None:
    venue = venue_of(48, now=slot(47) + timedelta(minutes=59))
    venue.unpublished = {"BTCUSDT-1h-2022-01-01"}
    report = load(conn, venue, months("2022-01"))
    assert report.by_source == {"archive": 0, "rest": 47}
    assert ledger_of(conn) == []


def test_archive_candles_that_differ_from_stored_ones_of_rest_file_revisions(conn: psycopg.Connection) -> None:
    venue = venue_of(JAN_BARS, now=slot(240) + timedelta(minutes=1))
    venue.unpublished = {f"BTCUSDT-1h-2022-01-{day:02d}" for day in range(1, 32)}
    load(conn, venue, months("2022-01"))
    assert source_counts(conn, KEY, JAN.start, JAN.end) == {"rest": 240}
    old = venue.tape[KEY].row(7, named=True)
    other = old["low"] if old["close"] != old["low"] else old["high"]
    venue.archived[KEY] = with_close(venue.tape[KEY], slot(7), other)
    venue.clock.now = MARCH
    report = load(conn, venue, months("2022-01"))
    assert report.counts == MergeCounts(inserted=JAN_BARS - 240, unchanged=239, revised=1)
    filed = conn.execute(
        "SELECT open_time, close::text, source, lost, superseded_at FROM market.candle_revisions"
    ).fetchall()
    assert filed == [(slot(7), old["close"], "rest", False, MARCH)]
    assert values(read_candles(conn, KEY, JAN.start, JAN.end)) == values(venue.archived[KEY])


@pytest.mark.parametrize("lacked", [set(), {5, 6}, {0}, {743}, {0, 300, 743}], ids=str)
def test_the_written_digest_is_that_of_what_is_stored(conn: psycopg.Connection, lacked: set[int]) -> None:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    venue.lacks = {origin: {slot(index) for index in lacked} for origin in ORIGINS}
    load(conn, venue, months("2022-01"))
    [entry] = digests(conn, KEY)
    rest = venue.tape[KEY].head(JAN_BARS).filter(~pl.col("open_time").is_in([slot(index) for index in lacked]))
    assert (entry.rows, entry.sha256) == (JAN_BARS - len(lacked), digest(rest))
    assert (entry.rows, entry.sha256) == stored_digest(conn, KEY, JAN.start, JAN.end)


def test_the_digest_covers_candles_that_were_stored_before_and_that_the_archive_lacks(
    conn: psycopg.Connection,
) -> None:
    venue = venue_of(JAN_BARS, now=MARCH)
    venue.lacks["monthly"] = {slot(300)}
    merge_candles(conn, KEY, venue.tape[KEY].slice(300, 1), "rest", seen_at=MARCH)
    load(conn, venue, months("2022-01"))
    [entry] = digests(conn, KEY)
    assert (entry.rows, entry.sha256) == (JAN_BARS, digest(venue.tape[KEY]))
    assert ledger_of(conn) == [("archive", 300, 301)]


def test_a_wrong_checksum_fails_its_month_and_leaves_every_stored_row(conn: psycopg.Connection) -> None:
    venue = venue_of(TWO_MONTHS, now=slot(JAN_BARS + 100) + timedelta(minutes=1))
    load(conn, venue, months("2022-02"))
    before = stored(conn)
    assert digests(conn, KEY)[0].rows == 100
    venue.clock.now = MARCH
    wrong = "BTCUSDT-1h-2022-02.zip: its CHECKSUM file states sha256 aa, the 9 bytes received have bb"
    venue.errors = {"month BTCUSDT-1h-2022-02": ArchiveRejected(wrong)}
    with pytest.raises(ArchiveRejected, match=r"states sha256 aa.* have bb"):
        load(conn, venue, months("2022-01", "2022-02"))
    after = stored(conn)
    february = [row for row in after["candles"] if "2022-02-" in row.split("'open_time'")[1][:14]]
    assert february == before["candles"]
    assert len(after["candles"]) == 100 + JAN_BARS
    assert [row for row in after["archive_files"] if "2022-01.zip" not in row] == before["archive_files"]
    assert after["candle_gaps"] == before["candle_gaps"]
    assert [(entry.month.month, entry.rows) for entry in digests(conn, KEY)] == [(1, JAN_BARS), (2, 100)]
    venue.errors = {}
    load(conn, venue, months("2022-01", "2022-02"))
    assert values(read_candles(conn, KEY, JAN.start, FEB.end)) == values(venue.tape[KEY])


def test_a_month_that_is_rejected_does_not_keep_the_others_out(conn: psycopg.Connection) -> None:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    venue.errors = {"month BTCUSDT-1h-2022-01": ArchiveRejected("states sha256 aa, the bytes received have bb")}
    with pytest.raises(ArchiveRejected, match="states sha256 aa"):
        load(conn, venue, months("2022-01", "2022-02"))
    assert [(entry.month.month, entry.rows) for entry in digests(conn, KEY)] == [(2, TWO_MONTHS - JAN_BARS)]


def test_a_venue_that_cannot_answer_fails_the_run_and_keeps_the_months_before(conn: psycopg.Connection) -> None:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    venue.errors = {"month BTCUSDT-1h-2022-02": VenueUnavailable("no answer in three tries")}
    with pytest.raises(VenueUnavailable):
        load(conn, venue, months("2022-01", "2022-02"))
    assert [entry.rows for entry in digests(conn, KEY)] == [JAN_BARS]


def test_a_run_reports_its_progress_to_the_end(conn: psycopg.Connection) -> None:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    keep(conn, KEY)
    told: list[tuple[str, int, int]] = []
    with listening(lambda label, done, total: told.append((label, done, total))):
        load(conn, venue, months("2022-01", "2022-02"))
    assert told == [("candles binance_spot:BTCUSDT", done, 2) for done in (0, 1, 2)]


def test_the_window_of_a_month_ends_with_the_last_closed_bar_and_begins_with_the_listing() -> None:
    venue = venue_of(1, now=slot(10) + timedelta(minutes=30))
    job = job_for(venue, months("2022-01"), listed=slot(2) + timedelta(minutes=30))
    assert job.window(KEY, JAN) == Run(slot(2), slot(10))
    assert job.window(KEY, FEB).start == job.window(KEY, FEB).end
    before = job.window(KEY, Month(2021, 12))
    assert before.start == before.end
