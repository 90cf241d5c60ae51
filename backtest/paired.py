"""Two results pair by pair: how much one is ahead of the other, and whether chance could have done that.

What moves both (the market) falls out of a difference taken day by day or signal by signal, so that paired statistics
see what those of each result alone cannot. Two answers stand beside each other: Student's t, which takes the pairs for
independent, and an interval by the stationary bootstrap (`bootstrap`), which keeps together what follows upon each
other. Both are for two sides: nobody said beforehand which one would be ahead.

Invariant: exchanging the two negates every difference and exchanges the bounds, bit by bit; p and the count stay.

    difference(first - second, seed=7).mean.low
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.bootstrap import Interval, blocks, drawn_rows, interval, sharpe_ratios
from backtest.metrics import StatisticsRefused, sharpe_ratio
from backtest.paths import batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Nothing can be drawn of fewer.
_LEAST = 2

# Pairs that differ by less than this, returns as fractions or R, differ by rounding alone.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What lies between the first and the second of some pairs: first − second.

    Attributes:
        count: Pairs.
        mean: Their mean difference with its bootstrap interval; None = there are no pairs.
        t: Mean ÷ (standard deviation (n − 1) ÷ √n); None = fewer than two pairs, or differences that are all the same.
        p: Chance of a t as far from 0 where there is no difference, either side; None = there is no t.
    """

    count: int
    mean: Interval
    t: float | None
    p: float | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {"count": self.count, "mean": self.mean.to_dict(), "t": self.t, "p": self.p}


def check_draws(draws: int, level: float) -> None:
    """Refuse draws too few for an interval, and a level that is none.

    Raises:
        StatisticsRefused: Fewer than 100 draws, or a level that does not lie between 0 and 1.
    """
    if draws < 100 or not 0 < level < 1:
        msg = f"paired intervals need at least 100 draws and a level between 0 and 1, received {draws} and {level}"
        raise StatisticsRefused(msg)


def differences(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences, first − second, with 0 in the place of what rounding alone left."""
    apart = first - second
    return np.where(np.abs(apart) < _ROUNDING, 0.0, apart)


def difference(apart: NDArray[np.float64], *, seed: int, draws: int = 1000, level: float = 0.95) -> Difference:
    """Statistics of paired differences.

    Args:
        apart: `differences`, in the order of time.
        seed: Of the draws; the same for both directions.
        draws: At least 100.
        level: Of the interval, between 0 and 1.

    Raises:
        StatisticsRefused: See `check_draws`.
    """
    check_draws(draws, level)
    count = apart.size
    value = float(apart.mean()) if count else None
    drawn = _redrawn(count, lambda rows: apart[rows].mean(axis=1), seed=seed, draws=draws)
    t = _t(apart)
    p = None if t is None else student_p(t, freedom=count - 1)
    return Difference(count=count, mean=interval(value, drawn, level=level), t=t, p=p)


def sharpe_difference(
    first: NDArray[np.float64], second: NDArray[np.float64], *, seed: int, draws: int = 1000, level: float = 0.95
) -> Interval:
    """How far apart the Sharpe ratios by the year of two results are; each draw takes the same days of both.

    Args:
        first: Daily returns.
        second: Of the same days.
        seed: Of the draws.
        draws: At least 100.
        level: Between 0 and 1.

    Returns:
        First − second; the value is None where one of them has no Sharpe ratio.

    Raises:
        StatisticsRefused: See `check_draws`.
    """
    check_draws(draws, level)
    ratios = sharpe_ratio(first), sharpe_ratio(second)
    value = None if ratios[0] is None or ratios[1] is None else ratios[0] - ratios[1]
    if value is None:
        return interval(None, None, level=level)
    if not np.any(differences(first, second)):
        value = 0.0

    def apart(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = sharpe_ratios(first[rows]) - sharpe_ratios(second[rows])
        # Two that are infinite to the same side are not apart.
        return np.where(np.isnan(found), 0.0, found)

    return interval(value, _redrawn(first.size, apart, seed=seed, draws=draws), level=level)


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Pearson's, of daily returns; None where one of them does not move."""
    if sharpe_ratio(first) is None or sharpe_ratio(second) is None:
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1.0, 1.0))


def student_p(t: float, *, freedom: int) -> float:
    """Chance that Student's t lies as far from 0 as this, either side: Abramowitz & Stegun 26.7.3 and 26.7.4.

    The series is exact; what it is subtracted from is 1, so that chances below some 10⁻¹⁵ are told as 0.

    Args:
        t: Of either sign.
        freedom: Degrees of freedom, at least 1.
    """
    angle = math.atan2(abs(t), math.sqrt(freedom))
    sine, squared = math.sin(angle), math.cos(angle) ** 2
    odd = freedom % 2
    term, terms = 1.0, []
    for k in range(1, freedom // 2 + 1):
        terms.append(term)
        term *= squared * (2 * k / (2 * k + 1) if odd else (2 * k - 1) / (2 * k))
    within = sine * math.fsum(terms)
    if odd:
        within = (angle + math.cos(angle) * within) * 2 / math.pi
    return min(1.0, max(0.0, 1.0 - within))


def holm(chances: Sequence[float | None]) -> list[float | None]:
    """Chances raised by how many were looked at.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).

    Args:
        chances: The p of each comparison; None = it has none, and counts for nothing.

    Returns:
        In the same order; whoever finds those at or below 5 % is misled by luck in at most 5 % of such looks.
    """
    known = sorted((p, place) for place, p in enumerate(chances) if p is not None)
    raised: list[float | None] = [None] * len(chances)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        raised[place] = highest
    return raised


def _t(apart: NDArray[np.float64]) -> float | None:
    if apart.size < _LEAST:
        return None
    deviation = float(apart.std(ddof=1))
    if deviation <= 1e-9 * float(np.abs(apart).max()):
        return None
    return float(apart.mean()) / deviation * math.sqrt(apart.size)


def _redrawn(
    count: int, statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]], *, seed: int, draws: int
) -> NDArray[np.float64] | None:
    # The statistic of each draw of so many things; None where there are too few.
    if count < _LEAST:
        return None
    starts, lengths = blocks(count, draws, np.random.default_rng(seed))
    parts = [statistic(drawn_rows(starts[rows], lengths[rows], count)) for rows in batches(draws, steps=count)]
    return np.concatenate(parts)
