"""The demo: everything a newcomer needs to see, on a simulated exchange, in a folder of its own.

It starts the embedded database and the simulator, backfills some months of two instruments, the running one included
(or all of a file of bars), and keeps what it made: a second demo finds it there and only adds what is new. What it
started it stops again, the last first, however it ends.

    with Demo.of(Path(".tidemark"), bars=None).running(say=print) as live:
        outcomes = live.backfill(listener)
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import yaml

from assets import progress
from assets.analysis_pass import engine_of
from contracts import Rejected, from_us
from engine import EngineParams
from store.analysis import require_engine
from store.connections import connect
from store.errors import EngineMismatch
from tidemark.backfill import Outcome, Request, run_backfill
from tidemark.installation import BATCH, Installation
from tidemark.processes import Child, answers, free_port
from tidemark.settings import CONFIG_VARIABLE, load_settings
from venues.simulator.barfile import FileMarket, read_bars

SEED = 7
MONTHS = 3
FILE_SYMBOL = "BTCUSDT"
PORTS = {"spot": 8181, "usdm": 8182, "archive": 8183}
_SIMULATOR_SECONDS = 60.0
_DAGSTER_SECONDS = 120.0
# A candle counts as closed once it has been for two seconds: the clock of a file of bars stands after that.
_AFTER_THE_LAST_BAR = timedelta(seconds=3)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Period:
    """What a file of bars covers."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Demo:
    """Where a demo lives and what it shows.

    Attributes:
        home: Its folder; holds its settings file, database, Dagster home and logs.
        bars: File of 1m bars to serve; None = the generated market.
        period: What the file covers; None for the generated market.
        bots: Folder of plug-in bots to run from now on; None = the one it ran before, if any.
        months: How many months of the generated market to backfill, the running one included; what an earlier demo
            has beyond them stays.
    """

    home: Path
    bars: Path | None
    period: Period | None
    bots: Path | None = None
    months: int = MONTHS

    @classmethod
    def of(cls, parent: Path, bars: Path | None, *, bots: Path | None = None, months: int = MONTHS) -> Demo:
        """The demo of a folder; every file of bars has its own, so that no two markets mix.

        Raises:
            BarsRejected: The file cannot be used.
        """
        if bars is None:
            return cls(parent / "demo", None, None, bots, months)
        rules = FileMarket(read_bars(bars), FILE_SYMBOL).symbols[FILE_SYMBOL]
        period = Period(from_us(rules.first_ms * 1000), from_us(rules.end_ms * 1000))
        digest = hashlib.sha256(bars.read_bytes()).hexdigest()[:8]
        return cls(parent / f"demo-{digest}", bars.absolute(), period, bots)

    @property
    def config(self) -> Path:
        """The settings file of this demo."""
        return self.home / "tidemark.yaml"

    @contextmanager
    def running(self, *, say: Say) -> Iterator[LiveDemo]:
        """The demo with its simulator and database running."""
        with ExitStack() as stack:
            stack.enter_context(self._alone())
            ports = self._write_settings()
            os.environ[CONFIG_VARIABLE] = str(self.config)
            installation = Installation(load_settings())
            fresh = not (self.home / "postgres").exists()
            say("starting the database" if fresh else f"starting the database, reusing what is in {self.home}")
            if installation.prepare():
                stack.callback(installation.stop)
            else:
                say("the database was running before, and will be left running")
            say("starting the simulated exchange")
            simulator = stack.enter_context(
                Child.start("simulator", self._simulator_command(ports), log=self.home / "logs" / "simulator.log")
            )
            # Its own word, not an answer on the port: somebody else's simulator would answer too.
            simulator.wait_until(lambda: simulator.has_said("Simulated exchange"), seconds=_SIMULATOR_SECONDS)
            yield LiveDemo(self, installation)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One demo a folder: a second one would take the settings and the database away from the first.

        Raises:
            Rejected: Another demo runs in this folder.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / "demo.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                msg = f"a demo runs in {self.home} already: stop it first (Ctrl-C in its terminal), or use it"
                raise Rejected(msg) from error
            yield

    def _write_settings(self) -> dict[str, int]:
        ports = {name: free_port(port) for name, port in PORTS.items()}
        address = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        settings = {
            "demo": True,
            "home": str(self.home),
            "binance_spot": {"rest": address["spot"], "archive": address["archive"]},
            "binance_usdm": {"rest": address["usdm"], "archive": address["archive"]},
            "sub_timeframes": {"15m": "1m"},
            "bots": self._bot_settings(),
        }
        header = "# Written by `tidemark demo` at every start; use it with `tidemark --config`.\n"
        self.config.write_text(header + yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        return ports

    def _bot_settings(self) -> dict[str, str]:
        """The folder named now, else that of the demo before: without its bots their signals would not go on."""
        if self.bots is not None:
            return {"folder": str(self.bots.absolute())}
        written = yaml.safe_load(self.config.read_text(encoding="utf-8")) if self.config.is_file() else None
        kept: dict[str, str] = (written or {}).get("bots") or {}
        return kept

    def _simulator_command(self, ports: dict[str, int]) -> list[str]:
        flags = [part for name, port in ports.items() for part in (f"--{name}-port", str(port))]
        if self.bars is None or self.period is None:
            return [sys.executable, "-m", "tidemark", "sim", *flags, "--seed", str(SEED)]
        start = (self.period.end + _AFTER_THE_LAST_BAR).isoformat()
        market = ["--bars", str(self.bars), "--symbol", FILE_SYMBOL, "--start", start, "--speed", "0"]
        return [sys.executable, "-m", "tidemark", "sim", *flags, *market]

    def requests(self, now: datetime) -> list[Request]:
        """What the demo backfills."""
        if self.period is not None:
            return [Request("binance_usdm", (FILE_SYMBOL,), ("1m", "5m", "15m"), self.period.start)]
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        for _ in range(self.months - 1):
            start = (start - timedelta(days=1)).replace(day=1)
        timeframes = ("1m", "5m", "15m", "1h")
        return [
            Request("binance_spot", ("BTCUSDT",), timeframes, start),
            Request("binance_usdm", ("ETHUSDT",), timeframes, start),
        ]


@dataclass(frozen=True, slots=True)
class LiveDemo:
    """A demo whose simulator and database run."""

    demo: Demo
    installation: Installation

    def backfill(self, now: datetime, listener: progress.Listener, say: Say) -> list[Outcome]:
        """Backfill everything the demo shows."""
        recompute = self.is_another_engines()
        requests = [replace(request, recompute=recompute) for request in self.demo.requests(now)]
        return run_backfill(self.installation, requests, listener=listener, say=say)

    def is_another_engines(self) -> bool:
        """Whether the analysis is not of this engine: an earlier release made it, or there is none. Nobody minds."""
        with connect(self.installation.url(BATCH), application_name="tidemark demo") as conn:
            try:
                require_engine(conn, engine_of(EngineParams()))
            except EngineMismatch:
                return True
        return False

    @contextmanager
    def dagster(self) -> Iterator[tuple[Child, str]]:
        """The Dagster UI and daemon on loopback, and the UI's address."""
        port = free_port(self.installation.settings.dagster_port)
        address = f"http://127.0.0.1:{port}"
        root = Path(__file__).parents[1]
        command = [sys.executable, "-m", "dagster", "dev", "-w", str(root / "workspace.yaml")]
        with Child.start(
            "Dagster",
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            log=self.demo.home / "logs" / "dagster.log",
            environment=self.installation.dagster_environment(),
        ) as child:
            child.wait_until(
                lambda: child.has_said(f"webserver on {address}") and answers(f"{address}/server_info"),
                seconds=_DAGSTER_SECONDS,
            )
            yield child, address
