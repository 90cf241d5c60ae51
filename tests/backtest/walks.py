"""Walk-forwards from the few numbers that a test is about: a fold is a curve, its trades and what it chose.

found = walked([fold(0, [10_100, 10_200], r=[1.0, 1.0]), fold(1, [10_000, 9_800], r=[-2.0])])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from backtest.trials import Trial
from backtest.walk_forward import Fold, Scheme, WalkForward, Window
from tests.backtest.markets import config
from tests.backtest.reported import below_peaks, told
from tests.backtest.results import START, equity_of

DAY = timedelta(days=1)
SCHEME = Scheme(train=30 * DAY, test=10 * DAY, purge=timedelta(hours=6))
SPACE = {"profile.reward": [2.0, 3.0]}


def fold(
    number: int,
    closes: Sequence[float],
    *,
    r: Sequence[float] = (),
    chosen: Mapping[str, Any] | None = None,
    trained: float | None = 2.0,
) -> Fold:
    """A fold of SCHEME.

    Args:
        number: Its place, from 0.
        closes: Of the account that begins with `CAPITAL`, one a day of the test window.
        r: Results of the trades in it; 100 quote units are one.
        chosen: Of SPACE; None = its first.
        trained: Sharpe ratio in training.
    """
    opens = START + 30 * DAY + number * 10 * DAY
    window = Window(opens - 30 * DAY, opens - timedelta(hours=6), opens, opens + 10 * DAY)
    params = {name: values[0] for name, values in SPACE.items()} if chosen is None else chosen
    before = told([1.0, 1.0])
    metrics = before.metrics.to_dict() | {"sharpe": trained}
    trial = Trial(f"{number + 10:064x}", params, trained, metrics, (), "b" * 64, window.train_from, window.train_to)
    tested: Any = replace(
        told(r),
        equity=below_peaks(equity_of(closes, first=opens + DAY, every=DAY)),
        fingerprint=f"{number:064x}",
        start=window.test_from,
        until=window.test_to,
    )
    return Fold(window, params, trial, tested)


def walked(folds: Sequence[Fold], **changes: Any) -> WalkForward:  # noqa: ANN401 - fields of the class
    """A walk-forward of these folds."""
    found = WalkForward(
        folds=folds,
        evaluated=2 * len(folds),
        config=config(),
        space=SPACE,
        scheme=SCHEME,
        study="walk-forward one",
        start=START,
        until=folds[-1].window.test_to,
    )
    return replace(found, **changes)


def three() -> WalkForward:
    """Three folds worked by hand: +2 %, −2 %, +5 % of 10,000 each."""
    return walked(
        [
            fold(0, [10_100, 10_200], r=[1.0, 1.0], trained=2.0),
            fold(1, [10_000, 9_800], r=[-2.0], trained=4.0, chosen={"profile.reward": 3.0}),
            fold(2, [9_900, 10_500], r=[5.0], trained=3.0),
        ]
    )
