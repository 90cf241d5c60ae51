"""The report: what stands where on the page, that nothing breaks it, and that its numbers are those of the result."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from backtest import run_backtest
from backtest.bootstrap import intervals
from backtest.lints import Finding, lint
from backtest.monte_carlo import SCHEMA, shuffled
from backtest.report import NullPlace, ReportUnwritable
from backtest.report.closeups import closeups
from backtest.report.headline import METRICS
from backtest.report.view import MOST_POINTS
from tests.backtest.markets import config, market
from tests.backtest.pages import FINDINGS, NULL, Parsed, bars_of, report
from tests.backtest.reported import CAPITAL, KEYS, below_peaks, told
from tests.backtest.results import days_of

SECTIONS = (
    *("warnings", "headline", "equity", "r", "months", "hours", "regime", "zone-strength", "series", "refusals"),
    *("monte-carlo", "null-market", "trades", "closeups", "assumptions", "origin"),
)
FAILED = NullPlace(statistic="expectancy_r", value=0.5, surrogates=tuple(k / 100 for k in range(100)))


@pytest.fixture(scope="module")
def page() -> Parsed:
    return Parsed(report(bars=bars_of(200)).html)


# The page.


def test_every_section_is_there_in_its_order_and_every_element_is_closed(page: Parsed) -> None:
    assert [one["id"] for one in page.named("section") if "id" in one] == list(SECTIONS)
    assert page.open == []


def test_the_page_loads_nothing_and_forbids_it_too(page: Parsed) -> None:
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert (attributes.get("href") or "#").startswith("#"), tag
    assert not page.named("link")
    policy = page.named("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert (policy["content"] or "").startswith("default-src 'none'")
    css = report().html.split("<style>")[1].split("</style>")[0]
    assert "url(" not in css
    assert "@import" not in css


def test_plotly_is_in_the_page_once() -> None:
    assert report().html.count("* plotly.js v") == 1


def test_every_chart_has_a_text_and_every_table_a_caption(page: Parsed) -> None:
    charts = [one for one in page.named("div") if one.get("role") == "img"]
    assert {one["id"] for one in charts} == {
        *("chart-equity", "chart-r", "chart-hours", "chart-final", "chart-depth", "chart-null", "chart-trade"),
    }
    assert all(len(one["aria-label"] or "") > 10 for one in charts)
    assert len(page.named("caption")) == len(page.named("table")) >= 10
    assert len(page.named("h1")) == 1
    assert page.named("html")[0] == {"lang": "en"}


def test_the_script_finds_every_element_that_it_asks_for(page: Parsed) -> None:
    script = page.scripts[2]
    asked = set(re.findall(r'getElementById\("([\w-]+)"\)', script)) | set(re.findall(r'"(chart-[\w-]+)"', script))
    assert len(asked) > 12
    assert asked <= {one["id"] for _, one in page.elements if "id" in one}


def test_links_of_the_contents_lead_to_the_sections(page: Parsed) -> None:
    assert [one["href"] for one in page.named("a")] == [f"#{name}" for name in SECTIONS[1:]]


def test_a_null_market_gate_that_is_not_passed_is_the_first_thing_the_page_says() -> None:
    made = report(null=FAILED)
    # 50 of 0 … 0.99 reach 0.5: (50 + 1) ÷ 101 = 50.5 %.
    assert [one["code"] for one in made.json["warnings"]] == ["null_market", "too_few_trades"]
    told_first = Parsed(made.html).texts["warnings"]
    assert told_first.startswith("WarningsSevere: The null-market gate is not passed: 50 of 100 surrogate markets")
    assert "50.5%" in told_first
    assert told_first.index("gate is not passed") < told_first.index("3 trades, fewer than 30.")
    assert "The gate is not passed." in Parsed(made.html).texts["null-market"]


def test_a_result_that_was_not_held_against_null_markets_is_warned_of() -> None:
    made = report(null=None)
    assert [one["code"] for one in made.json["warnings"]] == ["too_few_trades", "null_market_unknown"]
    assert made.json["null"] is None
    assert "chart-null" not in {one.get("id") for one in Parsed(made.html).named("div")}


def test_a_result_without_any_warning_says_so() -> None:
    assert "No warnings" in Parsed(report(findings=[]).html).texts["warnings"]
    assert report(findings=[]).json["warnings"] == []


def test_findings_stand_in_the_order_in_which_they_came(page: Parsed) -> None:
    mild = replace(FINDINGS[0], code="flat_equity", severity="warning", text="It was flat.")
    texts = Parsed(report(findings=[FINDINGS[0], mild]).html).texts["warnings"]
    assert texts.index("Severe: 3 trades") < texts.index("Warning: It was flat.")


HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"


def test_names_that_are_markup_stay_text_wherever_they_come_from() -> None:
    run = told([2.0, -1.0, 0.5])
    run = replace(
        run,
        fingerprint=HOSTILE,
        config=replace(run.config, dataset_id=HOSTILE),
        trades=run.trades.with_columns(
            symbol=pl.lit(HOSTILE), regime=pl.lit(HOSTILE), exit_reason=pl.lit(HOSTILE), signal_id=pl.lit(HOSTILE)
        ),
    )
    made = report(
        run,
        findings=[Finding(code=HOSTILE, severity="warning", text=HOSTILE, value=1.0, limit=1.0)],
        monte_carlo=pl.DataFrame([(HOSTILE, 1.0, 1.0, 0.5)], schema=SCHEMA, orient="row"),
        null=replace(NULL, statistic=HOSTILE),
    )
    parsed = Parsed(made.html)
    assert "<img" not in made.html.replace(parsed.scripts[1], "")
    assert len(parsed.scripts) == 3
    assert parsed.data["trades"]["symbol"][0] == HOSTILE
    for section in ("warnings", "regime", "series", "monte-carlo", "null-market", "origin"):
        assert HOSTILE in parsed.texts[section], section
    labels = [one["aria-label"] for one in parsed.named("div") if one.get("id") == "chart-null"]
    assert HOSTILE in (labels[0] or "")


def test_a_run_without_trades_gives_a_page_that_says_so() -> None:
    run = told([], equity=[CAPITAL] * 5)
    made = report(run, findings=lint(run.trades, run.equity, run.metrics), bars=bars_of(10))
    parsed = Parsed(made.html)
    assert [one["id"] for one in parsed.named("section") if "id" in one] == list(SECTIONS)
    assert "No trade was opened in this run." in parsed.texts["headline"]
    for section in ("r", "hours", "regime", "zone-strength", "series", "trades", "closeups"):
        assert "There are no trades." in parsed.texts[section], section
    assert parsed.texts["series"].count("There are no trades.") == 1
    assert made.json["trades"]["r"] == []
    assert "NaN" not in parsed.scripts[0] + "".join(parsed.texts.values())


def test_a_run_without_anything_at_all_still_gives_a_page() -> None:
    run = told([], equity=[])
    parsed = Parsed(report(replace(run, decisions=run.decisions.clear()), monte_carlo=SCHEMA.to_frame()).html)
    assert "There is no equity curve" in parsed.texts["equity"]
    assert "There is no equity curve" in parsed.texts["months"]
    assert "No gate refused anything." in parsed.texts["refusals"]
    assert "0 evaluations of signals, 0 brackets placed." in parsed.texts["refusals"]


def test_trades_without_bars_have_no_charts_and_the_page_says_why() -> None:
    assert "none were handed in" in Parsed(report().html).texts["closeups"]


def test_every_metric_is_on_the_page_once() -> None:
    assert sorted(name for name, _, _ in METRICS) == sorted(told([1.0]).metrics.to_dict())


def test_headline_numbers_are_written_plainly_with_their_intervals(page: Parsed) -> None:
    # (2 − 1 + 0.5) ÷ 3 = 0.5; last equity 9,900 of 10,000; pnl 200 − 100 + 50 = 150; (200 + 50) ÷ 100.
    text = page.texts["headline"]
    for shown in ("Expectancy a trade+0.50 R", "Return−1.00 %", "Net result150.00", "Profit factor2.50"):
        assert shown in text, shown
    assert "95 %: −0.50 … unbounded" in text
    assert "Return a year, compounded––" in text  # three hours are no year, and no interval is known


def test_the_band_is_shown_from_worst_to_best() -> None:
    made = report(band=(-1234.5, 678.0))
    assert made.json["band"] == {"worst": -1234.5, "best": 678.0}
    assert "worst … best−1,234.50 … 678.00" in Parsed(made.html).texts["headline"]


def test_months_stand_in_a_row_of_their_year() -> None:
    run = replace(told([1.0]), equity=below_peaks(days_of([CAPITAL] * 30 + [10_100.0] + [10_201.0] * 29)))
    cells = Parsed(report(run).html).texts["months"]
    # 10,100 ÷ 10,000, 10,201 ÷ 10,100, 10,201 ÷ 10,000.
    assert cells.endswith("20241.00 %1.00 %" + "–" * 10 + "2.01 %")


def test_refusals_name_their_gate_with_count_and_share(page: Parsed) -> None:
    assert "4 evaluations of signals, 3 brackets placed." in page.texts["refusals"]
    assert page.texts["refusals"].endswith("trigger125.0 %125.0 %")


def test_the_origin_tells_everything_a_run_is_made_again_from(page: Parsed) -> None:
    run = told([1.0])
    origin = page.texts["origin"]
    for part in ("2024-01-01 00:00 to 2024-02-10 00:00 UTC", str(KEYS[0]), "f" * 64, run.config.hash):
        assert part in origin
    assert run.config.profile.hash in origin
    assert "none: the bars are named by the fingerprint alone" in origin
    named = replace(run, config=replace(run.config, dataset_id="d" * 64))
    assert "d" * 64 in Parsed(report(named).html).texts["origin"]


def test_assumptions_are_told_in_words(page: Parsed) -> None:
    for sentence in told([1.0]).assumptions:
        assert sentence in page.texts["assumptions"]


# The document.


def test_the_numbers_are_those_of_a_real_run(tmp_path: Path) -> None:
    bars = market(700)
    result = run_backtest(bars, config())
    assert result.trades.height > 30
    ranges = intervals(result.trades, result.equity, seed=3, draws=100, capital=CAPITAL)
    orders = shuffled(result.trades, capital=CAPITAL, risk_fraction=0.01, draws=100, seed=1)
    made = report(result, intervals=ranges, monte_carlo=orders, bars=bars)
    page, numbers = made.write(tmp_path / "a" / "b")
    read = json.loads(numbers.read_text())
    assert read == made.json
    assert page.read_text() == made.html
    assert read["metrics"] == result.metrics.to_dict()
    assert read["intervals"] == {name: one.to_dict() for name, one in ranges.items()}
    assert read["trades"]["r"] == result.trades["r"].to_list()
    assert read["trades"]["symbol"] == result.trades["symbol"].to_list()
    assert read["equity"]["equity"] == result.equity["equity"].to_list()
    assert [datetime.fromisoformat(ts) for ts in read["equity"]["ts"]] == result.equity["ts"].to_list()
    assert read["monte_carlo"] == orders.to_dicts()
    assert sum(read["r"]["count"]) == sum(row["trades"] for row in read["hours"]) == result.trades.height
    assert read["decisions"]["placed"] == result.opened
    assert read["decisions"]["evaluated"] == read["decisions"]["placed"] + sum(
        row["first"] for row in read["decisions"]["refusals"]
    )
    assert read["run"]["fingerprint"] == result.fingerprint
    for cut in read["groups"].values():
        assert sum(row["pnl"] for row in cut) == pytest.approx(read["metrics"]["net_pnl"])
    assert len(Parsed(made.html).data["closeups"]) == result.trades.height


def test_the_targets_of_a_picture_are_those_that_the_real_run_placed() -> None:
    bars = market(300)
    result = run_backtest(bars, config(trade=("15m",)))
    assert result.trades.height
    for picture in closeups(result, bars, rows=1000):
        trade = result.trades.row(picture["trade_id"], named=True)
        risk = abs(trade["entry"] - trade["stop"])
        ahead = [(price - trade["entry"]) * (1 if trade["side"] == "LONG" else -1) for price in picture["targets"]]
        assert len(ahead) == 3
        assert ahead == sorted(ahead)
        # 3 R at the entry that was asked; a better fill and rounding to ticks move it a little.
        assert ahead[-1] == pytest.approx(3 * risk, rel=0.25)


def test_the_same_run_gives_the_same_bytes() -> None:
    one, other = report(bars=bars_of(200)), report(bars=bars_of(200))
    assert one.html == other.html
    assert json.dumps(one.json) == json.dumps(other.json)


def test_what_is_no_number_is_null_in_the_document() -> None:
    run = told([1.0, 2.0])
    run = replace(run, trades=run.trades.with_columns(mfe_r=pl.Series([float("nan"), float("inf")])))
    assert report(run).json["trades"]["mfe_r"] == [None, None]


def test_sections_of_the_document_stand_in_the_order_of_the_page() -> None:
    assert list(report().json) == [
        *("version", "warnings", "metrics", "intervals", "band", "equity", "r", "months", "years", "hours", "groups"),
        *("decisions", "monte_carlo", "null", "trades", "assumptions", "run"),
    ]


def test_a_long_curve_is_whole_in_the_document_and_thinned_on_the_page() -> None:
    run = told([1.0], equity=[10_000 + (k * 7919 % 101) for k in range(MOST_POINTS + 3000)])
    made = report(run)
    assert len(made.json["equity"]["ts"]) == MOST_POINTS + 3000
    shown = Parsed(made.html)
    assert len(shown.data["equity"]["ts"]) == len(shown.data["equity"]["drawdown"]) <= MOST_POINTS
    assert "Thinned for the screen" in shown.texts["equity"]


# Writing.


def test_a_second_report_takes_the_place_of_the_first_and_leaves_nothing_else(tmp_path: Path) -> None:
    report().write(tmp_path)
    page, numbers = report(findings=[]).write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
    assert json.loads(numbers.read_text())["warnings"] == []
    assert "No warnings" in page.read_text()


def test_a_folder_that_cannot_be_one_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportUnwritable, match=r"file/under.*Not a directory"):
        report().write(tmp_path / "file" / "under")


def test_a_page_that_cannot_take_its_place_leaves_no_part_of_itself(tmp_path: Path) -> None:
    (tmp_path / "report.html" / "inside").mkdir(parents=True)
    with pytest.raises(ReportUnwritable):
        report().write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json"]
