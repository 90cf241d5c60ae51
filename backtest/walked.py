"""What a walk-forward came to: its folds, the numbers and the curve of all test windows together, and its page.

A test window is an account of its own that begins with the capital. Together they are told as if what one left had
been put into the next: their returns are chained, their results in money added up.

Invariant: the curve ends where `total_return` says. Left out: what speaks against it (`fold_lints`).

    found = walk_forward(bars, config, space, scheme=scheme, study="one", sink=sink)
    found.verdict, found.metrics["efficiency"], found.write(folder)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from backtest.fold_lints import PASSING_SHARE
from backtest.metrics import column, sharpe_ratio
from backtest.report import folds as page
from backtest.report.building import Report
from backtest.report.folds_document import document_of
from backtest.report.made_from import UNNAMED

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backtest.config import BacktestConfig
    from backtest.result import BacktestResult
    from backtest.sweep import Space
    from backtest.trials import Params, Trial
    from backtest.walk_forward import Scheme, Window


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """What one fold chose, and what came of it.

    Attributes:
        window: Its time.
        chosen: The set that was best in training.
        trained: What it was there.
        tested: What it made of the test window.
    """

    window: Window
    chosen: Params
    trained: Trial
    tested: BacktestResult

    @property
    def earned(self) -> bool:
        """Whether the test window earned something."""
        return self.tested.metrics.net_pnl > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What became of one parameter that had several values.

    Attributes:
        parameter: Its name.
        values: What was searched.
        chosen: What each fold chose, in the order of time.
    """

    parameter: str
    values: Sequence[Any]
    chosen: Sequence[Any]

    @property
    def changes(self) -> int:
        """How often a fold chose another value than the one before it."""
        return sum(one != other for one, other in zip(self.chosen, self.chosen[1:], strict=False))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WalkForward:
    """All folds.

    Attributes:
        folds: In the order of time; at least one.
        evaluated: How many trials were made on the way; others were known.
        config: What the sets change, with rules for every instrument.
        space: Values of each parameter.
        scheme: How time was cut.
        study: What trials are remembered under; each fold's are its own, `<study>/<number>`.
        start: Open time of the first bar.
        until: End of the last.
    """

    folds: Sequence[Fold]
    evaluated: int
    config: BacktestConfig
    space: Space
    scheme: Scheme
    study: str
    start: datetime
    until: datetime

    @property
    def returns(self) -> NDArray[np.float64]:
        """Daily returns of all test windows, one behind the other."""
        return np.concatenate([fold.tested.daily_returns for fold in self.folds])

    @property
    def sharpe(self) -> float | None:
        """Of `returns`, by the year."""
        return sharpe_ratio(self.returns)

    @property
    def total_return(self) -> float:
        """What all test windows made together, as a fraction."""
        return math.prod(self._growths) - 1.0

    @property
    def curve(self) -> pl.DataFrame:
        """The account of all test windows together, from the capital on: `ts`, `equity`, `drawdown`, `fold`."""
        capital, opens = float(self.config.capital), self.folds[0].window.test_from
        first = pl.DataFrame({"ts": [opens], "equity": [capital], "fold": [0]}, schema=_CURVE)
        parts, before = [first], 1.0
        for number, (fold, growth) in enumerate(zip(self.folds, self._growths, strict=True)):
            own = fold.tested.equity.select("ts", pl.col("equity") * before, fold=pl.lit(number, pl.Int64))
            parts.append(own)
            before *= growth
        peak = pl.col("equity").cum_max()
        whole = pl.concat(parts).with_columns(drawdown=(peak - pl.col("equity")) / peak)
        return whole.select("ts", "equity", "drawdown", "fold")

    @property
    def max_drawdown(self) -> float:
        """The deepest fall below a peak, as a fraction: of `curve`, and inside each window at every bar."""
        inside = max(fold.tested.metrics.max_drawdown for fold in self.folds)
        return max(inside, float(column(self.curve, "drawdown").max()))

    @property
    def sharpe_trained(self) -> float | None:
        """Mean Sharpe ratio of what was chosen, in training; None = none has one."""
        return _mean(fold.trained.sharpe for fold in self.folds)

    @property
    def sharpe_tested(self) -> float | None:
        """Mean Sharpe ratio of the test windows; None = none has one."""
        return _mean(fold.tested.metrics.sharpe for fold in self.folds)

    @property
    def efficiency(self) -> float | None:
        """Mean Sharpe ratio in the test windows ÷ that in training (Pardo 2008); None = not defined."""
        inside, outside = self.sharpe_trained, self.sharpe_tested
        return None if inside is None or outside is None or inside <= 0 else outside / inside

    @property
    def earned(self) -> int:
        """How many test windows earned something."""
        return sum(fold.earned for fold in self.folds)

    @property
    def trades(self) -> int:
        """Positions that were opened in the test windows."""
        return sum(fold.tested.metrics.trades for fold in self.folds)

    @property
    def net_pnl(self) -> float:
        """What the test windows made, quote units, each with the capital anew."""
        return math.fsum(fold.tested.metrics.net_pnl for fold in self.folds)

    @property
    def passed(self) -> bool:
        """Whether the test windows together earned, and at least half of them did by themselves."""
        return self.total_return > 0 and self.earned >= PASSING_SHARE * len(self.folds)

    @property
    def verdict(self) -> str:
        """Whether it passed, and why, for people."""
        return (
            f"{'passed' if self.passed else 'not passed'}: {self.earned} of {len(self.folds)} test windows earned, all "
            f"of them together made {self.total_return:+.2%} (at least half of them, and above 0 together, is needed)"
        )

    @property
    def metrics(self) -> dict[str, float | int | None]:
        """The numbers of all test windows together by name, as JSON takes them; None = not defined."""
        return {
            "folds": len(self.folds),
            "earned": self.earned,
            "sharpe": self.sharpe,
            "total_return": self.total_return,
            "max_drawdown": self.max_drawdown,
            "efficiency": self.efficiency,
            "sharpe_trained": self.sharpe_trained,
            "sharpe_tested": self.sharpe_tested,
            "net_pnl": self.net_pnl,
            "trades": self.trades,
        }

    @property
    def choices(self) -> list[Choice]:
        """Of each parameter that had several values, what was chosen."""
        return [
            Choice(parameter=name, values=list(values), chosen=[fold.chosen[name] for fold in self.folds])
            for name, values in self.space.items()
            if len({json.dumps(value) for value in values}) > 1
        ]

    @property
    def fingerprint(self) -> str:
        """sha256 of what every fold made of its test window."""
        return hashlib.sha256("|".join(fold.tested.fingerprint for fold in self.folds).encode()).hexdigest()

    def to_dict(self, *, run_id: str | None = None, versions: Mapping[str, str] = UNNAMED) -> dict[str, Any]:
        """All numbers, unrounded, as JSON takes them; what does not exist is null.

        Args:
            run_id: The name under which it is on record; None = it is not.
            versions: What parameters that are kept are called (`main@2`), by their hash.
        """
        return document_of(self, run_id=run_id, versions=versions)

    def report(self, *, run_id: str | None = None, versions: Mapping[str, str] = UNNAMED) -> Report:
        """The page and its numbers; see `to_dict`."""
        document = self.to_dict(run_id=run_id, versions=versions)
        return Report(html=page.page_of(document), json=document, name="walk-forward")

    def write(self, folder: Path, *, run_id: str | None = None) -> tuple[Path, Path]:
        """Write `walk-forward.html`, which needs nothing but itself, and `walk-forward.json`.

        Args:
            folder: Made where it is not there.
            run_id: See `to_dict`.

        Raises:
            backtest.report.ReportUnwritable: The folder cannot be made or written.
        """
        return self.report(run_id=run_id).write(folder)

    @property
    def _growths(self) -> list[float]:
        # What each window made of 1. Of what is lost nothing can be lost again.
        return [max(0.0, float(np.prod(1.0 + fold.tested.daily_returns))) for fold in self.folds]


_CURVE = {"ts": pl.Datetime("us", "UTC"), "equity": pl.Float64(), "fold": pl.Int64()}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
