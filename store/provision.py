"""From a bare server to one the platform can work on: roles, two databases, the extension, the schema.

Works the same on the embedded server and on a given one, and changes nothing the second time. Roles that exist stay as
they are but for the passwords given. Dagster's storage has a database and a role of its own, so that neither its
tables nor its clean-up can touch ours.

    server = EmbeddedServer(folder); server.start()
    provision(server.dsn("postgres", "postgres"), {role: server.secret(role) for role in ROLES})
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

import psycopg
from psycopg import sql

from store import roles, schema
from store.connections import connect, describe, translated, with_database

log = logging.getLogger(__name__)

DATABASE: Final = "tidemark"
DAGSTER_DATABASE: Final = "dagster"
_PROVISION_LOCK: Final = 7_146_510_002  # any number, the same in every release


def provision(
    admin_dsn: str,
    passwords: Mapping[str, str],
    *,
    database: str = DATABASE,
    dagster_database: str = DAGSTER_DATABASE,
) -> str:
    """Make what is missing of roles, databases, extension and schema.

    Args:
        admin_dsn: A role that may create roles and databases, connected to any database but the two below.
        passwords: Role → password; a new role that is not named here cannot log in.
        database: The platform's database, owned by `tidemark_owner`.
        dagster_database: The database of Dagster's storage, owned by `tidemark_dagster`.

    Returns:
        The revision of the schema.

    Raises:
        DatabaseUnavailable: The server cannot be reached.
        DatabaseRefused: The role may not create roles or databases.
    """
    with (
        connect(admin_dsn, application_name="tidemark provision") as conn,
        translated("provision", key=describe(admin_dsn)),
    ):
        # Roles are the server's, and two sessions that change one of them at once fail.
        conn.execute("SELECT pg_advisory_lock(%s)", [_PROVISION_LOCK])
        roles.create_roles(conn, passwords)
        _create_database(conn, database, owner=roles.OWNER)
        _create_database(conn, dagster_database, owner=roles.DAGSTER)
    return schema.upgrade(with_database(admin_dsn, database))


def _create_database(conn: psycopg.Connection, name: str, *, owner: str) -> None:
    if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None:
        return
    identifier = sql.Identifier(name)
    conn.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING 'UTF8'").format(
            identifier, sql.Identifier(owner)
        )
    )
    # Everybody may enter a new database unless told otherwise.
    conn.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(identifier))
    log.info("database created", extra={"database": name, "owner": owner})
