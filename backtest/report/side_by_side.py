"""The page of a comparison: verdicts with their statistics, every metric in a column a result, curves, shared signals.

Invariant: warnings are the first section; nothing here reckons but what a chart accumulates; all text is escaped.

    page_of(comparison.to_dict())
"""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from backtest.report.headline import metrics_table, warnings_section
from backtest.report.markup import NONE, Markup, element, joined, number, percent, readable, table, tone, toned
from backtest.report.origin import instant
from backtest.report.page import framed
from backtest.report.sections import chart
from backtest.report.view import rounded

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]

# Signals of a pair that are listed: those on which the two differ most.
MOST_SIGNALS = 10


def page_of(document: Document) -> str:
    """The page.

    Args:
        document: `Comparison.to_dict()`.
    """
    names = [one["name"] for one in document["results"]]
    made = [
        ("warnings", "Warnings", _warnings(document)),
        ("verdicts", "Each two against each other", _verdicts(document)),
        ("numbers", "Every number", _numbers(document)),
        ("curves", "Accounts", _curves(document)),
        ("signals", "Signals that both took", joined(_signals(pair) for pair in document["pairs"])),
        ("settings", "Settings that differ", _settings(document, names)),
        ("origin", "Origin", _origin(document)),
    ]
    title = f"Comparison of {', '.join(names[:4])}" + (f" and {len(names) - 4} more" if len(names) > 4 else "")
    return framed(
        title, element("p", _subtitle(document), class_="faint"), made, view=_view(document), script="side_by_side.js"
    )


def _subtitle(document: Document) -> str:
    days = sorted({day for one in document["results"] for day in (one["days"][:1] + one["days"][-1:])})
    span = f"UTC days {days[0]} to {days[-1]}. " if days else ""
    return f"{span}Which one is ahead; whether any of them is good is told by the report of each."


def _warnings(document: Document) -> Markup:
    if document["warnings"]:
        return warnings_section(document)
    return element("p", "No warnings of the comparison itself.", class_="good")


def _verdicts(document: Document) -> Markup:
    told = [element("li", _sentence(pair)) for pair in document["pairs"]]
    rows = [
        (
            f"{pair['first']} − {pair['second']}",
            pair["days"]["count"],
            _with_range(pair["days"]["mean"], _daily),
            number(pair["days"]["t"]),
            _chance(pair["days"]["p"]),
            _chance(pair["chance"]),
            f"{percent(pair['better'])}, {percent(pair['worse'])}",
            number(pair["correlation"]),
            _with_range(pair["sharpe"], _signed),
        )
        for pair in document["pairs"]
    ]
    level = percent(document["pairs"][0]["days"]["mean"]["level"], 0)
    caption = (
        "Daily returns, first − second, on the days that both have. p: two-sided, of Student's t, which takes days for "
        "independent; raised: by the number of pairs (Holm). Below a number its interval: stationary bootstrap of the "
        f"same days of both, {level}. Two are told apart only where both agree."
    )
    columns = (
        *("Pair", "days", "mean a day", "t", "p", "p, raised", "days ahead, behind", "correlation"),
        "Δ Sharpe, a year",
    )
    return joined((element("ul", *told), table(caption, columns, rows)))


def _sentence(pair: Document) -> str:
    first, second, mean = pair["first"], pair["second"], pair["days"]["mean"]["value"]
    if mean is None:
        return f"{first} and {second} share no day."
    if pair["chance"] is None:
        return f"{first} and {second}: nothing to tell them apart by."
    ahead, behind = (first, second) if mean > 0 else (second, first)
    lead = f"{ahead} is ahead of {behind} by {percent(abs(mean), 4)} a day"
    chance = f"as far apart as this by chance: {_chance(pair['chance'])}"
    if pair["significant"]:
        return f"{lead}, which chance would seldom do ({chance})."
    return f"{lead}, which chance may have done ({chance})."


def _numbers(document: Document) -> Markup:
    caption = "Each over all of its own days. Money in quote units, R in units of the risk taken, after all costs."
    return metrics_table(caption, {one["name"]: one["metrics"] for one in document["results"]})


def _curves(document: Document) -> Markup:
    results = document["results"]
    ends = ", ".join(f"{one['name']} {percent(_growth(one)[-1], 2, sign=True)}" for one in results if one["returns"])
    if not ends:
        return element("p", "None of them has a day.")
    first = results[0]["name"]
    label = f"Return since the start at the end of each day. At the end: {ends}."
    ahead = f"Differences of the daily returns against {first}, summed from the first shared day on."
    return joined(
        (
            chart("chart-curves", label, label, class_="chart tall"),
            chart("chart-ahead", ahead, f"{ahead} A steady slope is a difference; a few steps are a few trades."),
        )
    )


