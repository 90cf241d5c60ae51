"""The same trades in another order, or drawn again: how much of the result was the order they came in.

Every trade moves the account by r × the fraction risked, and moves compound. *Shuffled*, each trade happens once: what
is left at the end is the same, the way down to it is not. *Resampled*, trades are drawn with replacement: some happen
twice, some never, and the end differs, too.

Left out: trades that are open at the same time are taken one after the other, and losses that come in clusters are torn
apart; where they do, these drawdowns are too shallow (`bootstrap` keeps clusters together).

    shuffled(trades, capital=10_000.0, risk_fraction=0.01, draws=1000, seed=7)
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from backtest.metrics import StatisticsRefused, check_capital, column
from backtest.paths import batches, log_steps, walked

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERCENTILES = (1.0, 5.0, 25.0, 50.0, 75.0, 95.0, 99.0)

SCHEMA = pl.Schema(
    {
        "method": pl.String(),
        "percentile": pl.Float64(),
        "final_equity": pl.Float64(),
        "max_drawdown": pl.Float64(),
    }
)


def shuffled(
    trades: pl.DataFrame, *, capital: float, risk_fraction: float, draws: int = 1000, seed: int
) -> pl.DataFrame:
    """Percentiles of the final equity and of the deepest drawdown over many orders of the same trades.

    Each column is ranked by itself: a row is no path. The final equity of a percentile is the lowest that so many
    percent of the paths do not exceed, its drawdown likewise: the risk is in low equities and in high drawdowns.

    Args:
        trades: Of the result, in the order of exits.
        capital: Quote units at the start.
        risk_fraction: Of the equity of the moment, lost by a trade of −1 R; above 0, at most 1.
        draws: Paths for each method; at least 100.
        seed: Of the draws.

    Returns:
        `SCHEMA`: first method `actual`, the trades as they came (percentile null); then `shuffled` and `resampled` for
        each of `PERCENTILES`. `final_equity` is null where it is beyond a float; a drawdown of 1 is ruin. Without
        trades, no rows.

    Raises:
        StatisticsRefused: An argument is out of its range, or an r is not finite.
    """
    check_capital(capital)
    if not (0 < risk_fraction <= 1 and draws >= 100):
        msg = (
            "orders of trades need a risk fraction above 0 and at most 1, and at least 100 draws, "
            f"received {risk_fraction} and {draws}"
        )
        raise StatisticsRefused(msg)
    steps = log_steps(column(trades, "r") * risk_fraction)
    if not steps.size:
        return SCHEMA.to_frame()
    of_orders, of_draws = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(2))
    final, deepest = walked(steps[None, :])
    parts = [_rows("actual", (None,), _money(final, capital), deepest)]
    drawn = {"shuffled": np.empty((2, draws)), "resampled": np.empty((2, draws))}
    for rows in batches(draws, steps=steps.size):
        shape = (rows.stop - rows.start, steps.size)
        drawn["shuffled"][:, rows] = walked(of_orders.permuted(np.broadcast_to(steps, shape), axis=1))
        drawn["resampled"][:, rows] = walked(steps[of_draws.integers(steps.size, size=shape)])
    for method, (finals, depths) in drawn.items():
        ranked = (np.percentile(values, PERCENTILES, method="inverted_cdf") for values in (finals, depths))
        final, deepest = ranked
        parts.append(_rows(method, PERCENTILES, _money(final, capital), deepest))
    return pl.concat(parts)


def _rows(
    method: str, percentiles: tuple[float | None, ...], money: list[float | None], deepest: NDArray[np.float64]
) -> pl.DataFrame:
    columns = {
        "method": [method] * len(percentiles),
        "percentile": percentiles,
        "final_equity": money,
        "max_drawdown": deepest,
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def _money(logs: NDArray[np.float64], capital: float) -> list[float | None]:
    with np.errstate(over="ignore"):
        money = capital * np.exp(logs)
    return [value if math.isfinite(value) else None for value in money.tolist()]
