"""Every role is tried on every statement, by logging in as it. What it may do is written here once more, by hand."""

import psycopg
import pytest
from psycopg import sql

from store.connections import connect
from store.errors import DatabaseRefused, DatabaseUnavailable
from store.roles import ANALYST, API, BATCH, DAGSTER, OWNER, PLATFORM_ROLES, ROLES, ROUTER, STREAM
from store.schema import upgrade
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
market.funding_rates       siu  s     s  s  s
market.funding_revisions   si   -     -  -  s
market.calendar_events     siu  s     s  s  s
market.calendar_refused    si   -     -  -  s
market.datasets            si   -     -  s  s
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
research.backtest_runs     si   -     -  -  s
research.backtest_trades   si   -     -  -  s
research.backtest_equity   si   -     -  -  s
research.trials            si   -     -  -  s
research.walk_forwards     si   -     -  -  s
research.walk_forward_folds si  -     -  -  s
research.param_sets        si   -     -  -  s
trading.decisions          s    si    s    s  -
trading.outbox             -    siu   s    s  -
trading.intents            -    -     si   s  -
trading.orders             s    s     siu  s  -
trading.order_events       -    -     si   s  -
trading.fills              s    s     si   s  -
trading.positions          s    s     siu  s  -
trading.trading_state      -    s     siu  s  -
trading.audit_log          s    -     s    s  -
paper.decisions            s    si    s    s  -
paper.outbox               -    siu   s    s  -
paper.intents              -    -     si   s  -
paper.orders               s    s     siu  s  -
paper.order_events         -    -     si   s  -
paper.fills                s    s     si   s  -
paper.positions            s    s     siu  s  -
paper.trading_state        -    s     siu  s  -
paper.audit_log            s    -     s    s  -
ops.leases                 -    -     siu  s  -
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
    "CREATE TABLE research.intruder (x int)",
    "CREATE TABLE ops.intruder (x int)",
    "CREATE TABLE public.intruder (x int)",
    "CREATE FUNCTION public.intruder() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION market.file_funding_revision() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE OR REPLACE FUNCTION market.file_candle_revision() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "ALTER TABLE market.candles DISABLE TRIGGER file_candle_revision",
    "DROP TRIGGER file_candle_revision ON market.candles",
    "CREATE OR REPLACE FUNCTION research.check_param_set() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "ALTER TABLE research.param_sets DISABLE TRIGGER check_param_set",
    "CREATE OR REPLACE FUNCTION trading.append_audit(text, text, jsonb) RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE OR REPLACE FUNCTION ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'",
    "ALTER TABLE trading.audit_log DISABLE TRIGGER refuse_change",
    "ALTER TABLE trading.order_events DISABLE TRIGGER refuse_change",
    "ALTER TABLE paper.trading_state DISABLE TRIGGER audit_state",
    "DROP SCHEMA market CASCADE",
    "ALTER SCHEMA market RENAME TO mine",
    "ALTER TABLE market.funding_rates DISABLE TRIGGER file_funding_revision",
    "DROP SCHEMA marts CASCADE",
    "ALTER SCHEMA staging RENAME TO mine",
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
            "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = ANY(%s)",
            [["market", "analysis", "research", "trading", "paper", "ops", "staging", "marts"]],
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


MOVING = {"state", "changed_at", "evidence", "walk_forward"}


@pytest.mark.parametrize("role", READERS_AND_WRITERS)
def test_of_a_version_of_parameters_batch_may_change_the_state_and_nobody_anything_else(
    database: Database, role: str
) -> None:
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        update = sql.SQL("UPDATE research.param_sets SET {} = DEFAULT WHERE false")
        let_in = {
            column
            for column in (*MOVING, "name", "version", "kind", "hash", "params", "author", "note", "created_at")
            if not refused(conn, update.format(sql.Identifier(column)))
        }
    assert let_in == (MOVING if role == BATCH else set())


@pytest.mark.parametrize("schema", ["trading", "paper"])
@pytest.mark.parametrize("role", READERS_AND_WRITERS)
def test_of_an_intent_the_router_may_change_where_it_stands_and_nobody_anything_else(
    database: Database, role: str, schema: str
) -> None:
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        update = sql.SQL("UPDATE {} SET {} = DEFAULT WHERE false")
        columns = ("bracket_id", "payload", "plan", "lease_name", "lease_token", "created_at", "state", "reason")
        let_in = {
            column
            for column in (*columns, "updated_at")
            if not refused(conn, update.format(sql.Identifier(schema, "intents"), sql.Identifier(column)))
        }
    assert let_in == ({"state", "reason", "updated_at"} if role == ROUTER else set())


