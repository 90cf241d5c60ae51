"""The page of a walk-forward: whether it passed, the curve of its test windows, training against test, every fold.

Invariant: warnings are the first section; nothing here reckons: every number is one of the document's; all text is
escaped.

    page_of(found.to_dict(run_id=run_id))
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from backtest.report.headline import FORMATS, metrics_table, tile, warnings_section
from backtest.report.markup import Markup, element, joined, length, number, percent, table, toned
from backtest.report.origin import header, instant, origin_section, parameters_section
from backtest.report.page import framed
from backtest.report.sections import assumptions_section, chart, equity_section
from backtest.report.view import curve_of

Document = dict[str, Any]

# Tiles: the number, what it is called, how it is written, whether it is a gain or a loss.
_TILES = (
    ("total_return", "Return of all test windows", "gain", True),
    ("net_pnl", "Net result", "money", True),
    ("sharpe", "Sharpe ratio, a year", "ratio", True),
    ("max_drawdown", "Deepest drawdown", "percent", False),
    ("trades", "Trades", "count", False),
    ("efficiency", "Efficiency", "percent", False),
)
# Columns of the folds that compare training and test: the metric, how it is written, whether it is a gain or a loss.
_COMPARED = (
    ("sharpe", "Sharpe", "ratio", True),
    ("total_return", "return", "gain", True),
    ("max_drawdown", "drawdown", "percent", False),
    ("expectancy_r", "mean R", "r", True),
    ("trades", "trades", "count", False),
)
# Characters of a trial's name that tell it from all others of a study.
_TRIAL = 12


def page_of(document: Document) -> str:
    """The page.

    Args:
        document: `WalkForward.to_dict()`.
    """
    first, last = document["folds"][0]["test_from"], document["folds"][-1]["test_to"]
    made = [
        ("warnings", "Warnings", _warnings(document)),
        ("verdict", "Verdict", _verdict(document)),
        ("equity", "Equity of the test windows", _equity(document)),
        ("training", "Training against test", _training(document)),
        ("folds", "Folds", _folds(document)),
        ("choices", "What was chosen", _choices(document)),
        ("settings", "Settings", _settings(document)),
        ("parameters", "Parameters", _parameters(document)),
        ("assumptions", "Assumptions", _assumptions(document)),
        ("origin", "Origin", _origin(document)),
    ]
    title = f"Walk-forward of {document['run']['profile']}, {first[:10]} to {last[:10]}"
    return framed(title, header(document), made, view=_view(document), script="folds.js")


def _warnings(document: Document) -> Markup:
    if document["warnings"]:
        return warnings_section(document)
    return element("p", "No warnings: it passed, and nothing speaks against it.", class_="good")


def _verdict(document: Document) -> Markup:
    metrics, capital = document["metrics"], number(document["metrics"]["capital"])
    quote = ", ".join(document["run"]["quote"])
    earned = element(
        "div",
        element("dt", "Test windows that earned"),
        element("dd", f"{metrics['earned']} of {metrics['folds']}"),
    )
    tiles = [tile(label, kind, metrics[name], is_gain=is_gain) for name, label, kind, is_gain in _TILES]
    told = (
        f"Of the test windows alone, after all costs. Money in {quote}: each window begins with {capital}, the net "
        "result adds them up, the return chains them. The drawdown is the deepest of that curve, inside a window "
        "looked at after every bar. Efficiency: mean Sharpe ratio of the test windows ÷ that in training."
    )
    return joined(
        (
            element(
                "p",
                document["verdict"].capitalize(),
                ".",
                class_="verdict good" if document["passed"] else "verdict bad",
            ),
            element("dl", *tiles[:1], earned, *tiles[1:], class_="tiles"),
            element("p", told, class_="faint"),
        )
    )


def _equity(document: Document) -> Markup:
    count = len(document["folds"])
    windows = "One test window." if count == 1 else f"{count} test windows, every other one is shaded."
    return joined((element("p", windows, class_="faint"), equity_section(document)))


def _training(document: Document) -> Markup:
    metrics = document["metrics"]
    inside, outside = metrics["sharpe_trained"], metrics["sharpe_tested"]
    if inside is None and outside is None:
        return element("p", "No window has a Sharpe ratio: on no two days of it was the return another one.")
    label = (
        f"Sharpe ratio by the year of what each fold chose. Mean in training: {number(inside)}; mean in the test "
        f"windows: {number(outside)}; efficiency: {percent(metrics['efficiency'], 0)}."
    )
    caption = (
        f"{label} Training is always flattered: the best of {document['sets']:,} sets was taken there."
        if document["sets"] > 1
        else f"{label} There was one set: nothing was chosen, training is the time before."
    )
    return chart("chart-training", label, caption)


def _folds(document: Document) -> Markup:
    varied = [choice["parameter"] for choice in document["choices"]]
    rows = []
    for fold in document["folds"]:
        compared = [
            toned(FORMATS[kind](fold[of][name]), fold[of][name] if is_gain else None)
            for name, _, kind, is_gain in _COMPARED
            for of in ("in_sample", "out_of_sample")
        ]
        net = fold["out_of_sample"]["net_pnl"]
        rows.append(
            (
                fold["fold"],
                _span(fold["test_from"], fold["test_to"]),
                *(_value(fold["chosen"][name]) for name in varied),
                toned(number(net, sign=True), net),
                *compared,
                _span(fold["train_from"], fold["train_to"]),
                element("code", fold["trial_id"][:_TRIAL], title=fold["trial_id"]),
            )
        )
    columns = (
        *("Fold", "tested (UTC)", *varied, "net"),
        *(f"{label} {when}" for _, label, _, _ in _COMPARED for when in ("before", "in it")),
        *("trained (UTC)", "trial"),
    )
    caption = (
        "Before: what was chosen, in its training window; in it: the same set in the test window. Folds and trials "
        "bear the numbers and names under which they are on record."
    )
    results = {f"fold {fold['fold']}": fold["out_of_sample"] for fold in document["folds"]}
    every = metrics_table("Every number of the test windows.", results)
    return joined(
        (
            table(caption, columns, rows, words=2 + len(varied)),
            element("details", element("summary", "All numbers of the test windows"), every),
        )
    )


def _choices(document: Document) -> Markup:
    if not document["choices"]:
        return element("p", "Each parameter had one value: nothing was chosen, the same set went through all windows.")
    steps = len(document["folds"]) - 1
    rows, charts = [], []
    for place, choice in enumerate(document["choices"]):
        taken = Counter(map(_value, choice["chosen"]))
        searched = list(dict.fromkeys(map(_value, choice["values"])))
        counts = ", ".join(f"{value}: {taken[value]}" for value in searched)
        rows.append((choice["parameter"], ", ".join(searched), counts, f"{choice['changes']} of {steps}"))
        label = f"{choice['parameter']} from test window to test window: {', '.join(map(_value, choice['chosen']))}."
        charts.append(chart(f"chart-choice-{place}", label, choice["parameter"], class_="chart low"))
    caption = "How many folds chose each value, and how often a fold chose another one than the fold before it."
    columns = ("Parameter", "searched", "chosen", "changed")
    return joined((table(caption, columns, rows, words=3), element("div", *charts, class_="pair")))


def _settings(document: Document) -> Markup:
    scheme, space = document["scheme"], document["space"]
    anchored = scheme["anchored"]
    rows = (
        (
            "Training window",
            length(scheme["train"]) + (" at least, from the first bar on" if anchored else ", moving along"),
        ),
        ("Test window", length(scheme["test"])),
        ("Purge: cut off the end of a training window", length(scheme["purge"])),
        ("Embargo: between training and test", length(scheme["embargo"])),
        *((f"Values of {name}", ", ".join(map(_value, values))) for name, values in space.items()),
        ("Sets", f"{document['sets']:,}"),
        ("Trials", f"{document['trials']:,}: every set in the training window of every fold"),
    )
    return table("How time was cut, and what was searched.", ("What", "Which"), rows, words=2, class_="words")


def _parameters(document: Document) -> Markup:
    lead = "What every set has, but for what was searched, which each fold chose."
    return joined((element("p", lead), parameters_section(document)))


def _assumptions(document: Document) -> Markup:
    lead = "What the backtests took for granted is told of the last test window; the others differ by what they chose."
    return joined((element("p", lead), assumptions_section(document)))


def _origin(document: Document) -> Markup:
    run = document["run"]
    named = (
        ("Run", run["run_id"] or "not on record"),
        ("Study of its trials", f"{run['study']}/0 and so on, one a fold"),
    )
    return origin_section(document, more=named)


def _view(document: Document) -> Document:
    folds = document["folds"]
    return {
        "quote": ", ".join(document["run"]["quote"]),
        "equity": curve_of(document["equity"]),
        "windows": [[fold["test_from"], fold["test_to"]] for fold in folds],
        "training": [fold["in_sample"]["sharpe"] for fold in folds],
        "test": [fold["out_of_sample"]["sharpe"] for fold in folds],
        "choices": [_steps(choice) for choice in document["choices"]],
    }


def _steps(choice: Document) -> Document:
    # Values by their place among those that were searched: words and lists have one, too.
    searched = list(dict.fromkeys(map(_value, choice["values"])))
    return {"searched": searched, "chosen": [searched.index(_value(value)) for value in choice["chosen"]]}


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _span(start: str, end: str) -> str:
    # To the day where both are midnights.
    is_whole = start[11:16] == end[11:16] == "00:00"
    return " – ".join(one[:10] if is_whole else instant(one) for one in (start, end))
