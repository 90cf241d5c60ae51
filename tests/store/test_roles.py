"""Every role is tried on every statement, by logging in as it. What it may do is written here once more, by hand."""

import psycopg
import pytest
from psycopg import sql

from store.connections import connect
from store.errors import DatabaseRefused, DatabaseUnavailable
from store.roles import ANALYST, API, BATCH, DAGSTER, OWNER, PLATFORM_ROLES, ROLES, ROUTER, STREAM
from tests.databases import Database

# table: batch, stream, router, api, analyst; s = SELECT, i = INSERT, u = UPDATE, d = DELETE, - = nothing
MATRIX = """
market.instruments         siu  s     s  s  s
market.series              siu  s     s  s  s
market.candles             siu  siu   s  s  s
market.candle_revisions    si   si    -  -  s
market.candle_gaps         siud siud  -  s  s
market.quarantine          si   si    -  -  s
market.archive_files       siu  -     -  -  s
market.candle_digests      siu  s     -  s  s
market.exchange_rules      si   s     s  s  s
analysis.engines           siu  s     -  s  s
analysis.indicators        sid  -     -  s  s
analysis.regimes           sid  -     -  s  s
analysis.swings            sid  -     -  s  s
analysis.smc_events        sid  -     -  s  s
analysis.liquidity_events  sid  -     -  s  s
analysis.zone_events       sid  -     -  s  s
analysis.zones             siud -     -  s  s
analysis.inversions        siud -     -  s  s
analysis.signals_raw       sid  -     -  s  s
analysis.bot_quarantine    siu  -     -  s  s
analysis.engine_snapshots  siud s     -  -  s
ops.alembic_version        s    s     s  s  -
"""
READERS_AND_WRITERS = (BATCH, STREAM, ROUTER, API, ANALYST)
ALLOWED = {
    (role, table): letters.replace("-", "")
    for line in MATRIX.split("\n")
    if line
    for table, *cells in [line.split()]
    for role, letters in zip(READERS_AND_WRITERS, cells, strict=True)
}
TABLES = sorted({table for _, table in ALLOWED})

FORBIDDEN_TO_ALL = [
    "CREATE ROLE intruder",
    "CREATE DATABASE intruder",
    "ALTER ROLE tidemark_analyst SUPERUSER",
    "ALTER SYSTEM SET work_mem = '1GB'",
    "SET session_replication_role = replica",
    "SELECT rolpassword FROM pg_authid",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/intruder'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT lo_import('/etc/passwd')",
    "DROP DATABASE postgres",
    "DROP EXTENSION plpgsql",
]
FORBIDDEN_TO_ALL_BUT_THE_OWNER = [
    "CREATE SCHEMA intruder",
    "CREATE TABLE market.intruder (x int)",
    "CREATE TABLE analysis.intruder (x int)",
    "CREATE TABLE ops.intruder (x int)",
    "CREATE TABLE public.intruder (x int)",
    "CREATE FUNCTION public.intruder() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION market.file_candle_revision() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "ALTER TABLE market.candles DISABLE TRIGGER file_candle_revision",
    "DROP TRIGGER file_candle_revision ON market.candles",
    "DROP SCHEMA market CASCADE",
    "ALTER SCHEMA market RENAME TO mine",
    "REASSIGN OWNED BY tidemark_owner TO CURRENT_USER",
]


def refused(conn: psycopg.Connection, statement: sql.Composed | str) -> bool:
    """Whether the statement fails for want of a privilege; it is rolled back either way."""
    query = statement.encode() if isinstance(statement, str) else statement
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(query)
    except psycopg.errors.InsufficientPrivilege:
        return True
    except (psycopg.errors.NotNullViolation, psycopg.errors.CheckViolation):
        return False  # it was let in and failed over its values
    return False


