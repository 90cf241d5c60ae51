"""What a study stands on, which of its trials count, and what its best is worth."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from backtest import BacktestRefused
from backtest.overfitting import TrackRecord, deflated_sharpe, overfitting_probability
from backtest.studies import Ground, bound, judged
from backtest.trials import Trial
from contracts import SeriesKey
from engine import ENGINE_VERSION

BTC, ETH = SeriesKey("binance_spot", "BTCUSDT", "15m"), SeriesKey("binance_spot", "ETHUSDT", "15m")
START, END = datetime(2022, 1, 1, tzinfo=UTC), datetime(2023, 1, 1, tzinfo=UTC)
DAYS = 365
RNG = np.random.default_rng(1)
NOISE = RNG.normal(0.0, 0.01, (DAYS, 50))


def trial(name: int, returns: NDArray[np.float64], *, sharpe: float | None = 0.0) -> Trial:
    """A trial of these returns; a Sharpe ratio of 0 stands for their own."""
    if sharpe is not None:
        sharpe = float(returns.mean() / returns.std(ddof=1) * np.sqrt(365))
    return Trial(
        f"{name:064x}",
        {"k": name},
        sharpe,
        {},
        tuple(returns),
        f"{name:064x}",
        START,
        END,
        series=(BTC,),
        data_id="one",
    )


def noise(count: int = 50) -> list[Trial]:
    return [trial(k, NOISE[:, k]) for k in range(count)]


def test_the_best_of_noise_is_told_to_be_worth_little_and_of_true_skill_much() -> None:
    found = judged("noise", noise())
    assert found.best is not None
    assert found.best.sharpe is not None
    assert found.best.sharpe > 1.5  # it looks good
    assert found.deflated_sharpe is not None
    assert found.deflated_sharpe < 0.8
    skilled = judged("skill", [*noise(), trial(99, RNG.normal(0.004, 0.01, DAYS))])
    assert skilled.best is not None
    assert skilled.best.params == {"k": 99}
    assert skilled.deflated_sharpe is not None
    assert skilled.deflated_sharpe > 0.9
    assert found.overfitting is not None
    assert skilled.overfitting is not None
    assert skilled.overfitting.probability < 0.05 < 0.2 < found.overfitting.probability
    assert (found.missing, skilled.missing, found.others) == ({}, {}, 0)


def test_trials_of_another_engine_count_though_none_of_them_is_chosen() -> None:
    mine, before = noise(20), [replace(one, engine_version=ENGINE_VERSION - 1) for one in noise()[20:]]
    found = judged("noise", [*before, *mine])
    assert (len(found.trials), found.others) == (20, 30)
    best = max(mine, key=lambda one: one.sharpe or 0.0)
    assert found.best == best
    # By the definition, over all fifty that were looked at.
    daily = NOISE.mean(axis=0) / NOISE.std(axis=0, ddof=1)
    record = TrackRecord.of(np.array(best.returns))
    assert record is not None
    expected = deflated_sharpe(record, variance=float(daily.var(ddof=1)), trials=50)
    assert found.deflated_sharpe == pytest.approx(expected, rel=1e-12)
    alone = judged("noise", mine)
    assert alone.deflated_sharpe is not None
    assert found.deflated_sharpe is not None
    assert found.deflated_sharpe < alone.deflated_sharpe
    assert found.overfitting is not None
    assert found.overfitting.trials == 20


def test_a_trial_that_was_ruined_is_compared_as_one_that_stood_still_from_then_on() -> None:
    ruined = np.concatenate([RNG.normal(0.0, 0.01, 99), [-1.0]])
    found = judged("noise", [*noise(9), trial(9, ruined)])
    by_hand = np.column_stack([NOISE[:, :9], np.concatenate([ruined, np.zeros(DAYS - 100)])])
    assert found.overfitting is not None
    assert found.overfitting.to_dict() == overfitting_probability(by_hand).to_dict()
    assert found.deflated_sharpe is not None


def test_trials_over_other_days_are_never_compared_day_by_day() -> None:
    later = [replace(one, start=START + timedelta(days=30), until=END + timedelta(days=30)) for one in noise()[10:]]
    found = judged("mixed before studies were bound", [*noise(10), *later])
    assert (len(found.trials), found.others) == (10, 40)
    assert found.overfitting is not None
    assert found.overfitting.trials == 10


@pytest.mark.parametrize(
    ("trials", "deflated", "overfitted"),
    [
        ([], "no trial has a Sharpe ratio", "no trials with a Sharpe ratio: a choice takes two"),
        ([trial(1, np.zeros(60), sharpe=None)], "no trial has a Sharpe", "no trials with a Sharpe ratio"),
        (noise(1), "only one trial has a Sharpe ratio", "1 trial with a Sharpe ratio: a choice takes two"),
        ([trial(k, NOISE[:31, k]) for k in range(3)], None, "31 days are too few: .* 32 in all"),
        ([trial(k, NOISE[:32, k]) for k in range(3)], None, None),
    ],
)
def test_where_a_study_does_not_say_what_its_best_is_worth_it_says_why(
    trials: list[Trial], deflated: str | None, overfitted: str | None
) -> None:
    found = judged("short", trials)
    wanted = {"deflated_sharpe": deflated, "overfitting": overfitted}
    assert found.missing.keys() == {name for name, reason in wanted.items() if reason is not None}
    for name, reason in found.missing.items():
        assert getattr(found, name) is None
        assert re.search(str(wanted[name]), reason), reason


def test_what_is_not_known_of_an_old_trial_does_not_keep_its_study_from_going_on() -> None:
    old = replace(noise(1)[0], series=None, data_id=None)
    ground = Ground(series=(BTC,), start=START, until=END, data_id="one")
    bound("old", [old], ground)
    with pytest.raises(
        BacktestRefused, match="'old' is one of series not on record from 2022-01-01 00:00 to 2023-01-01"
    ):
        bound("old", [old], replace(ground, until=END + timedelta(minutes=15)))


def test_the_first_trial_decides_what_a_study_is_of() -> None:
    first, second = noise(2)
    other = replace(second, series=(ETH,))
    bound("mixed", [first, other], Ground.under(first))
    with pytest.raises(BacktestRefused, match=r"is one of binance_spot:BTCUSDT:15m .* are binance_spot:ETHUSDT:15m "):
        bound("mixed", [first, other], Ground.under(other))