@pytest.mark.parametrize("schema", ["trading", "paper"])
@pytest.mark.parametrize("role", READERS_AND_WRITERS)
def test_only_the_router_may_append_to_the_audit_log(database: Database, role: str, schema: str) -> None:
    append = sql.SQL("SELECT {}('me', 'tried', '{{}}')").format(sql.Identifier(schema, "append_audit"))
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        assert refused(conn, append) == (role != ROUTER)


def test_an_upgrade_takes_back_what_somebody_granted_on_a_column_or_on_all_of_them_by_hand(database: Database) -> None:
    with connect(database.dsn(OWNER)) as owner:
        owner.execute("GRANT UPDATE ON research.param_sets TO tidemark_batch")
        owner.execute("GRANT UPDATE (params) ON research.param_sets TO tidemark_batch")
        owner.execute("GRANT SELECT (author), UPDATE (note) ON research.param_sets TO tidemark_api, PUBLIC")
    upgrade(database.admin_dsn)
    with connect(database.admin_dsn) as admin:
        held = admin.execute(
            "SELECT attname, has_column_privilege('tidemark_batch', attrelid, attnum, 'UPDATE'), "
            "has_column_privilege('tidemark_api', attrelid, attnum, 'SELECT, UPDATE') FROM pg_attribute "
            "WHERE attrelid = 'research.param_sets'::regclass AND attnum > 0"
        ).fetchall()
    assert {name for name, batch, _ in held if batch} == MOVING
    assert not any(api for _, _, api in held)


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


@pytest.mark.parametrize("role", READERS_AND_WRITERS)
@pytest.mark.parametrize("schema", ["staging", "marts"])
def test_only_batch_may_make_things_in_the_schemas_of_dbt(database: Database, schema: str, role: str) -> None:
    with connect(database.dsn(role)) as conn:
        conn.execute("SET default_transaction_read_only = off")
        for statement in ("CREATE TABLE {}.mine (x int)", "CREATE VIEW {}.mine AS SELECT 1 AS x"):
            composed = sql.SQL(statement).format(sql.Identifier(schema))
            assert refused(conn, composed) == (role != BATCH), statement


def test_what_batch_makes_for_analysts_is_read_by_those_it_is_granted_to_and_survives_an_upgrade(
    database: Database,
) -> None:
    with connect(database.dsn(BATCH)) as batch:
        batch.execute("CREATE VIEW staging.stg_series AS SELECT venue, symbol, tf FROM market.series")
        batch.execute("CREATE TABLE marts.dim_series AS SELECT * FROM staging.stg_series")
        batch.execute("GRANT SELECT ON marts.dim_series TO tidemark_analyst, tidemark_api")
    upgrade(database.admin_dsn)
    readers = {role: connect(database.dsn(role)) for role in READERS_AND_WRITERS}
    try:
        assert [role for role, conn in readers.items() if not refused(conn, "SELECT * FROM marts.dim_series")] == [
            BATCH,
            API,
            ANALYST,
        ]
        assert [role for role, conn in readers.items() if not refused(conn, "SELECT * FROM staging.stg_series")] == [
            BATCH
        ]
    finally:
        for conn in readers.values():
            conn.close()


def test_an_upgrade_takes_back_what_somebody_granted_on_a_schema_by_hand(database: Database) -> None:
    with connect(database.dsn(OWNER)) as owner:
        owner.execute("GRANT USAGE, CREATE ON SCHEMA staging TO tidemark_analyst")
        owner.execute("REVOKE CREATE ON SCHEMA marts FROM tidemark_batch")
    upgrade(database.admin_dsn)
    with connect(database.admin_dsn) as admin:
        held = admin.execute(
            "SELECT has_schema_privilege('tidemark_analyst', 'staging', 'USAGE'), "
            "has_schema_privilege('tidemark_analyst', 'staging', 'CREATE'), "
            "has_schema_privilege('tidemark_batch', 'marts', 'CREATE')"
        ).fetchone()
    assert held == (False, False, True)


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
