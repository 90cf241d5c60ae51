"""Studies: what the trials of one name stand on together, and what the best of them is worth.

A study stands on one ground: the bars of its first trial, and everything that was read with them. Trials of other bars
say nothing of each other, so a sweep over others under the same name is refused. Every trial counts in what the best
is worth, those of another engine version too: whoever chose had seen them.

    bound("reward", known, Ground.of(bars, config, data_id=data_id))
    found = judged("reward", trials)
    found.best, found.deflated_sharpe, found.overfitting
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from backtest.config import BacktestRefused
from backtest.metrics import StatisticsRefused
from backtest.overfitting import BLOCKS, Overfitting, TrackRecord, deflated_sharpe, overfitting_probability
from backtest.trials import Trial
from engine import ENGINE_VERSION

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl
    from numpy.typing import NDArray

    from backtest.config import BacktestConfig
    from contracts import SeriesKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The bars that trials are made of.

    Attributes:
        series: Whose bars, ascending; None = not known.
        start: When the account begins: with the first bar, or later where that was asked.
        until: End of the last bar.
        data_id: What names the bars and all that was read with them; None = not known.
    """

    series: tuple[SeriesKey, ...] | None
    start: datetime
    until: datetime
    data_id: str | None

    @classmethod
    def of(cls, bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig, *, data_id: str) -> Self:
        """The ground that these bars are.

        Args:
            bars: By series.
            config: Says from when on they are traded.
            data_id: What names them.

        Raises:
            BacktestRefused: There are no bars.
        """
        there = {key: frame["open_time"] for key, frame in bars.items() if frame.height}
        if not there:
            msg = (
                f"no bars to trade in {', '.join(map(str, bars)) or 'no series at all'}: load some, or widen the window"
            )
            raise BacktestRefused(msg)
        first = min(opened[0] for opened in there.values())
        return cls(
            series=tuple(sorted(there)),
            start=first if config.start is None else max(first, config.start),
            until=max(opened[-1] + key.tf.duration for key, opened in there.items()),
            data_id=data_id,
        )

    @classmethod
    def under(cls, trial: Trial) -> Self:
        """The ground that a trial stands on."""
        return cls(series=trial.series, start=trial.start, until=trial.until, data_id=trial.data_id)

    def same_place(self, other: Ground) -> bool:
        """Whether series and window are the same, as far as they are known."""
        return (self.start, self.until) == (other.start, other.until) and _agree(self.series, other.series)

    def same(self, other: Ground) -> bool:
        """Whether it is the same ground, as far as both are known."""
        return self.same_place(other) and _agree(self.data_id, other.data_id)

    def __str__(self) -> str:
        series = "series not on record" if self.series is None else ", ".join(map(str, self.series))
        return f"{series} from {self.start:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}"


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a study has found so far.

    Attributes:
        study: Its name.
        trials: Those of this engine over the bars of the study, earlier runs included, by their names.
        others: How many more it has, of other engine versions or other bars: they count and are not chosen from.
        evaluated: How many trials this run evaluated.
        best: The greatest Sharpe ratio; None = it is defined for none.
        deflated_sharpe: Probability that the best's true Sharpe ratio is above what the best of so many trials
            without any skill would show; None = not defined.
        overfitting: By combinatorially symmetric cross-validation; None = not defined.
        missing: Why `deflated_sharpe` or `overfitting` is None, by its name.
        refused: What was said of each set that a search asked for and that cannot be; none of them was evaluated.
    """

    study: str
    trials: Sequence[Trial]
    others: int
    evaluated: int
    best: Trial | None
    deflated_sharpe: float | None
    overfitting: Overfitting | None
    missing: Mapping[str, str] = field(default_factory=dict)
    refused: Sequence[str] = ()


def bound(study: str, known: Sequence[Trial], ground: Ground) -> None:
    """Refuse bars that are not those of a study.

    Args:
        study: Its name.
        known: Its trials, the first one first.
        ground: What is to be looked at under its name.

    Raises:
        BacktestRefused: The study stands on other bars.
    """
    if not known:
        return
    own = Ground.under(known[0])
    if own.same(ground):
        return
    if own.same_place(ground):
        msg = (
            f"study {study!r} is one of {own}, and what is stored of them (candles, funding, rules or calendar) has "
            f"changed since its first trial: trials of both cannot be compared; give this sweep another --study"
        )
    else:
        msg = (
            f"study {study!r} is one of {own}, these bars are {ground}: trials of both cannot be compared. Ask for its "
            f"own series, and leave --from and --to out or say --from {own.start:%Y-%m-%dT%H:%M} "
            f"--to {own.until:%Y-%m-%dT%H:%M}; or give this sweep another --study"
        )
    raise BacktestRefused(msg)


def judged(study: str, trials: Sequence[Trial], *, evaluated: int = 0, refused: Sequence[str] = ()) -> SweepResult:
    """What the trials of a study are worth together.

    Args:
        study: Its name.
        trials: All of them, the first one first.
        evaluated: How many of them this run evaluated.
        refused: See `SweepResult`.
    """
    seen = [one for one in trials if Ground.under(one).same(Ground.under(trials[0]))]
    ours = sorted((one for one in seen if one.engine_version == ENGINE_VERSION), key=lambda one: one.trial_id)
    scored = [one for one in ours if one.sharpe is not None]
    best = max(scored, key=lambda one: (one.sharpe or 0.0, one.trial_id), default=None)
    missing: dict[str, str] = {}

    def unless_undefined(name: str, statistic: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the statistic gives
        try:
            return statistic()
        except StatisticsRefused as error:
            missing[name] = str(error)
            return None

    return SweepResult(
        study=study,
        trials=ours,
        others=len(trials) - len(ours),
        evaluated=evaluated,
        best=best,
        deflated_sharpe=unless_undefined("deflated_sharpe", lambda: _deflated(best, seen, count=len(trials))),
        overfitting=unless_undefined("overfitting", lambda: _overfitted(scored)),
        missing=missing,
        refused=refused,
    )


def _deflated(best: Trial | None, seen: Sequence[Trial], *, count: int) -> float:
    # Days on which nothing was left are no part of a record; whoever was ruined looked worse for it already.
    records = [TrackRecord.of(np.array(one.returns)) for one in seen if one.sharpe is not None]
    sharpes = [record.sharpe for record in records if record is not None]
    record = None if best is None else TrackRecord.of(np.array(best.returns))
    if record is None:
        msg = "no trial has a Sharpe ratio: it takes two days that differ"
        raise StatisticsRefused(msg)
    if len(sharpes) < 2:
        msg = "only one trial has a Sharpe ratio: what a choice is worth takes two to choose from"
        raise StatisticsRefused(msg)
    return deflated_sharpe(record, variance=float(np.var(sharpes, ddof=1)), trials=count)


def _overfitted(scored: Sequence[Trial]) -> Overfitting:
    if len(scored) < 2:
        msg = f"{len(scored) or 'no'} trial{'' if len(scored) == 1 else 's'} with a Sharpe ratio: a choice takes two"
        raise StatisticsRefused(msg)
    returns = _same_days(scored)
    if len(returns) < 2 * BLOCKS:
        msg = f"{len(returns)} days are too few: {BLOCKS} blocks of two days, {2 * BLOCKS} in all, are needed"
        raise StatisticsRefused(msg)
    return overfitting_probability(returns)


def _same_days(trials: Sequence[Trial]) -> NDArray[np.float64]:
    """Returns, days × trials, of trials on one ground: with nothing left, every day that follows returns 0."""
    returns = np.zeros((max(len(one.returns) for one in trials), len(trials)))
    for column, one in enumerate(trials):
        returns[: len(one.returns), column] = one.returns
    return returns


def _agree(one: object, other: object) -> bool:
    return one is None or other is None or one == other
