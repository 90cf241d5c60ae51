"""`tidemark data`: candles as they were known at an earlier instant, and datasets on disk."""

from __future__ import annotations

import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from contracts import InstrumentKey, Rejected, SeriesKey
from tidemark.cli import console
from tidemark.cli.backfill import instant, split
from tidemark.installation import BATCH, Installation
from tidemark.settings import load_settings

if TYPE_CHECKING:
    import polars as pl

    from assets.datasets import Export, Exported

app = typer.Typer(help="Candles as they were known then, and datasets on disk with their id.", no_args_is_help=True)

_BEGINNING = datetime(2017, 1, 1, tzinfo=UTC)  # Binance's first candle is of 2017-08
_END = datetime(9999, 1, 1, tzinfo=UTC)

Venue = Annotated[str, typer.Option(help="binance_spot or binance_usdm.")]
Start = Annotated[
    str | None, typer.Option("--from", help="First month, day or time wanted. Default: the first candle.")
]
End = Annotated[str | None, typer.Option("--to", help="First time not wanted. Default: behind the last candle.")]


@app.command()
def asof(
    at: Annotated[str, typer.Option("--at", help="The instant whose knowledge is asked for: 2024-02-05T06:00Z.")],
    symbol: Annotated[str, typer.Option(help="The symbol: BTCUSDT.")],
    tf: Annotated[str, typer.Option(help="The timeframe: 1h.")],
    venue: Venue = "binance_spot",
    start: Start = None,
    end: End = None,
    out: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="File to write, .parquet or .csv. Default: CSV to standard output."),
    ] = None,
) -> None:
    """Reproduce the candles of a series as they were known at an instant, whatever replaced them since.

    Prices are exact: text in CSV, decimal(38, 18) in Parquet. Each candle says where and when that version came in.
    """
    from store.candle_asof import candles_as_of
    from store.connections import connect

    known_at = instant(at, "--at")
    if known_at > datetime.now(UTC):
        msg = f"--at {at} lies in the future: what will be known then is not known yet"
        raise Rejected(msg)
    if out is not None and out.suffix not in {".parquet", ".csv"}:
        msg = f"--out {out} needs the suffix .parquet or .csv"
        raise Rejected(msg)
    [key] = _keys(venue, [symbol.upper()], [tf])
    window = _window(start, end)
    with connect(_url(), application_name="tidemark data") as conn:
        frame = candles_as_of(conn, key, *window, at=known_at)
    if frame.is_empty():
        msg = (
            f"of {key} no candle of that window was known at {known_at:%Y-%m-%d %H:%M:%S} UTC: it was loaded later or "
            f"never; `tidemark status` shows what is stored"
        )
        raise Rejected(msg)
    if out is None:
        sys.stdout.write(_csv(frame))
    else:
        _write(frame, out)
    place = "" if out is None else f" → {out}"
    console.say(f"{key}: {frame.height:,} candles as known at {known_at:%Y-%m-%d %H:%M:%S} UTC{place}")


@app.command()
def export(
    folder: Annotated[
        Path, typer.Option("--parquet", file_okay=False, help="Folder to write; new, or of this dataset.")
    ],
    symbols: Annotated[str, typer.Option(help="Symbols, separated by commas: BTCUSDT,ETHUSDT.")],
    tf: Annotated[str, typer.Option(help="Timeframes, separated by commas: 1m,15m.")],
    venue: Venue = "binance_spot",
    start: Start = None,
    end: End = None,
    more: Annotated[
        str,
        typer.Option("--with", help="Beside candles: indicators,zones,… (analysis), funding, calendar, rules."),
    ] = "",
) -> None:
    """Write a dataset as Parquet, with a manifest of what it was made from and the id that follows from it.

    Equal ids mean equal data in every table that both exports hold; which tables of the analysis are written does not
    change the id.
    Candles and funding are exact decimals (38, 18), analysis is float64 as computed: zones in the state they had at the
    last candle, signals of the engine alone. The same export again writes nothing.
    """
    from assets.datasets import export_dataset, funding_file
    from store.connections import connect

    wanted = _export(venue, symbols, tf, start, end, more)
    with console.step("writing the dataset"), connect(_url(), application_name="tidemark data") as conn:
        done = export_dataset(conn, wanted, folder, at=datetime.now(UTC))
    console.out.print(_files(done))
    console.out.print(f"dataset {done.dataset_id}", soft_wrap=True)
    for instrument in sorted({key.instrument for key in wanted.keys}) if "funding" in wanted.parts else ():
        if funding_file(instrument) not in done.files:
            console.say(f"no settlement of {instrument} is stored: there is no file of its funding")
    if not done.written:
        console.say(f"{folder} holds exactly this dataset already: nothing was written")
    elif done.known:
        console.say("this dataset was exported before: every table that both exports hold is the same")


def _export(venue: str, symbols: str, tf: str, start: str | None, end: str | None, more: str) -> Export:
    from assets.datasets import PARTS, TABLES, Export

    named = split(more)
    unknown = [name for name in named if name not in {*TABLES, *PARTS}]
    if unknown:
        msg = f"--with {unknown[0]}: there is no such table; use {', '.join([*TABLES, *PARTS])}"
        raise typer.BadParameter(msg)
    keys = _keys(venue, split(symbols.upper()), split(tf))
    if not keys:
        msg = "at least one symbol and one timeframe are needed"
        raise typer.BadParameter(msg)
    return Export(
        tuple(keys),
        *_window(start, end),
        tables=tuple(table for table in TABLES if table in named),
        parts=frozenset(part for part in PARTS if part in named),
    )


def _keys(venue: str, symbols: tuple[str, ...] | list[str], timeframes: tuple[str, ...] | list[str]) -> list[SeriesKey]:
    try:
        return sorted(InstrumentKey(venue, symbol).series(tf) for symbol in symbols for tf in timeframes)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _window(start: str | None, end: str | None) -> tuple[datetime, datetime]:
    first = _BEGINNING if start is None else instant(start, "--from")
    last = _END if end is None else instant(end, "--to")
    if last <= first:
        msg = f"--from {start or ''} is not before --to {end or ''}: nothing lies between them"
        raise Rejected(msg)
    return first, last


def _url() -> str:
    return Installation(load_settings()).url_of_running(BATCH)


def _csv(frame: pl.DataFrame) -> str:
    return frame.write_csv(datetime_format="%Y-%m-%dT%H:%M:%S%.fZ")


def _write(frame: pl.DataFrame, out: Path) -> None:
    """Write a file, all of it or nothing."""
    from assets.parquet_files import ParquetFile, exact
    from contracts.candles import DECIMALS

    partial = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    try:
        if out.suffix == ".csv":
            partial.write_text(_csv(frame), encoding="utf-8")
        else:
            with ParquetFile(partial) as file:
                file.write(exact(frame, DECIMALS))
        partial.replace(out)
    except OSError as error:
        msg = f"--out {out} cannot be written: {error.strerror or error}"
        raise Rejected(msg) from error
    finally:
        partial.unlink(missing_ok=True)


def _files(done: Exported) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("rows", justify="right")
    for name, rows in done.files.items():
        table.add_row(name, f"{rows:,}")
    return table
