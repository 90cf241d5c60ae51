"""Backtests as the command line runs them: on what is stored, with the report in the installation's folder.

inputs = inputs_of(asked, url)
done = backtest(inputs, config_of(inputs, asked, profile), url=url, folder=folder, surrogates=100, …)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from assets.backtests import Inputs, read_inputs, record, run_id_of
from backtest import BacktestConfig, run_backtest
from backtest.examination import Examination, examine
from backtest.trials import configured
from backtest.windows import Market
from contracts import SeriesKey
from engine import EngineParams
from risk import SHIPPED, RiskProfile, parse_profile, shipped_profile
from risk.profiles import ProfileRefused
from store.connections import connect

REPORTS = "reports"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to run on.

    Attributes:
        keys: The series whose signals are traded.
        start: First open time.
        end: Exclusive end.
        capital: Quote units at the start.
        params: Parameters that are set, by name (`engine.…`, `profile.…`).
    """

    keys: Sequence[SeriesKey]
    start: datetime
    end: datetime
    capital: Decimal = Decimal(10_000)
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A run that is on record.

    Attributes:
        run_id: Its name.
        found: The result, looked at from every side.
        page: Its report.
        is_new: Whether it was not on record before.
    """

    run_id: str
    found: Examination
    page: Path
    is_new: bool


def profile_of(name: str) -> RiskProfile:
    """A shipped profile by its name, or one from a YAML file.

    Raises:
        ProfileRefused: There is no such profile or file, or it cannot be met.
    """
    if name in SHIPPED:
        return shipped_profile(name)
    path = Path(name)
    if not path.is_file():
        msg = f"there is no profile {name!r}: use {', '.join(SHIPPED)}, or the path of a YAML file"
        raise ProfileRefused(msg)
    return parse_profile(path.read_text(encoding="utf-8"), str(path))


def inputs_of(asked: Asked, url: str) -> Inputs:
    """Read what a run needs, as the role that loads."""
    with connect(url, application_name="tidemark backtest") as conn:
        return read_inputs(conn, asked.keys, asked.start, asked.end, at=datetime.now(UTC), params=EngineParams())


def config_of(inputs: Inputs, asked: Asked, profile: RiskProfile) -> BacktestConfig:
    """The configuration of a run: the inputs' own, with the parameters that were set.

    Raises:
        backtest.BacktestRefused: A parameter is none, or its value is refused.
    """
    return configured(inputs.config(profile, capital=asked.capital), asked.params)


def backtest(
    inputs: Inputs,
    config: BacktestConfig,
    *,
    url: str,
    folder: Path,
    surrogates: int,
    processes: int,
    told: Callable[[int, int], None],
) -> Done:
    """Run, look at the result from every side, write its report, and keep it.

    Args:
        inputs: What was read.
        config: Of the run.
        url: The database, as the role that loads.
        folder: Where reports are; each run has a folder of its own.
        surrogates: See `backtest.examination.examine`.
        processes: How many trade surrogates.
        told: See `examine`.
    """
    market = Market.read(inputs.bars, config.params, sub=config.sub, traded=config.trade)
    result = run_backtest(inputs.bars, config, tables=market.tables)
    found = examine(inputs.bars, result, surrogates=surrogates, processes=processes, tables=market.tables, told=told)
    name = run_id_of(result)
    page, _ = found.report(inputs.bars).write(folder / name)
    with connect(url, application_name="tidemark backtest") as conn:
        is_new = record(conn, result, at=datetime.now(UTC), report_path=str(page))
    return Done(name, found, page, is_new)
