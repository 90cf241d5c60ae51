"""Results side by side: by hand, exchanged, equal, of noise, over other bars; and the page."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from backtest import run_backtest
from backtest.comparison import Comparison, compare, compare_tracks
from backtest.metrics import Metrics, StatisticsRefused, metrics_of
from backtest.report import ReportUnwritable
from backtest.report.headline import METRICS
from backtest.report.side_by_side import MOST_SIGNALS
from backtest.tracks import ComparisonRefused, RunTrack, Track
from tests.backtest.markets import ONE, config, market
from tests.backtest.pages import Parsed
from tests.backtest.reported import CAPITAL, Rows, below_peaks, full, told
from tests.backtest.results import START, days_of, trades_of

FIRST = np.datetime64("2024-01-01", "D")
HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"
SECTIONS = ["warnings", "verdicts", "numbers", "curves", "signals", "settings", "origin"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Lived:
    """An account as it would come from live days."""

    days: NDArray[np.datetime64]
    returns: NDArray[np.float64]
    trades: pl.DataFrame

    @property
    def metrics(self) -> Metrics:
        equity = days_of((CAPITAL * np.cumprod(1 + self.returns)).tolist())
        return metrics_of(self.trades, equity, capital=CAPITAL, max_drawdown=0.1, open_share=0.2, turnover=3.0)


def lived(returns: Sequence[float], r: Sequence[float] = (), *, begins: int = 0, signals: Sequence[str] = ()) -> Lived:
    """Daily returns from the first day on or from a later one, and trades with these results.

    Args:
        returns: Of successive days.
        r: Of trades.
        begins: Days after the first.
        signals: Of the trades; none = `signal-0` and so on.
    """
    trades = full(trades_of(r))
    if signals:
        trades = trades.with_columns(signal_id=pl.Series(signals, dtype=pl.String))
    return Lived(days=FIRST + begins + np.arange(len(returns)), returns=np.array(returns, float), trades=trades)


def noise(seed: int, *, days: int = 120) -> Lived:
    rng = np.random.default_rng(seed)
    return lived(rng.normal(0.0005, 0.02, days).tolist(), rng.normal(0.1, 1.2, 20).tolist())


def codes(found: Comparison) -> list[str]:
    return [finding.code for finding in found.findings]


# Numbers.


def test_a_pair_is_compared_day_by_day_as_by_hand() -> None:
    # Differences 1, 0, −1, 4 %: mean 1 %, deviation √(Σ(0, 1, 4, 9) ÷ 3) = √(14 ÷ 3), t = 1 ÷ (√(14 ÷ 3) ÷ 2).
    found = compare_tracks({"a": lived([0.02, 0.01, -0.01, 0.03]), "b": lived([0.01, 0.01, 0.0, -0.01])})
    [pair] = found.pairs
    assert (pair.first, pair.second, pair.days.count, pair.left_out) == ("a", "b", 4, (0, 0))
    assert pair.days.mean.value == pytest.approx(0.01)
    assert pair.days.t == pytest.approx(2 / math.sqrt(14 / 3))
    # Three degrees of freedom: 1 − 2 ÷ π (θ + sin θ cos θ) with tan θ = t ÷ √3, here t² ÷ 3 = 2 ÷ 7.
    angle = math.atan(math.sqrt(2 / 7))
    assert pair.days.p == pytest.approx(1 - 2 / math.pi * (angle + math.sin(angle) * math.cos(angle)))
    assert pair.chance == pair.days.p
    assert (pair.better, pair.worse) == (0.5, 0.25)
    # Deviations of a from its mean 1.25 %: 0.75, −0.25, −2.25, 1.75; of b from 0.25 %: 0.75, 0.75, −0.25, −1.25.
    # Products −1.25 in sum, squares 8.75 and 2.75.
    assert pair.correlation == pytest.approx(-1.25 / math.sqrt(8.75 * 2.75))
    assert pair.sharpe.value == pytest.approx(
        math.sqrt(365) * (1.25 / math.sqrt(8.75 / 3) - 0.25 / math.sqrt(2.75 / 3))
    )
    assert not pair.significant


def test_signals_that_both_took_are_compared_in_r_and_the_others_counted() -> None:
    found = compare_tracks(
        {
            "a": lived([0.01], [1.0, -1.0, 3.0, 0.5], signals=["w", "x", "y", "z"]),
            "b": lived([0.01], [0.5, 2.0, 1.0], signals=["x", "y", "other"]),
        }
    )
    [pair] = found.pairs
    assert pair.alone == (2, 1)
    # x: −1 − 0.5, y: 3 − 2. b entered x on the first day, a on the second: the earlier counts.
    assert pair.shared.select("signal_id", "r_first", "r_second", "difference").rows() == [
        ("x", -1.0, 0.5, -1.5),
        ("y", 3.0, 2.0, 1.0),
    ]
    assert pair.shared["entry_ts"].to_list() == [START, START + timedelta(days=1)]
    assert (pair.r.count, pair.r.mean.value) == (2, -0.25)
    # Deviation √(2 × 1.25²), t = −0.25 ÷ (1.25 √2 ÷ √2).
    assert pair.r.t == pytest.approx(-0.2)


def test_a_signal_entered_twice_is_one_choice_with_the_sum_of_both() -> None:
    found = compare_tracks(
        {"a": lived([0.01], [1.0, 0.5], signals=["x", "x"]), "b": lived([0.01], [0.25], signals=["x"])}
    )
    assert found.pairs[0].shared.select("r_first", "r_second", "difference").rows() == [(1.5, 0.25, 1.25)]
    assert found.pairs[0].alone == (0, 0)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(-40, 40))
def test_exchanging_the_two_negates_every_difference(one: int, other: int, later: int) -> None:
    first = noise(one)
    second = replace(noise(other), days=first.days + later)
    [there] = compare_tracks({"a": first, "b": second}, draws=100).pairs
    [back] = compare_tracks({"b": second, "a": first}, draws=100).pairs
    for name in ("days", "r"):
        ours, theirs = getattr(there, name), getattr(back, name)
        assert (ours.count, ours.p) == (theirs.count, theirs.p)
        assert (ours.mean.value, ours.mean.low, ours.mean.high) == (
            *(-theirs.mean.value, -theirs.mean.high, -theirs.mean.low),
        )
    assert (there.sharpe.value, there.sharpe.low) == (-(back.sharpe.value or 0), -(back.sharpe.high or 0))
    assert (there.better, there.worse) == (back.worse, back.better)
    assert (there.left_out, there.alone) == (back.left_out[::-1], back.alone[::-1])
    assert there.correlation == pytest.approx(back.correlation)
    assert (there.chance, there.significant) == (back.chance, back.significant)
    assert there.shared["difference"].to_list() == [-value for value in back.shared["difference"]]


def test_the_same_result_twice_differs_by_nothing_and_is_not_told_apart() -> None:
    found = compare_tracks({"a": noise(3), "b": noise(3)})
    [pair] = found.pairs
    for interval in (pair.days.mean, pair.sharpe, pair.r.mean):
        assert (interval.value, interval.low, interval.high) == (0.0, 0.0, 0.0)
    assert (pair.days.t, pair.days.p, pair.chance, pair.significant) == (None, None, None, False)
    assert (pair.better, pair.worse) == (0.0, 0.0)
    assert pair.correlation == pytest.approx(1.0)
    assert codes(found) == ["no_difference"]
    assert "nothing to tell them apart by" in Parsed(found.report().html).texts["verdicts"]


def test_noise_is_seldom_told_apart() -> None:
    told_apart = 0
    for seed in range(150):
        pair = compare_tracks({"a": noise(2 * seed), "b": noise(2 * seed + 1)}, draws=200).pairs[0]
        told_apart += pair.significant
    # At most 5 % of 150, 7.5, with a deviation of 2.7.
    assert told_apart <= 15


def test_a_difference_on_every_day_is_told_apart_though_both_are_noise() -> None:
    first = noise(5)
    ahead = replace(first, returns=first.returns + 0.002 + np.random.default_rng(6).normal(0, 0.002, 120))
    [pair] = compare_tracks({"ahead": ahead, "first": first}).pairs
    assert pair.significant
    assert pair.days.mean.value == pytest.approx(0.002, abs=0.0006)
    assert not compare_tracks({"ahead": ahead, "other": noise(7)}).pairs[0].significant


def test_two_are_told_apart_only_where_chance_and_interval_both_say_so() -> None:
    first = noise(5)
    ahead = replace(first, returns=first.returns + 0.002 + np.random.default_rng(6).normal(0, 0.002, 120))
    [pair] = compare_tracks({"ahead": ahead, "first": first}).pairs
    days = replace(pair.days, mean=replace(pair.days.mean, low=-0.0001))
    assert pair.significant
    assert not replace(pair, chance=0.06).significant
    assert not replace(pair, chance=None).significant
    assert not replace(pair, days=days).significant


def test_the_more_pairs_are_looked_at_the_less_one_of_them_says() -> None:
    tracks = {str(seed): noise(seed) for seed in range(4)}
    found = compare_tracks(tracks)
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        *(("0", "1"), ("0", "2"), ("0", "3"), ("1", "2"), ("1", "3"), ("2", "3")),
    ]
    alone = {(pair.first, pair.second): pair.days.p for pair in found.pairs}
    least = min(found.pairs, key=lambda pair: pair.days.p or 1.0)
    assert least.chance == pytest.approx(min(1.0, 6 * (alone[least.first, least.second] or 1.0)))
    assert all((pair.chance or 0) >= (pair.days.p or 0) for pair in found.pairs)


def test_only_days_that_both_have_are_compared_and_the_others_are_told() -> None:
    found = compare_tracks({"a": lived([0.01] * 5 + [0.03, 0.0] * 60), "b": lived([0.0, 0.01] * 60, begins=5)})
    [pair] = found.pairs
    assert (pair.days.count, pair.left_out) == (120, (5, 0))
    assert pair.days.mean.value == pytest.approx(0.01)
    assert codes(found) == ["days_left_out"]
    assert found.findings[0].text.startswith("Against each other, 5 days of a and 0 of b are left out")


def test_accounts_without_a_shared_day_are_shown_and_not_compared() -> None:
    found = compare_tracks({"a": lived([0.01, 0.02]), "b": lived([0.01], begins=30)})
    [pair] = found.pairs
    assert (pair.days.count, pair.days.mean.value, pair.better, pair.correlation) == (0, None, None, None)
    assert "a and b share no day." in Parsed(found.report().html).texts["verdicts"]
    assert codes(found) == ["few_days", "days_left_out"]


@pytest.mark.parametrize(("days", "severity"), [(29, ["severe"]), (30, ["warning"]), (99, ["warning"]), (100, [])])
def test_few_days_are_warned_of(days: int, severity: list[str]) -> None:
    found = compare_tracks({"a": noise(1, days=days), "b": noise(2, days=days)}, draws=100)
    assert [one.severity for one in found.findings] == severity


def test_warnings_of_many_pairs_are_those_of_the_worst() -> None:
    tracks = {name: noise(seed, days=days) for seed, (name, days) in enumerate({"a": 120, "b": 40, "c": 20}.items())}
    found = compare_tracks(tracks, draws=100)
    assert codes(found) == ["few_days", "days_left_out"]
    assert found.findings[0].text.startswith("a and c share 20 days")
    assert found.findings[1].value == 100.0


# What is refused.


@pytest.mark.parametrize(
    "track",
    [
        replace(lived([0.01, 0.02]), days=FIRST + np.array([1, 0])),
        replace(lived([0.01, 0.02]), days=FIRST + np.array([1, 1])),
        replace(lived([0.01, 0.02]), days=FIRST + np.arange(3)),
        lived([0.01, math.nan]),
    ],
    ids=["backwards", "twice", "too many", "no number"],
)
def test_days_that_do_not_fit_are_refused_by_name(track: Track) -> None:
    with pytest.raises(ComparisonRefused, match=r"'bad' has [23] days and 2 returns"):
        compare_tracks({"good": lived([0.01]), "bad": track})


def test_one_result_has_nothing_to_stand_beside() -> None:
    with pytest.raises(ComparisonRefused, match=r"at least two results, received \['alone'\]"):
        compare_tracks({"alone": noise(1)})
    with pytest.raises(ComparisonRefused, match="at least two results, received none"):
        compare({})


def test_draws_and_levels_that_say_nothing_are_refused() -> None:
    with pytest.raises(StatisticsRefused, match="at least 100 draws"):
        compare_tracks({"a": noise(1), "b": noise(2)}, draws=10)


def test_results_over_other_bars_are_refused_with_what_differs() -> None:
    run = told([1.0])
    for other, story in (
        (replace(run, start=START + timedelta(days=1)), "the first bar 2024-01-01T00:00:00Z and 2024-01-02T00:00:00Z"),
        (replace(run, until=run.until + timedelta(days=1)), "the end 2024-02-10T00:00:00Z and 2024-02-11T00:00:00Z"),
        (
            replace(run, written=Rows(keys=[ONE.series("15m")])),
            "series binance_usdm:AAAUSDT:15m, binance_usdm:BBBUSDT:15m and binance_usdm:AAAUSDT:15m",
        ),
        (
            replace(run, config=replace(run.config, dataset_id="d" * 64)),
            f"the dataset that is not named and {'d' * 64}",
        ),
    ):
        with pytest.raises(ComparisonRefused, match=f"'a' and 'b' cannot be compared: {story}; run both over"):
            compare({"a": run, "b": other})


# Runs.


def test_the_days_of_a_run_are_those_of_its_curve() -> None:
    # The row at the midnight that ends 1 January is of that day.
    run = replace(told([]), equity=below_peaks(days_of([10_100.0, 10_100.0, 10_201.0])))
    track = RunTrack(run)
    assert track.days.tolist() == (FIRST + np.arange(3)).tolist()
    assert track.returns == pytest.approx([0.01, 0.0, 0.01])
    nothing = RunTrack(told([], equity=[]))
    assert (nothing.days.size, nothing.returns.size) == (0, 0)


def test_settings_that_differ_are_told_by_field_and_long_ones_by_their_digest() -> None:
    run = told([1.0])
    other = replace(
        run.config,
        profile=run.config.profile.model_copy(update={"name": "bold", "risk_fraction": 0.01}),
        params=run.config.params.model_copy(update={"ttl_bars": 9}),
        capital=Decimal(5),
        rules={},
    )
    found = compare({"a": run, "b": replace(run, config=other, fingerprint="e" * 64)}, draws=100)
    assert found.origin is not None
    differing = dict(found.origin.differing)
    digest, nothing = differing.pop("rules")
    assert re.fullmatch(r"sha256 [0-9a-f]{12}", digest)
    assert nothing == "{}"
    assert differing == {
        "profile.name": ['"eager"', '"bold"'],
        "profile.risk_fraction": ["0.005", "0.01"],
        "engine.ttl_bars": ["6", "9"],
        "capital": ['"10000"', '"5"'],
    }
    texts = Parsed(found.report().html).texts
    assert "engine.ttl_bars69" in texts["settings"]
    assert f"Fingerprint of a{'f' * 64}Fingerprint of b{'e' * 64}" in texts["origin"]
    assert codes(found)[0] == "dataset_not_named"
    named = {name: replace(run, config=replace(run.config, dataset_id="d" * 64)) for name in "ab"}
    assert "dataset_not_named" not in codes(compare(named, draws=100))


@pytest.fixture(scope="module")
def real() -> Comparison:
    """Two real runs over the same bars: one leaves trades alone, the other trails their stops."""
    bars = market(700)
    asked = config()
    plain = replace(asked, profile=asked.profile.model_copy(update={"name": "plain", "after_first": "keep"}))
    return compare({name: run_backtest(bars, one) for name, one in (("trailed", asked), ("plain", plain))})


def test_real_runs_are_compared_with_their_own_numbers(real: Comparison, tmp_path: Path) -> None:
    [pair] = real.pairs
    page, numbers = real.write(tmp_path / "ab")
    assert sorted(path.name for path in (tmp_path / "ab").iterdir()) == ["comparison.html", "comparison.json"]
    read = json.loads(numbers.read_text())
    assert read == real.to_dict()
    assert page.read_text() == real.report().html
    assert pair.shared.height > 10
    assert pair.shared.height + pair.alone[0] == real.tracks["trailed"].trades.height
    assert pair.days.count == len(read["results"][0]["days"]) == 8  # 700 quarters of an hour are 7.3 days
    for one in read["results"]:
        assert one["metrics"] == real.tracks[one["name"]].metrics.to_dict()
        assert np.prod(1 + np.array(one["returns"])) - 1 == pytest.approx(one["metrics"]["total_return"])
    assert read["pairs"][0]["shared"]["difference"] == [
        pytest.approx(a - b)
        for a, b in zip(read["pairs"][0]["shared"]["r_first"], read["pairs"][0]["shared"]["r_second"], strict=True)
    ]
    assert read["origin"]["differing"] == {
        "profile.name": ['"eager"', '"plain"'],
        "profile.after_first": ['"trail"', '"keep"'],
    }


# The page.


def test_the_page_has_its_sections_in_order_and_needs_nothing_but_itself(real: Comparison) -> None:
    page = Parsed(real.report().html)
    assert [one["id"] for one in page.named("section") if "id" in one] == SECTIONS
    assert [one["href"] for one in page.named("a")] == [f"#{name}" for name in SECTIONS[1:]]
    assert page.open == []
    assert not page.named("link")
    assert not any("src" in attributes for _, attributes in page.elements)
    asked = set(re.findall(r'"(chart-[\w-]+)"', page.scripts[2]))
    assert asked == {"chart-curves", "chart-ahead"}
    assert asked < {one.get("id") for one in page.named("div")}


def test_every_metric_has_a_row_and_every_result_a_column() -> None:
    page = Parsed(compare_tracks({"a": noise(1), "b": noise(2), "c": noise(3)}, draws=100).report().html)
    for _, label, _ in METRICS:
        assert label in page.texts["numbers"], label
    assert "Numberabc" in page.texts["numbers"]


def test_verdicts_say_who_is_ahead_and_what_chance_makes_of_it() -> None:
    first = lived([0.01, -0.01] * 60)
    ahead = replace(first, returns=first.returns + np.tile([0.001, 0.003], 60))
    page = Parsed(compare_tracks({"slow": first, "fast": ahead}).report().html)
    assert "fast is ahead of slow by 0.2000 % a day, which chance would seldom do" in page.texts["verdicts"]
    assert "as far apart as this by chance: < 0.0001" in page.texts["verdicts"]
    page = Parsed(compare_tracks({"a": noise(1), "b": noise(2)}).report().html)
    assert "which chance may have done" in page.texts["verdicts"]


def test_curves_accumulate_returns_and_what_each_is_ahead_of_the_first() -> None:
    found = compare_tracks({"a": lived([0.1, 0.1]), "b": lived([0.2, -0.5], begins=1)}, draws=100)
    data: dict[str, Any] = Parsed(found.report().html).data
    assert data["curves"] == [
        {"name": "a", "days": ["2024-01-01", "2024-01-02"], "values": [0.1, 0.21]},
        {"name": "b", "days": ["2024-01-02", "2024-01-03"], "values": [0.2, -0.4]},
    ]
    assert (data["first"], data["ahead"]) == ("a", [{"name": "b", "days": ["2024-01-02"], "values": [0.1]}])


def test_the_signals_that_differ_most_are_listed_first() -> None:
    r = [float(number) for number in range(MOST_SIGNALS + 5)]
    found = compare_tracks({"a": lived([0.01], r), "b": lived([0.01], [0.0] * len(r))}, draws=100)
    text = Parsed(found.report().html).texts["signals"]
    assert f"a and b: {len(r)} signals were taken by both, 0 by a alone, 0 by b alone." in text
    assert text.index("14.000.0014.00") < text.index("13.000.0013.00")
    assert "5.000.005.00" in text
    assert "2024-01-05 00:00" not in text  # 4 R: the eleventh


def test_names_that_are_markup_stay_text() -> None:
    tracks = {HOSTILE: noise(1), f"{HOSTILE}2": noise(2)}
    tracks[HOSTILE] = replace(tracks[HOSTILE], trades=tracks[HOSTILE].trades.with_columns(symbol=pl.lit(HOSTILE)))
    html = compare_tracks(tracks, draws=100).report().html
    page = Parsed(html)
    assert "<img" not in html.replace(page.scripts[1], "")
    assert len(page.scripts) == 3
    for section in ("verdicts", "numbers", "curves", "signals"):
        assert HOSTILE in page.texts[section], section


def test_accounts_without_any_day_or_trade_still_give_a_page() -> None:
    page = Parsed(compare_tracks({"a": lived([]), "b": lived([])}).report().html)
    assert "None of them has a day." in page.texts["curves"]
    assert "0 signals were taken by both" in page.texts["signals"]
    assert "It is not known what they were made from." in page.texts["origin"]


def test_the_same_results_give_the_same_bytes_and_another_seed_other_intervals() -> None:
    tracks = {"a": noise(1), "b": noise(2)}
    assert compare_tracks(tracks).report().html == compare_tracks(tracks).report().html
    assert compare_tracks(tracks).pairs[0].days.mean != compare_tracks(tracks, seed=1).pairs[0].days.mean


def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportUnwritable, match="file/under"):
        compare_tracks({"a": noise(1), "b": noise(2)}, draws=100).write(tmp_path / "file" / "under")
