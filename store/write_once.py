"""Results that are written once: JSON on its way into jsonb, and rows that stand under a name for one result only.

Invariant: under a name there is at most one result. The same one again (its fingerprint says so) changes nothing, so
whoever was interrupted may simply write again; another one is refused. What is no JSON is refused before anything is
sent: PostgreSQL would say where in the text, not which value.

    new = insert_once(conn, "backtest_runs", {"run_id": "weekly-17", "metrics": document(metrics, of="its metrics"), …})
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import psycopg
from psycopg import sql

from store.errors import FrameRejected, ResearchRefused


def document(value: Mapping[str, Any], *, of: str) -> str:
    """A JSON object as text: names sorted, no spaces.

    Args:
        value: Names and values; numbers finite, what is not defined None.
        of: What it is, for the message.

    Raises:
        FrameRejected: A value is no JSON; NaN and infinity are none.
    """
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        msg = f"{of} cannot be stored as JSON: {error}; numbers must be finite, what is not defined must be null"
        raise FrameRejected(msg) from error


def insert_once(
    conn: psycopg.Connection, table: Literal["backtest_runs", "walk_forwards"], row: Mapping[str, Any]
) -> bool:
    """Insert the row of a run, unless the same result stands there already.

    Args:
        conn: A connection, in the transaction that writes the rest of the result.
        table: Of the schema research.
        row: Columns and values, `run_id` and `fingerprint` among them.

    Returns:
        Whether it is new: only then is there a rest to write.

    Raises:
        ResearchRefused: The name stands for another result.
    """
    inserted = conn.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (run_id) DO NOTHING").format(
            sql.Identifier("research", table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(map(sql.Placeholder, row)),
        ),
        row,
    ).rowcount
    if inserted:
        return True
    # Another transaction that wrote it meanwhile has been waited for: it can be read now.
    stored = conn.execute(
        sql.SQL("SELECT fingerprint FROM {} WHERE run_id = %s").format(sql.Identifier("research", table)),
        [row["run_id"]],
    ).fetchone()
    if stored is None or stored[0] != row["fingerprint"]:
        held = "a result that is not readable here" if stored is None else f"the result with fingerprint {stored[0]}"
        msg = (
            f"run {row['run_id']} in research.{table} stands for {held}, received one with fingerprint "
            f"{row['fingerprint']}: results are never replaced, write this one under another run_id"
        )
        raise ResearchRefused(msg)
    return False
