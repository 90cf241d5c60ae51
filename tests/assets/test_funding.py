import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import cast

import dagster as dg
import polars as pl
import psycopg
import pytest

from assets.funding import FundingReport, funding_rates, interval_changes, load_funding
from assets.partitions import Month, Task, partition_key
from assets.resources import Exchange, Postgres
from contracts import DataRejected, InstrumentKey, Retryable
from store.funding import FUNDING_SCHEMA, FundingCounts, read_funding
from store.roles import BATCH
from tests.assets.fakes import INSTRUMENT, FakeClock, FakeVenue
from tests.assets.runs import QUIET, exchange_of, failure_of, months
from tests.databases import Database
from venues.binance.archive import FundingFile, KnownFile
from venues.binance.archive_files import ArchiveName, FundingName
from venues.binance.funding import FundingAnswer, ParsedFunding
from venues.binance.validation import QUARANTINE_SCHEMA

PERP = InstrumentKey("binance_usdm", "BTCUSDT")
JAN, FEB = months("2022-01", "2022-02")
T0 = datetime(2022, 1, 1, tzinfo=UTC)
NOW = datetime(2022, 2, 11, 0, 0, 5, tzinfo=UTC)
EIGHT_HOURS = timedelta(hours=8)
JAN_ROWS, FEB_ROWS = 93, 31  # 31 × 3, and 10 × 3 + the one of the 11th at midnight


def rates(first: datetime, count: int, *, every: timedelta = EIGHT_HOURS, mark: bool = True) -> pl.DataFrame:
    """Settlements whose rate counts up from 0.0001, whose mark price from 40000.5."""
    rows = [
        (first + index * every, f"0.{index + 1:04d}0", f"{40000 + index}.50" if mark else None, "Regular")
        for index in range(count)
    ]
    return pl.DataFrame(rows, schema=FUNDING_SCHEMA, orient="row")