def outside_transaction_refused(conn: psycopg.Connection, statement: str) -> bool:
    try:
        conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def statements(table: str, column: str) -> dict[str, sql.Composed]:
    name, field = sql.Identifier(*table.split(".")), sql.Identifier(column)
    texts = {
        "s": sql.SQL("SELECT count(*) FROM {0}"),
        "i": sql.SQL("INSERT INTO {0} DEFAULT VALUES"),
        "u": sql.SQL("UPDATE {0} SET {1} = DEFAULT WHERE false"),
        "d": sql.SQL("DELETE FROM {0} WHERE false"),
        "TRUNCATE": sql.SQL("TRUNCATE {0}"),
        "DROP": sql.SQL("DROP TABLE {0}"),
        "ALTER": sql.SQL("ALTER TABLE {0} ADD COLUMN intruder int"),
        "INDEX": sql.SQL("CREATE INDEX ON {0} ({1})"),
        "LOCK": sql.SQL("LOCK TABLE {0} IN ACCESS EXCLUSIVE MODE"),
    }
    return {kind: text.format(name, field) for kind, text in texts.items()}


@pytest.mark.parametrize("role", READERS_AND_WRITERS)
def test_a_role_may_do_to_each_table_exactly_what_the_matrix_says(database: Database, role: str) -> None:
    with connect(database.admin_dsn) as admin:
        present = admin.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname IN ('market', 'analysis', 'ops')"
        ).fetchall()
        columns = {
            table: str(
                admin.execute(
                    "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                    "AND attidentity = '' ORDER BY attnum LIMIT 1",
                    [table],
                ).fetchall()[0][0]
            )
            for table in TABLES
        }
    assert sorted(row[0] for row in present) == TABLES  # a new table needs a line in the matrix
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")  # an analyst could: privileges must hold without it
        for table in TABLES:
            tried = statements(table, columns[table])
            let_in = {kind for kind, statement in tried.items() if not refused(conn, statement)}
            # PostgreSQL lets whoever may UPDATE or DELETE lock the table; nothing is changed by a lock.
            allowed = set(ALLOWED[role, table])
            if allowed & {"u", "d"}:
                allowed.add("LOCK")
            assert let_in == allowed, (role, table)


@pytest.mark.parametrize("role", PLATFORM_ROLES)
def test_no_role_may_reach_beyond_its_database(database: Database, role: str) -> None:
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        let_in = [text for text in FORBIDDEN_TO_ALL if not outside_transaction_refused(conn, text)]
        assert let_in == []
        for other in [*ROLES, "postgres"]:
            if other != role:
                assert refused(conn, sql.SQL("SET ROLE {}").format(sql.Identifier(other))), other


@pytest.mark.parametrize("role", READERS_AND_WRITERS)
def test_no_role_but_the_owner_may_change_the_schema(database: Database, role: str) -> None:
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        assert [text for text in FORBIDDEN_TO_ALL_BUT_THE_OWNER if not refused(conn, text)] == []


@pytest.mark.parametrize("role", PLATFORM_ROLES)
def test_only_loaders_may_stage_rows_in_temporary_tables(database: Database, role: str) -> None:
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        assert refused(conn, "CREATE TEMPORARY TABLE stage (x int)") == (role not in {BATCH, STREAM, OWNER})


@pytest.mark.parametrize("role", PLATFORM_ROLES)
def test_platform_roles_stay_out_of_dagsters_database(database: Database, role: str) -> None:
    with pytest.raises(DatabaseRefused, match="permission denied for database"):
        connect(database.server.url(role, database.server.dagster_database))


def test_dagsters_role_stays_out_of_the_platforms_database_and_owns_its_own(database: Database) -> None:
    with pytest.raises(DatabaseRefused, match="permission denied for database"):
        connect(database.dsn(DAGSTER))
    with connect(database.server.url(DAGSTER, database.server.dagster_database)) as conn:
        assert not refused(conn, "CREATE TABLE public.mine (x int)")
        assert [text for text in FORBIDDEN_TO_ALL if not outside_transaction_refused(conn, text)] == []


def test_an_analysts_session_is_bounded(database: Database) -> None:
    with connect(database.dsn(ANALYST)) as conn:
        assert conn.execute("SHOW statement_timeout").fetchone() == ("1min",)
        assert conn.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        assert conn.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user").fetchone() == (5,)


def test_a_sixth_analyst_waits_outside(database: Database) -> None:
    inside = [connect(database.dsn(ANALYST)) for _ in range(5)]
    try:
        with pytest.raises(DatabaseUnavailable, match="too many connections"):
            connect(database.dsn(ANALYST))
    finally:
        for conn in inside:
            conn.close()
