"""One writer of an instrument at a time, across processes: an advisory lock of the database.

The lock belongs to the session, not to a transaction: a killed holder frees it with its connection. Two backfills of
one partition therefore follow each other instead of racing; the one that waits says so.

    with instrument_lock(conn, key.instrument, on_wait=lambda: log.info("waiting")):
        ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from contracts import InstrumentKey
from store.connections import translated


@contextmanager
def instrument_lock(
    conn: psycopg.Connection, instrument: InstrumentKey, *, on_wait: Callable[[], None]
) -> Iterator[None]:
    """Hold the instrument for the length of the block.

    Args:
        conn: The holder's connection, in autocommit mode and in no transaction; others may do the work.
        instrument: What is locked; the same connection may lock it again inside.
        on_wait: Called once, before waiting, when another session holds it.

    Raises:
        DatabaseUnavailable: The connection was lost while waiting, or `lock_timeout` of the session ran out.
    """
    name = [f"instrument {instrument}"]
    with translated("lock the instrument", key=instrument):
        row = conn.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name).fetchone()
        if row is None or not row[0]:
            on_wait()
            conn.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", name)
    try:
        yield
    finally:
        if not conn.closed:  # a lost connection has freed it already
            with translated("unlock the instrument", key=instrument):
                conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", name)


def hold_until_commit(conn: psycopg.Connection, what: str, key: object) -> None:
    """Let one transaction at a time rewrite `what` of a series or an instrument; the lock ends with the transaction."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{what} {key}"])