@dataclass(slots=True)
class FakeFunding:
    """Archive and REST of one perpetual: the archive has whole months, without mark prices, once they are over.

    Attributes:
        tape: What was settled.
        now: The venue's clock.
        archived: What the files hold where it is not the tape.
        quarantined: Rows that REST delivers and the reader refuses.
        unreadable: Rows that REST delivers without a time that can be read.
        unpublished: Months without a file.
        rejected: Months whose file contradicts itself.
        calls: Every call.
    """

    tape: pl.DataFrame
    now: datetime = NOW
    archived: pl.DataFrame | None = None
    quarantined: list[tuple[datetime, str, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unpublished: set[Month] = field(default_factory=set)
    rejected: set[Month] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    down: bool = False

    def url(self, name: ArchiveName | FundingName) -> str:
        return f"https://archive.test/{name.path}"

    async def funding_month(self, instrument: InstrumentKey, month: date) -> FundingFile | None:
        self.calls.append(f"month {month:%Y-%m}")
        return self._file(instrument, month)

    async def unchanged(self, known: KnownFile) -> bool:
        period = known.url.removesuffix(".zip")[-7:]
        self.calls.append(f"unchanged {period}")
        file = self._file(PERP, date.fromisoformat(f"{period}-01"))
        return file is not None and file.etag == known.etag

    async def funding_rates(self, instrument: InstrumentKey, start: datetime, end: datetime) -> FundingAnswer:
        self.calls.append(f"rest {start:%m-%d} {end:%m-%d}")
        if self.down:
            msg = f"funding of {instrument}: no answer"
            raise Retryable(msg)
        held = self.tape.filter((pl.col("funding_time") >= start) & (pl.col("funding_time") < min(end, self.now)))
        return FundingAnswer(held, self._refused(), 0, self.now)

    async def server_time(self) -> datetime:
        return self.now

    def _file(self, instrument: InstrumentKey, month: date) -> FundingFile | None:
        wanted = Month(month.year, month.month)
        if wanted in self.unpublished or wanted.end > self.now:
            return None
        if wanted in self.rejected:
            msg = f"funding file of {wanted} contradicts its checksum"
            raise DataRejected(msg)
        held = self.tape if self.archived is None else self.archived
        time = pl.col("funding_time")
        frame = held.filter((time >= wanted.start) & (time < wanted.end)).with_columns(
            mark_price=pl.lit(None, dtype=pl.String), rate_type=pl.lit("Regular")
        )
        sha256 = hashlib.sha256(frame.write_csv().encode()).hexdigest()
        parsed = ParsedFunding(frame.unique("funding_time", maintain_order=True), QUARANTINE_SCHEMA.to_frame(), 0)
        return FundingFile(self.url(FundingName.of_month(instrument, month)), sha256[:8], sha256, parsed)

    def _refused(self) -> pl.DataFrame:
        unreadable = [(None, payload, "funding_time_unreadable") for payload in self.unreadable]
        return pl.DataFrame([*self.quarantined, *unreadable], schema=QUARANTINE_SCHEMA, orient="row")


def load(
    conn: psycopg.Connection, venue: FakeFunding, wanted: Sequence[Month] = (JAN, FEB), *, at: datetime = NOW
) -> FundingReport:
    venue.calls.clear()
    task = Task(PERP, tuple(wanted))
    return asyncio.run(load_funding(conn, task, venue, venue, now=venue.now, at=at))


def stored(conn: psycopg.Connection) -> pl.DataFrame:
    return read_funding(conn, PERP, T0 - timedelta(days=99), T0 + timedelta(days=999))


def sources(conn: psycopg.Connection) -> dict[str, int]:
    counts = stored(conn)["source"].value_counts().rows()
    return {str(source): int(count) for source, count in sorted(counts)}


def test_a_closed_month_comes_from_the_archive_the_rest_and_the_mark_prices_by_rest(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 200))
    report = load(conn, venue)
    assert venue.calls == ["month 2022-01", "rest 01-01 02-11"]
    assert sources(conn) == {"archive": JAN_ROWS, "rest": FEB_ROWS}
    assert report.counts == FundingCounts(inserted=JAN_ROWS + FEB_ROWS, completed=JAN_ROWS)
    found = stored(conn)
    assert found["rate"][0] == "0.0001"
    assert found["mark_price"][0] == "40000.5"
    assert found["interval_hours"].to_list() == [None, *[8] * (JAN_ROWS + FEB_ROWS - 1)]


def test_a_second_load_asks_whether_the_file_is_the_same_and_changes_nothing(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 200))
    load(conn, venue)
    before = conn.execute("SELECT *, xmin::text FROM market.funding_rates ORDER BY 3").fetchall()
    report = load(conn, venue, at=NOW + timedelta(days=1))
    assert venue.calls == ["unchanged 2022-01", "rest 02-01 02-11"]
    assert report.counts == FundingCounts(unchanged=FEB_ROWS)
    assert conn.execute("SELECT *, xmin::text FROM market.funding_rates ORDER BY 3").fetchall() == before
    [(verified_at,)] = conn.execute("SELECT verified_at FROM market.archive_files").fetchall()
    assert verified_at == NOW + timedelta(days=1)


def test_a_file_published_anew_is_read_again_and_what_it_replaces_is_filed(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 200))
    load(conn, venue)
    changed = pl.when(pl.col("funding_time") == T0 + EIGHT_HOURS).then(pl.lit("-0.005")).otherwise("rate")
    venue.archived = venue.tape.with_columns(rate=changed)
    report = load(conn, venue, (JAN,))
    assert venue.calls == ["unchanged 2022-01", "month 2022-01", "rest 01-01 02-01"]
    # REST still says what the archive said before: its rate loses against the one that took its place.
    assert report.counts == FundingCounts(revised=1, unchanged=2 * JAN_ROWS - 2, lost=1)
    assert stored(conn)["rate"].to_list()[:2] == ["0.0001", "-0.005"]
    revised = conn.execute("SELECT rate::text, source, lost FROM market.funding_revisions ORDER BY lost").fetchall()
    assert revised == [("0.00020", "archive", False), ("0.00020", "rest", True)]


