import psycopg
import pytest

from store.candles import merge_candles
from store.connections import connect
from store.errors import DatabaseRefused
from store.roles import ANALYST
from store.statistics import gather_statistics
from tests.databases import Database
from tests.store.frames import KEY, T0, candles

FEW, MANY = 100, 2_000


# A hypertable holds no rows itself: its chunks do.
ESTIMATED = """
    SELECT sum(c.reltuples)::int FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE 'market.candles'::regclass IN (c.oid, i.inhparent)
"""


def estimated(conn: psycopg.Connection) -> int:
    row = conn.execute(ESTIMATED).fetchone()
    return 0 if row is None else int(row[0])


def test_a_table_that_was_filled_is_known_to_be_full_at_once(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles(list(range(MANY))), "archive", seen_at=T0)
    assert gather_statistics(conn) >= 1
    assert estimated(conn) == MANY


def test_what_has_hardly_changed_is_left_alone(conn: psycopg.Connection) -> None:
    merge_candles(conn, KEY, candles(list(range(MANY))), "archive", seen_at=T0)
    gather_statistics(conn)
    merge_candles(conn, KEY, candles(list(range(MANY + FEW))), "archive", seen_at=T0)
    assert gather_statistics(conn) == 0
    assert estimated(conn) == MANY


def test_nobody_else_may_start_it(database: Database) -> None:
    with connect(database.dsn(ANALYST)) as conn, pytest.raises(DatabaseRefused, match="permission denied"):
        gather_statistics(conn)
