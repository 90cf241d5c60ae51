"""The `tidemark` command: one module a command or group of commands.

Every failure that a person can mend ends as one message on standard error and exit code 1; a bug keeps its traceback.
Heavy libraries are imported inside the command that needs them, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from contracts.errors import TidemarkError
from tidemark.cli import backfill, bench, console, db, demo, doctor, sim, status
from tidemark.logs import configure_logs, trace
from tidemark.settings import CONFIG_VARIABLE, SettingsError, load_settings

DEMO_CONFIG = Path(".tidemark/demo/tidemark.yaml")

app = typer.Typer(
    name="tidemark",
    help="A data platform and live service for zone trading: nothing repaints, batch equals live.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(db.app, name="db")
app.command()(sim.sim)
app.command()(backfill.backfill)
app.command()(status.status)
app.command()(demo.demo)
app.command()(bench.bench)
app.command()(doctor.doctor)


@app.callback()
def root(
    config: Annotated[
        Path | None, typer.Option(help="Settings file (default: tidemark.yaml here, if there is one).")
    ] = None,
    use_demo: Annotated[bool, typer.Option("--demo", help="Work on the demo's data instead of your own.")] = False,
) -> None:
    """Read the settings and set up the logs."""
    if use_demo:
        if not DEMO_CONFIG.is_file():
            console.err.print("[red]There is no demo in this folder yet: run `tidemark demo` first.")
            raise typer.Exit(1)
        config = DEMO_CONFIG
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    settings = load_settings()
    configure_logs(level=settings.log_level, style=settings.log_format)


def main() -> None:
    """Run the command line; the entry point of `tidemark`."""
    try:
        with trace():
            app()
    except (TidemarkError, SettingsError) as error:
        console.error(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        console.err.print("interrupted")
        sys.exit(130)
