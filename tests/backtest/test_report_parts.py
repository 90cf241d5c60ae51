"""The parts of a report by themselves: how a result is cut, thinned and written as text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest.metrics import StatisticsRefused
from backtest.report import NullPlace
from backtest.report.breakdowns import distribution, exits, groups, hours, months, refusals, years
from backtest.report.closeups import BARS_AFTER, BARS_BEFORE, MOST_CANDLES, chosen, closeups
from backtest.report.markup import Markup, element, length, number, percent, readable, script_json, toned
from backtest.report.view import MOST_POINTS, thinned
from risk.gates import GATES
from tests.backtest.pages import NULL, Parsed, bars_of, report
from tests.backtest.reported import KEYS, full, told
from tests.backtest.results import START, equity_of, trades_of

# Cuts.


def test_a_row_at_midnight_ends_the_month_before_it() -> None:
    # Rows at 31 January 00:00 … 2 February 00:00; 1 February 00:00 is the end of January.
    equity = equity_of([105.0, 110.0, 121.0], first=datetime(2024, 1, 31, tzinfo=UTC), every=timedelta(days=1))
    assert months(equity, capital=100.0) == [
        {"month": "2024-01", "return": pytest.approx(0.10)},
        {"month": "2024-02", "return": pytest.approx(0.10)},
    ]
    assert years(equity, capital=100.0) == [{"year": "2024", "return": pytest.approx(0.21)}]


def test_no_return_follows_ruin() -> None:
    equity = equity_of([-5.0, 10.0], first=datetime(2024, 1, 31, tzinfo=UTC), every=timedelta(days=2))
    assert [row["return"] for row in months(equity, capital=100.0)] == [pytest.approx(-1.05), None]


def test_bars_of_the_distribution_begin_at_multiples_of_their_width() -> None:
    found = distribution(np.array([-1.0, -0.95, 0.0, 0.3, 0.3, 0.31]))
    # 0.3 ÷ 0.1 is 2.9999999999999996: the edge it stands on is its own.
    assert found["width"] == 0.1
    assert found["from"][0] == -1.0
    assert dict(zip(found["from"], found["count"], strict=True)) | {0.3: 3, 0.0: 1, -1.0: 2} == dict(
        zip(found["from"], found["count"], strict=True)
    )
    assert sum(found["count"]) == 6


@settings(deadline=None)
@given(st.lists(st.floats(-1e4, 1e6), min_size=1, max_size=50))
def test_every_trade_is_in_one_bar_of_the_distribution(r: list[float]) -> None:
    found = distribution(np.array(r))
    assert sum(found["count"]) == len(r)
    assert len(found["count"]) <= 60
    assert found["from"][0] <= min(r) + 1e-9 * found["width"]
    assert max(r) < found["from"][-1] + found["width"] * (1 + 1e-9)
    assert found["count"][0] > 0
    assert found["count"][-1] > 0


def test_hours_are_those_of_the_entry_and_monday_is_the_first_day() -> None:
    # START is a Monday, 00:00; entries every 36 hours: Mon 0, Tue 12, Thu 0, Fri 12, Sun 0, Mon 12.
    found = hours(full(trades_of([1.0, 2, 3, 4, 5, 6], every=timedelta(hours=36))))
    assert [(row["weekday"], row["hour"], row["trades"], row["mean_r"]) for row in found] == [
        *[(1, 0, 1, 1.0), (1, 12, 1, 6.0), (2, 12, 1, 2.0), (4, 0, 1, 3.0), (5, 12, 1, 4.0), (7, 0, 1, 5.0)],
    ]


def test_groups_are_sorted_and_what_is_not_known_comes_last() -> None:
    # Even numbers are TREND; a trade that came out even is not won.
    trades = full(trades_of([1.0, -1.0, 3.0, -0.5, 0.0]))
    found = groups(trades, "regime")
    assert [row["name"] for row in found] == ["TREND", None]
    assert found[0] == {
        "name": "TREND",
        "trades": 3,
        "win_rate": pytest.approx(2 / 3),
        "mean_r": pytest.approx(4 / 3),
        "sum_r": 4.0,
        "profit_factor": None,
        "pnl": 400.0,
    }
    assert (found[1]["sum_r"], found[1]["profit_factor"], found[1]["win_rate"]) == (-1.5, 0.0, 0.0)


def test_timeframes_are_sorted_by_their_length() -> None:
    run = told([1.0, 2.0, 3.0])
    run = replace(run, trades=run.trades.with_columns(tf=pl.Series(["4h", "5m", "15m"])))
    assert [row["name"] for row in report(run).json["groups"]["timeframe"]] == ["5m", "15m", "4h"]


def test_the_same_symbol_at_two_venues_is_two_groups() -> None:
    run = told([1.0, 2.0])
    run = replace(run, trades=run.trades.with_columns(symbol=pl.lit("AAAUSDT"), venue=pl.Series(["b", "a"])))
    assert [row["name"] for row in report(run).json["groups"]["symbol"]] == ["a:AAAUSDT", "b:AAAUSDT"]


def test_a_stop_behind_targets_is_told_with_how_many_of_them_were_taken() -> None:
    trades = full(trades_of([0.68, -1.0, 2.0, 0.3], reasons=["STOP", "STOP", "TARGET", "TRAIL"]))
    roles = [(0, "TAKE_PROFIT"), (0, "STOP"), (1, "STOP"), *[(2, "TAKE_PROFIT")] * 3, *[(3, "TAKE_PROFIT")] * 2]
    found = exits(trades, pl.DataFrame(roles, schema={"trade_id": pl.Int64, "role": pl.String}, orient="row"))
    assert found.rows() == [
        *[(1, "1 target, then STOP"), (0, "STOP"), (3, "TARGET"), (2, "2 targets, then TRAIL")],
    ]


def test_ways_out_stand_in_the_order_of_their_reasons_and_every_trade_in_one_of_them() -> None:
    run = told([1.0, -1.0, 2.0, -0.5])
    taken = run.fills.head(1).with_columns(trade_id=pl.lit(0, pl.Int64), role=pl.lit("TAKE_PROFIT"))
    trades = run.trades.with_columns(exit_reason=pl.Series(["STOP", "STOP", "TARGET", "TIME"]))
    found = report(replace(run, trades=trades, fills=pl.concat([run.fills, taken]))).json["groups"]["exit"]
    assert [(row["name"], row["trades"], row["sum_r"]) for row in found] == [
        *[("STOP", 1, -1.0), ("1 target, then STOP", 1, 1.0), ("TARGET", 1, 2.0), ("TIME", 1, -0.5)],
    ]


def test_trades_are_cut_by_the_kind_of_zone_those_without_one_last() -> None:
    found = report(told([1.0, -1.0, 2.0, 3.0])).json["groups"]["zone_kind"]
    assert [(row["name"], row["trades"], row["sum_r"]) for row in found] == [
        ("FVG", 1, -1.0),
        ("OB", 2, 4.0),
        (None, 1, 2.0),
    ]


def test_a_gate_counts_as_first_and_as_failing_at_all() -> None:
    names = ("fresh", "trigger", "size")
    bits = [1 << GATES.index(name) for name in names]
    everything = (1 << len(GATES)) - 1
    decisions = pl.DataFrame(
        {
            "reason": ["fresh", "trigger", None, "fresh"],
            "passed": [everything ^ bits[0] ^ bits[2], everything ^ bits[1], everything, everything ^ bits[0]],
        },
        schema={"reason": pl.Enum(GATES), "passed": pl.Int32()},
    )
    found = {row["gate"]: (row["first"], row["failed"]) for row in refusals(decisions)}
    assert list(found) == list(GATES)
    assert {gate: counts for gate, counts in found.items() if any(counts)} == {
        "fresh": (2, 2),
        "trigger": (1, 1),
        "size": (0, 1),
    }


# Null markets.


def test_a_result_must_be_above_the_tail_of_the_surrogates() -> None:
    # Of 99, four reach it: 5 ÷ 100 is tolerated; a fifth is not.
    others = (0.0,) * 95
    assert NullPlace(statistic="sharpe", value=1.0, surrogates=(*others, 1.0, 2.0, 3.0, 4.0)).passed
    found = NullPlace(statistic="sharpe", value=1.0, surrogates=(*others[1:], 1.0, 1.0, 2.0, 3.0, 4.0))
    assert (found.as_good, found.chance, found.passed) == (5, 0.06, False)


def test_few_surrogates_can_pass_nothing() -> None:
    assert not NullPlace(statistic="sharpe", value=9.0, surrogates=(0.0,) * 18).passed
    assert NullPlace(statistic="sharpe", value=9.0, surrogates=(0.0,) * 19).passed
    told = NullPlace(statistic="sharpe", value=9.0, surrogates=(0.0,) * 18).verdict
    assert "Fewer than 19 of them cannot tell" in told


@pytest.mark.parametrize("value", [-0.5, 0.0])
def test_what_earned_nothing_passes_nothing_however_bad_the_surrogates_are(value: float) -> None:
    found = NullPlace(statistic="sharpe", value=value, surrogates=(-1.0,) * 99)
    assert (found.chance, found.passed) == (0.01, False)
    assert found.verdict.endswith("but what lost is nothing to trade.")
    assert report(null=found).json["warnings"][0]["code"] == "null_market"


def test_a_number_that_is_not_defined_passes_nothing() -> None:
    found = NullPlace(statistic="sharpe", value=None, surrogates=(0.0,) * 100)
    assert (found.as_good, found.passed) == (100, False)
    assert found.verdict == "The null-market gate is not passed: this result has no Sharpe ratio."
    assert "this result: not defined" in Parsed(report(null=found).html).texts["null-market"]


@pytest.mark.parametrize("changes", [{"surrogates": ()}, {"tail": 0.0}, {"tail": 1.0}])
def test_a_place_among_nothing_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(StatisticsRefused, match="null markets"):
        replace(NULL, **changes)


def test_surrogates_that_are_all_the_same_can_be_drawn() -> None:
    made = report(null=replace(NULL, surrogates=(0.25,) * 40))
    assert sum(made.json["null"]["histogram"]["count"]) == 40


# Pictures of trades.


def test_a_picture_goes_from_before_the_order_to_after_the_exit() -> None:
    run = told([1.0])
    (picture,) = closeups(run, bars_of(400), rows=10)
    candles = picture["candles"]
    # Bars of 15m from a day before START: bar 96 opens at START. Placed at bar 95, left at bar 104.
    assert candles["bars"] == 1
    assert candles["at"] is None
    assert candles["low"] == [float(k + 1) for k in range(95 - BARS_BEFORE, 104 + BARS_AFTER)]
    assert candles["start"] == int((START - BARS_BEFORE * timedelta(minutes=15)).timestamp() - 900) * 1000
    assert candles["step"] == 900_000
    assert picture["fills"] == [
        [int(START.timestamp()) * 1000, "ENTRY", 100.0, 1.0],
        [int(START.timestamp()) * 1000 + 7_200_000, "STOP", 101.5, 1.0],
    ]
    assert picture["targets"] == [104.0, 107.0]  # row 1 of the decisions placed it
    # Made an hour before the order, which was placed a quarter of an hour before START.
    assert picture["zone"] == {"kind": "OB", "lo": 97.0, "hi": 99.0, "since": int(START.timestamp() - 4_500) * 1000}


def test_a_long_trade_has_several_bars_in_a_candle() -> None:
    run = told([1.0])
    run = replace(run, trades=run.trades.with_columns(exit_ts=pl.col("entry_ts") + pl.duration(hours=100)))
    (picture,) = closeups(run, bars_of(1000), rows=10)
    candles = picture["candles"]
    # 400 bars and those around: 446 ÷ 150 → 3 a candle.
    assert candles["bars"] == 3
    assert len(candles["low"]) <= MOST_CANDLES
    first = 95 - BARS_BEFORE
    assert candles["open"][:2] == [first + 1.25, first + 4.25]
    assert candles["high"][0] == first + 4
    assert candles["low"][0] == first + 1
    assert candles["close"][0] == first + 3.5
    assert candles["step"] == 3 * 900_000


def test_a_hole_in_the_bars_stays_a_hole() -> None:
    bars = bars_of(400)
    frame = bars[KEYS[0]]
    bars[KEYS[0]] = pl.concat([frame[:90], frame[93:]])
    (picture,) = closeups(told([1.0]), bars, rows=10)
    at = picture["candles"]["at"]
    assert at[:2] == [0, 1]
    assert [later - earlier for earlier, later in pairwise(at) if later - earlier > 1] == [4]


def test_a_series_without_bars_has_no_pictures_and_the_page_counts_those_it_has() -> None:
    run = told([1.0, 2.0, 3.0, 4.0])
    found = closeups(run, bars_of(2000), rows=10)
    assert [one["trade_id"] for one in found] == [0, 2]  # the others are of another symbol
    assert "2 of 4 trades have a picture" in Parsed(report(run, bars=bars_of(2000)).html).texts["closeups"]


def test_a_trade_whose_signal_stood_in_no_zone_has_none_in_its_picture() -> None:
    run = told([1.0, 1.0, 1.0])
    bars = {key: frame for one in KEYS for key, frame in bars_of(2000, key=one).items()}
    assert [None if one["zone"] is None else one["zone"]["kind"] for one in closeups(run, bars, rows=10)] == [
        *["OB", "FVG", None]
    ]


def test_bars_that_do_not_reach_the_trade_make_an_empty_picture() -> None:
    (picture,) = closeups(told([1.0]), {KEYS[0]: bars_of(10)[KEYS[0]].clear()}, rows=10)
    assert picture["candles"]["low"] == []


def test_of_many_trades_the_best_the_worst_and_an_even_choice_are_shown() -> None:
    r = np.random.default_rng(4).permutation(1000).astype(np.float64)
    found = chosen(r, range(1000), most=40)
    assert len(set(found)) == 40
    assert found == sorted(found)
    assert {*np.flatnonzero(r < 10).tolist(), *np.flatnonzero(r >= 990).tolist()} <= set(found)
    even = [at for at in found if 10 <= r[at] < 990]
    assert len(even) == 20
    assert max(np.diff([0, *even, 1000])) < 60
    assert chosen(r, range(5), most=40) == [0, 1, 2, 3, 4]


# Curves and markup.


def test_a_thinned_curve_keeps_its_ends_its_peak_and_its_deepest_drawdown() -> None:
    rng = np.random.default_rng(5)
    values = 1000 + np.cumsum(rng.normal(size=50_000))
    depths = 1 - values / np.maximum.accumulate(values)
    kept = thinned(values, depths)
    assert kept.size <= MOST_POINTS
    assert {0, 49_999, int(values.argmax()), int(values.argmin()), int(depths.argmax())} <= set(kept.tolist())
    assert np.all(np.diff(kept) > 0)
    assert thinned(values[:100], depths[:100]).tolist() == list(range(100))


def test_the_deepest_drawdown_is_kept_where_it_is_no_lowest_point() -> None:
    # Of 10 to 5 it is a half; from 100 to 20, which is higher than 5, four fifths.
    values = np.full(30_000, 10.0)
    values[15_000:15_005] = 10.0, 5.0, 100.0, 20.0, 90.0
    values[15_005:] = 100.0
    depths = 1 - values / np.maximum.accumulate(values)
    assert {15_001, 15_002, 15_003} <= set(thinned(values, depths).tolist())


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *[(1234.5, "1,234.50"), (-0.5, "−0.50"), (0.0, "0.00"), (-0.001, "0.00"), (None, "–")],
        *[(float("nan"), "–"), (float("-inf"), "–"), (1e15, "1,000,000,000,000,000.00")],
    ],
)
def test_numbers_are_written_as_a_person_reads_them(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_a_plus_and_a_percent_sign_where_they_are_asked_for() -> None:
    assert percent(0.1234, sign=True) == "+12.3 %"
    assert percent(-0.5) == "−50.0 %"
    assert percent(0.0, sign=True) == "0.0 %"
    assert percent(None) == "–"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *[(None, "none"), (True, "yes"), ("keep", "keep"), (0.0002, "0.0002"), (-2.0, "−2"), (10_000, "10000")],
        *[((-30, 30), "−30, 30"), ([[1.5, 0.33], [3.0, 0.67]], "(1.5, 0.33), (3, 0.67)"), ({}, "none")],
        ({"15m": "1m"}, "15m: 1m"),
    ],
)
def test_settings_are_written_without_the_signs_of_json(value: Any, shown: str) -> None:  # noqa: ANN401 - whatever JSON takes
    assert readable(value) == shown


@pytest.mark.parametrize(
    ("seconds", "told_as"), [(3_600, "1 hour"), (86_400 * 3, "3 days"), (90, "90 seconds"), (0, "none")]
)
def test_a_time_is_told_in_the_longest_unit_it_is_whole_in(seconds: int, told_as: str) -> None:
    assert length(seconds) == told_as


def test_a_gain_that_is_shown_as_zero_has_no_colour() -> None:
    assert toned(number(0.001), 0.001) == '<td class="number">0.00</td>'
    assert toned(number(0.01), 0.01) == '<td class="number up">0.01</td>'


@given(st.text())
def test_text_comes_back_from_an_element_as_it_went_in(given_text: str) -> None:
    whole = element("section", given_text, id="one", aria_label=given_text)

    class Reader(HTMLParser):
        told = ""
        label: str | None = None

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag == "section"
            self.label = dict(attrs)["aria-label"]

        def handle_data(self, data: str) -> None:
            self.told += data

    reader = Reader()
    reader.feed(whole)
    reader.close()
    assert (reader.told, reader.label) == (given_text, given_text)


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=10))
def test_json_inside_a_script_cannot_end_it_and_says_the_same(value: Any) -> None:  # noqa: ANN401 - of hypothesis
    told_value = script_json(value)
    assert not set("<>&") & set(told_value)
    assert json.loads(told_value) == value


def test_markup_inside_markup_is_not_escaped_again() -> None:
    assert element("p", element("b", "a<b"), Markup("<i>x</i>")) == "<p><b>a&lt;b</b><i>x</i></p>"
