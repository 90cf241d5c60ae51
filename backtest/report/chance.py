"""The sections of a page about chance: the trades in other orders, and the place among markets with nothing to win.

Invariant: nothing here reckons: every number is one of the document's, written as text.

    monte_carlo_section(document); null_section(document)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backtest.report.headline import label_of
from backtest.report.markup import Markup, element, joined, number, percent, table
from backtest.report.sections import AS_THEY_CAME, chart

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]

_ACTUAL = "actual"
_WRITTEN: Final[dict[str, Callable[[float | None], str]]] = {"final_equity": number, "max_drawdown": percent}
_NAMES = {"final_equity": "final equity", "max_drawdown": "deepest drawdown"}
_CAPTION = (
    "Shuffled: each trade once, in another order, which leaves the same at the end by another way. Resampled: drawn "
    "with replacement, some twice, some never. So many percent of the paths do not exceed the number. Each column is "
    "ranked by itself; a row is no path."
)
# Ends that differ by less than this part of the greatest differ by rounding alone.
_ROUNDING = 1e-9


def monte_carlo_section(document: Document) -> Markup:
    """The same trades in other orders, and drawn again."""
    rows = document["monte_carlo"]
    if not rows:
        return element("p", "There are no trades to be put in another order.")
    [came] = [row for row in rows if row["method"] == _ACTUAL] or [None]
    methods = list(dict.fromkeys(row["method"] for row in rows if row["method"] != _ACTUAL))
    # What is left after the same trades in another order is the same: a column of it would say nothing.
    columns = [(one, "final_equity") for one in methods if not _is_one_number(rows, one, "final_equity")]
    columns += [(one, "max_drawdown") for one in methods]
    cells = {(row["method"], row["percentile"], name): row[name] for row in rows for name in _WRITTEN}
    told = [] if came is None else [(AS_THEY_CAME, *(_WRITTEN[name](came[name]) for _, name in columns))]
    for percentile in sorted({row["percentile"] for row in rows if row["percentile"] is not None}):
        shown = (_WRITTEN[name](cells.get((method, percentile, name))) for method, name in columns)
        told.append((f"{number(percentile, 0)} %", *shown))
    headings = ("Percentile", *(f"{_NAMES[name]}, {method}" for method, name in columns))
    figures = (
        chart("chart-final", "Percentiles of the final equity; the table below has the numbers.", "Final equity"),
        chart(
            "chart-depth", "Percentiles of the deepest drawdown; the table below has the numbers.", "Deepest drawdown"
        ),
    )
    whole = table(_CAPTION, headings, told)
    return joined((element("p", _lead(document, came)), element("div", *figures, class_="pair"), whole))


def _lead(document: Document, came: Document | None) -> str:
    risk = document["run"]["parameters"]["profile"]["risk_fraction"]["value"]
    lead = (
        f"A model account, not the account of the run: one trade after the other, each risking {percent(risk, 2)} of "
        "what there is then, whatever it risked in the run."
    )
    ends = document["equity"]["equity"]
    if came is None or not ends:
        return lead
    return (
        f"{lead} With the trades {AS_THEY_CAME} it ends at {number(came['final_equity'])} with a deepest drawdown of "
        f"{percent(came['max_drawdown'])}; the account of the run ended at {number(ends[-1])}."
    )


def _is_one_number(rows: list[Document], method: str, name: str) -> bool:
    values = [row[name] for row in rows if row["method"] == method and row[name] is not None]
    return bool(values) and max(values) - min(values) <= _ROUNDING * abs(max(values))


def null_section(document: Document) -> Markup:
    """The place among markets in which there is nothing to win."""
    null = document["null"]
    if null is None:
        return element("p", "This result was not held against null markets.")
    verdict = "passed" if null["passed"] else "not passed"
    ours = "not defined" if null["value"] is None else number(null["value"], 3)
    label = (
        f"{len(null['surrogates'])} null markets. {label_of(null['statistic'])}: from "
        f"{number(null['surrogates'][0], 3)} to {number(null['surrogates'][-1], 3)}; this result: {ours}. "
        f"{null['as_good']} did as well: a chance of {percent(null['chance'])}, {percent(null['tail'], 0)} is "
        f"tolerated. The gate is {verdict}."
    )
    return chart("chart-null", label, label)
