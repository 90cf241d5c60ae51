import threading
import uuid

import psycopg
import pytest
from psycopg import sql

from store import schema
from store.connections import connect, with_database
from store.errors import DatabaseRefused
from store.roles import OWNER, STREAM
from tests.databases import Database, Server


def test_a_migrated_database_is_at_the_revision_this_code_expects(database: Database) -> None:
    assert schema.current(database.dsn(STREAM)) == schema.expected() == "0007_research"


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
