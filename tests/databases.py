"""The database server of a test session, and one fresh database a test.

The server is the one named by TIDEMARK_TEST_DATABASE_URL (an administrator's URL) or an embedded one in a temporary
folder, in memory where that is possible. A template database is migrated once; each test gets a copy of it (35 ms in
memory, up to ten times that on a disk) and drops it. Passwords of the roles are derived from the administrator's URL:
suites that share a server agree on them, and nobody else knows them.

    def test_something(database: Database) -> None:
        with connect(database.dsn("tidemark_batch")) as conn: ...
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from store.connections import connect, with_database
from store.embedded import EmbeddedServer
from store.provision import provision
from store.roles import OWNER, ROLES, grant_database

SERVER_VARIABLE = "TIDEMARK_TEST_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Server:
    """A server with the platform's roles, and a migrated template database.

    Attributes:
        admin_dsn: How its administrator reaches it.
        passwords: Role → its password.
        template: Name of the migrated database.
        strategy: How it copies a database. Copying files writes nothing to the log, but begins with a checkpoint: no
            matter to a server that never waits for its disk, much to others.
    """

    admin_dsn: str
    passwords: dict[str, str]
    template: str
    strategy: Literal["file_copy", "wal_log"] = "wal_log"

    @property
    def dagster_database(self) -> str:
        """The session's database for Dagster's storage."""
        return f"{self.template}_dagster"

    def url(self, role: str, database: str, *, scheme: str = "postgresql") -> str:
        """The URL by which a role logs in with its own password."""
        parts = conninfo_to_dict(self.admin_dsn)
        host, port = parts.get("host", "127.0.0.1"), parts.get("port", 5432)
        return f"{scheme}://{role}:{self.passwords[role]}@{host}:{port}/{database}"

    def admin(self, database: str) -> str:
        """Connection string of the administrator to one database."""
        return with_database(self.admin_dsn, database)


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated, empty database that lives as long as one test."""

    server: Server
    name: str

    def dsn(self, role: str = OWNER) -> str:
        """The URL by which a role reaches this database."""
        return self.server.url(role, self.name)

    @property
    def admin_dsn(self) -> str:
        """Connection string of the administrator to this database."""
        return self.server.admin(self.name)


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """The session's server; what it made is gone at the end."""
    given = os.environ.get(SERVER_VARIABLE)
    if given:
        with _prepared(given) as server:
            yield server
        return
    embedded = EmbeddedServer(folder, durable=False)
    embedded.start()
    try:
        admin_dsn = embedded.dsn("postgres", "postgres")
        _make_light(admin_dsn)
        with _prepared(admin_dsn) as server:
            yield replace(server, strategy="file_copy")
    finally:
        embedded.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def fresh_database(server: Server, *, template: str | None = None) -> Iterator[Database]:
    """A copy of the session's template, or of another database: that one lets nobody in from then on."""
    if template is not None:
        close(server.admin_dsn, template)
    name = f"{server.template}_{uuid.uuid4().hex[:10]}"
    with connect(server.admin_dsn) as conn:
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} STRATEGY {}").format(
                sql.Identifier(name),
                sql.Identifier(template or server.template),
                sql.Identifier(OWNER),
                sql.SQL(server.strategy),
            )
        )
        grant_database(conn, name)  # privileges on a database are not copied with it
    try:
        yield Database(server, name)
    finally:
        _drop(server.admin_dsn, name)


@contextlib.contextmanager
def _prepared(admin_dsn: str) -> Iterator[Server]:
    passwords = {role: hashlib.sha256(f"{admin_dsn}\n{role}".encode()).hexdigest() for role in ROLES}
    server = Server(admin_dsn, passwords, f"tidemark_test_{uuid.uuid4().hex[:8]}")
    try:
        provision(admin_dsn, passwords, database=server.template, dagster_database=server.dagster_database)
        close(admin_dsn, server.template)
        yield server
    finally:
        _drop(admin_dsn, server.template)
        _drop(admin_dsn, server.dagster_database)


def _make_light(admin_dsn: str) -> None:
    """Keep little of a log that nobody will recover from, and ask for passwords that are quick to check.

    A password stretched 4,096 times, as the server does it by default, is 3 ms of every connection.
    """
    password = sql.Literal(conninfo_to_dict(admin_dsn)["password"])
    with connect(admin_dsn) as conn:
        conn.execute("ALTER SYSTEM SET min_wal_size = '80MB'")
        conn.execute("ALTER SYSTEM SET max_wal_size = '256MB'")
        conn.execute("ALTER SYSTEM SET scram_iterations = 1")
        conn.execute("SELECT pg_reload_conf()")
        conn.execute("SET scram_iterations = 1")  # the reload may reach this connection too late
        conn.execute(sql.SQL("ALTER ROLE CURRENT_USER PASSWORD {}").format(password))


def close(admin_dsn: str, database: str) -> None:
    """Keep everybody out of a template, TimescaleDB's workers too: a database in use cannot be copied."""
    with connect(admin_dsn) as conn:
        conn.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(database)))
        conn.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", [database])


def _drop(admin_dsn: str, database: str) -> None:
    with connect(admin_dsn) as conn, contextlib.suppress(psycopg.errors.InvalidCatalogName):
        conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
