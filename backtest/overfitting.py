"""Is the best of many trials more than the luckiest? Deflated Sharpe ratio, and probability of overfitting by CSCV.

Sharpe ratios here are those of one observation (a day), never of a year: divide by √365 first. Moments are those of
the sample itself, kurtosis 3 = normal. Sources:

- Bailey & López de Prado, "The Sharpe Ratio Efficient Frontier", J. of Risk 15 (2012): probabilistic Sharpe ratio,
  minimum track record length.
- Bailey & López de Prado, "The Deflated Sharpe Ratio", J. of Portfolio Management 40 (2014): expected maximum, number
  of independent trials.
- Bailey, Borwein, López de Prado & Zhu, "The Probability of Backtest Overfitting", J. of Computational Finance 20
  (2017): CSCV.

Invariant: every trial counts, also the ones nobody likes to remember; a caller who hands in only good ones is told that
they are good.

    record = TrackRecord.of(daily_returns(best.equity))
    deflated_sharpe(record, variance=np.var(sharpes, ddof=1), trials=len(sharpes))
    overfitting_probability(returns).probability  # returns: days × trials
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from backtest.metrics import StatisticsRefused
from backtest.paths import batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NORMAL = NormalDist()
_EULER = 0.5772156649015329

# Into how many blocks CSCV cuts time, where nobody says otherwise.
BLOCKS = 16

# Of 20 blocks half can be chosen in 184,756 ways; of 30, in 155 million.
_MOST_BLOCKS = 20

# A variance below this part of the mean square is what rounding leaves of none.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class TrackRecord:
    """What the significance of a Sharpe ratio depends on.

    Attributes:
        sharpe: Mean ÷ standard deviation (n − 1) of the returns, of one observation.
        observations: How many returns; at least 2.
        skew: Third standardised moment.
        kurtosis: Fourth standardised moment; 3 = normal.
    """

    sharpe: float
    observations: int
    skew: float = 0.0
    kurtosis: float = 3.0

    @classmethod
    def of(cls, returns: NDArray[np.float64]) -> TrackRecord | None:
        """Of returns; None where there are fewer than two, or they do not differ."""
        if returns.size < 2:
            return None
        mean = float(returns.mean())
        away = returns - mean
        variance = float((away**2).mean())
        if variance <= _ROUNDING * float((returns**2).mean()):
            return None
        unit = away / math.sqrt(variance)
        deviation = math.sqrt(variance * returns.size / (returns.size - 1))
        return cls(
            sharpe=mean / deviation,
            observations=returns.size,
            skew=float((unit**3).mean()),
            kurtosis=float((unit**4).mean()),
        )


def probabilistic_sharpe(record: TrackRecord, *, benchmark: float = 0.0) -> float:
    """The probability that the true Sharpe ratio is above a benchmark, given the one observed.

    Φ((SR − SR*) √(T − 1) ÷ √(1 − γ₃ SR + (γ₄ − 1)/4 SR²)), Bailey & López de Prado (2012).

    Args:
        record: What was observed.
        benchmark: SR*, of one observation.
    """
    lead = (record.sharpe - benchmark) * math.sqrt(record.observations - 1)
    spread = _spread(record)
    if spread > 0:
        return _NORMAL.cdf(lead / math.sqrt(spread))
    return 0.5 if lead == 0 else float(lead > 0)


def minimum_track_record(record: TrackRecord, *, benchmark: float = 0.0, confidence: float = 0.95) -> float | None:
    """How many observations like these it takes to be confident that the true Sharpe ratio is above a benchmark.

    1 + (1 − γ₃ SR + (γ₄ − 1)/4 SR²) (Φ⁻¹(confidence) ÷ (SR − SR*))², Bailey & López de Prado (2012).

    Args:
        record: What was observed; its length does not matter.
        benchmark: SR*, of one observation.
        confidence: Above ½ and below 1.

    Returns:
        A number of observations, not rounded; None where the benchmark was not beaten: no length would do.

    Raises:
        StatisticsRefused: The confidence is out of its range.
    """
    if not 0.5 < confidence < 1:
        msg = f"a minimum track record needs a confidence above ½ and below 1, received {confidence}"
        raise StatisticsRefused(msg)
    if record.sharpe <= benchmark:
        return None
    return 1 + _spread(record) * (_NORMAL.inv_cdf(confidence) / (record.sharpe - benchmark)) ** 2


def expected_maximum_sharpe(*, variance: float, trials: float) -> float:
    """The Sharpe ratio that the best of so many trials shows where none has any skill.

    √V ((1 − γ) Φ⁻¹(1 − 1/N) + γ Φ⁻¹(1 − 1/(N e))), γ the constant of Euler and Mascheroni; Bailey & López de Prado
    (2014). Of a single trial 0, and never below that.

    Args:
        variance: V, of the Sharpe ratios of all trials, of one observation.
        trials: N, how many of them were independent; need not be whole (`effective_trials`).

    Raises:
        StatisticsRefused: A negative variance, or fewer than one trial.
    """
    if not (math.isfinite(variance) and variance >= 0 and math.isfinite(trials) and trials >= 1):
        msg = f"an expected maximum needs a variance from 0 on and at least 1 trial, received {variance} and {trials}"
        raise StatisticsRefused(msg)
    if trials == 1:
        return 0.0
    highest = (1 - _EULER) * _NORMAL.inv_cdf(1 - 1 / trials) + _EULER * _NORMAL.inv_cdf(1 - 1 / (trials * math.e))
    return math.sqrt(variance) * max(0.0, highest)


def deflated_sharpe(record: TrackRecord, *, variance: float, trials: float) -> float:
    """The probability that the chosen trial has skill, given how many it was chosen from.

    `probabilistic_sharpe` against `expected_maximum_sharpe`; Bailey & López de Prado (2014).

    Args:
        record: Of the chosen trial.
        variance: Of the Sharpe ratios of all trials, of one observation.
        trials: How many of them were independent.

    Raises:
        StatisticsRefused: See `expected_maximum_sharpe`.
    """
    return probabilistic_sharpe(record, benchmark=expected_maximum_sharpe(variance=variance, trials=trials))


def effective_trials(returns: NDArray[np.float64]) -> float:
    """About how many independent trials so many correlated ones amount to: ρ̄ + (1 − ρ̄) N.

    ρ̄ is the mean correlation of all pairs, taken between 0 and 1; Bailey & López de Prado (2014), appendix. A trial
    whose returns do not differ is correlated with none. A hint: a mean knows nothing of clusters.

    Args:
        returns: Days × trials.

    Raises:
        StatisticsRefused: No trials, fewer than two days, numbers that are not finite.
    """
    _check(returns, days=2, trials=1)
    count = int(returns.shape[1])
    if count == 1:
        return 1.0
    away = returns - returns.mean(axis=0)
    variances = (away**2).mean(axis=0)
    moving = variances > _ROUNDING * (returns**2).mean(axis=0)
    units = away[:, moving] / np.sqrt(variances[moving])
    # The variance of the sum of standardised trials is the sum of all their correlations, each with itself included.
    pairs = float((units.sum(axis=1) ** 2).mean()) - float(moving.sum())
    alike: float = min(1.0, max(0.0, pairs / (count * (count - 1))))
    return alike + (1 - alike) * count


@dataclass(frozen=True, kw_only=True, eq=False)
class Overfitting:
    """What CSCV says of a choice among trials.

    Attributes:
        probability: Share of the splits in which the best trial of one half was below the median of all in the other;
            a rank that is the median itself counts half, so that noise gives ½ for odd numbers of trials, too.
        loss_probability: Share in which the best of one half had a Sharpe ratio below 0 in the other.
        slope: Of the least-squares line from the best's Sharpe ratio in one half to its own in the other; below 0 = the
            better it looked, the worse it went on. None where it looked the same in every split.
        splits: How many there are.
        blocks: The stretches of time the halves are made of.
        trials: How many were compared.
        logits: ln(ω ÷ (1 − ω)) for each split, ω = rank ÷ (trials + 1) of the best in the other half.
    """

    probability: float
    loss_probability: float
    slope: float | None
    splits: int
    blocks: int
    trials: int
    logits: NDArray[np.float64]

    def to_dict(self) -> dict[str, float | int | None]:
        """Everything but the logits, as JSON takes it."""
        return {
            name: getattr(self, name)
            for name in ("probability", "loss_probability", "slope", "splits", "blocks", "trials")
        }


def overfitting_probability(returns: NDArray[np.float64], *, blocks: int = BLOCKS) -> Overfitting:
    """Probability of backtest overfitting by combinatorially symmetric cross-validation, over every split there is.

    Time is cut into blocks of equal length (within one row); each half of them is once the past that the best trial is
    chosen from, by its Sharpe ratio, while the other half is the future. A trial that stood still in a half has a
    Sharpe ratio of 0 there; trials that are the same share their ranks.

    Args:
        returns: Days × trials, all trials over the same days.
        blocks: Even, from 2 to 20, at most half as many as there are days.

    Raises:
        StatisticsRefused: Fewer than two trials, too few days, numbers that are not finite, blocks out of their range.
    """
    if not (2 <= blocks <= _MOST_BLOCKS and blocks % 2 == 0):
        msg = f"CSCV needs an even number of blocks from 2 to {_MOST_BLOCKS}, received {blocks}"
        raise StatisticsRefused(msg)
    _check(returns, days=2 * blocks, trials=2)
    bounds = [len(returns) * k // blocks for k in range(blocks)]
    sums = np.add.reduceat(returns, bounds, axis=0)
    squares = np.add.reduceat(returns**2, bounds, axis=0)
    sizes = np.diff([*bounds, len(returns)]).astype(np.float64)[:, None]
    halves = [_Subsets(values) for values in (sums, squares, sizes)]
    # Every other half is the rest of one that holds block 0: each such pair is two splits.
    pasts = np.array([1 + sum(1 << k for k in rest) for rest in combinations(range(1, blocks), blocks // 2 - 1)])
    seen, went = np.empty((2, pasts.size)), np.empty((2, pasts.size))
    ranks = np.empty((2, pasts.size))
    for rows in batches(pasts.size, steps=returns.shape[1]):
        one, other = (
            _sharpes(*(half.totals(masks) for half in halves))
            for masks in (pasts[rows], (1 << blocks) - 1 - pasts[rows])
        )
        for k, (past, future) in enumerate(((one, other), (other, one))):
            seen[k, rows], went[k, rows], ranks[k, rows] = _chosen(past, future)
    share = ranks.ravel() / (returns.shape[1] + 1)
    logits = np.log(share / (1 - share))
    return Overfitting(
        probability=float((share < 0.5).mean() + (share == 0.5).mean() / 2),
        loss_probability=float((went < 0).mean()),
        slope=_slope(seen.ravel(), went.ravel()),
        splits=logits.size,
        blocks=blocks,
        trials=returns.shape[1],
        logits=logits,
    )


class _Subsets:
    # Sums over any set of blocks, of every trial. Two tables, one for each half of the blocks, hold the sums of all
    # subsets; a sum is one row of each. Always the same additions in the same order: same trials have the same sums.

    def __init__(self, values: NDArray[np.float64]) -> None:
        self._bits = len(values) // 2
        self._low, self._high = self._table(values[: self._bits]), self._table(values[self._bits :])

    @staticmethod
    def _table(values: NDArray[np.float64]) -> NDArray[np.float64]:
        table = np.zeros((1 << len(values), values.shape[1]))
        for k, row in enumerate(values):
            table[1 << k : 2 << k] = table[: 1 << k] + row
        return table

    def totals(self, masks: NDArray[np.int64]) -> NDArray[np.float64]:
        totals: NDArray[np.float64] = self._low[masks & ((1 << self._bits) - 1)]
        totals += self._high[masks >> self._bits]
        return totals


def _sharpes(
    sums: NDArray[np.float64], squares: NDArray[np.float64], sizes: NDArray[np.float64]
) -> NDArray[np.float64]:
    mean = sums / sizes
    variance = squares / sizes - mean**2
    still = variance <= _ROUNDING * (squares / sizes)
    variance[still] = 1.0
    sharpes = mean / np.sqrt(variance * (sizes / (sizes - 1)))
    sharpes[still] = np.where(mean[still] == 0, 0.0, np.copysign(np.inf, mean[still]))
    return sharpes


def _chosen(
    past: NDArray[np.float64], future: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    # The best of the past: its Sharpe ratio then, the one it went on to have, and the rank of that among all (1 =
    # lowest; equals share the mean of their ranks).
    every, best = np.arange(len(past)), past.argmax(axis=1)
    went = future[every, best]
    below = (future < went[:, None]).sum(axis=1)
    equal = (future == went[:, None]).sum(axis=1)
    return past[every, best], went, below + (equal + 1) / 2


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.any():
        return None
    away = x[finite] - x[finite].mean()
    spread = float((away**2).sum())
    if spread <= _ROUNDING * float((x[finite] ** 2).sum()):
        return None
    return float((away * y[finite]).sum()) / spread


def _spread(record: TrackRecord) -> float:
    # The variance of an estimated Sharpe ratio, times T − 1. Moments of real returns leave it at 0 or above.
    return 1 - record.skew * record.sharpe + (record.kurtosis - 1) / 4 * record.sharpe**2


def _check(returns: NDArray[np.float64], *, days: int, trials: int) -> None:
    if returns.ndim != 2 or returns.shape[0] < days or returns.shape[1] < trials:
        msg = f"returns must be days × trials, at least {days} × {trials}, received an array of shape {returns.shape}"
        raise StatisticsRefused(msg)
    wrong = np.argwhere(~np.isfinite(returns))
    if wrong.size:
        day, trial = wrong[0]
        msg = f"returns must be finite, day {day} of trial {trial} is {returns[day, trial]}"
        raise StatisticsRefused(msg)
