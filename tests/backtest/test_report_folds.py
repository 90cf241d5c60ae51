"""The page of a walk-forward: what stands where, that nothing breaks it, and that its numbers are its folds'."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from backtest.report.headline import METRICS
from backtest.walk_forward import WalkForward
from tests.backtest.pages import Parsed
from tests.backtest.walks import DAY, SCHEME, fold, three, walked

SECTIONS = [
    "warnings",
    "verdict",
    "equity",
    "training",
    "folds",
    "choices",
    "settings",
    "parameters",
    "assumptions",
    "origin",
]
HOSTILE = "</script><img src=x onerror=alert(1)>&\"'"


def page_of(found: WalkForward, *, run_id: str | None = "f00d") -> Parsed:
    return Parsed(found.report(run_id=run_id).html)


@pytest.fixture(scope="module")
def page() -> Parsed:
    return page_of(three())


def test_every_section_is_there_in_its_order_and_every_element_is_closed(page: Parsed) -> None:
    assert [one["id"] for one in page.named("section") if "id" in one] == SECTIONS
    assert [one["href"] for one in page.named("a")] == [f"#{name}" for name in SECTIONS[1:]]
    assert page.open == []
    assert len(page.named("h1")) == 1
    assert len(page.named("caption")) == len(page.named("table")) == 7


def test_the_page_loads_nothing_and_forbids_it_too(page: Parsed) -> None:
    assert not page.named("link")
    assert not any("src" in attributes for _, attributes in page.elements)
    assert page.named("meta")[1]["http-equiv"] == "Content-Security-Policy"
    assert (page.named("meta")[1]["content"] or "").startswith("default-src 'none'")
    assert "http" not in page.scripts[2]


def test_the_script_draws_the_charts_that_are_there_and_each_has_a_text(page: Parsed) -> None:
    asked = set(re.findall(r"[\"`](chart-[a-z]+-?)", page.scripts[2]))
    assert asked == {"chart-equity", "chart-training", "chart-choice-"}
    charts = {one["id"]: one["aria-label"] or "" for one in page.named("div") if one.get("role") == "img"}
    assert set(charts) == {"chart-equity", "chart-training", "chart-choice-0"}
    assert charts["chart-choice-0"] == "profile.reward from test window to test window: 2.0, 3.0, 2.0."
    assert "Mean in training: 3.00;" in charts["chart-training"]


def test_what_speaks_against_it_stands_first_each_with_what_to_do(page: Parsed) -> None:
    told = page.texts["warnings"]
    # 500 of 500 came of the third window; 3 folds; 4 trades.
    assert told.startswith("WarningsSevere: Without the best test window, 2024-02-20 to 2024-03-01, the others")
    assert "Severe: 4 trades in all test windows, fewer than 30" in told
    assert "Warning: 3 folds, fewer than 6" in told
    assert told.index("Severe: 4 trades") < told.index("Warning: 3 folds")


def test_verdict_and_headline_numbers_are_those_worked_by_hand(page: Parsed) -> None:
    told = page.texts["verdict"]
    assert told.startswith("VerdictPassed: 2 of 3 test windows earned, all of them together made +4.96%")
    for shown in (
        "Return of all test windows+4.96 %",
        "Test windows that earned2 of 3",
        "Net result500.00",
        "Deepest drawdown10.0 %",
        "Trades4",
        "each window begins with 10,000.00",
    ):
        assert shown in told, shown
    assert "Equity from 10,000.00 to 10,495.80" in page.texts["equity"]


def test_one_that_is_not_passed_says_so_in_its_colour() -> None:
    lost = walked([fold(0, [9_900], r=[-1.0])])
    [line] = [one for one in page_of(lost).named("p") if (one.get("class") or "").startswith("verdict")]
    assert line["class"] == "verdict bad"
    assert page_of(lost).texts["verdict"].startswith("VerdictNot passed: 0 of 1 test windows earned")


def test_each_fold_is_a_row_with_windows_choice_numbers_and_trial(page: Parsed) -> None:
    told = page.texts["folds"]
    # Number, days, choice, net result, Sharpe ratio in training.
    assert "12024-02-10 – 2024-02-203.0−200.004.00" in told
    assert "−2.00 %" in told
    assert "2024-01-01 00:00 – 2024-01-30 18:00" + f"{10:064x}"[:12] in told
    assert [one["title"] for one in page.named("code") if "title" in one] == [f"{10 + at:064x}" for at in range(3)]
    for _, label, _ in METRICS:
        assert label in told, label
    assert "Numberfold 0fold 1fold 2" in told


def test_the_data_of_the_charts_are_those_of_the_folds(page: Parsed) -> None:
    data = page.data
    assert data["equity"]["equity"] == [10_000, 10_100, 10_200, 10_200, 9_996, 9_896.04, 10_495.8]
    assert data["windows"][1] == ["2024-02-10T00:00:00Z", "2024-02-20T00:00:00Z"]
    assert data["training"] == [2.0, 4.0, 3.0]
    assert data["test"] == [one.tested.metrics.sharpe for one in three().folds]
    assert data["choices"] == [{"searched": ["2.0", "3.0"], "chosen": [0, 1, 0]}]


def test_values_of_every_kind_have_their_place_among_those_searched() -> None:
    space = {"engine.tp_r": [[1.5, 3.0], [1.0, 2.0]], "profile.after_first": ["trail", "keep"], "profile.x": [True]}
    chosen = {"engine.tp_r": [1.0, 2.0], "profile.after_first": "keep", "profile.x": True}
    page = page_of(walked([fold(0, [10_100], chosen=chosen)], space=space))
    assert page.data["choices"] == [
        {"searched": ["[1.5, 3.0]", "[1.0, 2.0]"], "chosen": [1]},
        {"searched": ["trail", "keep"], "chosen": [1]},
    ]
    assert "engine.tp_r[1.5, 3.0], [1.0, 2.0][1.5, 3.0]: 0, [1.0, 2.0]: 10 of 0" in page.texts["choices"]


def test_settings_tell_how_time_was_cut_and_what_was_searched(page: Parsed) -> None:
    told = page.texts["settings"]
    for row in (
        "Training window30 days, moving along",
        "Test window10 days",
        "Purge: cut off the end of a training window6 hours",
        "Embargo: between training and testnone",
        "Values of profile.reward2.0, 3.0",
        "Sets2",
        "Trials6: every set in the training window of every fold",
    ):
        assert row in told, row
    anchored = page_of(replace(three(), scheme=replace(SCHEME, anchored=True, embargo=DAY)))
    assert "Training window30 days at least, from the first bar on" in anchored.texts["settings"]
    assert "Embargo: between training and test1 day" in anchored.texts["settings"]


def test_assumptions_are_those_of_a_walk_forward_and_of_its_last_backtest(page: Parsed) -> None:
    assert "Each window is an account of its own that begins with the capital" in page.texts["assumptions"]
    for sentence in three().folds[-1].tested.assumptions:
        assert sentence in page.texts["assumptions"]


def test_the_origin_tells_everything_it_is_made_again_from(page: Parsed) -> None:
    found, origin = three(), page.texts["origin"]
    for part in (
        "2024-01-01 00:00 to 2024-03-01 00:00 UTC",
        found.fingerprint,
        found.config.hash,
        found.config.profile.hash,
        "Version of the engine",
        "Runf00d",
        "Study of its trialswalk-forward one/0",
        "none: the bars are named by the fingerprint alone",
    ):
        assert part in origin, part
    named = page_of(replace(found, config=replace(found.config, dataset_id="d" * 64)), run_id=None)
    assert "d" * 64 in named.texts["origin"]
    assert "Runnot on record" in named.texts["origin"]


def test_names_that_are_markup_stay_text_wherever_they_come_from() -> None:
    base = three()
    profile = base.config.profile.model_copy(update={"name": HOSTILE})
    chosen = {HOSTILE: HOSTILE}
    folds = [
        replace(one, chosen=chosen, trained=replace(one.trained, params=chosen, trial_id=HOSTILE)) for one in base.folds
    ]
    found = replace(
        base,
        folds=folds,
        config=replace(base.config, profile=profile, dataset_id=HOSTILE),
        space={HOSTILE: [HOSTILE, "other"]},
        study=HOSTILE,
    )
    html = found.report(run_id=HOSTILE).html
    page = Parsed(html)
    assert "<img" not in html.replace(page.scripts[1], "")
    assert len(page.scripts) == 3
    assert page.data["choices"][0]["searched"] == [HOSTILE, "other"]
    for section in ("folds", "choices", "settings", "origin"):
        assert HOSTILE in page.texts[section], section
    assert page.texts["origin"].count(HOSTILE) == 4  # dataset, profile, run, study


def test_one_that_never_traded_gives_a_page_that_says_so() -> None:
    page = page_of(walked([fold(at, [10_000, 10_000], trained=None) for at in range(3)]))
    assert [one["id"] for one in page.named("section") if "id" in one] == SECTIONS
    assert "No trade was opened in any test window: nothing was tested." in page.texts["warnings"]
    assert "No window has a Sharpe ratio" in page.texts["training"]
    assert "chart-training" not in {one.get("id") for one in page.named("div")}
    assert "Efficiency–" in page.texts["verdict"]
    assert page.data["test"] == [None, None, None]
    assert "NaN" not in page.scripts[0] + "".join(page.texts.values())


def test_one_fold_with_one_set_gives_a_page_on_which_nothing_was_chosen() -> None:
    page = page_of(walked([fold(0, [10_100, 10_300], r=[3.0])], space={"profile.reward": [2.0]}))
    assert "Severe: 1 fold, fewer than 3" in page.texts["warnings"]
    assert "One test window." in page.texts["equity"]
    assert "Each parameter had one value: nothing was chosen" in page.texts["choices"]
    assert "There was one set: nothing was chosen, training is the time before." in page.texts["training"]
    assert page.data["choices"] == []
    assert "Values of profile.reward2.0" in page.texts["settings"]
