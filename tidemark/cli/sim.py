"""`tidemark sim`: run the simulated exchange until it is stopped.

tidemark sim --bars bars.csv.gz --symbol BTCUSDT --speed 60
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError
from rich.table import Table

from tidemark.cli import console

if TYPE_CHECKING:
    from venues.simulator import Simulator

SPOT_PORT, USDM_PORT, ARCHIVE_PORT = 8181, 8182, 8183


def sim(
    spot_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Spot REST and streams; 0 = any free port.")
    ] = SPOT_PORT,
    usdm_port: Annotated[int, typer.Option(min=0, max=65535, help="USD-M REST and streams.")] = USDM_PORT,
    archive_port: Annotated[int, typer.Option(min=0, max=65535, help="Archive and /sim control.")] = ARCHIVE_PORT,
    bars: Annotated[Path | None, typer.Option(help="1m bars to serve: csv, csv.gz or parquet.")] = None,
    symbol: Annotated[str, typer.Option(help="Name the bars of --bars are listed under.")] = "BTCUSDT",
    seed: Annotated[int, typer.Option(min=0, help="Chooses the generated market (without --bars).")] = 7,
    symbols: Annotated[str, typer.Option(help="Generated symbols, separated by commas.")] = "BTCUSDT,ETHUSDT",
    speed: Annotated[float, typer.Option(min=0, help="Simulated seconds a second; 0 = the clock stands.")] = 1.0,
    start: Annotated[
        str | None,
        typer.Option(
            help="Where the clock begins (ISO 8601, UTC). Default: one day before the end of --bars, else now."
        ),
    ] = None,
) -> None:
    """Run an exchange on loopback: spot, USD-M and archive on three ports, speaking Binance's own protocol."""
    # The servers are imported only when they are wanted: every other command starts without them.
    from venues.simulator import SimulatorConfig, serve

    try:
        config = SimulatorConfig(
            spot_port=spot_port,
            usdm_port=usdm_port,
            archive_port=archive_port,
            bars=bars,
            symbol=symbol,
            seed=seed,
            symbols=tuple(name.strip() for name in symbols.split(",") if name.strip()),
            speed=speed,
            start=None if start is None else _instant(start),
        )
        serve(config, started=lambda simulator: console.out.print(_addresses(simulator)))
    except ValidationError as error:
        problems = "; ".join(f"--{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise typer.BadParameter(problems) from error


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        msg = f"--start needs an ISO 8601 time such as 2022-01-31T05:30:00Z, received {text!r}"
        raise typer.BadParameter(msg) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _addresses(simulator: Simulator) -> Table:
    table = Table(title=f"Simulated exchange: {', '.join(simulator.symbols)}", title_justify="left")
    table.add_column("market")
    table.add_column("REST / files", overflow="fold")
    table.add_column("streams", overflow="fold")
    table.add_row("spot", simulator.spot_url, simulator.spot_ws_url)
    table.add_row("USD-M", simulator.usdm_url, f"{simulator.usdm_ws_url}/market")
    table.add_row("archive", simulator.archive_url, "")
    pace = "stands" if simulator.clock.speed == 0 else f"runs at {simulator.clock.speed:g}×"
    table.caption = f"clock {simulator.clock.now():%Y-%m-%d %H:%M:%S} UTC, {pace}. Ctrl-C stops it."
    return table
