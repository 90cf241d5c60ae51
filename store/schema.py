"""The schema of the platform's database: which revision it has, which one this code needs, and the way there.

`upgrade` holds an advisory lock, so that any number of processes may call it at once: one works, the others find the
work done. Everything it makes belongs to `tidemark_owner`, whoever calls it. Revisions are plain SQL under
`store/migrations/versions`. Databases and roles are made before, by `store.provision`.

    upgrade(dsn)
    assert current(dsn) == expected()
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from store import roles
from store.connections import connect, describe, translated, translation
from store.errors import DatabaseRefused

log = logging.getLogger(__name__)

VERSION_SCHEMA: Final = "ops"
_FOLDER: Final = Path(__file__).parent / "migrations"
_UPGRADE_LOCK: Final = 7_146_510_001  # any number, the same in every release


def expected() -> str:
    """The revision this code works with."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        msg = f"{_FOLDER} holds no revision: the installation is incomplete"
        raise DatabaseRefused(msg)
    return head


def current(dsn: str) -> str | None:
    """The revision of the database; None when it has none yet.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
    """
    with connect(dsn, application_name="tidemark schema") as conn, translated("read the schema's revision"):
        known = conn.execute("SELECT to_regclass('ops.alembic_version') IS NOT NULL").fetchone()
        if known is None or not known[0]:
            return None
        row = conn.execute("SELECT version_num FROM ops.alembic_version").fetchone()
        return None if row is None else str(row[0])


def upgrade(dsn: str) -> str:
    """Bring the database to the revision this code works with, and its privileges to `store.roles`.

    Args:
        dsn: A role that may act as `tidemark_owner`: itself, one of its members, or a superuser.

    Returns:
        The revision reached.

    Raises:
        DatabaseUnavailable: The server was lost; the revision under way was rolled back.
        DatabaseRefused: The role may not, or the roles of the platform are missing (`provision` makes them).
    """
    with connect(dsn, application_name="tidemark upgrade") as guard, translated("upgrade", key=describe(dsn)):
        guard.execute("SELECT pg_advisory_lock(%s)", [_UPGRADE_LOCK])  # freed with the connection
        _extend(guard)
        _act_as_owner(guard)
        guard.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(VERSION_SCHEMA)))
        _run_revisions(dsn)
        roles.apply_grants(guard)
        revision = expected()
        log.info("schema is current", extra={"revision": revision, "database": guard.info.dbname})
        return revision


def _run_revisions(dsn: str) -> None:
    def as_owner() -> psycopg.Connection:
        conn = connect(dsn, application_name="tidemark upgrade")
        _act_as_owner(conn)
        conn.autocommit = False
        return conn

    engine = create_engine("postgresql+psycopg://", creator=as_owner, poolclass=NullPool)
    config = _config()
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise translation(error.orig, attempt="run the schema's revisions", key=describe(dsn)) from error
        raise
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _extend(conn: psycopg.Connection) -> None:
    """Switch TimescaleDB on where the server has it, before the tables that would use it are made."""
    row = conn.execute(
        """
        SELECT current_setting('shared_preload_libraries') LIKE '%timescaledb%'
        FROM pg_available_extensions WHERE name = 'timescaledb' AND installed_version IS NULL
        """
    ).fetchone()
    if row is None:
        return
    if not row[0]:
        log.warning("timescaledb is installed but not in shared_preload_libraries: tables stay plain")
        return
    conn.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")


def _act_as_owner(conn: psycopg.Connection) -> None:
    row = conn.execute("SELECT current_user = %s", [roles.OWNER]).fetchone()
    if row is None or not row[0]:
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(roles.OWNER)))
