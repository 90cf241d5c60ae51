"""The ranks of engine-spec section 1 are counted in sixteen bits; here they are counted as the text has them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.state import LEAD
from tests.engine.hand_bars import hand_bars, rows_of

_SIZE = 900


def walk(seed: int, *, step: float) -> list[float]:
    return [float(price) for price in 100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, step, _SIZE)))]


PRICES: dict[str, list[float]] = {
    "a walk": walk(1, step=0.01),
    "a wild walk": walk(2, step=0.5),
    "a walk on few prices": [float(round(price)) for price in walk(3, step=0.01)],
    "a walk on few prices, and calm": [round(price, 1) for price in walk(4, step=0.0005)],
    "prices that differ in their last bits": [100 * (1 + t % 7 * 2.0**-52) for t in range(_SIZE)],
    "one price": [100.0] * _SIZE,
    "one spike": [100.0] * 450 + [1e9] + [100.0 + t % 3 for t in range(449)],
    "tiny prices": [price * 1e-300 for price in walk(5, step=0.01)],
    "prices whose ranges have no finite sum": [1e307 if t % 50 else 1.7e308 for t in range(_SIZE)],
}


def counted(values: NDArray[np.float64], first: int) -> list[float | None]:
    """Share of the 199 values before each that are strictly below it; null until there are 199 from `first` on."""
    ranks: list[float | None] = []
    for t, value in enumerate(values):
        defined = t >= first + LEAD and not np.isnan(value)
        ranks.append(float((values[t - LEAD : t] < value).sum() / 199.0) if defined else None)
    return ranks


@pytest.mark.parametrize("name", PRICES)
def test_a_rank_counts_the_values_below_exactly(name: str) -> None:
    with np.errstate(all="ignore"):
        found = rows_of(hand_bars(PRICES[name])).indicators
    natr = found["natr"].to_numpy()
    width = ((found["bb_upper"] - found["bb_lower"]) / found["bb_mid"]).to_numpy()
    for column, values, first in (("natr_rank", natr, 14), ("bbw_rank", width, 19)):
        expected = counted(values, first)
        assert found[column].to_list() == expected, column
        assert any(rank is not None for rank in expected)
