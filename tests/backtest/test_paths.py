"""Many paths at once: where they end and how deep they fall, by hand and against one path at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.paths import batches, log_steps, walked


def test_two_paths_by_hand() -> None:
    # 1 → 1.1 → 0.88 → 1.32: deepest from 1.1 to 0.88, a fifth. 1 → 0.9 → 0.99 → 0.99: the beginning is the peak.
    final, deepest = walked(log_steps(np.array([[0.1, -0.2, 0.5], [-0.1, 0.1, 0.0]])))
    assert np.exp(final) == pytest.approx([1.32, 0.99])
    assert deepest == pytest.approx([0.2, 0.1])


def test_an_account_that_lost_everything_stays_gone() -> None:
    final, deepest = walked(log_steps(np.array([[0.5, -1.7, 3.0], [0.5, -1.0, 3.0]])))
    assert list(final) == [-math.inf, -math.inf]
    assert list(deepest) == [1.0, 1.0]


def test_growth_beyond_a_float_is_no_trouble() -> None:
    final, deepest = walked(log_steps(np.array([[9.0] * 400 + [-0.5]])))
    assert final == pytest.approx([400 * math.log(10) - math.log(2)])
    assert deepest == pytest.approx([0.5])


@settings(deadline=None)
@given(st.lists(st.floats(-0.9, 2), min_size=1, max_size=50))
def test_a_path_is_what_one_step_after_the_other_gives(returns: list[float]) -> None:
    account = peak = 1.0
    fallen = 0.0
    for value in returns:
        account *= 1 + value
        peak = max(peak, account)
        fallen = max(fallen, 1 - account / peak)
    final, deepest = walked(log_steps(np.array([returns])))
    assert math.exp(final[0]) == pytest.approx(account, rel=1e-9)
    assert deepest[0] == pytest.approx(fallen, abs=1e-9)


@given(st.integers(0, 5000), st.integers(0, 1 << 22))
def test_batches_hold_every_path_once_and_few_numbers(paths: int, steps: int) -> None:
    parts = list(batches(paths, steps=steps))
    assert [row for part in parts for row in range(paths)[part]] == list(range(paths))
    assert all((part.stop - part.start - 1) * steps < 1 << 20 for part in parts)
