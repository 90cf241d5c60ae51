"""How fast a year of minutes is traded, every decision with its gates on record, and how that compares.

The profile is the default one but for its size, the least reward and how long losses lock a symbol, so that a year of
the generated bars has about one trade a day (`PROFILE`); each has three targets, fees, and a liquidation price.

Rates are bars a second of one core: the time of all threads together counts, so that a second core does not help and
a machine that others use does not hurt. The clock's own rate stands beside them. Times are the best of a few runs.

vectorbt is named with what was measured of it once: its licence does not allow it as a dependency.

    for measurement in run(smoke=True): ...
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import polars as pl

from backtest import BacktestConfig, BacktestResult, run_backtest
from backtest.assumed import assumed_rules
from backtest.market import TABLES
from backtest.run import with_rules
from backtest.sweep import Space, sweep
from backtest.trials import MemorySink
from bench.backtest_peers import backtesting_trades, backtrader_trades, entries_of
from bench.backtest_scale import in_its_own_process
from bench.bars import generated_bars
from bench.measurement import Measurement, at_least, at_most
from bench.walks import Walk
from contracts import SeriesKey
from engine import EngineParams, SeriesEngine, warm_up
from risk import RiskProfile
from risk.gates import GATES

if TYPE_CHECKING:
    from collections.abc import Callable

    Detail = dict[str, float | int | str]

_T = TypeVar("_T")

KEY: Final = SeriesKey("binance_usdm", "BTCUSDT", "1m")  # a perpetual: both sides can be traded
PROFILE: Final = RiskProfile(name="bench", reward=1.0, risk_fraction=0.0005, low_profit_lock_hours=30)

YEAR: Final = 525_600
_SMOKE_BARS = 131_400
_SYMBOLS, _SMOKE_SYMBOLS, _SMOKE_SYMBOL_BARS = 50, 10, 100_000
_PORTFOLIO_S, _PORTFOLIO_GIB = 60.0, 4.0  # stated for a year of 50 symbols; fewer bars have the same share of the time

_REWARDS, _SMOKE_REWARDS = 10, 3
_SWEEP_S = 15.0  # stated for a thousand sets
_SEED = 1

# Bars of the peers: a rate needs no more, and backtrader takes half a minute for a year.
_BACKTESTING_BARS, _SMOKE_BACKTESTING_BARS = YEAR, 40_000
_BACKTRADER_BARS, _SMOKE_BACKTRADER_BARS = 60_000, 10_000
_FIRST = 1_000
_VECTORBT = "2.4 to 5.6 M bars/s, measured once, without decisions, gates, targets in parts or funding"


@dataclass(frozen=True, slots=True)
class _Spent:
    """The best of a few runs: seconds by the clock, and of all cores together."""

    clock: float
    cores: float


def run(*, smoke: bool) -> list[Measurement]:
    """Measure everything stated about the backtest.

    Args:
        smoke: Small sizes and twice the tolerance.
    """
    warm_up()
    bars = generated_bars(_SMOKE_BARS if smoke else YEAR).with_columns(
        pl.col("open", "high", "low", "close").round(1)  # the tick that `assumed_rules` reads off them
    )
    return [*_one_symbol(bars, smoke=smoke), _sweep(smoke=smoke), *_portfolio(smoke=smoke)]


def _one_symbol(bars: pl.DataFrame, *, smoke: bool) -> list[Measurement]:
    """A year of one symbol, given the engine's frames and from raw bars, and the peers on the same bars."""
    config = with_rules({KEY: bars}, BacktestConfig(profile=PROFILE))
    rows = SeriesEngine(KEY, EngineParams()).advance(bars)
    tables = {KEY: {table: rows.frame(table) for table in TABLES}}
    given, result = _best(lambda: run_backtest({KEY: bars}, config, tables=tables), times=15)
    raw, again = _best(lambda: run_backtest({KEY: bars}, config), times=6)
    if again.fingerprint != result.fingerprint:
        msg = "a run given the engine's frames and one that made them must be the same, and their fingerprints differ"
        raise RuntimeError(msg)
    detail = _what_happened(result, bars)
    return [
        _rate(
            "given the engine's frames", bars, given, target=5e6, smoke=smoke, detail=detail | {"vectorbt": _VECTORBT}
        ),
        _rate("from raw bars", bars, raw, target=2e6, smoke=smoke, detail=detail),
        *_against_peers(bars, result, given, raw, smoke=smoke),
    ]


