"""Connections to the platform's databases, and the one place where psycopg's exceptions become ours.

Every connection speaks UTC, names itself, gives up connecting after ten seconds and commits each statement by itself:
a unit of work says so with `conn.transaction()`, so no statement can stay uncommitted by accident.
The messages of translated errors say what was attempted; they never contain a password.

    with connect(dsn, application_name="candles") as conn, translated("load candles", key=key), conn.transaction():
        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from contracts.errors import TidemarkError
from store.errors import DatabaseRefused, DatabaseUnavailable, FrameRejected

# What the server says at the door when coming again changes nothing.
_REFUSED_AT_THE_DOOR = (
    "password authentication failed",
    "does not exist",
    "not permitted to log in",
    "no pg_hba.conf",
    "permission denied",
)
# Serialization failures, deadlocks, lost connections, a full or stopping server: SQLSTATE classes worth another try.
_PASSING_STATES = ("08", "40", "53", "55", "57", "58")


def connect(
    dsn: str, *, application_name: str = "tidemark", statement_timeout_s: float | None = None
) -> psycopg.Connection:
    """Open a connection in autocommit mode.

    Args:
        dsn: A `postgresql://` URL or libpq connection string.
        application_name: How this connection shows in `pg_stat_activity`.
        statement_timeout_s: Seconds after which the server cancels a statement; None = the role's own setting.

    Raises:
        DatabaseUnavailable: The server cannot be reached now.
        DatabaseRefused: The server knows neither this role, nor its password, nor the database.
    """
    options = "-c TimeZone=UTC -c lock_timeout=0"
    if statement_timeout_s is not None:
        options += f" -c statement_timeout={round(statement_timeout_s * 1000)}"
    with translated("connect", key=describe(dsn)):
        return psycopg.connect(
            make_conninfo(
                dsn,
                application_name=application_name,
                connect_timeout=10,
                keepalives_idle=30,
                keepalives_interval=10,
                keepalives_count=3,
                options=options,
            ),
            autocommit=True,
        )


def describe(dsn: str) -> str:
    """`role@host:port/database` of a connection string: everything a person needs, nothing secret."""
    parts = conninfo_to_dict(dsn)
    host, port = parts.get("host", "localhost"), parts.get("port", 5432)
    return f"{parts.get('user', '(default role)')}@{host}:{port}/{parts.get('dbname', '(default database)')}"


def with_database(dsn: str, database: str) -> str:
    """The same server, role and password, another database; a libpq connection string."""
    return make_conninfo(dsn, dbname=database)


@contextmanager
def one_snapshot(conn: psycopg.Connection) -> Iterator[None]:
    """Let every statement of the block read the database as it was at the first of them; nothing may be written.

    Raises:
        DatabaseRefused: The connection is in a transaction already, whose snapshot may be an older one.
    """
    if conn.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        msg = f"read one snapshot of {conn.info.dbname}: the connection is in a transaction already; begin it outside"
        raise DatabaseRefused(msg)
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


@contextmanager
def translated(attempt: str, *, key: object = None) -> Iterator[None]:
    """Turn psycopg's exceptions into the store's, by the reaction they ask for.

    Args:
        attempt: What is being done, as a verb phrase: it begins the message.
        key: The series, instrument or address it is done for.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translation(error, attempt=attempt, key=key) from error


def translation(error: psycopg.Error, *, attempt: str, key: object = None) -> TidemarkError:
    """The store's error for one of psycopg's."""
    story = f"{attempt}{'' if key is None else f' for {key}'}: {str(error).strip() or type(error).__name__}"
    state = error.sqlstate or ""
    if isinstance(error, psycopg.OperationalError) and not state:
        if any(sign in str(error) for sign in _REFUSED_AT_THE_DOOR):
            return DatabaseRefused(f"{story}; check the role, its password and the database (`tidemark db url`)")
        return DatabaseUnavailable(f"{story}; nothing of it was kept, try again when the server answers")
    if state.startswith(_PASSING_STATES) or isinstance(error, psycopg.InterfaceError):
        return DatabaseUnavailable(f"{story}; nothing of it was kept, try again")
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError):
        return FrameRejected(f"{story}; nothing of it was stored")
    return DatabaseRefused(f"{story}; nothing was changed (SQLSTATE {state or 'unknown'})")
