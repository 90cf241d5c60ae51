"""The audit log: appended to by one function of the database, and proven here without it.

Each row holds the hash of the row before and its own, over everything in it: whoever changes, adds or removes a row has
to write all rows behind it anew, and whoever kept an earlier head (`head`, exported daily) sees that, too. A log that
was cut off at its end looks whole: only an exported head tells.
Invariant: `verify` computes every hash itself, from the rows as they are read; it believes no function of the database.

    append(conn, "kill_switch", actor="ada", payload={"scope": "global", "state": "HALTED"})
    assert verify(conn) is None
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from store.connections import one_snapshot, translated
from store.errors import FrameRejected
from store.trading import Schema
from store.write_once import document

GENESIS: Final = "0" * 64
_ROWS_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class Head:
    """A row of the log that stands for all before it: its number, from 1, and its hash, 64 hex characters."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row that is not as it was written, by its number, and what is wrong with it in words."""

    seq: int
    why: str


def append(
    conn: psycopg.Connection, action: str, *, actor: str, payload: Mapping[str, Any], schema: Schema = "trading"
) -> Head:
    """Append one row. Until the transaction ends no other one can append: do it last, and commit.

    Args:
        conn: A connection of the router's role.
        action: What was done, as a name.
        actor: Who did it.
        payload: With what and why, as JSON; nothing secret.
        schema: Whose log.

    Returns:
        The new row.

    Raises:
        FrameRejected: The payload is no JSON, holds a zero character, or a name is empty.
        DatabaseUnavailable: The server was lost, or two transactions waited for each other.
    """
    text = document(payload, of=f"the payload of {action!r}")
    with translated("append to the audit log", key=action):
        row = conn.execute(
            sql.SQL("SELECT seq, hash FROM {}(%s, %s, %s)").format(sql.Identifier(schema, "append_audit")),
            [actor, action, text],
        ).fetchone()
    if row is None:
        msg = f"append {action!r} to {schema}.audit_log: the database told no row; nothing is known to be stored"
        raise FrameRejected(msg)
    return Head(*row)


def head(conn: psycopg.Connection, *, schema: Schema = "trading") -> Head | None:
    """The last row; None = the log is empty. Kept elsewhere it is what `verify` can be held against."""
    with translated("read the head of the audit log", key=schema):
        row = conn.execute(
            sql.SQL("SELECT seq, hash FROM {} ORDER BY seq DESC LIMIT 1").format(sql.Identifier(schema, "audit_log"))
        ).fetchone()
    return None if row is None else Head(*row)


def verify(conn: psycopg.Connection, *, schema: Schema = "trading", exported: Head | None = None) -> Broken | None:
    """Walk the whole log as it was at one instant; memory does not grow with it.

    Args:
        conn: A connection in no transaction, of a role that may read the log.
        schema: Whose log.
        exported: A head of this log that was kept elsewhere; None = there is none, and a log cut off at its end, or
            written anew from some row on, looks whole.

    Returns:
        The first broken row; None = every row is as it was written.
    """
    last = Head(0, GENESIS)
    with translated("verify the audit log", key=schema), one_snapshot(conn), conn.cursor(name="audit_rows") as rows:
        rows.itersize = _ROWS_AT_ONCE
        # Microseconds as text: an instant that Python has no word for is a broken row, not an error.
        rows.execute(
            sql.SQL(
                "SELECT seq, trunc(extract(epoch FROM at) * 1000000)::text, actor, action, payload::text, prev_hash, "
                "hash FROM {} ORDER BY seq"
            ).format(sql.Identifier(schema, "audit_log"))
        )
        for seq, *texts, prev_hash, found in rows:
            why = _fault(last, seq, texts, prev_hash=prev_hash, found=found)
            if why is None and exported is not None and seq == exported.seq and found != exported.hash:
                why = f"its hash is {found}, the exported head says {exported.hash}: the log was written anew"
            if why is not None:
                return Broken(last.seq + 1, why)
            last = Head(seq, found)
    if exported is not None and exported.seq > last.seq:
        return Broken(last.seq + 1, f"the row is missing: the log ends here, a head of row {exported.seq} was exported")
    return None


def row_hash(*texts: str) -> str:
    """The hash of a row, 64 hex characters.

    Args:
        texts: Number, microseconds since 1970, actor, action, payload as PostgreSQL writes jsonb, hash of the row
            before. Each stands behind its length in bytes, so that no two rows are the same text.
    """
    parts = [text.encode() for text in texts]
    return hashlib.sha256(b"".join(b"%d:%b," % (len(part), part) for part in parts)).hexdigest()


def _fault(last: Head, seq: int, texts: list[str], *, prev_hash: str, found: str) -> str | None:
    """What is wrong with the row behind `last`; None = nothing."""
    if seq != last.seq + 1:
        return f"the row is missing: row {seq} follows row {last.seq}"
    if prev_hash != last.hash:
        return f"it follows a row with hash {prev_hash}, the row before it has {last.hash}"
    computed = row_hash(str(seq), *texts, prev_hash)
    if computed != found:
        return f"its content has the hash {computed}, it was written with {found}"
    return None
