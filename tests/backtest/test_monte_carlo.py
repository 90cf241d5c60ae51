"""Orders of trades: what cannot depend on the order, what must, and small cases that can be listed."""

from __future__ import annotations

import json
import math
from itertools import permutations, product

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.metrics import StatisticsRefused
from backtest.monte_carlo import PERCENTILES, SCHEMA, shuffled
from tests.backtest.results import trades_of


def orders(r: list[float], *, risk_fraction: float = 0.1, draws: int = 1000, seed: int = 1) -> pl.DataFrame:
    return shuffled(trades_of(r), capital=1000.0, risk_fraction=risk_fraction, draws=draws, seed=seed)


def ranked(table: pl.DataFrame, method: str, name: str) -> list[float]:
    return table.filter(pl.col("method") == method)[name].to_list()


def one_path(r: tuple[float, ...], *, risk_fraction: float) -> tuple[float, float]:
    account = peak = 1000.0
    fallen = 0.0
    for value in r:
        account *= 1 + risk_fraction * value
        peak = max(peak, account)
        fallen = max(fallen, 1 - account / peak)
    return account, fallen


def test_the_table_has_the_trades_as_they_came_and_both_methods() -> None:
    table = orders([1.0, -1.0, 2.0])
    assert table.schema == SCHEMA
    assert table["method"].to_list() == ["actual"] + ["shuffled"] * 7 + ["resampled"] * 7
    assert table["percentile"].to_list() == [None, *PERCENTILES, *PERCENTILES]
    assert PERCENTILES == (1, 5, 25, 50, 75, 95, 99)


def test_the_actual_order_by_hand() -> None:
    # A tenth is risked: 1000 → 1100 → 990 → 891 → 1069.2; deepest from 1100 to 891 = 0.19.
    table = orders([1.0, -1.0, -1.0, 2.0])
    assert table.row(0) == ("actual", None, pytest.approx(1069.2), pytest.approx(0.19))


def test_shuffled_drawdowns_are_those_of_all_orders() -> None:
    # 24 orders of four trades, each as likely: the percentiles of many draws are the ones of the list.
    r = (3.0, -1.0, -2.0, 0.5)
    table = orders(list(r), draws=40_000)
    exact = sorted(one_path(order, risk_fraction=0.1)[1] for order in permutations(r))
    for percentile, found in zip(PERCENTILES, ranked(table, "shuffled", "max_drawdown"), strict=True):
        # The order at this rank, or its neighbour where a rank falls near the border between two.
        rank = 24 * percentile / 100
        near = {exact[min(23, max(0, math.ceil(rank + shift) - 1))] for shift in (-0.2, 0, 0.2)}
        assert min(abs(found - value) for value in near) < 1e-9


def test_resampled_ends_are_those_of_all_draws_with_replacement() -> None:
    # Three of three with replacement: 27 draws. Their fifth percentile is the second, 27 · 0.05 = 1.35.
    r = (2.0, -1.0, 0.5)
    table = orders(list(r), draws=40_000)
    exact = sorted(one_path(draw, risk_fraction=0.1)[0] for draw in product(r, repeat=3))
    found = ranked(table, "resampled", "final_equity")
    assert found[PERCENTILES.index(1.0)] == pytest.approx(1000 * 0.9**3)
    assert found[PERCENTILES.index(5.0)] == pytest.approx(exact[1])
    assert found[PERCENTILES.index(50.0)] == pytest.approx(exact[13])
    assert found[PERCENTILES.index(99.0)] == pytest.approx(1000 * 1.2**3)


def test_a_trade_that_loses_everything_ruins_every_order_of_it_but_not_every_draw() -> None:
    # Ten R at a tenth. Without it (9/10)^10 = 35 % of the draws go on.
    table = orders([1.0] * 9 + [-10.0])
    assert table.row(0)[2:] == (0.0, 1.0)
    assert set(ranked(table, "shuffled", "final_equity")) == {0.0}
    assert set(ranked(table, "shuffled", "max_drawdown")) == {1.0}
    assert ranked(table, "resampled", "final_equity")[3:5] == [0.0, pytest.approx(1000 * 1.1**10)]


