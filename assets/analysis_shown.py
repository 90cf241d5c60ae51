"""What the Dagster UI shows of the analysis of one series: a count by kind, and a small plot of the rhythm.

It answers one question at a glance ("is this the market I know, and did every table get its rows?"). It reads the
tables back, so it shows what is stored, also where a run had nothing to write.

    shown = shown_of(conn, key, task.start, task.end)      # table → metadata
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
import polars as pl
import psycopg

from assets.plots import rhythm, sparkline
from contracts import SeriesKey
from store.analysis import AnalysisTable, read_rows

Shown = Mapping[str, Mapping[str, dg.MetadataValue[Any]]]

# By which columns the rows of a table are counted.
_KINDS: Mapping[AnalysisTable, Sequence[str]] = {
    "regimes": ("regime", "vol_state"),
    "swings": ("kind", "label"),
    "smc_events": ("kind",),
    "liquidity_events": ("kind",),
    "zone_events": ("kind", "event"),
    "zones": ("kind", "side", "status"),
    "inversions": ("kind", "side", "status"),
    "signals_raw": ("agent", "side_hint"),
}
# What is worth a plot, and the instant of a row in it. The rest has a row at nearly every bar, or follows from these.
_PLOTTED: Mapping[AnalysisTable, str] = {
    "swings": "ts",
    "smc_events": "ts",
    "liquidity_events": "ts",
    "zones": "created_ts",
    "signals_raw": "ts",
}


def shown_of(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> Shown:
    """Metadata by table, of the rows that the bars of [start, end) made.

    Args:
        conn: A connection.
        key: The series that is shown.
        start: First open time.
        end: Exclusive end; the plots end where the analysis does.
    """
    indicators = read_rows(conn, "indicators", key, start, end)
    values = indicators["rsi14"].drop_nulls().to_list()
    found: dict[str, dict[str, dg.MetadataValue[Any]]] = {
        "indicators": {"rsi14": dg.MetadataValue.md(sparkline(values, title=f"rsi14 of {key}"))}
    }
    known = None if indicators.is_empty() else indicators["ts"][-1]
    for table, kinds in _KINDS.items():
        rows = read_rows(conn, table, key, start, end)
        metadata: dict[str, dg.MetadataValue[Any]] = {f"{key.tf} by kind": dg.MetadataValue.md(_counted(rows, kinds))}
        time = _PLOTTED.get(table)
        if time is not None and known is not None:
            title = f"{table} of {key} over time"
            picture = rhythm(rows[time], start=key.tf.known_at(start), end=known, title=title)
            metadata["over time"] = dg.MetadataValue.md(picture)
        found[table] = metadata
    return found


def _counted(rows: pl.DataFrame, kinds: Sequence[str]) -> str:
    """A Markdown table: how many rows there are of each kind, the most frequent first."""
    if rows.is_empty():
        return "no rows"
    counts = rows.group_by(kinds).len().with_columns(pl.col(kinds).cast(pl.String).fill_null("–"))
    lines = [f"| {' | '.join(kinds)} | rows |", f"|{'---|' * len(kinds)}---:|"]
    for *names, count in counts.sort("len", *kinds, descending=[True, *[False] * len(kinds)]).iter_rows():
        lines.append(f"| {' | '.join(names)} | {count} |")
    return "\n".join(lines)
