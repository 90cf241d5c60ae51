"""`tidemark status`: what this installation holds, one line a series."""

from __future__ import annotations

from datetime import datetime

import typer
from rich.table import Table

from store.connections import connect, describe
from store.overview import SeriesOverview, overview
from tidemark.cli import console
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings


def status() -> None:
    """Show every series: candles, holes, and how far it is analysed."""
    installation = Installation(load_settings())
    if installation.embedded and not installation.server.running():
        console.err.print("The database is not running: start it with `tidemark db up` (`tidemark --demo db up`).")
        raise typer.Exit(1)
    url = installation.url(BATCH)
    with connect(url, application_name="tidemark status") as conn:
        rows = overview(conn)
    console.out.print(f"database {describe(url)}")
    if not rows:
        console.out.print("No series yet: `tidemark backfill --help` tells how to add some.")
        return
    console.out.print(series_table(rows))


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
