import threading
import uuid
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from psycopg import sql
from sqlalchemy import NullPool, create_engine

from store import schema
from store.connections import connect, with_database
from store.errors import DatabaseRefused
from store.roles import OWNER, STREAM
from store.trading import SCHEMAS
from store.trading.audit import verify
from store.trading.state import change
from tests.databases import Database, Server

ROWS_OF_0007 = """
INSERT INTO research.trials VALUES
    ('one', repeat('1', 64), '{}', NULL, '{}', '{0.1,-1}', '2022-01-01', '2022-01-03', NULL, 1, repeat('2', 64), now());
INSERT INTO research.walk_forwards VALUES
    ('walk', 'rolling', 'calm', repeat('1', 64), NULL, '{BTCUSDT}', '{binance_spot:BTCUSDT:15m}', '2022-01-01',
     '2022-03-01', NULL, 1, '{}', repeat('3', 64), '{}', true, 'passed', repeat('4', 64), NULL, NULL, now());
INSERT INTO research.param_sets VALUES
    ('calm', 1, 'profile', repeat('1', 64), '{}', 'live', 'ada', '', '{}', 'walk', now(), now()),
    ('calm', 2, 'profile', repeat('2', 64), '{}', 'draft', 'ada', '', '{}', NULL, now(), now()),
    ('engine', 1, 'engine', repeat('1', 64), '{}', 'candidate', 'ada', '', '{}', NULL, now(), now());
INSERT INTO research.backtest_runs VALUES
    ('run', 'calm', repeat('1', 64), '{}', repeat('2', 64), '{BTCUSDT}', '{binance_spot:BTCUSDT:15m}', '2022-01-01',
     '2022-03-01', NULL, 1, '{}', repeat('3', 64), '{}', repeat('4', 64), NULL, NULL, now());
INSERT INTO research.backtest_equity VALUES ('run', '2022-01-01 01:00', 0, 1.0);
"""


def run_revisions(dsn: str, to: str) -> None:
    """Bring an empty database to a revision of before."""

    def as_owner() -> psycopg.Connection:
        conn = psycopg.connect(dsn)
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(OWNER)))
        conn.commit()
        return conn

    with connect(dsn) as admin:
        admin.execute(sql.SQL("CREATE SCHEMA ops AUTHORIZATION {}").format(sql.Identifier(OWNER)))
    engine = create_engine("postgresql+psycopg://", creator=as_owner, poolclass=NullPool)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, to)
    finally:
        engine.dispose()


def test_a_migrated_database_is_at_the_revision_this_code_expects(database: Database) -> None:
    assert schema.current(database.dsn(STREAM)) == schema.expected() == "0009_trading"


def test_what_was_stored_under_revision_7_is_there_after_the_next_one(server: Server) -> None:
    name = f"{server.template}_{uuid.uuid4().hex[:8]}"
    identifier = sql.Identifier(name)
    with connect(server.admin_dsn) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}").format(identifier, sql.Identifier(OWNER))
        )
        try:
            dsn = with_database(server.admin_dsn, name)
            run_revisions(dsn, "0007_research")
            with connect(dsn) as owner:
                owner.execute(ROWS_OF_0007)
            assert schema.upgrade(dsn) == schema.expected()
            with connect(dsn) as owner:
                trials = owner.execute("SELECT series, asked_from, asked_to, sharpe, returns FROM research.trials")
                assert trials.fetchall() == [(None, None, None, None, [0.1, -1.0])]
                kept = owner.execute("SELECT name, version, kind, state, first_version FROM research.param_sets")
                assert sorted(kept.fetchall()) == [
                    ("calm", 1, "profile", "live", 1),
                    ("calm", 2, "profile", "draft", 1),
                    ("engine", 1, "engine", "candidate", 1),
                ]
            # What came with revision 9 works there as it does in a database that was made with it.
            with connect(dsn) as conn:
                for name_of_schema in SCHEMAS:
                    change(conn, "global", to="REDUCING", reason="drill", actor="ada", schema=name_of_schema)
                    assert verify(conn, schema=name_of_schema) is None
                granted = "SELECT has_table_privilege('tidemark_router', 'paper.orders', 'INSERT')"
                assert conn.execute(granted).fetchone() == (True,)
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def test_upgrades_at_once_find_each_others_work_done(server: Server) -> None:
    name = f"{server.template}_{uuid.uuid4().hex[:8]}"
    identifier = sql.Identifier(name)
    reached: list[str] = []
    with connect(server.admin_dsn) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}").format(identifier, sql.Identifier(OWNER))
        )
        try:
            dsn = with_database(server.admin_dsn, name)
            assert schema.current(dsn) is None
            threads = [threading.Thread(target=lambda: reached.append(schema.upgrade(dsn))) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=60)
            assert reached == [schema.expected()] * 3
            assert schema.current(dsn) == schema.expected()
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def test_the_owner_may_upgrade_and_another_role_may_not(database: Database) -> None:
    assert schema.upgrade(database.dsn(OWNER)) == schema.expected()
    with pytest.raises(DatabaseRefused, match="permission denied"):
        schema.upgrade(database.dsn(STREAM))


def test_upgrade_takes_back_what_somebody_granted_by_hand(database: Database) -> None:
    with connect(database.dsn(OWNER)) as owner:
        owner.execute("GRANT DELETE ON market.candles TO tidemark_stream, PUBLIC")
        owner.execute("REVOKE SELECT ON market.series FROM tidemark_api")
    schema.upgrade(database.admin_dsn)
    with connect(database.dsn(STREAM)) as stream, pytest.raises(psycopg.errors.InsufficientPrivilege):
        stream.execute("DELETE FROM market.candles")
    with connect(database.dsn("tidemark_api")) as api:
        assert api.execute("SELECT count(*) FROM market.series").fetchone() == (0,)