def test_archive_and_rest_that_disagree_are_both_kept_and_the_archive_stands(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 93))
    venue.archived = venue.tape.with_columns(
        rate=pl.when(pl.col("funding_time") == T0).then(pl.lit("0.009")).otherwise("rate")
    )
    report = load(conn, venue, (JAN,))
    assert report.counts.lost == 1
    assert stored(conn)["rate"][0] == "0.009"
    lost = conn.execute("SELECT rate::text, source, lost FROM market.funding_revisions").fetchall()
    assert lost == [("0.00010", "rest", True)]


def test_a_settlement_that_rest_calls_special_is_one_row_although_the_archive_does_not_say_so(
    conn: psycopg.Connection,
) -> None:
    at = T0 + timedelta(hours=3)
    special = pl.DataFrame([(at, "0.002", "40000.00", "Special")], schema=FUNDING_SCHEMA, orient="row")
    venue = FakeFunding(pl.concat([rates(T0, 93), special]).sort("funding_time"))
    load(conn, venue, (JAN,))
    found = stored(conn).filter(pl.col("funding_time") == at)
    assert found.select("rate", "rate_type", "source").rows() == [("0.002", "Special", "archive")]
    assert stored(conn).height == JAN_ROWS + 1


@pytest.mark.parametrize("rest_says", ["the same", "it no more"])
def test_a_special_settlement_stays_one_row_when_its_month_is_published_anew(
    conn: psycopg.Connection, rest_says: str
) -> None:
    special = pl.DataFrame([(T0 + timedelta(hours=3), "0.002", None, "Special")], schema=FUNDING_SCHEMA, orient="row")
    both = pl.concat([rates(T0, 93), special]).sort("funding_time")
    venue = FakeFunding(both)
    load(conn, venue, (JAN,))
    venue.archived = both.with_columns(rate=pl.lit("0.0009"))
    venue.tape = both if rest_says == "the same" else rates(T0, 93)
    load(conn, venue, (JAN,), at=NOW + timedelta(days=1))
    found = stored(conn).select("funding_time", "rate_type", "rate", "interval_hours").rows()[:3]
    assert found == [
        (T0, "Regular", "0.0009", None),
        (T0 + timedelta(hours=3), "Special", "0.0009", 3),
        (T0 + EIGHT_HOURS, "Regular", "0.0009", 8),
    ]


def test_a_month_without_a_file_comes_by_rest_and_is_replaced_when_the_file_is_there(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 93), unpublished={JAN})
    load(conn, venue, (JAN,))
    assert sources(conn) == {"rest": JAN_ROWS}
    venue.unpublished = set()
    venue.archived = venue.tape.with_columns(
        rate=pl.when(pl.col("funding_time") == T0).then(pl.lit("0.009")).otherwise("rate")
    )
    load(conn, venue, (JAN,))
    assert sources(conn) == {"archive": 1, "rest": JAN_ROWS - 1}
    load(conn, venue, (JAN,))
    assert venue.calls == ["unchanged 2022-01"]


def test_refused_rows_are_kept_as_funding_and_stop_no_other(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 93), quarantined=[(T0, '{"fundingRate":"x"}', "conflict")])
    report = load(conn, venue, (JAN,))
    assert report.quarantined == 1
    rows = conn.execute("SELECT tf, open_time, source, payload, reason FROM market.quarantine").fetchall()
    assert rows == [("funding", T0, "rest", '{"fundingRate":"x"}', "conflict")]
    load(conn, venue, (JAN,))
    assert len(conn.execute("SELECT FROM market.quarantine").fetchall()) == 1


def test_a_refused_row_without_a_readable_time_names_the_month_that_was_asked_for(conn: psycopg.Connection) -> None:
    load(conn, FakeFunding(rates(T0, 200), unreadable=['{"fundingTime":-1}']))
    rows = conn.execute("SELECT open_time, origin FROM market.quarantine").fetchall()
    assert rows == [(None, "binance_usdm fundingRate 2022-01")]


