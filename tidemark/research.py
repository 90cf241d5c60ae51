"""Backtests as the command line runs them: on what is stored, with the report in the installation's folder.

inputs = inputs_of(asked, url)
done = backtest(inputs, config_of(inputs, asked, profile), url=url, folder=folder, surrogates=100, …)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from assets import report_pages
from assets.backtests import Inputs, read_inputs, record, run_id_of
from assets.parameters import engine_called, engine_named, names_of, profile_called, profile_named
from backtest import BacktestConfig, run_backtest
from backtest.examination import Examination, examine
from backtest.trials import configured
from backtest.windows import Market
from contracts import SeriesKey
from risk import SHIPPED, RiskProfile, parse_profile, shipped_profile
from risk.profiles import ProfileRefused
from store.connections import connect
from store.trials import first_trial

REPORTS = "reports"


@dataclass(frozen=True, slots=True)
class Asked:
    """What to run on.

    Attributes:
        keys: The series whose signals are traded.
        start: First open time.
        end: Exclusive end.
        engine: Engine parameters by their name (`assets.parameters.engine_named`).
        capital: Quote units at the start.
        params: Parameters that are set, by name (`engine.…`, `profile.…`).
    """

    keys: Sequence[SeriesKey]
    start: datetime
    end: datetime
    engine: str = "default"
    capital: Decimal = Decimal(10_000)
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Done:
    """A run that is on record.

    Attributes:
        run_id: Its name.
        found: The result, looked at from every side.
        warnings: What speaks against it, as the page says: one that knew of more surrogate markets stays.
        page: Its report.
        is_new: Whether it was not on record before.
        profile: What its risk profile is called; the version where it is one that is kept.
        engine: The same of the engine parameters.
    """

    run_id: str
    found: Examination
    warnings: Sequence[Mapping[str, Any]]
    page: Path
    is_new: bool
    profile: str
    engine: str


def profile_of(name: str, url: str) -> RiskProfile:
    """A profile from a YAML file, or by its name.

    Args:
        name: Path of a file, or a name (`assets.parameters.profile_named`).
        url: The database, as the role that loads.

    Raises:
        ProfileRefused: The file is not there or cannot be met.
        UnknownParameters: No profile has that name.
    """
    if _is_file(name):
        return written_profile(name)
    with connect(url, application_name="tidemark backtest") as conn:
        return profile_named(conn, name)


def written_profile(name: str) -> RiskProfile:
    """A shipped profile by its name, or one from a YAML file; one that states no name is called like its file.

    Raises:
        ProfileRefused: There is no such profile or file, or it cannot be read or met.
    """
    if name in SHIPPED:
        return shipped_profile(name)
    path = Path(name)
    if not path.is_file():
        msg = f"there is no profile {name!r}: use {', '.join(SHIPPED)}, or the path of a YAML file"
        raise ProfileRefused(msg)
    try:
        text = path.read_text(encoding="utf-8")
    except (UnicodeDecodeError, OSError) as error:
        msg = f"the risk profile {path} cannot be read as text in UTF-8: {error}"
        raise ProfileRefused(msg) from error
    profile = parse_profile(text, str(path))
    if "name" in profile.model_fields_set:
        return profile
    return profile.model_copy(update={"name": _called_like(path)})


def _called_like(path: Path) -> str:
    # A profile's name is plainer than a file's may be.
    return re.sub(r"[^a-z0-9_-]+", "-", path.stem.lower())[:40].strip("-") or "file"


def window_of(study: str, url: str) -> tuple[datetime, datetime] | None:
    """The window that a study is bound to, as it was asked for; None = nobody knows this study."""
    with connect(url, application_name="tidemark sweep") as conn:
        first = first_trial(conn, study)
    return None if first is None else (first.asked_from or first.from_ts, first.asked_to or first.to_ts)


def inputs_of(asked: Asked, url: str) -> Inputs:
    """Read what a run needs, as the role that loads."""
    with connect(url, application_name="tidemark backtest") as conn:
        return read_inputs(
            conn, asked.keys, asked.start, asked.end, at=datetime.now(UTC), params=engine_named(conn, asked.engine)
        )


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
    name, at = run_id_of(result), datetime.now(UTC)
    with connect(url, application_name="tidemark backtest") as conn:
        names = names_of(conn)
        report = found.report(inputs.bars, versions=names)
        page = report.page(folder / name)
        is_new = report_pages.keep(
            conn, report, folder / name, of=name, rows=lambda: record(conn, result, at=at, report_path=str(page))
        )
    return Done(
        name,
        found,
        report_pages.numbers(page)["warnings"],
        page,
        is_new,
        profile=profile_called(config.profile.name, config.profile.hash, names),
        engine=engine_called(config.params.hash, names),
    )


def _is_file(name: str) -> bool:
    return "@" not in name and (Path(name).is_file() or Path(name).suffix in (".yaml", ".yml"))
