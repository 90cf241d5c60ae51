"""Sweeps: every set once, whatever happens on the way; and what the best of many is worth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pytest

from backtest import BacktestRefused, run_backtest
from backtest.sweep import Space, grid, judged, sweep
from backtest.trials import MemorySink, Trial, configured, data_id_of
from tests.backtest.markets import ONE, config, market

MARKET = {key: frame for key, frame in market(400).items() if key.instrument == ONE}
START, END = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
SPACE = {"profile.reward": [0.5, 1.0, 2.0], "engine.fvg_min_atr": [0.2, 0.3]}


class Killed(Exception):
    """The process ends here."""


@dataclass
class Fragile:
    """A sink whose process is killed after some trials."""

    left: int
    memory: MemorySink = field(default_factory=MemorySink)
    recorded: list[str] = field(default_factory=list)

    def known(self, study: str) -> Iterable[Trial]:
        return self.memory.known(study)

    def record(self, study: str, trials: Sequence[Trial]) -> None:
        if len(self.recorded) >= self.left:
            raise Killed
        self.recorded += [trial.trial_id for trial in trials]
        self.memory.record(study, trials)


def test_every_set_of_the_grid_is_a_trial_and_is_what_a_run_of_it_gives() -> None:
    sink = MemorySink()
    found = sweep(MARKET, config(), SPACE, study="one", sink=sink)
    assert found.evaluated == len(found.trials) == len(grid(SPACE)) == 6
    assert {tuple(trial.params.values()) for trial in found.trials} == {
        (reward, least) for reward in (0.5, 1.0, 2.0) for least in (0.2, 0.3)
    }
    for trial in found.trials:
        alone = run_backtest(MARKET, configured(config(), trial.params))
        assert trial.fingerprint == alone.fingerprint
        assert trial.sharpe == alone.metrics.sharpe
        assert trial.returns == tuple(alone.daily_returns)
    assert len({trial.fingerprint for trial in found.trials}) > 3
    assert found.best is not None
    assert found.best.sharpe == max(trial.sharpe or -1e9 for trial in found.trials)
    assert sorted(trial.trial_id for trial in sink.known("one")) == [trial.trial_id for trial in found.trials]


def test_a_sweep_that_was_killed_goes_on_with_what_is_missing_and_counts_no_trial_twice() -> None:
    space = {"profile.reward": [0.5 + 0.1 * k for k in range(20)]}
    sink = Fragile(left=9)
    with pytest.raises(Killed):
        sweep(MARKET, config(), space, study="one", sink=sink)
    first = list(sink.recorded)
    assert 0 < len(first) < 20
    sink.left = 10**6
    found = sweep(MARKET, config(), space, study="one", sink=sink)
    assert found.evaluated == 20 - len(first)
    assert len(sink.recorded) == len(set(sink.recorded)) == 20
    assert len(found.trials) == 20
    again = sweep(MARKET, config(), space, study="one", sink=sink)
    assert (again.evaluated, again.trials) == (0, found.trials)


def test_processes_find_what_one_process_finds() -> None:
    alone = sweep(MARKET, config(), SPACE, study="one", sink=MemorySink())
    seen: list[tuple[int, int]] = []
    together = sweep(
        MARKET,
        config(),
        SPACE,
        study="one",
        sink=MemorySink(),
        processes=2,
        told=lambda done, total: seen.append((done, total)),
    )
    assert together.trials == alone.trials
    assert seen[-1] == (6, 6)


def test_a_search_is_the_same_for_the_same_seed_and_remembers_what_it_looked_at() -> None:
    space: Space = {"profile.reward": [0.5, 0.75, 1.0, 1.5, 2.0, 3.0], "profile.max_positions": [1, 2, 3]}
    sink = MemorySink()
    found = sweep(MARKET, config(), space, study="one", sink=sink, draws=12, seed=3)
    assert 2 < found.evaluated <= 12
    same = sweep(MARKET, config(), space, study="one", sink=MemorySink(), draws=12, seed=3)
    assert same.trials == found.trials
    again = sweep(MARKET, config(), space, study="one", sink=sink, draws=12, seed=3)
    assert set(found.trials[0].params) == set(space)
    assert len(again.trials) >= len(found.trials)


def test_trials_are_named_by_what_was_asked_and_by_the_bars() -> None:
    sink = MemorySink()
    sweep(MARKET, config(), {"profile.reward": [1.0]}, study="one", sink=sink)
    shorter = {key: frame.head(frame.height - 1) for key, frame in MARKET.items()}
    assert sweep(shorter, config(), {"profile.reward": [1.0]}, study="one", sink=sink).evaluated == 1
    assert sweep(MARKET, config(ambiguity="target"), {"profile.reward": [1.0]}, study="one", sink=sink).evaluated == 1
    assert data_id_of(MARKET, config(dataset_id="one")) == "one"


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({}, "at least one value"),
        ({"profile.reward": []}, "at least one value"),
        ({"profile.rewards": [1.0]}, "no parameter 'profile.rewards'"),
        ({"reward": [1.0]}, "no parameter 'reward'"),
        ({"profile.leverage": [1, 9]}, "leverage"),
        ({"engine.pivot_n": [0]}, "pivot_n"),
    ],
)
def test_a_space_that_cannot_be_is_refused_before_anything_is_evaluated(
    space: dict[str, list[float]], told: str
) -> None:
    for draws in (None, 4):
        sink = MemorySink()
        with pytest.raises(BacktestRefused, match=told):
            sweep(MARKET, config(), space, study="one", sink=sink, draws=draws)
        assert list(sink.known("one")) == []


def test_the_best_of_noise_is_told_to_be_worth_little_and_of_true_skill_much() -> None:
    rng = np.random.default_rng(1)

    def trial(name: int, returns: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Trial:
        sharpe = float(returns.mean() / returns.std(ddof=1) * np.sqrt(365))
        return Trial(f"{name:064x}", {"k": name}, sharpe, {}, tuple(returns), f"{name:064x}", START, END)

    noise = [trial(k, rng.normal(0.0, 0.01, 365)) for k in range(50)]
    found = judged("noise", noise)
    assert found.best is not None
    assert found.best.sharpe is not None
    assert found.best.sharpe > 1.5  # it looks good
    assert found.deflated_sharpe is not None
    assert found.deflated_sharpe < 0.8
    skilled = judged("skill", [*noise, trial(99, rng.normal(0.004, 0.01, 365))])
    assert skilled.best is not None
    assert skilled.best.params == {"k": 99}
    assert skilled.deflated_sharpe is not None
    assert skilled.deflated_sharpe > 0.9
    assert found.overfitting is not None
    assert skilled.overfitting is not None
    assert skilled.overfitting.probability < 0.05 < 0.2 < found.overfitting.probability
