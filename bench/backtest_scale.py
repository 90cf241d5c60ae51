"""Many symbols, one portfolio: how long a year of minutes takes and how much memory it needs.

The session is fed all symbols a piece at a time, as one would from a database, and gives the rows that one call would:
only that is on the clock, generating the bars is not. It happens in a process of its own, since the peak of a process
cannot be lowered again; the peak is that of the whole process, bars and imports included.

    in_its_own_process(symbols=50, bars=525_600).seconds
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import polars as pl

from backtest import BacktestConfig, BacktestResult, Session
from backtest.assumed import assumed_rules
from backtest.config import ALWAYS
from bench.bars import generated_pieces
from contracts import SeriesKey
from risk import RiskProfile

PIECE: Final = 50_000  # bars of each symbol
START: Final = datetime(2022, 1, 1, tzinfo=UTC)

# One position a symbol, small enough that the account lives through the year, and no lock over all symbols.
PROFILE: Final = RiskProfile(
    name="bench-portfolio",
    reward=1.0,
    risk_fraction=0.00001,
    max_positions=50,
    stop_guard_lock_hours=0,
    low_profit_lock_hours=30,
)
_CAPITAL = Decimal(1_000_000)
_QUOTED = pl.DataFrame({name: [40_000.1] for name in ("open", "high", "low", "close")})
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True, slots=True)
class Portfolio:
    """One run.

    Attributes:
        bars: Of all symbols together.
        seconds: By the clock.
        core_seconds: Of all threads together.
        peak_bytes: The most memory that the process held.
        trades: Positions that were opened.
        decisions: Evaluations that were recorded.
        fingerprint: Of the result.
    """

    bars: int
    seconds: float
    core_seconds: float
    peak_bytes: int
    trades: int
    decisions: int
    fingerprint: str


def portfolio(*, symbols: int, bars: int, piece: int = PIECE) -> Portfolio:
    """Trade so many symbols over so many minutes, a piece after the other."""
    keys = [SeriesKey("binance_usdm", f"BENCH{number:02}USDT", "1m") for number in range(symbols)]
    session = Session(keys, _config(keys), start=START)
    sources = [generated_pieces(bars, piece=piece, seed=number) for number in range(symbols)]
    seconds = core_seconds = 0.0
    for pieces in zip(*sources, strict=True):
        given = {key: _on_ticks(frame) for key, frame in zip(keys, pieces, strict=True)}
        start, core = time.perf_counter(), time.process_time()
        session.advance(given)
        seconds, core_seconds = seconds + time.perf_counter() - start, core_seconds + time.process_time() - core
    start, core = time.perf_counter(), time.process_time()
    result = session.finish()
    seconds, core_seconds = seconds + time.perf_counter() - start, core_seconds + time.process_time() - core
    return _told(result, symbols * bars, seconds, core_seconds)


def in_its_own_process(*, symbols: int, bars: int) -> Portfolio:
    """`portfolio` in a process that has done nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(portfolio, symbols=symbols, bars=bars).result()


def _told(result: BacktestResult, bars: int, seconds: float, core_seconds: float) -> Portfolio:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MAXRSS_BYTES  # before anything is rendered
    decisions = result.written.rows("decisions").size
    return Portfolio(bars, seconds, core_seconds, peak, result.trades.height, decisions, result.fingerprint)


def _config(keys: list[SeriesKey]) -> BacktestConfig:
    rules = {key.instrument: [(ALWAYS, assumed_rules(key.instrument, _QUOTED))] for key in keys}
    return BacktestConfig(profile=PROFILE, capital=_CAPITAL, rules=rules)


def _on_ticks(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(pl.col("open", "high", "low", "close").round(1))
