from datetime import timedelta

import numpy as np
import pytest

from bench.walks import STEPS, Walk
from contracts.candles import BAR_SCHEMA


def test_a_seed_gives_the_same_walk_whenever_it_is_asked_for_and_another_seed_another_one() -> None:
    one = Walk.of(seed=3, bars=50)
    assert one.bars.equals(Walk.of(seed=3, bars=50).bars)
    assert not one.bars.equals(Walk.of(seed=4, bars=50).bars)


def test_a_bar_is_nothing_but_its_sixty_steps() -> None:
    walk = Walk.of(seed=3, bars=50)
    steps = walk.prices[7 * STEPS : 8 * STEPS]
    bar = walk.bars.row(7, named=True)
    assert STEPS == 60
    assert walk.prices.size == 50 * 60
    assert (bar["open"], bar["close"]) == (steps[0], steps[-1])
    assert (bar["high"], bar["low"]) == (max(steps), min(steps))


def test_both_timeframes_are_bars_of_the_same_path() -> None:
    walk = Walk.of(seed=3, bars=50)
    assert walk.bars.schema == walk.sub_bars.schema == BAR_SCHEMA
    assert walk.bars["open_time"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=15)]
    assert walk.sub_bars["open_time"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=1)]
    first = walk.sub_bars.head(15)
    assert first["high"].max() == walk.bars["high"][0]
    assert first["close"][-1] == walk.bars["close"][0]
    assert first["volume"].sum() == pytest.approx(walk.bars["volume"][0])


def test_a_shorter_head_is_the_walk_as_it_was_known_then() -> None:
    walk = Walk.of(seed=3, bars=50)
    head = walk.head(20)
    assert head.bars.equals(walk.bars.head(20))
    assert head.sub_bars.equals(walk.sub_bars.head(300))
    assert np.array_equal(head.prices, walk.prices[:1_200])


def test_steps_have_no_drift_and_do_not_remember_each_other() -> None:
    moves = np.concatenate([np.diff(np.log(Walk.of(seed=seed, bars=1_000).prices)) for seed in range(20)])
    # the mean of ln(1 + σz) is −σ²/2; three standard errors of a mean of 1.2 million steps of 2e-4
    assert abs(moves.mean() + 2e-8) < 3 * 2e-4 / np.sqrt(moves.size)
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 3 / np.sqrt(moves.size)
