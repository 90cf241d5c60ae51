"""Sweeps: every set once, whatever happens on the way, over the bars of one study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from backtest import BacktestRefused, run_backtest
from backtest import sweep as sweeping
from backtest.sweep import Space, grid, sweep
from backtest.trials import MemorySink, Trial, configured, data_id_of
from risk import RiskProfile
from tests.backtest.markets import ONE, TWO, config, market

MARKET = {key: frame for key, frame in market(400).items() if key.instrument == ONE}
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


WIDE: Space = {"profile.reward": [0.5, 0.75, 1.0, 1.5, 2.0, 3.0], "profile.max_positions": [1, 2, 3]}


def test_a_search_is_the_same_for_the_same_seed_and_goes_on_where_it_was_killed() -> None:
    found = sweep(MARKET, config(), WIDE, study="one", sink=MemorySink(), draws=20, seed=3)
    assert 2 < found.evaluated <= 18
    sink = Fragile(left=3)
    with pytest.raises(Killed):
        sweep(MARKET, config(), WIDE, study="one", sink=sink, draws=20, seed=3)
    before = len(sink.recorded)
    assert 0 < before < found.evaluated
    sink.left = 10**6
    rest = sweep(MARKET, config(), WIDE, study="one", sink=sink, draws=20, seed=3)
    assert (rest.evaluated, rest.trials) == (found.evaluated - before, found.trials)
    assert sweep(MARKET, config(), WIDE, study="one", sink=sink, draws=20, seed=3).evaluated == 0


def test_a_search_tells_of_every_set_it_drew_though_some_were_drawn_before() -> None:
    seen: list[tuple[int, int]] = []
    space = {"profile.reward": [0.5, 1.0]}
    found = sweep(
        MARKET,
        config(),
        space,
        study="one",
        sink=MemorySink(),
        draws=11,
        told=lambda done, total: seen.append((done, total)),
    )
    assert found.evaluated == 2
    assert seen == [(8, 11), (11, 11)]


def test_values_that_are_lists_are_searched_too() -> None:
    ladders: Space = {"engine.tp_r": [[1.5, 3.0], [1.0, 2.0, 3.0]]}
    found = sweep(MARKET, config(), ladders, study="one", sink=MemorySink(), draws=8)
    assert sorted(trial.params["engine.tp_r"] for trial in found.trials) == [[1.0, 2.0, 3.0], [1.5, 3.0]]


def test_a_search_takes_a_space_that_the_grid_takes_though_no_value_of_it_would_do_alone() -> None:
    # 0.12 alone is more than the default total_drawdown, 0.1.
    wide: Space = {"profile.daily_drawdown": [0.12], "profile.total_drawdown": [0.2]}
    asked = config(profile=RiskProfile())
    for draws in (None, 4):
        assert sweep(MARKET, asked, wide, study="one", sink=MemorySink(), draws=draws).evaluated == 1


def test_a_small_space_with_one_set_that_cannot_be_is_refused_and_of_a_large_one_those_sets_are_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mixed = {"profile.daily_drawdown": [0.02, 0.05], "profile.total_drawdown": [0.04, 0.2]}  # 0.05 and 0.04 cannot be
    asked = config(profile=RiskProfile())
    for draws in (None, 12):
        sink = MemorySink()
        with pytest.raises(BacktestRefused, match="daily_drawdown must not exceed total_drawdown"):
            sweep(MARKET, asked, mixed, study="one", sink=sink, draws=draws)
        assert sink.trials == {}
    monkeypatch.setattr(sweeping, "_SMALL", 3)
    found = sweep(MARKET, asked, mixed, study="one", sink=MemorySink(), draws=30)
    assert {tuple(trial.params.values()) for trial in found.trials} == {(0.02, 0.04), (0.02, 0.2), (0.05, 0.2)}
    assert found.refused
    assert all("daily_drawdown must not exceed total_drawdown" in reason for reason in found.refused)
    none = {"profile.daily_drawdown": [0.3, 0.5], "profile.total_drawdown": [0.1, 0.2]}
    with pytest.raises(BacktestRefused, match=r"not one of 5 sets that were drawn can be: .*daily_drawdown"):
        sweep(MARKET, asked, none, study="one", sink=MemorySink(), draws=5)


def test_trials_are_named_by_what_was_asked_and_by_the_bars_and_not_by_what_the_profile_is_called() -> None:
    sink = MemorySink()
    sweep(MARKET, config(), {"profile.reward": [1.0]}, study="one", sink=sink)
    called = config(profile=config().profile.model_copy(update={"name": "another"}))
    assert sweep(MARKET, called, {"profile.reward": [1.0]}, study="one", sink=sink).evaluated == 0
    # 2 stop guards of 8 are the base profile's own: the same values however they came about.
    same: Space = {"profile.reward": [1.0], "profile.stop_guard_stops": [8]}
    assert sweep(MARKET, config(), same, study="one", sink=sink).evaluated == 0
    for changed in ({"ambiguity": "target"}, {"capital": Decimal(20_000)}):
        assert sweep(MARKET, config(**changed), {"profile.reward": [1.0]}, study="one", sink=sink).evaluated == 1
    assert data_id_of(MARKET, config(dataset_id="one")) == "one"


def test_a_study_stands_on_its_first_bars_and_others_are_refused_before_anything_is_evaluated() -> None:
    sink = MemorySink()
    space = {"profile.reward": [1.0]}
    sweep(MARKET, config(), space, study="one", sink=sink)
    series = "binance_usdm:AAAUSDT:1m, binance_usdm:AAAUSDT:15m"
    own = f"study 'one' is one of {series} from 2022-01-01 00:00 to 2022-01-05 04:00"
    shorter = {key: frame.head(frame.height - 1) for key, frame in MARKET.items()}
    another = {key: frame for key, frame in market(400).items() if key.instrument == TWO}
    one_more = {**MARKET, **{key: frame for key, frame in another.items() if str(key.tf) == "15m"}}
    for bars in (shorter, another, one_more):
        with pytest.raises(BacktestRefused, match=f"{own}, these bars are .*--from .* --to .* another --study"):
            sweep(bars, config(), {"profile.reward": [1.0, 2.0]}, study="one", sink=sink)
    redrawn = {key: frame for key, frame in market(400, seed=9).items() if key.instrument == ONE}
    for bars, asked in ((redrawn, config()), (MARKET, config(dataset_id="of today"))):
        with pytest.raises(BacktestRefused, match=f"{own}, and what is stored of them .* has changed.*another --study"):
            sweep(bars, asked, {"profile.reward": [1.0, 2.0]}, study="one", sink=sink)
    later = config(start=datetime(2022, 1, 2, tzinfo=UTC))  # the same bars, of which the first day warms up
    with pytest.raises(BacktestRefused, match=f"{own}, these bars are {series} from 2022-01-02 00:00 to "):
        sweep(MARKET, later, space, study="one", sink=sink)
    for again in (1, 0):
        assert sweep(MARKET, later, space, study="warm", sink=sink).evaluated == again
    assert len(list(sink.known("one"))) == 1
    assert sweep(shorter, config(), space, study="two", sink=sink).evaluated == 1


def test_a_study_without_a_name_and_bars_that_are_none_are_refused() -> None:
    for study in ("", " "):
        with pytest.raises(BacktestRefused, match="a study needs a name"):
            sweep(MARKET, config(), SPACE, study=study, sink=MemorySink())
    with pytest.raises(BacktestRefused, match="no bars to trade in binance_usdm:AAAUSDT"):
        sweep({key: frame.head(0) for key, frame in MARKET.items()}, config(), SPACE, study="one", sink=MemorySink())


@dataclass
class Interrupted(Fragile):
    """A sink during whose work a person presses Ctrl-C, once."""

    pressed: bool = False

    def record(self, study: str, trials: Sequence[Trial]) -> None:
        if len(self.recorded) >= self.left and not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt
        self.recorded += [trial.trial_id for trial in trials]
        self.memory.record(study, trials)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_done_when_a_sweep_is_interrupted_is_remembered_before_it_ends(processes: int) -> None:
    space = {"profile.reward": [0.5 + 0.05 * k for k in range(40)]}
    sink = Interrupted(left=1)
    with pytest.raises(KeyboardInterrupt):
        sweep(MARKET, config(), space, study="one", sink=sink, processes=processes)
    kept = len(sink.recorded)
    # What was being recorded is among it, and no set was begun behind it but those that were under way.
    assert 2 <= kept < 40
    assert len(set(sink.recorded)) == kept
    found = sweep(MARKET, config(), space, study="one", sink=sink)
    assert (found.evaluated, len(found.trials)) == (40 - kept, 40)


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({}, "at least one value"),
        ({"profile.reward": []}, "at least one value"),
        ({"profile.rewards": [1.0]}, "no parameter 'profile.rewards'"),
        ({"reward": [1.0]}, "no parameter 'reward'"),
        ({"profile.leverage": [1, 9]}, "leverage"),
        ({"engine.pivot_n": [0]}, "pivot_n"),
        ({"profile.reward": [2, 3, 2]}, "profile.reward has the value 2 twice"),
        ({"profile.reward": [2, 2.0]}, "profile.reward has the value 2.0 twice"),
        ({"engine.tp_r": [[1, 2], [1, 2]]}, r"engine.tp_r has the value \[1, 2\] twice"),
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
