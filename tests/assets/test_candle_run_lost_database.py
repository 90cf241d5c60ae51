"""`assets.candle_run` while the database fails: a month is written as a whole or not at all."""

from collections.abc import Callable
from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from contracts import Retryable
from store.connections import connect
from store.errors import FrameRejected
from store.roles import BATCH, OWNER
from tests.assets.fakes import FakeVenue, slot, venue_of
from tests.assets.runs import load, months, stored
from tests.databases import Database, Server, fresh_database
from venues.binance.errors import VenueUnavailable

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
TWO_MONTHS = 744 + 672


def undisturbed(server: Server, venue: Callable[[], FakeVenue]) -> dict[str, list[str]]:
    with fresh_database(server) as other, connect(other.dsn(BATCH)) as conn:
        load(conn, venue(), months("2022-01", "2022-02"))
        return stored(conn)


def gappy() -> FakeVenue:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    venue.lacks = {"monthly": {slot(800), slot(900)}, "daily": {slot(900)}, "rest": set()}
    return venue


def test_a_database_that_is_lost_between_fetch_and_write_loses_nothing(database: Database, server: Server) -> None:
    venue = gappy()

    def cut(call: str) -> None:
        if call.startswith("klines"):  # the last request of February
            with connect(database.admin_dsn) as admin:
                admin.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = %s AND application_name = 'victim'",
                    [database.name],
                )

    with connect(database.dsn(BATCH), application_name="victim") as lost:
        load(lost, venue, months("2022-01"))
        before = stored(lost)
        venue.before = cut
        with pytest.raises(Retryable, match="binance_spot:BTCUSDT:1h 2022-02"):
            load(lost, venue, months("2022-02"))
    with connect(database.dsn(BATCH)) as conn:
        assert stored(conn) == before
        venue.before = lambda _: None
        load(conn, venue, months("2022-01", "2022-02"))
        assert stored(conn) == undisturbed(server, gappy)


@pytest.mark.parametrize("table", ["candle_gaps", "candle_digests", "archive_files"])
def test_a_database_that_is_lost_in_the_middle_of_a_write_keeps_nothing_of_it(
    database: Database, server: Server, table: str
) -> None:
    venue = gappy()
    with connect(database.dsn(BATCH)) as conn:
        load(conn, venue, months("2022-01"))
        before = stored(conn)
    with connect(database.dsn(OWNER)) as owner:
        owner.execute(
            "CREATE FUNCTION public.fall() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
        )
        owner.execute(
            sql.SQL("CREATE TRIGGER fall BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION public.fall()").format(
                sql.Identifier("market", table)
            )
        )
        with connect(database.dsn(BATCH)) as lost, pytest.raises(Retryable):
            load(lost, venue, months("2022-01", "2022-02"))
        assert stored(owner) == before
        owner.execute(sql.SQL("DROP TRIGGER fall ON {}").format(sql.Identifier("market", table)))
    with connect(database.dsn(BATCH)) as conn:
        load(conn, venue, months("2022-01", "2022-02"))
        assert stored(conn) == undisturbed(server, gappy)


def test_a_failed_write_is_the_error_of_the_run_whatever_the_month_ahead_met(
    database: Database, conn: psycopg.Connection
) -> None:
    venue = venue_of(TWO_MONTHS, now=MARCH)
    venue.errors = {"month BTCUSDT-1h-2022-02": VenueUnavailable("no answer in three tries")}
    with connect(database.dsn(OWNER)) as owner:
        owner.execute("ALTER TABLE market.candle_digests ADD CONSTRAINT none CHECK (rows < 0)")
    with pytest.raises(FrameRejected, match="write a digest for binance_spot:BTCUSDT:1h"):
        load(conn, venue, months("2022-01", "2022-02"))
    assert venue.calls == ["month BTCUSDT-1h-2022-01", "month BTCUSDT-1h-2022-02"]
    assert set(map(len, stored(conn).values())) == {0}
