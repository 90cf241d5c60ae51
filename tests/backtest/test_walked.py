"""What a walk-forward comes to: numbers and curve by hand, its verdict, its document and its files."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from backtest.report import ReportUnwritable
from backtest.trials import MemorySink
from backtest.walk_forward import Scheme, walk_forward
from backtest.walked import WalkForward
from tests.backtest.markets import ONE, config, market
from tests.backtest.reported import CAPITAL
from tests.backtest.results import START
from tests.backtest.walks import DAY, fold, three, walked


def sharpe(*returns: float) -> float:
    """By the formula of the docstring of `Metrics`."""
    return statistics.mean(returns) / statistics.stdev(returns) * math.sqrt(365)


def test_the_curve_puts_what_one_window_left_into_the_next() -> None:
    curve = three().curve
    # 10,000 → 10,200; ×0.98 = 9,996; ×0.99 = 9,896.04 and ×1.05 = 10,495.80.
    assert curve["equity"].to_list() == pytest.approx([10_000, 10_100, 10_200, 10_200, 9_996, 9_896.04, 10_495.8])
    assert curve["drawdown"].to_list() == pytest.approx([0, 0, 0, 0, 0.02, 303.96 / 10_200, 0])
    assert curve["fold"].to_list() == [0, 0, 0, 1, 1, 2, 2]
    assert [(ts - START) / DAY for ts in curve["ts"].to_list()] == [30, 31, 32, 41, 42, 51, 52]


def test_numbers_of_all_test_windows_are_those_by_hand() -> None:
    found = three()
    days = (0.01, 1 / 101, 0.0, -0.02, -0.01, 6 / 99)
    tested = [sharpe(*days[at : at + 2]) for at in (0, 2, 4)]
    assert found.metrics == {
        "folds": 3,
        "earned": 2,
        "sharpe": pytest.approx(sharpe(*days)),
        "total_return": pytest.approx(1.02 * 0.98 * 1.05 - 1),
        "max_drawdown": 0.1,  # that of each window at every bar, which `Told` makes up
        "efficiency": pytest.approx(statistics.mean(tested) / 3),
        "sharpe_trained": 3.0,
        "sharpe_tested": pytest.approx(statistics.mean(tested)),
        "net_pnl": 500.0,  # 200 − 200 + 500
        "trades": 4,
    }
    assert found.fingerprint == hashlib.sha256(f"{0:064x}|{1:064x}|{2:064x}".encode()).hexdigest()


def test_a_drawdown_over_several_windows_is_that_of_the_curve() -> None:
    found = walked([fold(0, [9_000], r=[-10.0]), fold(1, [9_000], r=[-10.0])])
    assert found.max_drawdown == pytest.approx(0.19)  # 1 − 0.9²


def test_of_what_is_lost_nothing_can_be_lost_again() -> None:
    found = walked([fold(0, [-2_000], r=[-120.0]), fold(1, [-2_000], r=[-120.0]), fold(2, [11_000], r=[10.0])])
    assert found.total_return == -1.0
    assert found.curve["equity"].to_list() == [10_000, -2_000, 0, 0]


@pytest.mark.parametrize(
    ("closes", "verdict"),
    [
        ((10_200, 9_900), "passed: 1 of 2 test windows earned, all of them together made +0.98%"),
        ((10_200, 9_800), "not passed: 1 of 2 test windows earned, all of them together made -0.04%"),
        ((10_500, 9_900, 9_900), "not passed: 1 of 3 test windows earned, all of them together made +2.91%"),
    ],
)
def test_it_passes_where_the_windows_together_earned_and_half_of_them_did(
    closes: tuple[float, ...], verdict: str
) -> None:
    found = walked([fold(at, [close], r=[(close - CAPITAL) / 100]) for at, close in enumerate(closes)])
    assert found.passed is verdict.startswith("passed")
    assert found.verdict == f"{verdict} (at least half of them, and above 0 together, is needed)"


def test_efficiency_is_not_defined_where_training_earned_nothing_or_no_window_has_a_ratio() -> None:
    assert walked([fold(0, [10_100, 10_300], trained=-1.0)]).efficiency is None
    assert walked([fold(0, [10_100, 10_300], trained=None)]).efficiency is None
    assert walked([fold(0, [10_000, 10_000])]).efficiency is None


def test_choices_are_told_of_parameters_with_several_values() -> None:
    chosen = [{"profile.reward": one, "engine.tp_r": [1.5, 3.0]} for one in (2.0, 3.0, 3.0, 2.0)]
    found = walked(
        [fold(at, [10_000], chosen=one) for at, one in enumerate(chosen)],
        space={"profile.reward": [2.0, 3.0], "engine.tp_r": [[1.5, 3.0]]},
    )
    [choice] = found.choices
    assert (choice.parameter, choice.chosen, choice.changes) == ("profile.reward", [2.0, 3.0, 3.0, 2.0], 2)


# The document.


@pytest.fixture(scope="module")
def real() -> WalkForward:
    """Three folds over ten days of one instrument."""
    bars = {key: frame for key, frame in market(960).items() if key.instrument == ONE}
    space: dict[str, list[Any]] = {"profile.reward": [0.5, 1.0], "profile.after_first": ["trail", "keep"]}
    scheme = Scheme(train=4 * DAY, test=2 * DAY, embargo=timedelta(hours=3))
    return walk_forward(bars, config(), space, scheme=scheme, study="one", sink=MemorySink())


def test_the_document_of_a_real_walk_forward_has_the_numbers_of_its_folds(real: WalkForward, tmp_path: Path) -> None:
    page, numbers = real.write(tmp_path / "a", run_id="f00d")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["walk-forward.html", "walk-forward.json"]
    read = json.loads(numbers.read_text())
    assert read == real.to_dict(run_id="f00d")
    assert page.read_text() == real.report(run_id="f00d").html
    assert len(read["folds"]) == len(real.folds) == 3
    for told, one in zip(read["folds"], real.folds, strict=True):
        assert told["out_of_sample"] == one.tested.metrics.to_dict()
        assert told["in_sample"] == one.trained.metrics
        assert (told["trial_id"], told["fingerprint"]) == (one.trained.trial_id, one.tested.fingerprint)
        assert told["chosen"] == one.chosen
        assert datetime.fromisoformat(told["test_from"]) == one.window.test_from
    assert read["metrics"]["trades"] == sum(one.tested.trades.height for one in real.folds) > 0
    assert read["metrics"]["net_pnl"] == pytest.approx(sum(one.tested.trades["pnl"].sum() for one in real.folds))
    curve = read["equity"]
    assert curve["equity"][0] == read["metrics"]["capital"] == CAPITAL
    assert curve["equity"][-1] / CAPITAL - 1 == pytest.approx(read["metrics"]["total_return"])
    assert len(curve["ts"]) == 1 + sum(one.tested.equity.height for one in real.folds) == len(set(curve["ts"]))
    assert curve["ts"] == sorted(curve["ts"])
    assert read["scheme"] == {
        "train": 4 * 86_400,
        "test": 2 * 86_400,
        "anchored": False,
        "purge": 0,
        "embargo": 3 * 3_600,
    }
    assert (read["sets"], read["trials"], read["space"]) == (4, 12, dict(real.space))
    assert read["assumptions"][-len(real.folds[-1].tested.assumptions) :] == real.folds[-1].tested.assumptions
    assert (read["run"]["run_id"], read["run"]["study"], read["run"]["fingerprint"]) == (
        "f00d",
        "one",
        real.fingerprint,
    )


def test_sections_of_the_document_stand_in_the_order_of_the_page() -> None:
    assert list(three().to_dict()) == [
        *("version", "warnings", "passed", "verdict", "metrics", "equity", "folds", "choices"),
        *("scheme", "space", "sets", "trials", "assumptions", "run"),
    ]


def test_it_is_the_same_whether_trials_were_made_or_known() -> None:
    found = three()
    assert replace(found, evaluated=0).report().html == found.report().html


def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportUnwritable, match="file/under"):
        three().write(tmp_path / "file" / "under")
