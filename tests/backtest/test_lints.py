"""Each lint at both sides of its limit, and the order they are told in."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.lints import Finding, lint
from backtest.metrics import StatisticsRefused, metrics_of
from tests.backtest.results import HUNDREDTHS, START, days_of, equity_of, trades_of

# 120 trades in turn of two symbols, won and lost in turn: +20 R in all, nothing to find.
SOUND = [4 / 3, -1.0] * 60


def found(
    trades: pl.DataFrame | None = None,
    equity: pl.DataFrame | None = None,
    *,
    turnover: float = 10.0,
    **also: Any,  # noqa: ANN401 - the arguments of `lint`, which checks them
) -> list[Finding]:
    trades = trades_of(SOUND) if trades is None else trades
    if equity is None:
        equity = days_of([10_000 + k for k in range(1, 121)])
    metrics = metrics_of(trades, equity, capital=10_000.0, max_drawdown=0.1, open_share=0.3, turnover=turnover)
    return lint(trades, equity, metrics, **also)


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def only(findings: list[Finding], code: str) -> Finding | None:
    return next((finding for finding in findings if finding.code == code), None)


def test_a_sound_result_has_no_findings() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("pairs", "severity", "limit"), [(14, "severe", 30), (15, "warning", 100), (49, "warning", 100), (50, None, None)]
)
def test_few_trades_are_a_warning_and_very_few_severe(pairs: int, severity: str | None, limit: float | None) -> None:
    finding = only(found(trades_of(SOUND[: 2 * pairs])), "too_few_trades")
    assert (finding and finding.severity, finding and finding.limit) == (severity, limit)
    if finding is not None:
        assert finding.value == 2 * pairs
        assert finding.text.startswith(f"{2 * pairs} trades, fewer than {limit:g}")


def test_no_trade_at_all_is_one_finding_that_points_at_the_decisions() -> None:
    findings = found(trades_of([]), days_of([10_000.0] * 120))
    assert codes(findings) == ["too_few_trades"]
    assert findings[0].severity == "severe"
    assert "reasons of the decisions" in findings[0].text


def test_one_trade_that_carries_the_sum_of_r_is_severe() -> None:
    # 99 trades sum to −1, one of +1.5 makes 0.5; without it the result is below 0.
    r = [1.0, -1.0] * 49 + [-1.0, 1.5]
    finding = only(found(trades_of(r)), "carried_by_few_trades")
    assert finding is not None
    assert (finding.severity, finding.value, finding.limit) == ("severe", 1, 2)
    assert "Without its best 1 trade of 100" in finding.text


@pytest.mark.parametrize(("last", "carrying"), [(0.0, 3), (0.5, None)])
def test_a_fiftieth_of_the_trades_that_carries_it_is_a_warning(last: float, carrying: int | None) -> None:
    # 190 trades, a fiftieth is 3.8, three may be taken away: three of 2 R, 93 pairs that cancel, and the last. Taking
    # away the three leaves the last alone: nothing, or half an R that takes a fourth.
    finding = only(found(trades_of([2.0] * 3 + [1.0, -1.0] * 93 + [last])), "carried_by_few_trades")
    assert (finding and finding.value) == carrying
    assert (finding and finding.severity) == (carrying and "warning")


def test_of_few_trades_a_single_one_may_still_be_missed() -> None:
    # 3.5 in all, without one of the two 1.5, without both −0.5: two of 40 carry it, and one alone is looked for.
    finding = only(found(trades_of([2.0, 2.0] + [1.0, -1.0] * 18 + [0.0, -0.5])), "carried_by_few_trades")
    assert finding is None


def test_a_sum_that_is_not_above_zero_is_carried_by_none() -> None:
    assert only(found(trades_of([1.0, -1.0] * 60)), "carried_by_few_trades") is None


def test_one_trade_with_more_than_a_quarter_of_the_profit() -> None:
    # 120 trades sum to 2,000: 499 and 501 of it around a quarter.
    for best, told in ((499.0, False), (501.0, True)):
        rest = (2000 - best) / 119
        finding = only(found(trades_of([1.0] * 120, pnl=[best] + [rest] * 119)), "one_trade_share")
        assert (finding is not None) == told
    assert finding is not None
    assert finding.value == pytest.approx(501 / 2000)
    assert finding.limit == 0.25
    assert "25%" in finding.text


def test_a_loss_is_severe_and_stands_before_everything_else() -> None:
    findings = found(trades_of([-1.0] * 60 + [0.5] * 60, symbols=["A", "B", "C"]))
    assert (findings[0].code, findings[0].severity) == ("lost", "severe")
    assert findings[0].value < 0
    assert "It lost 3,000.00 after all costs" in findings[0].text
    assert "lost" not in codes(found(trades_of([])))  # nothing was traded


def test_a_loss_is_no_one_s_profit() -> None:
    losing = codes(found(trades_of([-1.0] * 60 + [0.5] * 60, symbols=["A", "B", "C"])))
    assert not {"one_trade_share", "one_month", "one_symbol", "eaten_by_costs"} & set(losing)


@pytest.mark.parametrize(
    ("band", "told"),
    [((-1.0, 5.0), True), ((0.0, 5.0), True), ((0.1, 5.0), False), ((-5.0, 0.0), False), (None, False)],
)
def test_a_profit_that_ambiguous_bars_decide_is_severe(band: tuple[float, float] | None, told: bool) -> None:  # noqa: FBT001 - the table above
    finding = only(found(band=band), "needs_ambiguous_bars")
    assert (finding is not None) == told
    if finding is not None and band is not None:
        assert finding.severity == "severe"
        assert f"between {band[0]:g} and 5" in finding.text


def test_a_band_upside_down_is_refused() -> None:
    with pytest.raises(StatisticsRefused, match="worst and its best, received 2 and 1"):
        found(band=(2, 1))


def test_a_liquidation_is_severe() -> None:
    finding = only(found(trades_of(SOUND, reasons=["STOP"] * 119 + ["LIQUIDATION"])), "liquidated")
    assert finding is not None
    assert (finding.severity, finding.value, finding.limit) == ("severe", 1, 0)
    assert finding.text.startswith("1 position ended by liquidation")


def test_positions_whose_bars_end_before_the_run_does_are_named() -> None:
    # The last trades leave an hour, half an hour and nothing before the curve ends: bars of an hour, so one is missing.
    trades = trades_of(SOUND, symbols=("AUSDT", "BUSDT", "CUSDT", "BUSDT"), reasons=["STOP"] * 118 + ["END"] * 2)
    last = trades["exit_ts"][-1]
    assert isinstance(last, datetime)
    for late, value in ((timedelta(0), 1), (timedelta(minutes=59), 1), (timedelta(hours=1), 2)):
        curve = equity_of([10_000.0, 12_000.0], first=START, every=last + late - START)
        finding = only(found(trades, curve), "bars_ended")
        assert finding is not None
        assert (finding.severity, finding.value, finding.limit) == ("warning", value, 0)
        named = {1: "1 position (CUSDT)", 2: "2 positions (BUSDT, CUSDT)"}[value]
        assert finding.text.startswith(f"{named} ended because the bars did")
    both = trades_of(SOUND, reasons=["END"], symbols=("AUSDT",), every=timedelta(0))
    last = both["exit_ts"][-1]
    assert isinstance(last, datetime)
    assert only(found(both, equity_of([1.0, 2.0], first=START, every=last - START)), "bars_ended") is None


@pytest.mark.parametrize(
    ("fees", "funding", "severity", "share"),
    # Net 2,000 of 120 trades with costs of c each: they took 120 c of 2,000 + 120 c. c = 16: 1920/3920; 17: 2040/4040.
    [
        (16.0, 0.0, None, None),
        (17.0, 0.0, "warning", 2040 / 4040),
        (20.0, -4.0, None, None),
        (8.0, 9.0, "warning", 2040 / 4040),
    ],
)
def test_costs_of_more_than_half_of_what_was_made(
    fees: float, funding: float, severity: str | None, share: float | None
) -> None:
    finding = only(found(trades_of(SOUND, fees=fees, funding=funding)), "eaten_by_costs")
    assert (finding and finding.severity) == severity
    assert (finding and finding.value) == (share and pytest.approx(share))


def test_costs_that_turn_a_profit_into_a_loss_are_severe() -> None:
    # Net −600; with 10 of fees each trade gross is 600: costs took twice as much as there was.
    finding = only(found(trades_of([0.9, -1.0] * 60, fees=10.0)), "eaten_by_costs")
    assert finding is not None
    assert finding.severity == "severe"
    assert finding.value == pytest.approx(2.0)
    assert "they turned a gain into a loss" in finding.text
    # Net 0: costs took exactly what there was. Gross 0: there was nothing to take.
    finding = only(found(trades_of([1.0, -1.0] * 60, fees=1.0)), "eaten_by_costs")
    assert finding is not None
    assert (finding.severity, finding.value) == ("severe", 1.0)
    assert only(found(trades_of([-0.01] * 120, pnl=[-1.0] * 120, fees=1.0)), "eaten_by_costs") is None


@pytest.mark.parametrize(("stale", "severity"), [(0, None), (2, None), (3, "warning"), (12, "warning"), (13, "severe")])
def test_fills_on_bars_without_volume(stale: int, severity: str | None) -> None:
    # 240 entries and exits: 1 % is 2.4, 5 % is 12.
    one = only(found(stale_fills=stale), "stale_fills")
    other = only(found(stale_fills=np.arange(240) < stale), "stale_fills")
    assert one == other
    assert (one and one.severity) == severity
    assert (one and one.value) == (severity and pytest.approx(stale / 240))


def test_more_stale_fills_than_fills_are_refused() -> None:
    for stale in (241, -1):
        with pytest.raises(StatisticsRefused, match=f"240 entries and exits, received {stale}"):
            found(stale_fills=stale)
    assert "stale_fills" not in codes(found(trades_of([]), stale_fills=np.zeros(0, np.bool_)))


@pytest.mark.parametrize(("still", "told"), [(30, False), (31, True)])
def test_an_equity_that_stands_still_for_more_than_a_quarter_of_the_time(still: int, told: bool) -> None:  # noqa: FBT001 - the table above
    # 121 rows, 120 days from the first to the last; `still` of them without a change.
    values = [10_000.0 + k for k in range(121 - still)]
    for curve in (
        [values[0]] * still + values,
        values + [values[-1]] * still,
        values[:40] + [values[39]] * still + values[40:],
    ):
        finding = only(found(equity=days_of(curve)), "flat_equity")
        assert (finding is not None) == told
        if finding is not None:
            assert finding.value == pytest.approx(31 / 120)
            assert "31.0 days" in finding.text


@pytest.mark.parametrize(("turnover", "told"), [(1199.0, False), (1201.0, True)])
def test_turnover_is_held_against_the_account_there_was(turnover: float, told: bool) -> None:  # noqa: FBT001 - the table above
    # 121 rows of one account, 120 days: 1,200 times the account is ten times a day. Twice the account, half of that.
    finding = only(found(equity=days_of([10_000.0] * 121), turnover=turnover), "unrealistic_turnover")
    assert (finding is not None) == told
    assert only(found(equity=days_of([20_000.0] * 121), turnover=turnover), "unrealistic_turnover") is None
    if finding is not None:
        assert finding.value == pytest.approx(turnover / 120)


def test_a_curve_too_short_to_have_a_time_has_no_turnover_and_no_stretch() -> None:
    assert codes(found(equity=equity_of([10_000.0]), turnover=1e9)) == []
    assert codes(found(equity=equity_of([]), turnover=1e9)) == []
    assert codes(found(equity=equity_of([10_000.0] * 2), turnover=1e9)) == ["flat_equity", "unrealistic_turnover"]
    assert "unrealistic_turnover" not in codes(found(equity=days_of([5.0, -5.0]), turnover=1e9))


def test_most_of_the_profit_in_one_month() -> None:
    # 120 trades a day apart from 1 January 2024: 31, 29, 31 and 29 of the months to April. March gets 31 · 40 = 1,240.
    months = [0] * 31 + [1] * 29 + [2] * 31 + [3] * 29
    pnl = [40.0 if month == 2 else 10.0 for month in months]
    finding = only(found(trades_of([1.0] * 120, pnl=pnl)), "one_month")
    assert finding is not None
    assert finding.value == pytest.approx(1240 / (1240 + 890))
    assert finding.text.startswith("2024-03 made 58% of the profit of 4 months")
    # 28 · 31 = 868 of 868 + 890: less than half.
    assert (
        only(found(trades_of([1.0] * 120, pnl=[28.0 if month == 2 else 10.0 for month in months])), "one_month") is None
    )


def test_two_months_cannot_but_have_a_better_one() -> None:
    trades = trades_of([1.0] * 120, pnl=[20.0] * 60 + [10.0] * 60, every=timedelta(hours=12))
    assert only(found(trades, days_of([10_000.0 + k for k in range(59)])), "one_month") is None
    assert only(found(trades, days_of([10_000.0 + k for k in range(62)])), "one_month") is not None


def test_months_in_which_nothing_was_traded_count() -> None:
    trades = trades_of([1.0, 1.0, -0.5] * 40, every=timedelta(hours=1))
    finding = only(found(trades), "one_month")
    assert finding is not None
    assert finding.value == pytest.approx(1.0)


def test_most_of_the_profit_in_one_of_three_symbols() -> None:
    # Of every three trades AAA makes 101, the others 50 and 50.
    pnl = [101.0, 50.0, 50.0] * 40
    finding = only(found(trades_of([1.0] * 120, pnl=pnl, symbols=["AAA", "BBB", "CCC"])), "one_symbol")
    assert finding is not None
    assert finding.value == pytest.approx(101 / 201)
    assert finding.text.startswith("AAA made 50% of the profit of 3 symbols")
    assert (
        only(found(trades_of([1.0] * 120, pnl=[99.0, 50, 50] * 40, symbols=["AAA", "BBB", "CCC"])), "one_symbol")
        is None
    )
    assert only(found(trades_of([1.0] * 120, pnl=pnl, symbols=["AAA", "BBB"])), "one_symbol") is None


@pytest.mark.parametrize(("streak", "told"), [(10, False), (11, True)])
def test_losses_in_clusters(streak: int, told: bool) -> None:  # noqa: FBT001 - the table above
    # 120 trades, half of them lost: 60 · ½ᴸ runs reach L; 0.0513 of them at L = log₂(60 / 0.0513) = 10.19, so the least
    # that is rarer is 11.
    won = 60 - (60 - streak)
    r = [-1.0] * streak + [4 / 3] * won + [4 / 3, -1.0] * (60 - streak)
    assert sum(value < 0 for value in r) == 60
    finding = only(found(trades_of(r)), "losing_streak")
    assert (finding is not None) == told
    if finding is not None:
        assert (finding.value, finding.limit) == (11, 10)


def test_short_streaks_are_none_however_seldom_one_loses() -> None:
    # Of 120 with 5 lost in a row: 115 · (1/24)ᴸ is rare from L = 3 on, but five losses are a bad week.
    for streak, told in ((5, False), (6, True)):
        assert (only(found(trades_of([1.0] * (120 - streak) + [-1.0] * streak)), "losing_streak") is not None) == told


def test_nothing_but_losses_is_no_cluster() -> None:
    assert only(found(trades_of([-1.0] * 120)), "losing_streak") is None
    assert only(found(trades_of([-1.0] * 20 + [1.0] * 9)), "losing_streak") is None


def test_severe_findings_come_first_and_the_rest_in_its_order() -> None:
    # Few trades (a warning) are listed before liquidation (severe) in the module.
    findings = found(trades_of(SOUND[:60], reasons=["LIQUIDATION"], fees=100.0), band=(-1.0, 1.0), stale_fills=3)
    assert codes(findings) == [
        "needs_ambiguous_bars", "liquidated", "too_few_trades", "eaten_by_costs", "stale_fills", "one_month",
    ]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-3, 6), max_size=60), st.lists(st.floats(1, 2e4), max_size=60), st.floats(0, 5000))
def test_findings_are_in_order_have_sentences_and_are_json(r: list[float], curve: list[float], turnover: float) -> None:
    findings = found(trades_of(r), days_of(curve), turnover=turnover)
    ranks = [finding.severity == "warning" for finding in findings]
    assert ranks == sorted(ranks)
    assert len(set(codes(findings))) == len(findings)
    for finding in findings:
        json.dumps(finding.to_dict(), allow_nan=False)
        assert finding.text.endswith(".")


@settings(deadline=None, max_examples=30)
@given(st.lists(HUNDREDTHS, min_size=1, max_size=60), st.sampled_from([0.25, 16.0]))
def test_the_currency_does_not_matter(r: list[float], factor: float) -> None:
    def of(scale: float) -> list[Finding]:
        trades = trades_of(r, pnl=[scale * 50 * value for value in r], fees=scale)
        equity = days_of([scale * (10_000 + value) for value in r])
        metrics = metrics_of(trades, equity, capital=scale * 10_000, max_drawdown=0.1, open_share=0.3, turnover=900.0)
        return lint(trades, equity, metrics)

    assert [(one.code, one.severity) for one in of(factor)] == [(one.code, one.severity) for one in of(1.0)]
