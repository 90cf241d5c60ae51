"""What a comparison reads: accounts over days, and of runs the bars that they share and the settings that they do not.

Invariant: there is an origin only where series, first and last instant and dataset are the same for all of the runs.

    origin = origin_of({"calm": calm, "bold": bold})
    origin.differing["profile.risk_fraction"]  # ("0.0025", "0.01")
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from backtest.lints import Finding
from backtest.metrics import DAY, daily_returns, instants
from contracts import Rejected

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from backtest.config import BacktestConfig
    from backtest.metrics import Metrics
    from backtest.report.outcome import Outcome

# Settings that are told field by field, under the names that `tidemark sweep` takes.
_FIELD_BY_FIELD: Final = {"profile": "profile", "params": "engine"}

# A longer setting (rules, calendar) is told by its digest.
_LONGEST = 60


class ComparisonRefused(Rejected):
    """These results cannot stand side by side; the message says why and what would do."""


class Track(Protocol):
    """An account over some days, simulated or live, as a comparison reads it."""

    @property
    def days(self) -> NDArray[np.datetime64]:
        """UTC days with a return, ascending, each once."""

    @property
    def returns(self) -> NDArray[np.float64]:
        """Of each of the days, a fraction."""

    @property
    def trades(self) -> pl.DataFrame:
        """A row a position: `signal_id`, `symbol`, `tf`, `side`, `entry_ts`, `r`."""

    @property
    def metrics(self) -> Metrics:
        """Of all of it."""


@dataclass(frozen=True, eq=False)
class RunTrack:
    """A finished run as a `Track`."""

    run: Outcome

    @cached_property
    def returns(self) -> NDArray[np.float64]:
        """See `Track`."""
        return daily_returns(self.run.equity, capital=float(self.run.config.capital))

    @cached_property
    def days(self) -> NDArray[np.datetime64]:
        """See `Track`; the first is that of the first row of the curve, whose midnight ends the day before."""
        first = int(instants(self.run.equity.head(1), "ts").sum())  # 0 where there is no row, and no return either
        days: NDArray[np.int64] = (first - 1) // DAY + np.arange(self.returns.size)
        return days.astype("datetime64[D]")

    @property
    def trades(self) -> pl.DataFrame:
        """See `Track`."""
        return self.run.trades

    @property
    def metrics(self) -> Metrics:
        """See `Track`."""
        return self.run.metrics


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What compared runs were made from.

    Attributes:
        series: Whose bars all of them read.
        start: Open time of the first bar.
        until: End of the last.
        dataset_id: The dataset the bars came from; None = it is not named.
        fingerprints: Of each run, by its name.
        differing: Settings that are not the same in all runs, as JSON text in the order of the runs; a long one is
            told by its digest.
    """

    series: Sequence[str]
    start: datetime
    until: datetime
    dataset_id: str | None
    fingerprints: Mapping[str, str]
    differing: Mapping[str, Sequence[str]]

    @property
    def findings(self) -> list[Finding]:
        """What speaks against it."""
        if self.dataset_id is not None:
            return []
        text = (
            "No dataset is named: that all of these ran over the same candles, not only over the same time, is taken "
            "on trust. Export a dataset and run them over it to be sure."
        )
        return [Finding(code="dataset_not_named", severity="warning", text=text, value=0.0, limit=1.0)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "series": list(self.series),
            "from": _instant(self.start),
            "to": _instant(self.until),
            "dataset_id": self.dataset_id,
            "fingerprints": dict(self.fingerprints),
            "differing": {name: list(values) for name, values in self.differing.items()},
        }


def origin_of(results: Mapping[str, Outcome]) -> Origin:
    """What the runs have in common, and the settings that they have not.

    Args:
        results: By name; at least one.

    Raises:
        ComparisonRefused: Series, start, end or dataset differ; the message names the first two that do.
    """
    (name, first), *others = results.items()
    shared = _bars(first)
    for other_name, other in others:
        for what, value in _bars(other).items():
            if value != shared[what]:
                msg = (
                    f"{name!r} and {other_name!r} cannot be compared: {what} {_told(shared[what])} and {_told(value)}; "
                    "run both over the same bars"
                )
                raise ComparisonRefused(msg)
    settings = [_settings(one.config) for one in results.values()]
    return Origin(
        series=sorted(str(key) for key in first.written.keys),
        start=first.start,
        until=first.until,
        dataset_id=first.config.dataset_id,
        fingerprints={name: one.fingerprint for name, one in results.items()},
        differing={
            field: [one[field] for one in settings]
            for field in settings[0]
            if len({one[field] for one in settings}) > 1
        },
    )


def _bars(result: Outcome) -> dict[str, object]:
    return {
        "series": sorted(str(key) for key in result.written.keys),
        "the first bar": result.start,
        "the end": result.until,
        "the dataset": result.config.dataset_id,
    }


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return _instant(value) if isinstance(value, datetime) else str(value or "that is not named")


def _settings(config: BacktestConfig) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in json.loads(config.canonical).items():
        if name in _FIELD_BY_FIELD:
            found |= {f"{_FIELD_BY_FIELD[name]}.{field}": _short(one) for field, one in value.items()}
        else:
            found[name] = _short(value)
    return found


def _short(value: object) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
