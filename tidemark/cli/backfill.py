"""`tidemark backfill`: load, check and analyse the history of some symbols."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from contracts import InstrumentKey, Timeframe
from tidemark.cli import console
from tidemark.installation import Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidemark.backfill import Outcome


def instant(text: str, option: str) -> datetime:
    """The UTC instant that a person wrote: `2022-01`, `2022-01-15` or an ISO 8601 time.

    Raises:
        typer.BadParameter: It is none of these, or no such day exists.
    """
    try:
        found = datetime.fromisoformat(f"{text}-01" if len(text) == len("2022-01") else text)
    except ValueError as error:
        msg = f"{option} needs a month (2022-01), a day (2022-01-15) or an ISO 8601 time, received {text!r}: {error}"
        raise typer.BadParameter(msg) from error
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def split(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list, each once, in order."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def backfill(
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas: BTCUSDT,ETHUSDT.")],
    start: Annotated[str, typer.Option("--from", help="First month, day or time wanted; its whole month is loaded.")],
    venue: Annotated[str, typer.Option(help="binance_spot or binance_usdm.")] = "binance_spot",
    timeframes: Annotated[str, typer.Option(help="Timeframes, separated by commas.")] = "1m,15m,1h",
    end: Annotated[str | None, typer.Option("--to", help="First time not wanted. Default: now.")] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Empty the analysis tables and fill them with this engine.")
    ] = False,
    marts: Annotated[
        bool, typer.Option(help="Build the marts behind it, or leave them to the next run that does.")
    ] = True,
) -> None:
    """Load candles from the archive and REST, check them, and compute everything from indicators to marts.

    It runs through Dagster (the runs show in its UI), goes on where an earlier one stopped, and does nothing where
    nothing is missing.
    """
    # Dagster takes seconds to import: only this command waits for it.
    from tidemark.backfill import Request, run_backfill

    try:
        wanted = tuple(str(Timeframe(tf)) for tf in split(timeframes))
        request = Request(
            venue=venue,
            symbols=split(symbols.upper()),
            timeframes=wanted,
            start=instant(start, "--from"),
            end=None if end is None else instant(end, "--to"),
            recompute=recompute,
            marts=marts,
        )
        # An unknown venue or a symbol that cannot be one is told now, before a database is started.
        for symbol in request.symbols:
            InstrumentKey(venue, symbol)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if not request.symbols or not request.timeframes:
        msg = "at least one symbol and one timeframe are needed"
        raise typer.BadParameter(msg)
    installation = Installation(load_settings())
    with console.step("opening the database"):
        started = installation.prepare()
    if started:
        console.say("the database was started and goes on running: `tidemark db down` stops it")
    with console.bars() as bars:
        outcomes = run_backfill(installation, [request], listener=bars, say=console.say)
    console.out.print(outcome_table(outcomes))
    failures = [outcome for outcome in outcomes if outcome.failure is not None]
    for outcome in failures:
        console.error(f"{outcome.instrument}: {outcome.failure}")
    if failures:
        raise typer.Exit(1)


def outcome_table(outcomes: Sequence[Outcome]) -> Table:
    """What became of each instrument, as a table for a terminal."""
    table = Table(box=None, pad_edge=False)
    for name in ("instrument", "months", "loaded", "result", "seconds"):
        table.add_column(name, justify="right" if name in {"months", "loaded", "seconds"} else "left")
    for outcome in outcomes:
        result = "[red]failed" if outcome.failure else ("[green]done" if outcome.due else "nothing to do")
        table.add_row(
            str(outcome.instrument), str(len(outcome.months)), str(len(outcome.due)), result, f"{outcome.seconds:.1f}"
        )
    return table
