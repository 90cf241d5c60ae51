"""A backtest in one call.

result = run_backtest({SeriesKey("binance_spot", "BTCUSDT", "15m"): bars})
result.trades, result.equity, result.metrics, result.decisions, result.fingerprint
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from backtest.assumed import assumed_rules
from backtest.config import ALWAYS, BacktestConfig, BacktestRefused
from backtest.market import check_columns
from backtest.session import Session
from backtest.windows import Market
from contracts import from_us

# What the engine makes of so many bars fits into memory beside them, whatever the portfolio.
AT_ONCE = 2_000_000

if TYPE_CHECKING:
    import polars as pl

    from backtest.market import Stretch, Tables
    from backtest.result import BacktestResult
    from contracts import SeriesKey


def run_backtest(
    bars: Mapping[SeriesKey, pl.DataFrame],
    config: BacktestConfig | None = None,
    *,
    tables: Mapping[SeriesKey, Tables] | None = None,
    at_once: int = AT_ONCE,
) -> BacktestResult:
    """Trade the signals of these bars with one capital.

    Args:
        bars: Closed bars of each series (`contracts.candles.BAR_SCHEMA`). A series that is not traded answers what
            came first inside the bars of longer ones.
        config: Everything else; None = `BacktestConfig()`. Instruments whose rules it does not tell get assumed ones
            (`with_rules`).
        tables: The engine's tables of these bars by series, where they are known; None = compute them.
        at_once: About how many bars are walked at a time: it changes the memory that is needed, and nothing else.

    Raises:
        BacktestRefused: There are no bars, they are none, or the configuration does not fit them.
    """
    config = with_rules(bars, BacktestConfig() if config is None else config)
    first = [frame["open_time"].min() for frame in bars.values() if frame.height]
    if not first:
        msg = f"no bars to trade in {', '.join(map(str, bars)) or 'no series at all'}: load some, or widen the window"
        raise BacktestRefused(msg)
    session = Session(list(bars), config, start=min(first))  # type: ignore[type-var, arg-type] # datetimes
    market = Market(bars, {} if tables is None else tables)
    cuts = market.cuts(at_once)
    for until in cuts:
        part = market.ended_between(from_us(session.until), until) if len(cuts) > 1 else market
        session.advance(part.bars, until=until, tables=None if tables is None else part.tables)
    return session.finish()


def run_prepared(stretches: Mapping[SeriesKey, Stretch], config: BacktestConfig) -> BacktestResult:
    """`run_backtest` on what was prepared before: for many profiles on the same tables.

    Args:
        stretches: By series, each with at least one bar.
        config: Has rules for every instrument, and the engine parameters that the tables were made with.
    """
    start = min(int(one.open_time[0]) for one in stretches.values())
    session = Session(list(stretches), config, start=from_us(start))
    session.step(stretches)
    return session.finish()


def with_rules(bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig) -> BacktestConfig:
    """The configuration with rules for every instrument, as a `Session` needs it.

    Args:
        bars: By series. Of an instrument that the configuration tells no rules of, the first bars of its shortest
            series decide (`backtest.assumed.assumed_rules`).
        config: Of the run.

    Raises:
        BacktestRefused: These are no bars by series, or this is no configuration.
    """
    _check_asked(bars, config)
    rules = dict(config.rules)
    for key in sorted(bars, key=lambda key: key.tf.us):
        if key.instrument not in rules and bars[key].height:
            rules[key.instrument] = [(ALWAYS, assumed_rules(key.instrument, bars[key]))]
    return replace(config, rules=rules)


def _check_asked(bars: object, config: object) -> None:
    if not isinstance(bars, Mapping):
        msg = (
            f"bars are handed on by series, {{SeriesKey.parse('binance_spot:BTCUSDT:15m'): bars}}, "
            f"received a {type(bars).__name__}"
        )
        raise BacktestRefused(msg)
    for key, frame in bars.items():
        check_columns(key, frame)
    if not isinstance(config, BacktestConfig):
        msg = f"config is a {type(config).__name__}: hand on a BacktestConfig"
        raise BacktestRefused(msg)
