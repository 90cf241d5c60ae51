"""What a report is made from: a finished run, and its place among markets in which there is nothing to win.

`BacktestResult` is an `Outcome`; whoever has the same frames from elsewhere can be one, too.

    NullPlace(statistic="expectancy_r", value=0.21, surrogates=(-0.1, 0.02), tail=0.05).passed
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from backtest.assumptions import Ran
from backtest.metrics import StatisticsRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from backtest.config import BacktestConfig
    from backtest.metrics import Metrics


class Outcome(Ran, Protocol):
    """A finished run as a report reads it: the frames of `BacktestResult`."""

    @property
    def config(self) -> BacktestConfig:
        """What was asked."""

    @property
    def fills(self) -> pl.DataFrame:
        """A row a fill."""

    @property
    def zones(self) -> pl.DataFrame:
        """A row a trade: the zone of its signal."""

    @property
    def equity(self) -> pl.DataFrame:
        """The account now and then."""

    @property
    def decisions(self) -> pl.DataFrame:
        """A row an evaluation."""

    @property
    def metrics(self) -> Metrics:
        """`metrics_of` its frames."""

    @property
    def fingerprint(self) -> str:
        """Of everything that came out, hex."""

    @property
    def assumptions(self) -> Sequence[str]:
        """`assumptions_of` it."""

    def explain(self, row: int, /) -> dict[str, Any]:
        """A decision in full; of it `tp_ladder` is read, (price, quantity) of each target."""


# Statistics as they are said inside a sentence, where that is not their name.
_SAID: Final = {"sharpe": "Sharpe ratio", "expectancy_r": "expectancy in R"}


@dataclass(frozen=True, kw_only=True)
class NullPlace:
    """Where a result stands among those of surrogate markets that went through the same run.

    Attributes:
        statistic: Name of the number that is compared, higher = better.
        value: Of the result; None = it is not defined, which passes nothing.
        surrogates: Of each surrogate market that has it; at least one.
        tail: Share of luck that is tolerated, between 0 and 1.

    Raises:
        StatisticsRefused: No surrogate, or a tail that is no share.
    """

    statistic: str
    value: float | None
    surrogates: tuple[float, ...]
    tail: float = 0.05

    def __post_init__(self) -> None:
        if not self.surrogates or not 0 < self.tail < 1:
            msg = (
                "a place among null markets needs at least one of them and a tail between 0 and 1, "
                f"received {len(self.surrogates)} and {self.tail}"
            )
            raise StatisticsRefused(msg)

    @property
    def as_good(self) -> int:
        """How many surrogates reach the result."""
        return len(self.surrogates) if self.value is None else sum(other >= self.value for other in self.surrogates)

    @property
    def chance(self) -> float:
        """Share of results of luck that reach it: (as good + 1) ÷ (surrogates + 1), so that no count gives 0.

        Phipson & Smyth, "Permutation P-values Should Never Be Zero" (2010).
        """
        return (self.as_good + 1) / (len(self.surrogates) + 1)

    @property
    def passed(self) -> bool:
        """Whether it earned something and luck reaches it seldom enough; one without a value is reached by all."""
        return self.value is not None and self.value > 0 and self.chance <= self.tail

    @property
    def _called(self) -> str:
        return _SAID.get(self.statistic, self.statistic)

    @property
    def verdict(self) -> str:
        """One sentence or two for people: whether the gate is passed, and why."""
        if self.value is None:
            return f"The null-market gate is not passed: this result has no {self._called}."
        count = len(self.surrogates)
        reached = (
            f"{self.as_good} of {count} surrogate markets, in which there is nothing to win, did as well in "
            f"{self._called}. Such a result comes by luck with a chance of {self.chance:.1%}"
        )
        if self.passed:
            return f"The null-market gate is passed: {reached}."
        if self.chance > self.tail:
            fewest = math.ceil(1 / self.tail) - 1
            more = f" Fewer than {fewest} of them cannot tell: ask for more." if count < fewest else ""
            return f"The null-market gate is not passed: {reached}, more than {self.tail:.0%}.{more} Do not trade it."
        return f"The null-market gate is not passed: {reached}, but what lost is nothing to trade."
