"""A year of one instrument: candles, analysis, checks and marts in one run, as the command line starts it.

The archive is served by the simulator on this machine, its files made before the clock starts. Each run is the real
`tidemark backfill` in a process of its own: its imports, Dagster's events on the real instance and everything it
writes count. The market has no hole: one of the exchange is proven by two answers that lie 30 s apart, and that wait
is nobody's work. What is measured:

* a year of 1m and 15m into an empty database, and the largest memory the process had;
* the same again, when nothing has changed;
* the months behind that year against the same months of another instrument, without history: whether a month's time
  grows.

    run(smoke=False)
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
import polars as pl

from bench.bars import generated_bars
from bench.measurement import Measurement, at_most
from tidemark.processes import Child, free_port

YEAR_SECONDS: Final = 60.0
AGAIN_SECONDS: Final = 15.0
MEMORY_GIB: Final = 1.5
GROWTH: Final = 1.3  # "flat" on a machine that others use too

_VENUE: Final = "binance_usdm"
_OTHER_VENUE: Final = "binance_spot"  # lists the same bars
_SYMBOL: Final = "BTCUSDT"
_TIMEFRAMES: Final = "1m,15m"
_YEAR: Final = tuple(f"2022-{month:02d}" for month in range(1, 13))
_BEHIND: Final = ("2023-01", "2023-02", "2023-03")
_END: Final = datetime(2023, 4, 1, tzinfo=UTC)
_CLOCK: Final = _END + timedelta(days=20)  # every month above is published
_SMOKE_MONTHS: Final = 1
_READY_SECONDS: Final = 60.0
_MAXRSS_BYTES: Final = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Ran:
    """One command: wall-clock seconds and the largest resident memory of its process, in bytes."""

    seconds: float
    peak_bytes: int


def run(*, smoke: bool) -> list[Measurement]:
    """Measure a year; a smoke run measures one month, against the year's figures, and not how time grows.

    Raises:
        RuntimeError: A command failed; its output is in the message.
    """
    months = _YEAR[-_SMOKE_MONTHS:] if smoke else _YEAR
    with tempfile.TemporaryDirectory(prefix="tidemark-bench-") as folder, _place(Path(folder)) as place:
        place.serve([*months] if smoke else [*months, *_BEHIND])
        place.command("db", "up")
        year = place.backfill(_VENUE, months[0], _BEHIND[0])
        again = place.backfill(_VENUE, months[0], _BEHIND[0])
        growth = [] if smoke else [_growth(place)]
    name = f"{len(months)} months of 1m and 15m"
    return [
        at_most(f"{name}: candles to marts", year.seconds, unit="s", target=YEAR_SECONDS, smoke=smoke),
        at_most(f"{name}: peak memory", year.peak_bytes / 2**30, unit="GiB", target=MEMORY_GIB, smoke=smoke),
        at_most(f"{name}: again, nothing changed", again.seconds, unit="s", target=AGAIN_SECONDS, smoke=smoke),
        *growth,
    ]


def _growth(place: _Place) -> Measurement:
    behind = place.backfill(_VENUE, _BEHIND[0], f"{_END:%Y-%m}")
    fresh = place.backfill(_OTHER_VENUE, _BEHIND[0], f"{_END:%Y-%m}")
    return at_most(
        f"{len(_BEHIND)} months behind them, against no history",
        behind.seconds / fresh.seconds,
        unit="×",
        target=GROWTH,
        smoke=False,
        detail={"behind s": behind.seconds, "fresh s": fresh.seconds},
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A folder with a database of its own, and the simulated exchange it sees."""

    folder: Path
    environment: Mapping[str, str]
    archive: str

    def serve(self, months: Sequence[str]) -> None:
        """Have the simulator make the archive files it will be asked for."""
        for market in ("futures/um", "spot"):
            for month in months:
                for tf in _TIMEFRAMES.split(","):
                    path = f"data/{market}/monthly/klines/{_SYMBOL}/{tf}/{_SYMBOL}-{tf}-{month}.zip"
                    httpx.get(f"{self.archive}/{path}", timeout=120, trust_env=False).raise_for_status()

    def backfill(self, venue: str, start: str, end: str) -> Ran:
        """Load the months of [start, end)."""
        what = ("--venue", venue, "--symbols", _SYMBOL, "--timeframes", _TIMEFRAMES)
        return self.command("backfill", *what, "--from", start, "--to", f"{end}-01")

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
def _place(folder: Path) -> Iterator[_Place]:
    ports = {name: free_port() for name in ("spot", "usdm", "archive")}
    flags = [text for name, port in ports.items() for text in (f"--{name}-port", str(port))]
    bars = folder / "bars.parquet"
    _bars().write_parquet(bars)
    market = ["--bars", str(bars), "--symbol", _SYMBOL, "--start", _CLOCK.isoformat(), "--speed", "0"]
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
        place = _Place(folder, environment, address["archive"])
        try:
            yield place
        finally:
            place.command("db", "down")


def _bars() -> pl.DataFrame:
    """Minutes from the year's start to the end of the months behind it, in prices as an exchange writes them."""
    first = datetime.fromisoformat(f"{_YEAR[0]}-01T00:00:00+00:00")
    return generated_bars((_END - first) // timedelta(minutes=1)).with_columns(pl.exclude("open_time").round(2))
