"""Parameter sets that are tried: how they are named, run and remembered.

A parameter is named by its home: `engine.fvg_min_atr` or `profile.reward`. Every set that is ever evaluated is a trial
and is handed to a sink, because what a result is worth depends on how many others were looked at.

Invariant: a trial is named by what was asked, by the bars and by the engine; the same name is the same result. What its
profile is called is no part of that.

    result = run_backtest(bars, configured(config, {"profile.reward": 4.0}))
    trial = trial_of(result, {"profile.reward": 4.0}, data_id=data_id)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from pydantic import ValidationError

from backtest.config import BacktestConfig, BacktestRefused
from contracts.complaints import complaints_of
from engine import ENGINE_VERSION, EngineParams
from risk import RiskProfile

if TYPE_CHECKING:
    import polars as pl

    from backtest.result import BacktestResult
    from contracts import SeriesKey

Params = Mapping[str, Any]

_HOMES = ("engine", "profile")
_Values = TypeVar("_Values", EngineParams, RiskProfile)


@dataclass(frozen=True, slots=True)
class Trial:
    """One evaluated parameter set.

    Attributes:
        trial_id: sha256 of the configuration, the bars and the engine, 64 hex characters.
        params: What was set, by name.
        sharpe: Of the daily returns, by the year; None = not defined.
        metrics: Every number of the result.
        returns: Of the UTC days, fractions; none behind the day on which everything was lost.
        fingerprint: Of the result.
        start: When the account began: with the first bar, or later where that was asked.
        until: End of the last bar.
        series: Whose bars were read, ascending; None = not known.
        data_id: What names the bars (`data_id_of`); None = not known.
        engine_version: Of the engine that gave the signals.
    """

    trial_id: str
    params: Params
    sharpe: float | None
    metrics: Mapping[str, float | int | None]
    returns: tuple[float, ...] = field(repr=False)
    fingerprint: str
    start: datetime
    until: datetime
    series: tuple[SeriesKey, ...] | None = None
    data_id: str | None = None
    engine_version: int = ENGINE_VERSION


class TrialSink(Protocol):
    """Where trials are remembered."""

    def known(self, study: str) -> Iterable[Trial]:
        """Those of a study so far, of every engine version, the first one first."""
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


def place_of(name: str) -> tuple[str, str]:
    """Home and field of a parameter.

    Raises:
        BacktestRefused: There is no such parameter.
    """
    home, _, parameter = name.partition(".")
    if home not in _HOMES or parameter not in _fields(home):
        raise BacktestRefused(_unknown(name))
    return home, parameter


def configured(config: BacktestConfig, params: Params) -> BacktestConfig:
    """The configuration with some parameters set.

    Raises:
        BacktestRefused: A name is none, or a value is refused; the message says which and why.
    """
    changes: dict[str, dict[str, Any]] = {home: {} for home in _HOMES}
    for name, value in params.items():
        home, parameter = place_of(name)
        changes[home][parameter] = _tuples(value)
    return replace(
        config,
        params=_changed(config.params, changes["engine"]),
        profile=_changed(config.profile, changes["profile"]),
    )


def _changed(values: _Values, changes: dict[str, Any]) -> _Values:
    """The values with some of them set."""
    model = type(values)
    try:
        return model.model_validate(values.model_dump() | changes)
    except ValidationError as error:
        stated = ", ".join(f"{name}={value}" for name, value in changes.items())
        msg = f"the parameters {stated} were refused: {complaints_of(error, model)}"
        raise BacktestRefused(msg) from error


def _unknown(name: str) -> str:
    """What to say of a name that is none: those that may have been meant, in both homes."""
    wanted = name.rpartition(".")[2]
    homes = {f"{home}.{one}": one for home in _HOMES for one in _fields(home)}
    near = set(get_close_matches(wanted, homes.values(), cutoff=0.6))
    meant = " or ".join(full for full, one in homes.items() if one in near)
    told = f"did you mean {meant}?" if meant else "name one as engine.… or profile.…"
    return f"no parameter {name!r}: {told} (docs/profiles.md has them all)"


@dataclass(frozen=True, slots=True)
class Naming:
    """Names trials that differ in profile and engine parameters alone: what they share is put into words once.

    Attributes:
        shared: Everything else that was asked, the bars, and the engine that reads them.
    """

    shared: str

    @classmethod
    def of(cls, config: BacktestConfig, data_id: str) -> Self:
        """The naming of all trials of a configuration on these bars."""
        others = replace(config, profile=RiskProfile(), params=EngineParams())
        return cls(f"{others.hash}|{data_id}|{ENGINE_VERSION}")

    def trial_id(self, asked: BacktestConfig) -> str:
        """The name of one of them; what the profile is called is no part of it."""
        return hashlib.sha256(f"{self.shared}|{asked.profile.hash}|{asked.params.hash}".encode()).hexdigest()


def trial_id_of(config: BacktestConfig, data_id: str) -> str:
    """The name of a trial: what was asked, the bars, and the engine that read them."""
    return Naming.of(config, data_id).trial_id(config)


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
        series=tuple(sorted(result.written.keys)),
        data_id=data_id,
    )


def _tuples(value: Any) -> Any:  # noqa: ANN401 - a parameter
    """Lists as tuples: JSON and Optuna give the ones, the models take the others."""
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _fields(home: str) -> list[str]:
    model = EngineParams if home == "engine" else RiskProfile
    return sorted(set(model.model_fields) - {"name"})