def test_a_final_equity_beyond_a_float_is_null() -> None:
    table = orders([100.0] * 400, draws=100)
    assert table["final_equity"].null_count() == 15
    assert table["max_drawdown"].to_list() == [0.0] * 15


def test_no_trades_have_no_orders() -> None:
    assert orders([]).height == 0
    assert orders([]).schema == SCHEMA


def test_the_seed_decides() -> None:
    r = np.random.default_rng(1).normal(0.1, 1, 60).tolist()
    assert orders(r, seed=3).equals(orders(r, seed=3))
    assert not orders(r, seed=3).equals(orders(r, seed=4))


def test_more_trades_than_fit_one_batch_are_drawn_alike() -> None:
    # 20,000 trades: batches of 52. The deepest fall of a walk without drift is distributed as the greatest distance of
    # one from its origin: P(≤ x s √n) ≈ 4/π exp(−π²/8x²), ½ at x = 1.149. 1.149 · 0.0005 · √20,000 = 0.0812, of the
    # account 1 − e^−0.0812 = 0.078; to lose as often as to win costs s²/2 a trade, 0.0025 in all.
    r = np.where(np.arange(20_000) % 2 == 0, 1.0, -1.0)
    table = orders(r.tolist(), risk_fraction=0.0005, draws=300)
    medians = ranked(table, "resampled", "max_drawdown")[3]
    assert medians == pytest.approx(0.079, rel=0.12)
    assert len(set(ranked(table, "shuffled", "max_drawdown"))) == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capital": -1.0}, "capital"),
        ({"risk_fraction": 0.0}, "risk fraction above 0"),
        ({"risk_fraction": 1.1}, "risk fraction above 0"),
        ({"risk_fraction": math.nan}, "risk fraction above 0"),
        ({"draws": 99}, "at least 100 draws"),
    ],
)
def test_impossible_questions_are_refused(changes: dict[str, float], words: str) -> None:
    asked = {"capital": 1000.0, "risk_fraction": 0.01, "draws": 100, "seed": 1} | changes
    with pytest.raises(StatisticsRefused, match=words):
        shuffled(trades_of([1.0]), **asked)  # type: ignore[arg-type] # numbers by name


_rs = st.lists(st.floats(-3, 5), min_size=1, max_size=40)


@settings(deadline=None, max_examples=40)
@given(_rs, st.integers(0, 100))
def test_the_end_does_not_depend_on_the_order(r: list[float], seed: int) -> None:
    table = orders(r, draws=100, seed=seed)
    assert ranked(table, "shuffled", "final_equity") == pytest.approx([table["final_equity"][0]] * 7)


@settings(deadline=None, max_examples=40)
@given(_rs, st.integers(0, 100))
def test_percentiles_ascend_and_drawdowns_are_fractions(r: list[float], seed: int) -> None:
    table = orders(r, draws=100, seed=seed)
    json.dumps(table.to_dicts(), allow_nan=False)
    for method in ("shuffled", "resampled"):
        depths = ranked(table, method, "max_drawdown")
        assert depths == sorted(depths)
        assert 0 <= depths[0] <= depths[-1] <= 1
    ends = ranked(table, "resampled", "final_equity")
    assert ends == sorted(ends)


@settings(deadline=None, max_examples=40)
@given(_rs)
def test_money_scales_with_the_capital_and_drawdowns_do_not(r: list[float]) -> None:
    trades = trades_of(r)
    one, other = (shuffled(trades, capital=c, risk_fraction=0.02, draws=100, seed=1) for c in (1000.0, 4000.0))
    assert other["max_drawdown"].equals(one["max_drawdown"])
    assert other["final_equity"].equals(one["final_equity"] * 4)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-3, -0.01), min_size=1, max_size=20))
def test_to_risk_more_on_trades_that_lose_falls_deeper(r: list[float]) -> None:
    one, other = (orders(r, risk_fraction=fraction, draws=100) for fraction in (0.01, 0.02))
    assert (other["max_drawdown"] > one["max_drawdown"]).all()
    assert (other["final_equity"] < one["final_equity"]).all()
