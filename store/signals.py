"""Signals as their agents gave them, before any guard has seen them.

Several agents write about the same bars: the engine's retest and each plug-in bot. A window is replaced for the agents
that are named and for no other, so that one can be computed again without the rest.

`features` is a JSON object in canonical text (keys sorted, no spaces). It is stored as jsonb and comes back canonical:
the same text, unless a number in it was written in a way of its own (1e16 comes back as its digits).

    replace_signals(conn, key, agents=["retest"], start=start, end=end, frame=out.signals)
    signals = read_signals(conn, key, start, end)
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from contracts import SeriesKey
from store.connections import translated
from store.copying import copy_shortest
from store.errors import FrameRejected
from store.frames import SCHEMAS, check_frame
from store.windows import allow_any_decompression, rows_known, series_params

_TABLE: Final = "signals_raw"


def replace_signals(
    conn: psycopg.Connection,
    key: SeriesKey,
    *,
    agents: Collection[str],
    start: datetime,
    end: datetime,
    frame: pl.DataFrame,
) -> int:
    """Put `frame` in the place of every signal that `agents` gave at the bars that open in [start, end).

    Args:
        conn: A connection; where it is in no transaction, this is one.
        key: The series.
        agents: Whose signals are replaced; those of others stay.
        start: First open time of the window.
        end: Exclusive end of the window.
        frame: The columns of `signals_raw`; may be empty.

    Returns:
        How many signals were replaced.

    Raises:
        FrameRejected: Other columns, another series or agent, a row outside the window, a number that is not finite, or
            features that are no JSON object; nothing was changed.
    """
    ts_start, ts_end = key.tf.known_at(start), key.tf.known_at(end)
    check_frame(_TABLE, key, frame, ts_start=ts_start, ts_end=ts_end)
    strangers = sorted(set(frame["agent"]).difference(agents))
    if strangers:
        msg = f"signals of {key} came from {strangers}: those of {sorted(agents)} are to be replaced; name every agent"
        raise FrameRejected(msg)
    with translated("replace signals", key=key), conn.transaction():
        allow_any_decompression(conn)
        deleted = conn.execute(
            sql.SQL("DELETE {} AND agent = ANY(%(agents)s)").format(rows_known(_TABLE)),
            series_params(key, start=ts_start, end=ts_end, agents=list(agents)),
            prepare=False,
        ).rowcount
        copy_shortest(conn, ("analysis", _TABLE), frame)
        return deleted


def read_signals(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> pl.DataFrame:
    """Every agent's signals of the bars that open in [start, end), by ts, agent and id: the frame of `signals_raw`."""
    names = SCHEMAS[_TABLE].names()
    query = sql.SQL("SELECT {} {} ORDER BY ts, agent, signal_id").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), rows_known(_TABLE)
    )
    with translated("read signals", key=key):
        rows = conn.execute(
            query, series_params(key, start=key.tf.known_at(start), end=key.tf.known_at(end)), prepare=False
        ).fetchall()
    place = names.index("features")
    canonical = [(*row[:place], _canonical(row[place]), *row[place + 1 :]) for row in rows]
    return pl.DataFrame(canonical, schema=SCHEMAS[_TABLE], orient="row")


def signals_since(conn: psycopg.Connection, key: SeriesKey, start: datetime) -> dict[str, int]:
    """How many signals each agent gave at the bars that open at `start` or later."""
    with translated("count signals", key=key):
        rows = conn.execute(
            """
            SELECT agent, count(*) FROM analysis.signals_raw
            WHERE venue = %(venue)s AND symbol = %(symbol)s AND tf = %(tf)s AND ts >= %(start)s
            GROUP BY agent ORDER BY agent
            """,
            series_params(key, start=key.tf.known_at(start)),
            prepare=False,
        ).fetchall()
    return dict(rows)


def forget_agent(conn: psycopg.Connection, agent: str) -> int:
    """Delete every signal an agent has given, on every series; returns how many."""
    with translated(f"forget the signals of {agent}"), conn.transaction():
        allow_any_decompression(conn)
        return conn.execute("DELETE FROM analysis.signals_raw WHERE agent = %s", [agent]).rowcount


def _canonical(features: object) -> str:
    return json.dumps(features, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
