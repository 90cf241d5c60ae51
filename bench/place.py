"""A throwaway installation beside a simulated exchange, for benchmarks of the real commands.

A command runs in a process of its own, as a person starts it: its imports, Dagster's events on the real instance and
everything it writes count. The market is one generated path on spot and on USD-M, without a hole: one of the exchange
is proven by two answers that lie 30 s apart, and that wait is nobody's work.

    with opened(folder, first="2022-01", end="2023-04") as place:
        place.serve(["2022-01"])
        place.backfill("binance_usdm", "2022-01", "2022-02")
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import polars as pl

from bench.bars import generated_bars
from tidemark.processes import Child, free_port

SYMBOL: Final = "BTCUSDT"
TIMEFRAMES: Final = ("1m", "15m")

_READY_SECONDS: Final = 60.0
_MAXRSS_BYTES: Final = 1 if sys.platform == "darwin" else 1024
# Days after the end of the bars: every month of them is published.
_PUBLISHED_DAYS: Final = 20


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: wall-clock seconds and the largest resident memory of its process, in bytes."""

    seconds: float
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a database of its own, and the simulated exchange it sees."""

    folder: Path
    environment: Mapping[str, str]
    archive: str

    @property
    def home(self) -> Path:
        """The installation's folder."""
        return self.folder / "home"

    def serve(self, months: Sequence[str]) -> None:
        """Have the simulator make the archive files it will be asked for."""
        for market in ("futures/um", "spot"):
            for month in months:
                for tf in TIMEFRAMES:
                    path = f"data/{market}/monthly/klines/{SYMBOL}/{tf}/{SYMBOL}-{tf}-{month}.zip"
                    httpx.get(f"{self.archive}/{path}", timeout=120, trust_env=False).raise_for_status()

    def backfill(self, venue: str, start: str, end: str, *, marts: bool = True) -> Ran:
        """Load the months of [start, end), each named YYYY-MM."""
        what = ("--venue", venue, "--symbols", SYMBOL, "--timeframes", ",".join(TIMEFRAMES))
        how = () if marts else ("--no-marts",)
        return self.command("backfill", *what, "--from", start, "--to", f"{end}-01", *how)

    def command(self, *arguments: str) -> Ran:
        """Run `tidemark` with these arguments, to its end."""
        log = self.folder / "command.log"
        begun = time.perf_counter()
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", "tidemark", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment,
            )
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)  # reaped above, for the sake of its memory
        if process.returncode:
            msg = f"tidemark {' '.join(arguments)} ended with {process.returncode}:\n{log.read_text()[-3000:]}"
            raise RuntimeError(msg)
        return Ran(seconds, usage.ru_maxrss * _MAXRSS_BYTES)


@contextmanager
def opened(folder: Path, *, first: str, end: str) -> Iterator[Place]:
    """A place in `folder` with its exchange running; its database is stopped behind it.

    Args:
        folder: An empty folder.
        first: The first month with bars, YYYY-MM.
        end: The first month without.
    """
    ports = {name: free_port() for name in ("spot", "usdm", "archive")}
    flags = [text for name, port in ports.items() for text in (f"--{name}-port", str(port))]
    bars = folder / "bars.parquet"
    begin, stop = (datetime.fromisoformat(f"{month}-01T00:00:00+00:00") for month in (first, end))
    _bars(begin, stop).write_parquet(bars)
    clock = stop + timedelta(days=_PUBLISHED_DAYS)
    market = ["--bars", str(bars), "--symbol", SYMBOL, "--start", clock.isoformat(), "--speed", "0"]
    command = [sys.executable, "-m", "tidemark", "sim", *flags, *market]
    address = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    steering = ("TIDEMARK_", "DAGSTER_", "PG")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    environment |= {
        "TIDEMARK_HOME": str(folder / "home"),
        "TIDEMARK_BINANCE_SPOT__REST": address["spot"],
        "TIDEMARK_BINANCE_SPOT__ARCHIVE": address["archive"],
        "TIDEMARK_BINANCE_USDM__REST": address["usdm"],
        "TIDEMARK_BINANCE_USDM__ARCHIVE": address["archive"],
    }
    with Child.start("simulator", command, log=folder / "simulator.log") as simulator:
        simulator.wait_until(lambda: simulator.has_said("Simulated exchange"), seconds=_READY_SECONDS)
        place = Place(folder, environment, address["archive"])
        try:
            yield place
        finally:
            place.command("db", "down")


def _bars(begin: datetime, stop: datetime) -> pl.DataFrame:
    """Minutes of [begin, stop), in prices as an exchange writes them."""
    bars = generated_bars((stop - begin) // timedelta(minutes=1)).with_columns(pl.exclude("open_time").round(2))
    return bars.with_columns(open_time=pl.col("open_time") + (begin - bars["open_time"][0]))