def _signals(pair: Document) -> Markup:
    told = pair["r"]
    first, second = pair["first"], pair["second"]
    lead = (
        f"{first} and {second}: {told['count']:,} signals were taken by both, {pair['alone'][0]:,} by {first} alone, "
        f"{pair['alone'][1]:,} by {second} alone."
    )
    heading = element("h3", f"{first} − {second}")
    if not told["count"]:
        return joined((heading, element("p", lead)))
    mean = number(told["mean"]["value"], 3, unit=" R", sign=True)
    lead += (
        f" On those of both, {first} − {second} is {mean} a signal (interval {_range(told['mean'], _r)}, "
        f"t {number(told['t'])}, p {_chance(told['p'])})."
    )
    shared = pair["shared"]
    most = sorted(range(told["count"]), key=lambda row: (-abs(shared["difference"][row]), row))[:MOST_SIGNALS]
    rows = [
        (
            instant(shared["entry_ts"][row]),
            *(element("td", shared[name][row]) for name in ("symbol", "tf", "side")),
            *(toned(number(shared[name][row]), shared[name][row]) for name in ("r_first", "r_second", "difference")),
        )
        for row in most
    ]
    caption = "Where they differ most; all of them are in the JSON file beside this page."
    columns = ("Entered (UTC)", "symbol", "tf", "side", f"R of {first}", f"R of {second}", "difference")
    return joined((heading, element("p", lead), table(caption, columns, rows, words=4)))


def _settings(document: Document, names: list[str]) -> Markup:
    origin = document["origin"]
    if origin is None:
        return element("p", "It is not known what they were made from.")
    if not origin["differing"]:
        return element("p", "No setting differs.")
    rows = [(field, *map(_setting, values)) for field, values in origin["differing"].items()]
    caption = "profile: of the risk profile; engine: of the engine. What is long is told by its digest."
    return table(caption, ("Setting", *names), rows, words=1 + len(names), class_="settings")


def _setting(told: str) -> str:
    # The document has them as JSON text, or a digest, which is none.
    try:
        return readable(json.loads(told))
    except ValueError:
        return told


def _origin(document: Document) -> Markup:
    origin = document["origin"]
    if origin is None:
        return element("p", "It is not known what they were made from.")
    rows = [
        ("Bars", f"{instant(origin['from'])} to {instant(origin['to'])} UTC"),
        ("Series", ", ".join(origin["series"])),
        ("Dataset", origin["dataset_id"] or "none: the bars are named by the fingerprints alone"),
        *((f"Fingerprint of {name}", value) for name, value in origin["fingerprints"].items()),
    ]
    caption = "All results were made from the same bars."
    return table(caption, ("What", "Which"), rows, words=2, class_="words origin")


def _view(document: Document) -> Document:
    results = document["results"]
    first = results[0]
    by_day = dict(zip(first["days"], first["returns"], strict=True))
    lines = []
    for one in results[1:]:
        own = [
            (day, value - by_day[day]) for day, value in zip(one["days"], one["returns"], strict=True) if day in by_day
        ]
        sums = accumulate(value for _, value in own)
        lines.append({"name": one["name"], "days": [day for day, _ in own], "values": list(map(rounded, sums))})
    return {
        "first": first["name"],
        "curves": [
            {"name": one["name"], "days": one["days"], "values": list(map(rounded, _growth(one)))} for one in results
        ],
        "ahead": lines,
    }


def _growth(result: Document) -> list[float]:
    # What has become of 1, less 1.
    return [left - 1 for left in accumulate(result["returns"], lambda left, r: left * (1 + r), initial=1.0)][1:]


def _daily(fraction: float | None) -> str:
    return percent(fraction, 4, sign=True)


def _signed(value: float | None) -> str:
    return number(value, sign=True)


def _with_range(interval: Document, write: Callable[[float | None], str]) -> Markup:
    """A cell: the number, and its interval below."""
    told, value = _range(interval, write), interval["value"]
    below = () if told == NONE else (element("div", told, class_="range"),)
    return element("td", element("span", write(value), class_=tone(value)), *below, class_="number")


def _r(value: float | None) -> str:
    return number(value, 3, unit=" R", sign=True)


def _chance(p: float | None) -> str:
    return "< 0.0001" if p is not None and p < 0.0001 else number(p, 4)


def _range(interval: Document, write: Callable[[float | None], str]) -> str:
    if interval["low"] is None and interval["high"] is None:
        return NONE
    low, high = ("unbounded" if interval[end] is None else write(interval[end]) for end in ("low", "high"))
    return f"{low} … {high}"
