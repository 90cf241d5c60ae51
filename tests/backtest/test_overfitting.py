"""Published numbers, hand-worked splits, an independent CSCV that writes every split out, and the laws of chance."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backtest.metrics import StatisticsRefused, sharpe_ratio
from backtest.overfitting import (
    TrackRecord,
    deflated_sharpe,
    effective_trials,
    expected_maximum_sharpe,
    minimum_track_record,
    overfitting_probability,
    probabilistic_sharpe,
)

Returns = NDArray[np.float64]

# Bailey & López de Prado (2014), "A numerical example": 1,250 daily returns, 250 a year, annual Sharpe ratio 2.5; the
# annual Sharpe ratios of the trials have variance ½.
PUBLISHED = TrackRecord(sharpe=2.5 / math.sqrt(250), observations=1250, skew=-3.0, kurtosis=10.0)
VARIANCE = 0.5 / 250


def test_the_deflated_sharpe_ratio_of_the_paper() -> None:
    assert expected_maximum_sharpe(variance=VARIANCE, trials=100) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(PUBLISHED, variance=VARIANCE, trials=100) == pytest.approx(0.9004, abs=5e-5)
    assert deflated_sharpe(PUBLISHED, variance=VARIANCE, trials=46) == pytest.approx(0.9505, abs=5e-5)


def test_with_normal_returns_the_paper_allows_88_trials() -> None:
    normal = TrackRecord(sharpe=PUBLISHED.sharpe, observations=1250)
    assert deflated_sharpe(normal, variance=VARIANCE, trials=88) == pytest.approx(0.9505, abs=5e-5)


def test_the_minimum_track_records_of_the_paper() -> None:
    # Bailey & López de Prado (2012): an annual Sharpe ratio of 2 to be above 1 at 95 %, in years.
    def years(a_year: int, skew: float = 0.0, kurtosis: float = 3.0) -> float:
        record = TrackRecord(sharpe=2 / math.sqrt(a_year), observations=1, skew=skew, kurtosis=kurtosis)
        return (minimum_track_record(record, benchmark=1 / math.sqrt(a_year)) or 0) / a_year

    assert years(252) == pytest.approx(2.73, abs=0.005)
    assert years(52) == pytest.approx(2.83, abs=0.005)
    assert years(12) == pytest.approx(3.24, abs=0.005)
    assert years(12, -0.72, 5.78) == pytest.approx(4.99, abs=0.005)


def test_after_its_minimum_length_a_record_is_just_as_probable_as_asked() -> None:
    least = minimum_track_record(PUBLISHED, benchmark=0.1, confidence=0.9)
    assert least is not None
    long = TrackRecord(sharpe=PUBLISHED.sharpe, observations=round(least), skew=-3.0, kurtosis=10.0)
    assert probabilistic_sharpe(long, benchmark=0.1) == pytest.approx(0.9, abs=1e-3)


def test_a_benchmark_that_was_not_beaten_has_no_minimum_length() -> None:
    record = TrackRecord(sharpe=0.1, observations=100)
    assert minimum_track_record(record, benchmark=0.1) is None
    # At ½ every record is long enough, at 1 none.
    for confidence in (0.5, 1.0):
        with pytest.raises(StatisticsRefused, match=f"above ½ and below 1, received {confidence}"):
            minimum_track_record(record, confidence=confidence)
    assert minimum_track_record(record, confidence=0.501) == pytest.approx(1, abs=1e-2)


def test_a_record_that_is_even_with_its_benchmark_is_above_it_with_probability_one_half() -> None:
    assert probabilistic_sharpe(TrackRecord(sharpe=0.2, observations=50), benchmark=0.2) == 0.5


def test_moments_of_four_returns_by_hand() -> None:
    # 0 0 0 4: mean 1, away −1 −1 −1 3; Σ² = 12, m2 = 3, m3 = (27 − 3) / 4 = 6, m4 = (81 + 3) / 4 = 21.
    record = TrackRecord.of(np.array([0.0, 0, 0, 4]))
    assert record is not None
    assert record.sharpe == pytest.approx(1 / math.sqrt(12 / 3))
    assert record.skew == pytest.approx(6 / 3**1.5)
    assert record.kurtosis == pytest.approx(21 / 9)
    assert record.observations == 4


def test_returns_that_do_not_differ_make_no_record() -> None:
    assert TrackRecord.of(np.array([0.1])) is None
    two = TrackRecord.of(np.array([0.01, 0.03]))  # they do differ: mean 0.02, deviation 0.01 √2
    assert two is not None
    assert two.sharpe == pytest.approx(math.sqrt(2))
    assert TrackRecord.of(np.full(50, 0.1)) is None
    assert TrackRecord.of(np.zeros(50)) is None


def test_a_record_without_spread_is_certain() -> None:
    # Two values as often as each other: skew 0, kurtosis 1, and a Sharpe ratio of 0 has the spread 1. With skew 2 and
    # kurtosis 5, the least there is for it, the spread (1 − SR)² is 0 at a Sharpe ratio of 1.
    edge = TrackRecord(sharpe=1.0, observations=10, skew=2.0, kurtosis=5.0)
    assert probabilistic_sharpe(edge, benchmark=0.5) == 1.0
    assert probabilistic_sharpe(edge, benchmark=1.5) == 0.0
    assert probabilistic_sharpe(edge, benchmark=1.0) == 0.5


@pytest.mark.parametrize("trials", [10, 100, 1000])
def test_the_expected_maximum_is_that_of_so_many_normal_numbers(trials: int) -> None:
    # The approximation is stated for many trials; it is within 3 % of the mean of drawn maxima.
    rng = np.random.default_rng(trials)
    maxima = [rng.normal(0, 0.3, trials).max() for _ in range(4000)]
    assert expected_maximum_sharpe(variance=0.09, trials=trials) == pytest.approx(np.mean(maxima), rel=0.03)


def test_one_trial_is_not_deflated() -> None:
    assert expected_maximum_sharpe(variance=0.5, trials=1) == 0.0
    assert expected_maximum_sharpe(variance=0.5, trials=1.1) == 0.0
    assert deflated_sharpe(PUBLISHED, variance=0.5, trials=1) == probabilistic_sharpe(PUBLISHED)
    assert expected_maximum_sharpe(variance=0.0, trials=50) == 0.0  # of trials that are all the same


@pytest.mark.parametrize(("variance", "trials"), [(-0.1, 5), (0.1, 0.5), (math.nan, 5), (0.1, math.inf)])
def test_impossible_trials_are_refused(variance: float, trials: float) -> None:
    with pytest.raises(StatisticsRefused, match="variance from 0 on and at least 1 trial"):
        expected_maximum_sharpe(variance=variance, trials=trials)


@given(st.floats(0.001, 1), st.floats(1, 1e6), st.floats(1, 1e6))
def test_more_trials_deflate_more(variance: float, one: float, other: float) -> None:
    few, many = sorted((one, other))
    more = [expected_maximum_sharpe(variance=variance, trials=trials) for trials in (few, many)]
    assert more[0] <= more[1] + 1e-12
    deflated = [deflated_sharpe(PUBLISHED, variance=variance, trials=trials) for trials in (many, few)]
    assert deflated[0] <= deflated[1] + 1e-12
    assert max(deflated) <= probabilistic_sharpe(PUBLISHED)


@given(st.floats(0.01, 0.5), st.floats(0.01, 0.5), st.integers(10, 5000))
def test_a_better_or_a_longer_record_is_more_probable(one: float, other: float, length: int) -> None:
    low, high = sorted((one, other))
    worse, better = (probabilistic_sharpe(TrackRecord(sharpe=sharpe, observations=length)) for sharpe in (low, high))
    assert worse <= better + 1e-12
    assert better <= probabilistic_sharpe(TrackRecord(sharpe=high, observations=2 * length))


@given(st.lists(st.floats(-0.1, 0.1), min_size=5, max_size=60), st.floats(0.5, 20))
def test_a_record_depends_neither_on_the_unit_nor_on_the_order(returns: list[float], factor: float) -> None:
    values = np.array(returns)
    assume(values.std() > 1e-4)
    one, other = TrackRecord.of(values), TrackRecord.of(factor * np.sort(values))
    assert one is not None
    assert other is not None
    for name in ("sharpe", "skew", "kurtosis"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-6, abs=1e-9)
    assert sharpe_ratio(values) == pytest.approx(one.sharpe * math.sqrt(365))
    # What makes the spread of an estimate never negative: kurtosis ≥ 1 + skew².
    assert one.kurtosis >= 1 + one.skew**2 - 1e-6


def test_trials_that_are_the_same_are_one_and_independent_ones_are_many() -> None:
    noise = np.random.default_rng(1).normal(0, 1, (4000, 10))
    assert effective_trials(np.repeat(noise[:, :1], 10, axis=1)) == pytest.approx(1)
    assert effective_trials(noise) == pytest.approx(10, rel=0.03)
    assert effective_trials(noise[:, :1]) == 1.0


def test_effective_trials_by_hand() -> None:
    # Correlations: one and two are the same (1), three is their opposite in one pair only: 0 with both.
    one, three = np.array([1.0, 1, -1, -1]), np.array([1.0, -1, 1, -1])
    # ρ̄ = (1 + 0 + 0) / 3; ⅓ + ⅔ · 3 = 2⅓. A trial that stood still adds pairs of 0: ρ̄ = 1/6, 1/6 + 5/6 · 4 = 3½.
    assert effective_trials(np.column_stack([one, 5 * one + 2, three])) == pytest.approx(7 / 3)
    assert effective_trials(np.column_stack([one, one, three, np.full(4, 0.3)])) == pytest.approx(3.5)
    assert effective_trials(np.column_stack([one, one, three, np.zeros(4)])) == pytest.approx(3.5)
    # Opposites are not fewer than they are.
    assert effective_trials(np.column_stack([one, -one])) == 2.0


def test_effective_trials_lie_between_one_and_all() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        mixed = rng.normal(0, 1, (30, 6)) @ rng.normal(0, 1, (6, 8)) + rng.normal(0, 1, (30, 1)) * rng.normal()
        assert 1 <= effective_trials(mixed) <= 8


def test_two_halves_by_hand() -> None:
    # Sharpe ratios (mean ÷ deviation, n − 1: √2 for values 2 apart) of the first and second half:
    #   A 1 3 | −3 −1:  √2, −√2     B 0 2 | 0 2: 1/√2, 1/√2     C −1 1 | 1 3: 0, √2
    # First half past: A is best and lowest of three after, rank 1, ω = ¼. Second half past: C is best, before it was
    # lowest: rank 1. Both below the median; A lost, C stood at 0.
    returns = np.array([[1.0, 0, -1], [3, 2, 1], [-3, 0, 1], [-1, 2, 3]])
    found = overfitting_probability(returns, blocks=2)
    assert (found.probability, found.loss_probability) == (1.0, 0.5)
    assert found.logits == pytest.approx([math.log(1 / 3)] * 2)
    assert (found.splits, found.blocks, found.trials) == (2, 2, 3)
    assert found.slope is None  # both looked √2


def test_a_best_trial_that_stays_best_is_not_overfitted() -> None:
    # A leads by 1 in both halves: rank 2 of 2, ω = ⅔.
    found = overfitting_probability(np.array([[1.0, 0], [3, 2], [1, 0], [4, 2]]), blocks=2)
    assert found.probability == 0.0
    assert found.logits == pytest.approx([math.log(2)] * 2)


def test_the_median_itself_counts_half() -> None:
    # First half √2 (A), 1/√2, 0; second half B > A > C. Past one: A, rank 2 of 3 = the median. Past two: B, rank 2.
    returns = np.array([[1.0, 0, -1], [3, 2, 1], [0, 1, -1], [2, 3, 1]])
    found = overfitting_probability(returns, blocks=2)
    assert found.probability == 0.5
    assert found.logits == pytest.approx([0, 0])


def test_trials_that_are_the_same_share_their_ranks() -> None:
    # Of copies none is better: ω = ½ in every split, whatever the columns' places.
    noise = np.random.default_rng(2).normal(0, 1, (101, 1))
    found = overfitting_probability(np.repeat(noise, 7, axis=1), blocks=8)
    assert set(found.logits.tolist()) == {0.0}
    assert found.probability == 0.5


def test_a_trial_that_stood_still_has_a_sharpe_ratio_of_zero() -> None:
    # The other loses in both halves: standing still is best, and best again; it did not lose.
    found = overfitting_probability(np.array([[0.0, -1], [0, -2], [0, -1], [0, -2]]), blocks=2)
    assert (found.probability, found.loss_probability, found.slope) == (0.0, 0.0, None)
    # To win is better than to stand still. Looked 1.5 ÷ √½ and went on as 2.5 ÷ √½, and the other way round: slope −1.
    found = overfitting_probability(np.array([[0.0, 1], [0, 2], [0, 2], [0, 3]]), blocks=2)
    assert found.probability == 0.0
    assert found.slope == pytest.approx(-1)
    # A trial that always won the same is better than any that varies.
    found = overfitting_probability(np.array([[0.1, 1], [0.1, 2], [0.1, 1], [0.1, 2]]), blocks=2)
    assert found.probability == 0.0
    assert found.slope is None


def _written_out(returns: Returns, blocks: int) -> tuple[float, float, list[float]]:
    """CSCV as the paper tells it: every split put together from its rows."""
    parts = [returns[len(returns) * k // blocks : len(returns) * (k + 1) // blocks] for k in range(blocks)]
    share, lost = [], []
    for chosen in combinations(range(blocks), blocks // 2):
        past = np.concatenate([parts[k] for k in chosen])
        future = np.concatenate([parts[k] for k in range(blocks) if k not in chosen])
        best = int(np.argmax(past.mean(axis=0) / past.std(axis=0, ddof=1)))
        after = future.mean(axis=0) / future.std(axis=0, ddof=1)
        share.append(((after < after[best]).sum() + 1) / (returns.shape[1] + 1))
        lost.append(after[best] < 0)
    probability = np.mean([1.0 if value < 0.5 else 0.5 if value == 0.5 else 0.0 for value in share])
    return float(probability), float(np.mean(lost)), sorted(math.log(value / (1 - value)) for value in share)


@pytest.mark.parametrize(("days", "trials", "blocks"), [(61, 5, 6), (64, 12, 8), (23, 2, 10), (40, 3, 2), (99, 30, 4)])
def test_every_split_is_the_one_that_is_written_out(days: int, trials: int, blocks: int) -> None:
    for seed in range(5):
        returns = np.random.default_rng([days, seed]).normal(0.05, 1, (days, trials))
        found = overfitting_probability(returns, blocks=blocks)
        probability, lost, logits = _written_out(returns, blocks)
        assert found.splits == math.comb(blocks, blocks // 2)
        assert found.probability == pytest.approx(probability)
        assert found.loss_probability == pytest.approx(lost)
        assert sorted(found.logits.tolist()) == pytest.approx(logits)


def test_sixteen_blocks_are_12870_splits() -> None:
    # 400 trials: more than one batch of splits.
    returns = np.random.default_rng(3).normal(0, 1, (64, 400))
    found = overfitting_probability(returns)
    assert found.splits == found.logits.size == 12_870
    assert found.probability == pytest.approx(_written_out(returns, 16)[0])


def test_the_slope_is_that_of_the_chosen_trials() -> None:
    # Two trials over blocks of 2, 3, 2 and 3 days; the line through all six splits by numpy's own least squares.
    returns = np.random.default_rng(4).normal(0.1, 1, (10, 2))
    points = []
    for chosen in combinations(range(4), 2):
        is_past = np.isin(np.repeat(np.arange(4), [2, 3, 2, 3]), chosen)
        past, future = (returns[rows].mean(axis=0) / returns[rows].std(axis=0, ddof=1) for rows in (is_past, ~is_past))
        best = int(past.argmax())
        points.append((past[best], future[best]))
    x, y = np.array(points).T
    assert overfitting_probability(returns, blocks=4).slope == pytest.approx(np.polyfit(x, y, 1)[0])


def test_noise_is_overfitted_half_the_time_for_even_and_odd_numbers_of_trials() -> None:
    # One sample says little (its splits share their days): the mean of 200 samples has a deviation of about 0.02.
    for trials in (3, 10):
        found = [
            overfitting_probability(np.random.default_rng([5, trials, seed]).normal(0, 1, (160, trials)), blocks=8)
            for seed in range(200)
        ]
        assert np.mean([one.probability for one in found]) == pytest.approx(0.5, abs=0.07)
        assert np.mean([one.loss_probability for one in found]) == pytest.approx(0.5, abs=0.07)


def test_a_trial_that_is_truly_better_is_not_overfitted() -> None:
    # 0.3 a day against 0: in half of 800 days its Sharpe ratio is 0.3 ± 0.05.
    for seed in range(10):
        returns = np.random.default_rng([6, seed]).normal(0, 1, (800, 20))
        returns[:, 7] += 0.3
        found = overfitting_probability(returns)
        assert found.probability < 0.001
        assert found.loss_probability < 0.001


def test_trials_that_won_in_turn_are_overfitted() -> None:
    # Each trial has one good block and pays for it in all others: the best of the past has its good block behind it.
    returns = np.random.default_rng(7).normal(0, 0.01, (80, 8))
    for k in range(8):
        returns[:, k] += np.where(np.arange(80) // 10 == k, 7.0, -1.0)
    found = overfitting_probability(returns, blocks=8)
    assert found.probability == 1.0
    assert found.loss_probability == 1.0


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.permutations(range(6)), st.permutations(range(4)))
def test_neither_the_order_of_trials_nor_of_blocks_nor_their_unit_matters(
    seed: int, columns: list[int], order: list[int]
) -> None:
    returns = np.random.default_rng(seed).normal(0, 1, (24, 6))
    rows = np.concatenate([np.arange(6) + 6 * k for k in order])
    one = overfitting_probability(returns, blocks=4)
    other = overfitting_probability(4.0 * returns[rows][:, columns], blocks=4)
    assert other.probability == pytest.approx(one.probability)
    assert sorted(other.logits.tolist()) == pytest.approx(sorted(one.logits.tolist()))
    assert other.slope == pytest.approx(one.slope, rel=1e-6)


def test_what_is_told_is_json() -> None:
    told = overfitting_probability(np.random.default_rng(8).normal(0, 1, (40, 4)), blocks=4).to_dict()
    assert set(json.loads(json.dumps(told, allow_nan=False))) == {
        "probability", "loss_probability", "slope", "splits", "blocks", "trials"
    }  # fmt: skip


@pytest.mark.parametrize("blocks", [0, 1, 7, 22, -2])
def test_blocks_that_cannot_be_halved_are_refused(blocks: int) -> None:
    with pytest.raises(StatisticsRefused, match=f"even number of blocks from 2 to 20, received {blocks}"):
        overfitting_probability(np.zeros((100, 2)), blocks=blocks)


@pytest.mark.parametrize("shape", [(31, 5), (100, 1), (100,)])
def test_too_few_days_or_trials_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(StatisticsRefused, match="at least 32 × 2, received an array of shape"):
        overfitting_probability(np.zeros(shape))


def test_numbers_that_are_not_finite_are_refused_with_their_place() -> None:
    returns = np.zeros((40, 3))
    returns[17, 2] = np.nan
    for ask in (overfitting_probability, effective_trials):
        with pytest.raises(StatisticsRefused, match="day 17 of trial 2 is nan"):
            ask(returns)
