import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from dagster import DagsterEvent, DagsterEventType, EventLogEntry
from dagster._core.storage.dagster_run import DagsterRun
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage

from contracts.errors import Rejected, Retryable
from store import schema
from store.connections import connect, with_database
from store.errors import DatabaseRefused
from store.provision import provision
from store.roles import BATCH, DAGSTER, OWNER, ROLES
from tests.databases import Database, Server

BOOKS = {
    "audit_log",
    "decisions",
    "fills",
    "intents",
    "order_events",
    "orders",
    "outbox",
    "positions",
    "trading_state",
}
TABLES = {
    "analysis": {
        "bot_quarantine",
        "engine_snapshots",
        "engines",
        "indicators",
        "inversions",
        "liquidity_events",
        "regimes",
        "signals_raw",
        "smc_events",
        "swings",
        "zone_events",
        "zones",
    },
    "market": {
        "archive_files",
        "calendar_events",
        "calendar_refused",
        "candle_digests",
        "candle_gaps",
        "candle_revisions",
        "candles",
        "datasets",
        "exchange_rules",
        "funding_rates",
        "funding_revisions",
        "instruments",
        "quarantine",
        "series",
    },
    "research": {
        "backtest_equity",
        "backtest_runs",
        "backtest_trades",
        "param_sets",
        "trials",
        "walk_forward_folds",
        "walk_forwards",
    },
    "trading": BOOKS,
    "paper": BOOKS,
    "ops": {"alembic_version", "leases"},
}


@contextmanager
def dropped_after(server: Server, *names: str) -> Iterator[None]:
    try:
        yield
    finally:
        with connect(server.admin_dsn) as admin:
            for name in names:
                admin.execute(
                    psycopg.sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(psycopg.sql.Identifier(name))
                )


def test_every_table_exists_belongs_to_the_owner_and_is_described(database: Database) -> None:
    with connect(database.admin_dsn) as conn:
        found = conn.execute(
            """
            SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner), obj_description(c.oid) IS NOT NULL
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND n.nspname = ANY(ARRAY['market', 'analysis', 'research', 'trading', 'paper',
                'ops', 'staging', 'marts'])
            """
        ).fetchall()
    tables: dict[str, set[str]] = {}
    for space, table, owner, described in found:
        tables.setdefault(space, set()).add(table)
        assert owner == OWNER
        assert described or table == "alembic_version"
    assert tables == TABLES


def test_every_column_of_the_analysis_tables_that_needs_words_has_them(database: Database) -> None:
    with connect(database.admin_dsn) as conn:
        silent = conn.execute(
            """
            SELECT c.relname || '.' || a.attname
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = 'analysis'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
              AND col_description(c.oid, a.attnum) IS NULL
            """
        ).fetchall()
    # Said once for the whole schema or family: series key, ts, and the siblings of a column that speaks for them.
    understood = {"venue", "symbol", "tf", "ts", "ema50", "ema200", "bb_upper", "bb_lower", "price_lo", "price_hi"}
    understood |= {"side_hint", "zone_created_ts", "params", "chain", "engine_version", "params_hash"}
    assert {column for (column,) in silent if column.partition(".")[2] not in understood} == set()


@pytest.mark.parametrize("schema", ["research", "trading", "paper"])
def test_every_column_of_the_later_tables_has_words_of_its_own(database: Database, schema: str) -> None:
    with connect(database.admin_dsn) as conn:
        silent = conn.execute(
            """
            SELECT c.relname || '.' || a.attname
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relnamespace = %s::regnamespace AND c.relkind = 'r' AND a.attnum > 0
              AND col_description(c.oid, a.attnum) IS NULL
            """,
            [schema],
        ).fetchall()
    assert silent == []


