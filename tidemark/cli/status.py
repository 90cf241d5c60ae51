"""`tidemark status`: what this installation holds, one line a series, and what its analysis found lately."""

from __future__ import annotations

from datetime import datetime

import typer
from rich.table import Table

from store.activity import Activity, activity
from store.connections import connect, describe
from store.overview import SeriesOverview, overview
from tidemark.cli import console
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

DAYS = 7


def status() -> None:
    """Show every series: candles, holes, how far it is analysed; and what the analysis found in the last days."""
    installation = Installation(load_settings())
    if installation.embedded and not installation.server.running():
        console.err.print("The database is not running: start it with `tidemark db up` (`tidemark --demo db up`).")
        raise typer.Exit(1)
    url = installation.url(BATCH)
    with connect(url, application_name="tidemark status") as conn:
        rows, found = overview(conn), activity(conn, days=DAYS)
    console.out.print(f"database {describe(url)}")
    if not rows:
        console.out.print("No series yet: `tidemark backfill --help` tells how to add some.")
        return
    console.out.print(series_table(rows))
    console.out.print(activity_text(found), highlight=False, soft_wrap=True)


def activity_text(found: Activity) -> str:
    """What the analysis found lately, in two lines that need no glossary."""
    by = ", ".join(f"{count:,} by {agent}" for agent, count in found.signals.items())
    total = sum(found.signals.values())
    return (
        f"\nThe last {DAYS} days brought {found.breaks:,} breaks of structure and {found.zones:,} zones, "
        f"of which {found.active:,} are still active;\n"
        f"{total:,} signals{f' ({by})' if by else ''}: suggestions to trade, not judged by any risk guard yet."
    )


def series_table(rows: list[SeriesOverview]) -> Table:
    """The series as a table for a terminal."""
    table = Table(box=None, pad_edge=False)
    for name in ("series", "candles", "months", "from", "to", "holes", "pending", "analysed to"):
        text = name in {"series", "from", "to", "analysed to"}
        table.add_column(name, justify="left" if text else "right", no_wrap=name == "series")
    for row in rows:
        table.add_row(
            str(row.key),
            f"{row.candles:,}",
            str(row.months),
            "-" if row.first is None else f"{row.first:%Y-%m-%d}",
            _minute(row.last),
            f"{row.holes:,}",
            f"[red]{row.pending:,}" if row.pending else "0",
            _minute(row.analysed_to),
        )
    return table


def _minute(instant: datetime | None) -> str:
    return "-" if instant is None else f"{instant:%Y-%m-%d %H:%M}"
