"""Paired statistics: the t of a textbook, its table, the laws of a difference, and how often luck passes."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backtest.metrics import StatisticsRefused, sharpe_ratio
from backtest.paired import correlation, difference, differences, holm, sharpe_difference, student_p

returns = st.lists(st.floats(-0.5, 0.5), min_size=0, max_size=30).map(np.array)


@pytest.mark.parametrize(
    ("freedom", "t"),
    # Points of 5 %, both sides, as printed in tables of Student's t.
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (20, 2.086), (30, 2.042), (120, 1.980)],
)
def test_chances_are_those_of_the_printed_table(freedom: int, t: float) -> None:
    assert student_p(t, freedom=freedom) == pytest.approx(0.05, abs=1e-4)
    assert student_p(-t, freedom=freedom) == student_p(t, freedom=freedom)


def test_chances_of_few_degrees_of_freedom_are_those_of_their_closed_forms() -> None:
    # One degree: the Cauchy distribution, 1 − 2 atan(t) ÷ π; two: 1 − t ÷ √(2 + t²).
    for t in (0.0, 0.3, 1.0, 7.0, 1e6):
        assert student_p(t, freedom=1) == pytest.approx(1 - 2 * math.atan(t) / math.pi, abs=1e-15)
        assert student_p(t, freedom=2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-15)


def test_chances_of_many_degrees_of_freedom_are_those_of_the_normal_distribution() -> None:
    for t in (0.0, 0.5, 1.96, 4.0):
        assert student_p(t, freedom=200_000) == pytest.approx(math.erfc(t / math.sqrt(2)), abs=1e-5)


@given(st.floats(0, 50), st.floats(0, 50), st.integers(1, 400))
def test_a_greater_t_has_no_greater_chance(one: float, other: float, freedom: int) -> None:
    small, great = sorted((one, other))
    assert 0 <= student_p(great, freedom=freedom) <= student_p(small, freedom=freedom) + 1e-12
    assert student_p(0.0, freedom=freedom) == 1.0


def test_statistics_are_those_of_a_worked_example() -> None:
    # 1, 2, 3, 4, 5: mean 3, deviation √2.5, t = 3 ÷ (√2.5 ÷ √5) = 3√2. With four degrees of freedom the chance is
    # 1 − sin θ (1 + ½ cos² θ), where tan θ = t ÷ 2: sin² θ = 18 ÷ 22, cos² θ = 4 ÷ 22.
    found = difference(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), seed=1)
    assert (found.count, found.mean.value) == (5, 3.0)
    assert found.t == pytest.approx(3 * math.sqrt(2))
    assert found.p == pytest.approx(1 - math.sqrt(18 / 22) * (1 + 2 / 22))
    assert found.mean.low is not None
    assert found.mean.high is not None
    assert 1.0 <= found.mean.low < 3.0 < found.mean.high <= 5.0


def test_of_nothing_there_is_no_statistic_and_of_one_pair_no_chance() -> None:
    none = difference(np.zeros(0), seed=1)
    assert (none.count, none.mean.value, none.mean.low, none.t, none.p) == (0, None, None, None, None)
    one = difference(np.array([0.5]), seed=1)
    assert (one.mean.value, one.mean.low, one.t, one.p) == (0.5, None, None, None)


def test_differences_that_are_all_the_same_have_no_t() -> None:
    found = difference(np.full(10, 0.25), seed=1)
    assert (found.mean.value, found.mean.low, found.mean.high) == (0.25, 0.25, 0.25)
    assert (found.t, found.p) == (None, None)


def test_what_rounding_leaves_is_no_difference() -> None:
    first = np.random.default_rng(1).normal(0, 0.02, 50)
    assert differences(first, (first + 1.0) - 1.0).tolist() == [0.0] * 50
    assert differences(first, first - 1e-9) == pytest.approx(np.full(50, 1e-9))


@settings(deadline=None, max_examples=50)
@given(returns, st.integers(0, 9))
def test_the_other_direction_is_the_negative_bit_by_bit(apart: NDArray[np.float64], seed: int) -> None:
    there, back = (difference(one, seed=seed, draws=100) for one in (apart, -apart))
    assert (there.count, there.p) == (back.count, back.p)
    for one, other in ((there.mean.low, back.mean.high), (there.mean.high, back.mean.low), (there.t, back.t)):
        assert (one is None) == (other is None)
        assert one is None or one == -(other or 0.0)


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_sharpe_ratios_exchanged_are_as_far_apart_the_other_way(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 25))
    day = st.sampled_from([-0.02, 0.0, 0.01, 0.03])
    first, second = (np.array(data.draw(st.lists(day, min_size=size, max_size=size))) for _ in range(2))
    there = sharpe_difference(first, second, seed=3, draws=100)
    back = sharpe_difference(second, first, seed=3, draws=100)
    for one, other in ((there.value, back.value), (there.low, back.high), (there.high, back.low)):
        assert (one is None) == (other is None)
        assert one is None or one == -(other or 0.0)


def test_sharpe_ratios_are_subtracted_and_their_interval_holds_the_difference() -> None:
    first, second = np.random.default_rng(5).normal(0.001, 0.02, (2, 300))
    found = sharpe_difference(first, second, seed=1)
    ratios = sharpe_ratio(first), sharpe_ratio(second)
    assert ratios[0] is not None
    assert ratios[1] is not None
    assert found.value == ratios[0] - ratios[1]
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_the_same_days_twice_have_sharpe_ratios_that_are_not_apart() -> None:
    days = np.random.default_rng(6).normal(0, 0.02, 40)
    found = sharpe_difference(days, days, seed=1)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)
    assert sharpe_difference(days, np.zeros(40), seed=1).value is None


def test_draws_in_which_neither_moves_are_not_apart() -> None:
    # Of the first two days alone both ratios are infinite, to the same side.
    found = sharpe_difference(np.array([0.01, 0.01, 0.05]), np.array([0.02, 0.02, -0.01]), seed=1)
    assert found.low == 0.0
    assert found.high is not None
    assert found.high > 0


def test_draws_keep_the_days_of_both_together() -> None:
    # Two that move alike but for a little: were they drawn apart, the interval would be as wide as that of one.
    market = np.random.default_rng(7).normal(0, 0.03, 300)
    little = np.random.default_rng(8).normal(0, 0.001, 300)
    together = sharpe_difference(market + little, market, seed=1)
    assert together.low is not None
    assert together.high is not None
    assert together.high - together.low < 0.5  # of one alone: about 2 × 1.96 × √(365 ÷ 300) = 4.3


def test_correlation_is_that_of_a_worked_example() -> None:
    # Deviations (−1, 0, 1) and (−1, 1, 0): 1 ÷ (√2 √2).
    assert correlation(np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0])) == pytest.approx(0.5)
    assert correlation(np.array([0.0, 1.0]), np.array([3.0, 3.0])) is None


def test_chances_are_raised_as_in_holms_procedure() -> None:
    # Sorted 0.01, 0.02, 0.03 of three: 3 × 0.01, 2 × 0.02, then 0.03 which may not be below its forerunner.
    assert holm([0.02, None, 0.01, 0.03]) == [0.04, None, 0.03, 0.04]
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_raised_chances_keep_their_order_and_fall_nowhere(chances: list[float]) -> None:
    raised = [one for one in holm(chances) if one is not None]
    assert all(before <= after <= 1 for before, after in zip(chances, raised, strict=True))
    by_chance = [after for _, after in sorted(zip(chances, raised, strict=True))]
    assert all(one <= other for one, other in pairwise(by_chance))


def test_noise_without_a_difference_is_seldom_told_apart() -> None:
    rng = np.random.default_rng(11)
    chances = [difference(rng.standard_t(4, 120) * 0.01, seed=1, draws=100).p or 0.0 for _ in range(400)]
    # 5 % of 400 is 20 with a deviation of 4.4.
    assert 4 <= sum(p <= 0.05 for p in chances) <= 36
    assert np.mean(chances) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(("draws", "level"), [(99, 0.95), (100, 0.0), (100, 1.0)])
def test_draws_and_levels_that_say_nothing_are_refused(draws: int, level: float) -> None:
    days = np.zeros(5)
    with pytest.raises(StatisticsRefused, match="at least 100 draws"):
        difference(days, seed=1, draws=draws, level=level)
    with pytest.raises(StatisticsRefused, match="at least 100 draws"):
        sharpe_difference(days, days, seed=1, draws=draws, level=level)