def test_time_series_are_hypertables_with_compression_exactly_where_the_server_can(database: Database) -> None:
    with connect(database.admin_dsn) as conn:
        available = conn.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb'").fetchone()
        installed = conn.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone()
        assert available == installed
        if not available:
            return
        hypertables = conn.execute(
            "SELECT hypertable_schema || '.' || hypertable_name, compression_enabled "
            "FROM timescaledb_information.hypertables"
        ).fetchall()
        policies = conn.execute(
            "SELECT hypertable_name, config->>'compress_after' FROM timescaledb_information.jobs "
            "WHERE proc_name = 'policy_compression'"
        ).fetchall()
    plain = {"bot_quarantine", "engine_snapshots", "engines"}
    names = {"market.candles", "market.candle_revisions"} | {f"analysis.{t}" for t in TABLES["analysis"] - plain}
    assert dict(hypertables) == dict.fromkeys(names, True)
    assert policies == [("candles", "45 days")]


def test_provisioning_again_changes_nothing(server: Server) -> None:
    names = {"database": f"{server.template}_again", "dagster_database": f"{server.template}_again_dagster"}
    with dropped_after(server, *names.values()):
        first = provision(server.admin_dsn, server.passwords, **names)
        dsn = with_database(server.admin_dsn, names["database"])
        with connect(dsn) as conn:
            before = conn.execute("SELECT oid, relacl::text, xmin::text FROM pg_class ORDER BY oid").fetchall()
        assert (
            provision(server.admin_dsn, server.passwords, **names) == first == schema.expected() == schema.current(dsn)
        )
        with connect(dsn) as conn:
            assert conn.execute("SELECT oid, relacl::text, xmin::text FROM pg_class ORDER BY oid").fetchall() == before


def test_existing_roles_keep_what_they_have_where_no_password_is_given(server: Server) -> None:
    names = {"database": f"{server.template}_kept", "dagster_database": f"{server.template}_kept_dagster"}
    with dropped_after(server, *names.values()), connect(server.admin_dsn) as admin:
        query = (
            "SELECT rolname, rolpassword, rolcanlogin, rolconnlimit FROM pg_authid WHERE rolname = ANY(%s) ORDER BY 1"
        )
        before = admin.execute(query, [list(ROLES)]).fetchall()
        provision(server.admin_dsn, {}, **names)
        assert admin.execute(query, [list(ROLES)]).fetchall() == before
    assert all(str(row[1]).startswith("SCRAM-SHA-256$") for row in before)


def test_a_role_may_not_provision(database: Database) -> None:
    with pytest.raises(DatabaseRefused, match="permission denied"):
        provision(database.dsn(BATCH), {}, database="never", dagster_database="never_dagster")


def test_dagsters_own_storage_keeps_an_event_and_a_run(server: Server) -> None:
    """The driver matters: psycopg 3 opens this storage and fails on the first stored event."""
    url = server.url(DAGSTER, server.dagster_database, scheme="postgresql+psycopg2")
    events = PostgresEventLogStorage.create_clean_storage(url)
    runs = PostgresRunStorage.create_clean_storage(url)
    try:
        run = runs.add_run(DagsterRun(job_name="proof"))
        events.store_event(
            EventLogEntry(  # type: ignore[no-untyped-call] # Dagster's constructor has no annotations
                error_info=None,
                level=20,
                user_message="stored",
                run_id=run.run_id,
                timestamp=1_700_000_000.0,
                job_name="proof",
                dagster_event=DagsterEvent(DagsterEventType.PIPELINE_START.value, "proof"),
            )
        )
        stored = events.get_logs_for_run(run.run_id)
        assert [entry.user_message for entry in stored] == ["stored"]
        assert [kept.run_id for kept in runs.get_runs()] == [run.run_id]
    finally:
        events.dispose()
        runs.dispose()


def test_a_server_that_is_not_there_may_be_tried_again() -> None:
    with pytest.raises(Retryable, match=re.escape("nobody@127.0.0.1:1/nothing")) as caught:
        provision("postgresql://nobody:secret@127.0.0.1:1/nothing", {})
    assert "secret" not in str(caught.value)


def test_a_wrong_password_is_not_tried_again(server: Server) -> None:
    wrong = server.url(BATCH, server.dagster_database).replace(server.passwords[BATCH], "wrong")
    with pytest.raises(Rejected, match="password authentication failed"):
        provision(wrong, {})
