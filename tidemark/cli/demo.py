"""`tidemark demo`: see candles, what is computed from them, and their lineage on a simulated exchange."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from store.activity import activity
from store.connections import connect
from store.overview import overview
from tidemark.cli import console
from tidemark.cli.backfill import outcome_table
from tidemark.cli.status import DAYS, activity_text, series_table
from tidemark.processes import ChildFailed
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from types import FrameType

    from tidemark.demo import LiveDemo


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the summary instead of leaving the UI running.")
    ] = False,
    bars: Annotated[Path | None, typer.Option(help="1m bars to show: csv, csv.gz or parquet.")] = None,
    bots: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Folder of plug-in bots to run; kept for later demos."),
    ] = None,
    months: Annotated[
        int | None,
        typer.Option(min=1, help="Months to backfill, the running one included. Default: 3, or all of a file of bars."),
    ] = None,
) -> None:
    """Backfill, compute and check on a simulated exchange, then show it all in the Dagster UI.

    Ctrl-C stops everything it started. What it made is kept: the next demo goes on from there.
    """
    if bars is not None and months is not None:
        msg = "--months is for the generated market: a file of bars is shown whole, leave one of the two out"
        raise typer.BadParameter(msg)
    begun = time.perf_counter()
    # Dagster takes seconds to import: only this command waits for it.
    with console.step("starting up"):
        from tidemark.demo import MONTHS, Demo

    _stop_on_signals()
    chosen = Demo.of(load_settings().home, bars, bots=bots, months=months or MONTHS)
    with chosen.running(say=console.say) as live:
        with console.bars() as shown:
            outcomes = live.backfill(datetime.now(UTC), shown, console.say)
        failures = [outcome for outcome in outcomes if outcome.failure is not None]
        console.out.print()
        console.out.print(outcome_table(outcomes))
        console.out.print()
        _show_series(live)
        for outcome in failures:
            console.error(f"{outcome.instrument}: {outcome.failure}")
        console.out.print(
            f"\ndone in {time.perf_counter() - begun:.0f} s; everything is kept in {escape(str(chosen.home))}"
        )
        if failures:
            raise typer.Exit(1)
        if not once:
            _serve(live)
    if not once:
        console.say("stopped")


def _show_series(live: LiveDemo) -> None:
    from tidemark.installation import BATCH

    with connect(live.installation.url(BATCH), application_name="tidemark demo") as conn:
        console.out.print(series_table(overview(conn)))
        console.out.print(activity_text(activity(conn, days=DAYS)), highlight=False, soft_wrap=True)


def _serve(live: LiveDemo) -> None:
    from tidemark.demo import FILE_SYMBOL

    _stop_on_signals()  # again: a Dagster run in this process leaves SIGTERM ignored, and children would inherit that
    with ExitStack() as stack:
        with console.step("starting the Dagster UI"):
            child, address = stack.enter_context(live.dagster())
        program = Path(sys.argv[0]).name if Path(sys.argv[0]).is_absolute() else sys.argv[0]
        command = f"{program} --demo" if live.demo.bars is None else f"{program} --config {live.demo.config}"
        console.out.print(f"\nDagster   [bold]{address}[/]")
        console.out.print(f"lineage   {address}/assets/candles?view=lineage&lineageScope=downstream", soft_wrap=True)
        console.out.print(f"SQL       {command} db psql", markup=False)
        console.out.print("          select * from analysis.signals_raw order by ts desc limit 5;")
        # The perpetual: both of its sides can be traded.
        symbol = "ETHUSDT" if live.demo.bars is None else FILE_SYMBOL
        backtest = f"{command} backtest --venue binance_usdm --symbols {symbol}"
        console.out.print(f"backtest  {backtest}", markup=False, soft_wrap=True)
        console.out.print("Ctrl-C stops what this command started.")
        try:
            code = child.wait()
        except KeyboardInterrupt:  # the way a person ends it
            console.say("stopping")
            return
        msg = f"Dagster ended by itself with exit code {code}: see {child.log}"
        raise ChildFailed(msg)


def _stop_on_signals() -> None:
    # Both, and explicitly: a shell starts background jobs with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _as_interrupt)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt
