"""The `tidemark` command: one module a command or group of commands.

Every failure that a person can mend ends as one message on standard error and exit code 1; a bug keeps its traceback.
Heavy libraries are imported inside the command that needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import TidemarkError
from tidemark.cli import (
    audit,
    backfill,
    bench,
    bots,
    console,
    data,
    db,
    demo,
    doctor,
    params,
    report,
    research,
    sim,
    status,
)
from tidemark.logs import configure_logs, trace
from tidemark.settings import CONFIG_VARIABLE, SettingsError, load_settings

INTERRUPTED = 130
# Most of what a backfill imports and builds stays. Looking through it for garbage every 700 new objects took 2.4 of the
# 70 seconds of a year, every 100,000 it takes 1.1.
_OBJECTS_BEFORE_COLLECTION = (100_000, 20, 50)

app = typer.Typer(
    name="tidemark",
    help="A data platform for zone trading: nothing repaints, batch equals live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(db.app, name="db")
app.add_typer(data.app, name="data")
app.add_typer(bots.app, name="bots")
app.add_typer(params.app, name="params")
app.add_typer(audit.app, name="audit")
app.command()(sim.sim)
app.command()(backfill.backfill)
app.command()(status.status)
app.command()(research.backtest)
app.command()(research.walkforward)
app.command()(research.sweep)
app.add_typer(report.app, name="report")
app.command()(demo.demo)
app.command()(bench.bench)
app.command()(doctor.doctor)


@app.callback()
def root(
    config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Settings file (default: tidemark.yaml here, if there is one)."),
    ] = None,
    use_demo: Annotated[bool, typer.Option("--demo", help="Work on the demo's data instead of your own.")] = False,
) -> None:
    """Read the settings and set up the logs."""
    if use_demo:
        config = load_settings().home / "demo" / "tidemark.yaml"
        if not config.is_file():
            console.error(f"there is no demo in {config.parent} yet: run `tidemark demo` first")
            raise typer.Exit(1)
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    settings = load_settings()
    configure_logs(level=settings.log_level, style=settings.log_format)


def main() -> None:
    """Run the command line; the entry point of `tidemark`."""
    gc.set_threshold(*_OBJECTS_BEFORE_COLLECTION)
    # Else the interpreter looks through everything for garbage, several times, before it ends: 2.8 s behind a year.
    atexit.register(gc.freeze)
    try:
        with trace():
            app()
    except (TidemarkError, SettingsError) as error:
        console.error(str(error))
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:  # Typer's own answer to Ctrl-C, which says nothing
            console.say("interrupted: what was written is whole and stays; run the same command again to go on")
        raise
