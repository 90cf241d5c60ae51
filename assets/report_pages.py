"""Rows of a result and its page, together or not at all, whatever result it is.

Invariant: a page on record is there; what was refused has replaced no page, and neither has a page that knows less: the
same run may be reported again without the surrogate markets that it was held against before.

    is_new = keep(conn, report, folder, of=run_id, rows=lambda: write_run(conn, run, trades=trades, equity=equity))
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg

from assets.partitions import Metadata
from backtest.report import Report
from store.connections import translated


def keep(conn: psycopg.Connection, report: Report, folder: Path, *, of: object, rows: Callable[[], bool]) -> bool:
    """Write rows and page of a report, both or neither.

    Args:
        conn: A connection.
        report: The page and its numbers.
        folder: Where they go.
        of: Whose report it is, for messages.
        rows: Writes the rows; tells whether they are new.

    Returns:
        What `rows` told.

    Raises:
        store.errors.ResearchRefused: Another result stands under the name of this run; its page is left as it is.
        backtest.report.ReportUnwritable: The folder cannot be written; no row was.
    """
    with translated("keep a report", key=of), conn.transaction():
        is_new = rows()
        # Before the commit: what cannot be shown is not on record. After the rows: what is refused replaces no page.
        if is_new or _markets(report.json) >= _markets(numbers(report.page(folder))):
            report.write(folder)
    return is_new


def shown(page: Path) -> Metadata:
    """Where a page is, as metadata: its path, and a link for a browser on the machine that has it."""
    return {
        "report": dg.MetadataValue.path(str(page)),
        "open": dg.MetadataValue.url(page.absolute().as_uri()),
    }


def numbers(page: Path) -> Mapping[str, Any]:
    """The numbers of a page that was written; none where there is none, or they cannot be read."""
    try:
        found = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _markets(found: Mapping[str, Any]) -> int:
    """How many surrogate markets a result was held against."""
    return len((found.get("null") or {}).get("surrogates", ()))
