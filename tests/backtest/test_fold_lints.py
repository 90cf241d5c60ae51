"""What speaks against a walk-forward: each finding where its limit says so, and none beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from backtest.fold_lints import FEW_FOLDS, FEWEST_FOLDS, lint_folds
from backtest.lints import FEW_TRADES, FEWEST_TRADES, Finding
from backtest.walk_forward import WalkForward
from tests.backtest.walks import fold, walked

GOOD = [0.02, 0.01, 0.03, 0.02, 0.01, 0.02]
TRADES = 20


def made(
    gains: Sequence[float] = GOOD, *, trained: float = 1.0, rewards: Sequence[float] = (), trades: int = TRADES
) -> WalkForward:
    """A walk-forward that made these gains: half of each on its first day, with the Sharpe ratio of training given."""
    folds = []
    for number, gain in enumerate(gains):
        closes = [10_000 * (1 + gain * share) for share in (0.6, 0.8, 1.0)]
        chosen = {"profile.reward": rewards[number]} if rewards else None
        folds.append(
            fold(number, closes, r=[100 * gain / trades] * trades if trades else [], trained=trained, chosen=chosen)
        )
    return walked(folds)


def calm(found: WalkForward, *, efficiency: float = 1.0) -> WalkForward:
    """The same with such a Sharpe ratio in training that the efficiency is this one."""
    assert found.sharpe_tested is not None
    gains = [one.tested.equity["equity"][-1] / 10_000 - 1 for one in found.folds]
    rewards = [one.chosen["profile.reward"] for one in found.folds]
    trades = found.folds[0].tested.trades.height
    return made(gains, trained=found.sharpe_tested / efficiency, rewards=rewards, trades=trades)


def codes(found: WalkForward) -> list[str]:
    return [finding.code for finding in lint_folds(found)]


def only(found: WalkForward) -> Finding:
    [finding] = lint_folds(found)
    return finding


def test_of_one_that_nothing_speaks_against_nothing_is_said() -> None:
    assert codes(calm(made())) == []


def test_one_that_is_not_passed_says_so_first_and_why() -> None:
    first, *_ = lint_folds(made([0.02, -0.01, -0.01, -0.01, -0.01, 0.05]))
    assert (first.code, first.severity, first.limit) == ("not_passed", "severe", 0.5)
    assert first.value == pytest.approx(2 / 6)
    assert first.text.startswith("Not passed: 2 of 6 test windows earned, and all of them together made +2.88%.")
    lost, *_ = lint_folds(made([0.01, 0.01, 0.01, -0.03, -0.03, -0.03]))
    assert (lost.code, lost.limit) == ("not_passed", 0.0)
    assert lost.value == pytest.approx(1.01**3 * 0.97**3 - 1)


@pytest.mark.parametrize(
    ("count", "severity"), [(1, ["severe"]), (FEWEST_FOLDS, ["warning"]), (FEW_FOLDS - 1, ["warning"]), (FEW_FOLDS, [])]
)
def test_few_folds_are_warned_of(count: int, severity: list[str]) -> None:
    found = calm(made([0.02] * count, trades=100))
    assert [(one.code, one.severity) for one in lint_folds(found)] == [("few_folds", one) for one in severity]


def test_a_result_that_one_window_made_is_named_with_its_days() -> None:
    # 0.10 of 0.16 is 62.5 %; without it 0.06 are left.
    share = only(calm(made([0.01, 0.02, 0.10, 0.01, 0.01, 0.01])))
    assert (share.code, share.severity) == ("one_fold", "warning")
    assert share.value == pytest.approx(0.625)
    assert "2024-02-20 to 2024-03-01, made 62% of the net result of 6" in share.text
    carried = only(calm(made([0.01, 0.01, 0.10, 0.01, -0.02, -0.01])))
    assert (carried.code, carried.severity) == ("carried_by_one_fold", "severe")
    assert "it made 1,000.00 of 1,000.00" in carried.text


@pytest.mark.parametrize(
    ("efficiency", "code", "severity"),
    [(0.25, "low_efficiency", "warning"), (2.0, "better_than_training", "warning")],
)
def test_a_sharpe_ratio_that_training_and_test_do_not_share_is_told(
    efficiency: float, code: str, severity: str
) -> None:
    finding = only(calm(made(), efficiency=efficiency))
    assert (finding.code, finding.severity) == (code, severity)
    assert finding.value == pytest.approx(efficiency)


def test_where_nothing_was_chosen_nothing_is_said_to_be_fitted() -> None:
    def alone(efficiency: float) -> WalkForward:
        return replace(calm(made(), efficiency=efficiency), space={"profile.reward": [2.0]})

    assert "the choice fits the past" in only(calm(made(), efficiency=0.25)).text
    assert "what worked before each window worked less in it" in only(alone(0.25)).text
    assert codes(alone(2.0)) == []


@pytest.mark.parametrize("efficiency", [0.51, 1.49])
def test_one_that_they_share_is_not(efficiency: float) -> None:
    assert codes(calm(made(), efficiency=efficiency)) == []


def test_a_loss_after_a_training_that_earned_is_severe_and_so_is_a_training_that_lost() -> None:
    lost = {one.code: one for one in lint_folds(made([-0.01] * 6))}
    assert (lost["low_efficiency"].severity, lost["low_efficiency"].limit) == ("severe", 0.5)
    trained = only(made(trained=-0.5))
    assert (trained.code, trained.severity, trained.value) == ("lost_in_training", "severe", -0.5)


def test_a_choice_that_jumps_is_named_and_one_that_changes_half_of_the_time_is_not() -> None:
    jumps = only(calm(made(rewards=[2.0, 3.0, 2.0, 3.0, 3.0, 3.0])))
    assert jumps.code == "choice_jumps"
    assert jumps.value == pytest.approx(3 / 5)
    assert "the choice changed 3 of 5 times for profile.reward" in jumps.text
    assert codes(calm(made(rewards=[2.0, 3.0, 2.0, 2.0, 2.0, 2.0]))) == []


@pytest.mark.parametrize(("trades", "severity"), [(FEWEST_TRADES // 6 - 1, "severe"), (FEWEST_TRADES // 6, "warning")])
def test_few_trades_are_warned_of(trades: int, severity: str) -> None:
    finding = only(calm(made(trades=trades)))
    assert (finding.code, finding.severity, finding.value) == ("too_few_trades", severity, 6 * trades)
    assert FEW_TRADES <= 6 * TRADES


def test_windows_without_a_trade_are_counted_and_none_at_all_is_told_once() -> None:
    traded = made([*GOOD, 0.02], trades=TRADES)
    idle = walked([*traded.folds[:6], fold(6, [10_000, 10_000])])
    assert "idle_folds" in codes(idle)
    [finding] = [one for one in lint_folds(idle) if one.code == "idle_folds"]
    assert finding.text.startswith("In 1 of 7 test windows no trade was opened")
    nothing = walked([fold(at, [10_000, 10_000], trained=None) for at in range(6)])
    assert codes(nothing) == ["not_passed", "too_few_trades"]
    assert "No trade was opened in any test window" in lint_folds(nothing)[1].text


def test_severe_ones_come_first() -> None:
    found = made([0.01, -0.02, 0.01], trades=2, rewards=[2.0, 3.0, 2.0])
    severities = [one.severity for one in lint_folds(found)]
    assert severities == sorted(severities)
    assert set(severities) == {"severe", "warning"}