def _against_peers(
    bars: pl.DataFrame, result: BacktestResult, given: _Spent, raw: _Spent, *, smoke: bool
) -> list[Measurement]:
    """Bars a second of a core against theirs, who are told what to trade as ours is told what the engine found."""
    entries = entries_of(bars, result)
    fee = float(assumed_rules(KEY.instrument, bars).taker_fee)
    measured = []
    for name, trade, count, target in (
        ("backtesting.py", backtesting_trades, _SMOKE_BACKTESTING_BARS if smoke else _BACKTESTING_BARS, 20.0),
        ("backtrader", backtrader_trades, _SMOKE_BACKTRADER_BARS if smoke else _BACKTRADER_BARS, 100.0),
    ):
        trade(bars.head(_FIRST), entries, fee=fee)  # pays for the imports
        some = bars.head(count)
        peer, trades = _best(partial(trade, some, entries, fee=fee), times=1)
        rate = some.height / peer.cores
        detail: Detail = {
            "peer_bars": some.height,
            "peer_trades": trades,
            "peer_bars_per_s": rate,
            "from_raw_bars": bars.height / raw.cores / rate,
        }
        measured.append(
            at_least(
                f"backtest: given the engine's frames against {name}",
                bars.height / given.cores / rate,
                unit="×",
                target=target,
                smoke=smoke,
                detail=detail,
            )
        )
    return measured


def _sweep(*, smoke: bool) -> Measurement:
    """Many parameter sets over a year of quarters of an hour, by the clock: the start of the processes is in it."""
    key = SeriesKey(KEY.venue, KEY.symbol, "15m")
    quarters = Walk.of(seed=_SEED, bars=YEAR // 15).bars
    rewards = [0.5 + 0.1 * k for k in range(_SMOKE_REWARDS if smoke else _REWARDS)]
    space: Space = {
        "engine.fvg_min_atr": [0.1 + 0.05 * k for k in range(10)],
        "profile.cooldown_bars": list(range(10)),
        "profile.reward": rewards,
    }
    sets = 100 * len(rewards)
    start = time.perf_counter()
    found = sweep(
        {key: quarters}, BacktestConfig(profile=PROFILE), space, study="bench", sink=MemorySink(), processes=2
    )
    seconds = time.perf_counter() - start
    if len(found.trials) != sets:
        msg = f"a sweep of {sets} sets must remember as many trials, and has {len(found.trials)}"
        raise RuntimeError(msg)
    return at_most(
        f"backtest: {sets} parameter sets over a year of 15m on two cores",
        seconds,
        unit="s",
        target=_SWEEP_S * sets / 1_000,
        smoke=smoke,
        detail={"sets": sets, "bars": quarters.height, "different_results": len({t.fingerprint for t in found.trials})},
    )


def _portfolio(*, smoke: bool) -> list[Measurement]:
    """Many symbols with one capital, from raw bars: time by the clock and memory of the process."""
    symbols, bars = (_SMOKE_SYMBOLS, _SMOKE_SYMBOL_BARS) if smoke else (_SYMBOLS, YEAR)
    found = in_its_own_process(symbols=symbols, bars=bars)
    share = found.bars / (_SYMBOLS * YEAR)
    detail: Detail = {
        "symbols": symbols,
        "bars": found.bars,
        "trades": found.trades,
        "decisions": found.decisions,
        "core_seconds": found.core_seconds,
    }
    name = "backtest: one portfolio of many symbols"
    return [
        at_most(f"{name}, time", found.seconds, unit="s", target=_PORTFOLIO_S * share, smoke=smoke, detail=detail),
        at_most(f"{name}, memory", found.peak_bytes / 2**30, unit="GiB", target=_PORTFOLIO_GIB, smoke=smoke),
    ]


def _what_happened(result: BacktestResult, bars: pl.DataFrame) -> Detail:
    decisions = result.decisions.height
    return {
        "bars": bars.height,
        "trades": result.trades.height,
        "trades_a_day": result.trades.height / (bars.height * KEY.tf.us / 86_400_000_000),
        "decisions": decisions,
        "gates_recorded": decisions * len(GATES),
    }


def _rate(name: str, bars: pl.DataFrame, spent: _Spent, *, target: float, smoke: bool, detail: Detail) -> Measurement:
    clock: Detail = {"by_the_clock": bars.height / spent.clock}
    return at_least(
        f"backtest: {name}",
        bars.height / spent.cores,
        unit="bars/s",
        target=target,
        smoke=smoke,
        detail=detail | clock,
    )


def _best(work: Callable[[], _T], *, times: int) -> tuple[_Spent, _T]:
    """What the fastest run took, until its result is there, and what it gave."""
    clock = cores = float("inf")
    for _ in range(times):
        start, core = time.perf_counter(), time.process_time()
        result = work()
        cores = min(cores, time.process_time() - core)
        clock = min(clock, time.perf_counter() - start)
    return _Spent(clock, cores), result
