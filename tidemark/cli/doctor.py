"""`tidemark doctor`: what this installation stands on, and what is wrong with it."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
import typer
from rich.markup import escape
from rich.table import Table

from contracts.errors import TidemarkError
from store.roles import BATCH
from store.schema import current, expected
from tidemark.cli import console
from tidemark.installation import Installation
from tidemark.processes import answers
from tidemark.settings import Settings, load_settings

_LEAST_FREE_BYTES = 5 * 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `good` is None where there is nothing to judge yet."""

    subject: str
    good: bool | None
    text: str


def doctor() -> None:
    """Check Python, disk, database, schema and the exchange's addresses; exit code 1 if anything is wrong."""
    settings = load_settings()
    table = Table(box=None, show_header=False)
    findings = [check(settings) for check in _CHECKS]
    for finding in findings:
        mark = {True: "[green]ok", False: "[red]wrong", None: "[yellow]not yet"}[finding.good]
        table.add_row(mark, finding.subject, escape(finding.text))
    console.out.print(table)
    if any(finding.good is False for finding in findings):
        raise typer.Exit(1)


def _python(settings: Settings) -> Finding:
    del settings
    return Finding("python", sys.version_info >= (3, 11), f"{platform.python_version()} in {Path(sys.prefix).name}")


def _disk(settings: Settings) -> Finding:
    folder = next(path for path in (settings.home, *settings.home.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    return Finding("disk", free > _LEAST_FREE_BYTES, f"{free / 2**30:.1f} GiB free for {settings.home}")


def _database(settings: Settings) -> Finding:
    installation = Installation(settings)
    if installation.embedded and not installation.server.running():
        return Finding("database", None, "the embedded server is not running: `tidemark db up`")
    try:
        url = installation.url(BATCH)
        with psycopg.connect(url, connect_timeout=5) as conn:
            row = conn.execute("SELECT version()").fetchone()
    except (psycopg.Error, TidemarkError) as error:
        return Finding("database", False, str(error).strip())
    return Finding("database", True, str(row[0]).split(" on ")[0] if row else "no version")


def _schema(settings: Settings) -> Finding:
    installation = Installation(settings)
    try:
        found = current(installation.url(BATCH))
    except TidemarkError:
        return Finding("schema", None, "unknown while the database is not reached")
    if found == expected():
        return Finding("schema", True, f"{found}")
    return Finding("schema", False, f"{found or 'missing'}, this version needs {expected()}: `tidemark db upgrade`")


def _venue(name: str, ping: str) -> Callable[[Settings], Finding]:
    def check(settings: Settings) -> Finding:
        address = settings.venue(name).rest
        good = answers(f"{address}{ping}")
        return Finding(name, good, f"{address} {'answers' if good else 'does not answer'}")

    return check


_CHECKS: tuple[Callable[[Settings], Finding], ...] = (
    _python,
    _disk,
    _database,
    _schema,
    _venue("binance_spot", "/api/v3/ping"),
    _venue("binance_usdm", "/fapi/v1/ping"),
)
