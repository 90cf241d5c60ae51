"""What a report is made from: a finished run, and its place among markets in which there is nothing to win.

`BacktestResult` is an `Outcome`; whoever has the same frames from elsewhere can be one, too.

    NullPlace(statistic="expectancy_r", value=0.21, surrogates=(-0.1, 0.02), tail=0.05).passed
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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
        """Whether luck reaches it seldom enough; a result without a value is reached by all."""
        return self.chance <= self.tail
