import psycopg
import pytest

from contracts.errors import DataRejected, Rejected, Retryable
from store.connections import connect, describe, one_snapshot, translated, with_database
from store.errors import DatabaseRefused, DatabaseUnavailable, FrameRejected
from tests.databases import Database


def test_a_connection_speaks_utc_names_itself_and_commits_each_statement(database: Database) -> None:
    with connect(database.dsn(), application_name="candles", statement_timeout_s=1.5) as conn:
        assert conn.execute("SHOW TimeZone").fetchone() == ("UTC",)
        assert conn.execute("SHOW application_name").fetchone() == ("candles",)
        assert conn.execute("SHOW statement_timeout").fetchone() == ("1500ms",)
        assert conn.autocommit


@pytest.mark.parametrize(
    ("statement", "expected", "reaction"),
    [
        ("SELECT * FROM market.nowhere", DatabaseRefused, Rejected),
        ("SELECT 1 FROM pg_authid", DatabaseRefused, Rejected),
        ("SELECT 'x'::numeric", FrameRejected, DataRejected),
        ("INSERT INTO market.series VALUES ('v', 's', '7m')", FrameRejected, DataRejected),
        ("SELECT pg_terminate_backend(pg_backend_pid())", DatabaseUnavailable, Retryable),
        ("SET LOCAL statement_timeout = 10; SELECT pg_sleep(5)", DatabaseUnavailable, Retryable),
    ],
)
def test_foreign_errors_become_ours_by_the_reaction_they_ask_for(
    database: Database, statement: str, expected: type[Exception], reaction: type[Exception]
) -> None:
    with connect(database.dsn()) as conn:
        with pytest.raises(expected, match=r"^try this for the key: ") as caught, translated("try this", key="the key"):
            conn.execute(statement.encode())
        assert isinstance(caught.value, reaction)
        assert isinstance(caught.value.__cause__, psycopg.Error)


def test_a_closed_connection_may_be_replaced_and_tried_again(database: Database) -> None:
    conn = connect(database.dsn())
    conn.close()
    with pytest.raises(DatabaseUnavailable), translated("read"):
        conn.execute("SELECT 1")


def test_an_address_is_described_without_its_password() -> None:
    assert describe("postgresql://me:hush@db.example:6543/tides") == "me@db.example:6543/tides"
    assert describe("dbname=tides") == "(default role)@localhost:5432/tides"


def test_another_database_of_the_same_server_keeps_role_and_password() -> None:
    other = psycopg.conninfo.conninfo_to_dict(with_database("postgresql://me:hush@db.example:6543/tides", "dagster"))
    assert other == {"user": "me", "password": "hush", "host": "db.example", "port": "6543", "dbname": "dagster"}


def test_one_snapshot_reads_what_was_there_at_its_begin_and_writes_nothing(database: Database) -> None:
    count = "SELECT count(*) FROM market.instruments"
    insert = (
        b"INSERT INTO market.instruments VALUES ('binance_spot', 'AUSDT', 'SPOT', 'A', 'USDT', NULL, NULL, 'TRADING')"
    )
    with connect(database.dsn()) as reader, connect(database.dsn()) as writer:
        with one_snapshot(reader):
            assert reader.execute(count).fetchone() == (0,)
            writer.execute(insert)
            assert reader.execute(count).fetchone() == (0,)
        assert reader.execute(count).fetchone() == (1,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), one_snapshot(reader):
            reader.execute(insert)


def test_one_snapshot_inside_a_transaction_is_refused(database: Database) -> None:
    with connect(database.dsn()) as conn, conn.transaction():
        conn.execute("SELECT 1")
        with pytest.raises(DatabaseRefused, match="in a transaction already"), one_snapshot(conn):
            pytest.fail("the block was entered")
