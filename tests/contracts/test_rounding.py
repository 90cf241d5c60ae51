from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.rounding import NEAR, steps_below, ticks_above, ticks_below
from tests.contracts.instruments import rules
from tests.contracts.test_instrument import GRIDS

# The first call compiles; how long that takes is not what is tested.
unhurried = settings(deadline=None)


@unhurried
@given(GRIDS, st.integers(1, 10**9), st.integers(0, 999))
def test_floats_and_decimals_round_alike(grid: Decimal, count: int, thousandth: int) -> None:
    value = (count + Decimal(thousandth) / 1000) * grid
    exact = rules(tick_size=grid, step_size=grid)
    assert ticks_below(float(value), float(grid)) * grid == exact.price_below(value)
    assert ticks_above(float(value), float(grid)) * grid == exact.price_above(value)
    assert steps_below(float(value), float(grid)) * grid == exact.quantity_below(value)


@unhurried
@given(GRIDS, st.integers(1, 10**9))
def test_a_whole_count_is_that_count(grid: Decimal, count: int) -> None:
    value = float(count * grid)
    assert ticks_below(value, float(grid)) == ticks_above(value, float(grid)) == count


def test_a_quotient_a_hair_beside_a_whole_count_is_that_count() -> None:
    assert 100.1 / 0.1 != 1001
    assert ticks_below(100.1, 0.1) == ticks_above(100.1, 0.1) == 1001
    assert ticks_below(1001 - NEAR / 2, 1.0) == 1001
    assert ticks_below(1001 - 2 * NEAR, 1.0) == 1000
    assert ticks_above(1001 + NEAR / 2, 1.0) == 1001
    assert ticks_above(1001 + 2 * NEAR, 1.0) == 1002
