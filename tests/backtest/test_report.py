"""The report: what stands where on the page, that nothing breaks it, and that its numbers are those of the result."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from backtest import run_backtest
from backtest.bootstrap import Interval, intervals
from backtest.config import ALWAYS
from backtest.lints import Finding, lint
from backtest.monte_carlo import SCHEMA, shuffled
from backtest.report import NullPlace, Outcome, ReportUnwritable
from backtest.report.closeups import closeups
from backtest.report.headline import METRICS
from backtest.report.view import MOST_POINTS
from contracts import InstrumentKey
from engine import ENGINE_VERSION, EngineParams
from risk import RiskProfile
from tests.backtest.markets import ONE, TWO, config, market, rules_of
from tests.backtest.pages import FINDINGS, NULL, Parsed, bars_of, report
from tests.backtest.reported import CAPITAL, KEYS, below_peaks, told
from tests.backtest.results import START, days_of

SECTIONS = (
    *("warnings", "headline", "equity", "r", "months", "hours", "zones", "regime", "exits", "series", "refusals"),
    *("monte-carlo", "null-market", "trades", "closeups", "parameters", "assumptions", "origin"),
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
        monte_carlo=pl.DataFrame([(HOSTILE, at, at, 0.5) for at in (1.0, 2.0)], schema=SCHEMA, orient="row"),
        null=replace(NULL, statistic=HOSTILE),
    )
    parsed = Parsed(made.html)
    assert "<img" not in made.html.replace(parsed.scripts[1], "")
    assert len(parsed.scripts) == 3
    assert parsed.data["trades"]["symbol"][0] == HOSTILE
    for section in ("warnings", "regime", "exits", "series", "monte-carlo", "null-market", "origin"):
        assert HOSTILE in parsed.texts[section], section
    labels = [one["aria-label"] for one in parsed.named("div") if one.get("id") == "chart-null"]
    assert HOSTILE in (labels[0] or "")


def test_a_run_without_trades_gives_a_page_that_says_so() -> None:
    run = told([], equity=[CAPITAL] * 5)
    made = report(run, findings=lint(run.trades, run.equity, run.metrics), bars=bars_of(10))
    parsed = Parsed(made.html)
    assert [one["id"] for one in parsed.named("section") if "id" in one] == list(SECTIONS)
    assert "No trade was opened in this run." in parsed.texts["headline"]
    for section in ("r", "hours", "zones", "regime", "exits", "series", "trades", "closeups"):
        assert "There are no trades." in parsed.texts[section], section
    assert [parsed.texts[section].count("There are no trades.") for section in ("series", "zones")] == [1, 1]
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


def test_what_doubtful_bars_decide_is_told_from_worst_to_best() -> None:
    run = told([1.0, 2.0])
    run = replace(run, trades=run.trades.with_columns(guesses=pl.Series([2, 1])))
    made = report(run, band=(-1234.5, 678.0))
    assert made.json["band"] == {"worst": -1234.5, "best": 678.0, "bars": 3}
    text = Parsed(made.html).texts["headline"]
    assert "3 bars could not tell" in text
    assert "net result −1,234.50 at the worst, +678.00 at the best." in text


def test_where_no_bar_was_doubtful_a_line_says_so_and_no_card_does(page: Parsed) -> None:
    text = Parsed(report(band=(150.0, 150.0)).html).texts["headline"]
    assert "No bar was doubtful" in text
    assert "at the worst" not in text
    # None was handed in: nothing is said.
    assert "doubtful" not in page.texts["headline"]


def test_the_header_names_what_was_traded_and_sets_apart_what_was_only_read() -> None:
    run = told([1.0])
    asked = replace(run.config, trade=("15m", "1h"))
    keys = [one.series(tf) for one in (ONE, TWO) for tf in ("1h", "15m", "1m")]
    facts = header_of(replace(run, config=asked, written=replace(run.written, keys=keys)))
    assert facts == {
        "Traded at binance_usdm": "AAAUSDT, BBBUSDT",
        "Timeframes": "15m, 1h",
        "Time": "2024-01-01 00:00 to 2024-02-10 00:00 UTC",
        "Capital": "10,000.00 USDT",
        "Risk profile": "eager, 11 of 30 parameters not as shipped",
        "Engine": f"engine version {ENGINE_VERSION}, parameters as shipped",
        "Finer bars, not traded": "1m: what came first inside a longer bar",
    }


def test_the_header_names_a_dozen_symbols_and_counts_the_others() -> None:
    run = told([1.0])
    keys = [InstrumentKey("binance_spot", f"A{number:02}USDT").series("15m") for number in range(14)]
    rules = {key.instrument: [(ALWAYS, rules_of(key.instrument, venue="binance_spot"))] for key in keys}
    facts = header_of(replace(run, config=replace(run.config, rules=rules), written=replace(run.written, keys=keys)))
    assert facts["Traded at binance_spot"].startswith("A00USDT, A01USDT")
    assert facts["Traded at binance_spot"].endswith("A11USDT and 2 more, listed under Origin")
    assert "Finer bars, not traded" not in facts


def header_of(run: Outcome) -> dict[str, str]:
    """The facts in the header of a page."""
    rows = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", report(run).html.split("</header>")[0])
    return dict(rows)


def test_every_parameter_stands_beside_the_shipped_one_and_those_that_differ_are_marked() -> None:
    run = told([1.0])
    params = run.config.params.model_copy(update={"ttl_bars": 9})
    made = report(replace(run, config=replace(run.config, params=params)))
    told_of = made.json["run"]["parameters"]
    assert set(told_of["profile"]) == set(RiskProfile.model_fields) - {"name"}
    assert set(told_of["engine"]) == set(EngineParams.model_fields)
    assert told_of["engine"]["ttl_bars"] == {"value": 9, "default": 6}
    text = Parsed(made.html).texts["parameters"]
    assert "Engine: 1 of 21 parameters not as shipped" in text
    assert "ttl_bars9◆ shipped: 6" in text
    assert "after_firsttrail◆ shipped: keep" in text
    assert "news_high−30, 30as shipped" in text
    assert text.count("◆") == 12


def test_of_the_deepest_drawdown_each_number_says_when_it_looks() -> None:
    # At the samples 10,100 to 9,900; of the ends of days and of every bar the numbers are handed in.
    ranges = {"max_drawdown": Interval(value=0.0125, low=0.01, high=0.05, level=0.95)}
    made = report(intervals=ranges)
    orders = [row["max_drawdown"] for row in made.json["monte_carlo"] if row["method"] == "actual"]
    assert made.json["drawdowns"] == {
        "bars": 0.1,
        "samples": pytest.approx(200 / 10_100),
        "days": 0.0125,
        "trades": orders[0],
    }
    texts = Parsed(made.html).texts
    assert "Deepest drawdown, at every bar10.0 %95 %: 1.0 % … 5.0 %, at ends of days" in texts["headline"]
    assert "deepest drawdown of the curve, which has a point every hour, 2.0 %" in texts["equity"]
    assert "after every bar: the number above10.00 %" in texts["equity"]
    assert "at the ends of UTC days: what its interval draws again1.25 %" in texts["equity"]
    # One trade lost one R: 1 % of the equity, the fraction handed to `shuffled`.
    assert "under Monte Carlo1.00 %" in texts["equity"]


def test_other_orders_have_a_column_only_where_they_can_differ() -> None:
    text = Parsed(report().html).texts["monte-carlo"]
    assert "Percentilefinal equity, resampleddeepest drawdown, shuffleddeepest drawdown, resampled" in text
    assert "final equity, shuffled" not in text
    # 1.02 · 0.99 · 1.005 of 10,000, less 1 % on the way; the run's account ended elsewhere.
    assert "as they came10,148.491.0 %1.0 %" in text
    assert "each risking 0.50 % of what there is then" in text
    assert "the account of the run ended at 9,900.00" in text
    assert "actual" not in text


def test_holding_is_a_curve_a_line_and_a_column_with_the_numbers_of_the_document() -> None:
    run = told([2.0, -1.0, 0.5])
    made = report(run, bars={key: frame for one in KEYS for key, frame in bars_of(200, key=one).items()})
    found = made.json["benchmark"]
    # The run begins with the 97th bar, which opens at 97.25, and ends with the 108th, which closes at 108.5.
    fee = float(rules_of(ONE).taker_fee)
    assert found["total_return"] == pytest.approx(108.5 / 97.25 * (1 - fee) / (1 + fee) - 1)
    assert found["net_pnl"] == pytest.approx(CAPITAL * found["total_return"])
    page = Parsed(made.html)
    assert page.data["equity"]["held"] == pytest.approx(found["equity"], rel=1e-5)
    grown = f"{100 * found['total_return']:+,.2f} %"
    assert f"Buy and hold of the same symbols: {grown}, this run: −1.00 %" in page.texts["headline"]
    assert f"It comes to {grown}" in page.texts["equity"]
    assert "NumberValueIntervalBuy and hold" in page.texts["headline"]


def test_without_bars_nothing_is_said_of_holding() -> None:
    made = report()
    assert made.json["benchmark"] is None
    page = Parsed(made.html)
    assert "held" not in page.data["equity"]
    assert "uy and hold" not in "".join(page.texts.values())


def test_a_run_without_trades_says_which_gates_refused_instead_of_cards() -> None:
    run = told([])
    page = Parsed(report(run).html)
    assert (
        "No trade was opened in this run. 1 evaluation of signals; the gates that refused first: trigger (1)."
        in page.texts["headline"]
    )
    assert not [one for one in page.named("dl") if one.get("class") == "tiles"]
    assert "… " not in page.texts["headline"].split("All numbers")[0]
    nothing = Parsed(report(replace(run, decisions=run.decisions.clear())).html)
    assert "No trade was opened in this run: there was no signal to decide on." in nothing.texts["headline"]
    placed = run.decisions.with_columns(reason=pl.lit(None, run.decisions.schema["reason"]))
    unfilled = Parsed(report(replace(run, decisions=placed)).html)
    assert "No trade was opened in this run: 1 bracket placed, none of them filled." in unfilled.texts["headline"]


def test_prices_have_the_decimals_of_their_tick_and_quantities_those_of_their_lot() -> None:
    run = told([1.0, 2.0, 3.0])
    rules = {
        ONE: [(ALWAYS, rules_of(ONE)), (START, rules_of(ONE, tick_size=Decimal("0.0010")))],
        TWO: [(ALWAYS, rules_of(TWO, tick_size=Decimal("0.5"), step_size=Decimal(10)))],
    }
    made = report(replace(run, config=replace(run.config, rules=rules)))
    # Of the rules that held, the finest.
    assert made.json["run"]["increments"] == {
        str(ONE): {"tick": "0.001", "lot": "0.001"},
        str(TWO): {"tick": "0.5", "lot": "10"},
    }
    assert Parsed(made.html).data["decimals"] == {"tick": [3, 1, 3], "lot": [3, 0, 3]}


def test_the_axis_of_null_markets_bears_the_name_of_the_number() -> None:
    page = Parsed(report(null=replace(NULL, statistic="sharpe")).html)
    assert page.data["null"]["label"] == "Sharpe ratio, a year"
    assert "Sharpe ratio, a year: from −0.500 to 0.390" in page.texts["null-market"]


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
    assert run.config.params.hash in origin
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
        *("version", "warnings", "metrics", "intervals", "band", "equity", "drawdowns", "benchmark"),
        *("r", "months", "years", "hours", "groups"),
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