def test_a_file_that_contradicts_itself_is_told_and_the_other_months_are_loaded(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 200), rejected={JAN})
    report = load(conn, venue)
    assert [str(error) for error in report.rejected] == ["funding file of 2022-01 contradicts its checksum"]
    assert report.files == 0
    assert sources(conn) == {"rest": JAN_ROWS + FEB_ROWS}


def test_a_source_that_fails_leaves_nothing(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 200), down=True)
    with pytest.raises(Retryable, match="no answer"):
        load(conn, venue)
    assert stored(conn).is_empty()
    assert conn.execute("SELECT FROM market.archive_files").fetchall() == []


def test_months_that_have_not_begun_are_not_asked_for(conn: psycopg.Connection) -> None:
    venue = FakeFunding(rates(T0, 200))
    load(conn, venue, months("2022-03"))
    assert venue.calls == []


def test_changes_of_the_realised_interval_are_told_with_their_time(conn: psycopg.Connection) -> None:
    change = T0 + 4 * EIGHT_HOURS
    four = rates(change, 20, every=timedelta(hours=4))
    venue = FakeFunding(pl.concat([rates(T0, 4), four]))
    load(conn, venue, (JAN,))
    # The first settlement four hours after another is the one behind the change.
    assert interval_changes(stored(conn)) == ["2022-01-02 12:00: 8 h became 4 h"]


def materialize(
    database: Database, exchange: Exchange, instrument: InstrumentKey, instance: dg.DagsterInstance
) -> dg.ExecuteInProcessResult:
    instance.add_dynamic_partitions("instruments", [str(instrument)])
    return dg.materialize(
        [funding_rates],
        resources={"database": Postgres(url=database.dsn(BATCH)), "exchange": exchange},
        partition_key=partition_key(instrument, JAN),
        instance=instance,
        run_config=QUIET,
        raise_on_error=False,
    )


def fake_exchange(venue: FakeFunding) -> Exchange:
    key = PERP.series("1h")
    return exchange_of(cast(FakeVenue, _Named(venue, {key: None})))


class _Named:
    """The fake under the name that `exchange_of` looks up."""

    def __init__(self, venue: FakeFunding, tape: dict[object, None]) -> None:
        self._venue = venue
        self.tape = tape

    def __getattr__(self, name: str) -> object:
        return getattr(self._venue, name)


def test_the_asset_says_what_it_holds(database: Database, instance: dg.DagsterInstance) -> None:
    result = materialize(database, fake_exchange(FakeFunding(rates(T0, 93))), PERP, instance)
    assert result.success, failure_of(result)
    [event] = result.asset_materializations_for_node("funding_rates")
    assert event.metadata["dagster/row_count"].value == JAN_ROWS
    assert event.metadata["interval changes"].value == "none"
    assert str(event.metadata["rate"].value).startswith("![funding of binance_usdm:BTCUSDT]")


def test_a_rejected_file_fails_the_run_after_everything_else_was_stored(
    database: Database, conn: psycopg.Connection, instance: dg.DagsterInstance
) -> None:
    result = materialize(database, fake_exchange(FakeFunding(rates(T0, 93), rejected={JAN})), PERP, instance)
    assert not result.success
    assert "contradicts its checksum" in failure_of(result)
    assert sources(conn) == {"rest": JAN_ROWS}


def test_spot_has_no_funding_and_says_so_without_asking_anybody(
    database: Database, instance: dg.DagsterInstance
) -> None:
    silent = exchange_of(FakeVenue({INSTRUMENT.series("1h"): pl.DataFrame()}, clock=FakeClock(NOW)))
    result = materialize(database, silent, INSTRUMENT, instance)
    assert result.success, failure_of(result)
    [event] = result.asset_materializations_for_node("funding_rates")
    assert event.metadata["note"].value == "spot has none"
    assert event.metadata["dagster/row_count"].value == 0
