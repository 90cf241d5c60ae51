"""Parameter sets that are tried: how they are named, run and remembered.

A parameter is named by its home: `engine.fvg_min_atr` or `profile.reward`. Every set that is ever evaluated is a trial
and is handed to a sink, because what a result is worth depends on how many others were looked at.

Invariant: a trial is named by what was asked and by the bars; the same name is the same result.

    result = run_backtest(bars, configured(config, {"profile.reward": 4.0}))
    trial = trial_of(result, {"profile.reward": 4.0}, data_id=data_id)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from backtest.config import BacktestConfig, BacktestRefused
from engine import ENGINE_VERSION, EngineParams
from risk import RiskProfile

if TYPE_CHECKING:
    import polars as pl

    from backtest.result import BacktestResult
    from contracts import SeriesKey

Params = Mapping[str, Any]

_HOMES = ("engine", "profile")


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluated parameter set.

    Attributes:
        trial_id: sha256 of the configuration and the bars, 64 hex characters.
        params: What was set, by name.
        sharpe: Of the daily returns, by the year; None = not defined.
        metrics: Every number of the result.
        returns: Of the UTC days, fractions.
        fingerprint: Of the result.
        start: Open time of the first bar.
        until: End of the last.
    """

    trial_id: str
    params: Params
    sharpe: float | None
    metrics: Mapping[str, float | int | None]
    returns: tuple[float, ...]
    fingerprint: str
    start: datetime
    until: datetime


class TrialSink(Protocol):
    """Where trials are remembered."""

    def known(self, study: str) -> Iterable[Trial]:
        """Those of a study so far."""
        ...

    def record(self, study: str, trials: Sequence[Trial]) -> None:
        """Remember trials; one that is known already is not counted again."""
        ...


@dataclass(slots=True)
class MemorySink:
    """A sink that lasts as long as the process.

    Attributes:
        trials: By study and name.
    """

    trials: dict[str, dict[str, Trial]] = field(default_factory=dict)

    def known(self, study: str) -> Iterable[Trial]:
        """See `TrialSink`."""
        return list(self.trials.get(study, {}).values())

    def record(self, study: str, trials: Sequence[Trial]) -> None:
        """See `TrialSink`."""
        for trial in trials:
            self.trials.setdefault(study, {}).setdefault(trial.trial_id, trial)


def data_id_of(bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig) -> str:
    """What names the bars: the dataset they came from, or their content."""
    if config.dataset_id is not None:
        return config.dataset_id
    digest = hashlib.sha256()
    for key in sorted(bars):
        digest.update(str(key).encode())
        for column in ("open_time", "open", "high", "low", "close", "volume"):
            digest.update(bars[key][column].to_physical().to_numpy().tobytes())
    return digest.hexdigest()


def configured(config: BacktestConfig, params: Params) -> BacktestConfig:
    """The configuration with some parameters set.

    Raises:
        BacktestRefused: A name is none, or a value is refused; the message says which and why.
    """
    changes: dict[str, dict[str, Any]] = {home: {} for home in _HOMES}
    for name, value in params.items():
        home, _, parameter = name.partition(".")
        if home not in changes or parameter not in _fields(home):
            msg = f"no parameter {name!r}: name one as engine.… ({', '.join(_fields('engine'))}) or profile.…"
            raise BacktestRefused(msg)
        changes[home][parameter] = value
    try:
        return replace(
            config,
            params=EngineParams.model_validate(config.params.model_dump() | changes["engine"]),
            profile=RiskProfile.model_validate(config.profile.model_dump() | changes["profile"]),
        )
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        msg = f"parameters {dict(params)} are refused: {reasons}"
        raise BacktestRefused(msg) from error


def trial_id_of(config: BacktestConfig, data_id: str) -> str:
    """The name of a trial: what was asked, the bars, and the engine that read them."""
    return hashlib.sha256(f"{config.hash}|{data_id}|{ENGINE_VERSION}".encode()).hexdigest()


def trial_of(result: BacktestResult, params: Params, *, data_id: str) -> Trial:
    """What is remembered of a run.

    Args:
        result: Of the configuration with these parameters.
        params: By name.
        data_id: Of the bars.
    """
    metrics = result.metrics
    return Trial(
        trial_id=trial_id_of(result.config, data_id),
        params=dict(params),
        sharpe=metrics.sharpe,
        metrics=metrics.to_dict(),
        returns=tuple(float(one) for one in result.daily_returns),
        fingerprint=result.fingerprint,
        start=result.start,
        until=result.until,
    )


def _fields(home: str) -> list[str]:
    model = EngineParams if home == "engine" else RiskProfile
    return sorted(set(model.model_fields) - {"name"})
