"""The first sections of a page: what warns of the result, its headline numbers, and every number there is.

Invariant: warnings are the first section whatever they are, and every metric of `Metrics` is shown under a name.

    warnings_section(document), headline_section(document)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backtest.report.markup import NONE, Markup, counted, element, joined, number, percent, table, tone, toned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Document = dict[str, Any]

# How a number is written, by what it is.
FORMATS: Final[dict[str, Callable[[float | None], str]]] = {
    "count": lambda value: number(value, 0),
    "percent": percent,
    "gain": lambda value: percent(value, 2, sign=True),
    "ratio": number,
    "r": lambda value: number(value, 2, unit=" R", sign=True),
    "money": number,
    "hours": lambda value: number(value, 1, unit=" h"),
    "times": lambda value: number(value, 1, unit="×"),
}

# Every metric: its name, what it is called, how it is written.
METRICS: Final = (
    ("total_return", "Return", "gain"),
    ("net_pnl", "Net result", "money"),
    ("cagr", "Return a year, compounded", "gain"),
    ("expectancy_r", "Expectancy a trade", "r"),
    ("profit_factor", "Profit factor", "ratio"),
    ("sharpe", "Sharpe ratio, a year", "ratio"),
    ("sortino", "Sortino ratio, a year", "ratio"),
    ("calmar", "Calmar ratio", "ratio"),
    ("max_drawdown", "Deepest drawdown, at every bar", "percent"),
    ("underwater_hours", "Longest time below a peak", "hours"),
    ("trades", "Trades", "count"),
    ("win_rate", "Trades won", "percent"),
    ("average_win_r", "Mean of the won", "r"),
    ("average_loss_r", "Mean of the lost", "r"),
    ("best_r", "Best trade", "r"),
    ("worst_r", "Worst trade", "r"),
    ("losing_streak", "Most losses in a row", "count"),
    ("average_holding_hours", "Mean time in a trade", "hours"),
    ("long_trades", "Long trades", "count"),
    ("long_pnl", "Result of long trades", "money"),
    ("short_trades", "Short trades", "count"),
    ("short_pnl", "Result of short trades", "money"),
    ("fees", "Fees paid", "money"),
    ("funding", "Funding paid (negative = received)", "money"),
    ("exposure", "Time with a position", "percent"),
    ("turnover", "Turnover of the capital", "times"),
    ("tail_ratio", "Tail ratio (95th ÷ 5th percentile of days)", "ratio"),
    ("ambiguous_share", "Trades with a bar that could not tell", "percent"),
    ("days", "UTC days", "count"),
    ("capital", "Capital at the start", "money"),
)
_TILES = ("total_return", "expectancy_r", "profit_factor", "sharpe", "max_drawdown", "trades", "win_rate", "net_pnl")
_GAINS = ("total_return", "expectancy_r", "net_pnl")
# What an interval is of, where that is not the number itself.
_BASES: Final = {"max_drawdown": ", at ends of days"}
# Gates that are named where nothing was traded.
_MOST_GATES = 3


def label_of(metric: str) -> str:
    """What a metric is called; one that is none by its own name."""
    return next((label for name, label, _ in METRICS if name == metric), metric)


def warnings_section(document: Document) -> Markup:
    """What to know before anything else is believed."""
    found = [
        element(
            "li",
            element("strong", {"severe": "Severe: ", "warning": "Warning: "}.get(one["severity"], "")),
            one["text"],
            " ",
            element("code", one["code"]),
            class_=one["severity"],
        )
        for one in document["warnings"]
    ]
    if not found:
        return element("p", "No warnings: the null-market gate is passed and no lint found anything.", class_="good")
    return element("ul", *found, class_="findings")


def headline_section(document: Document) -> Markup:
    """Tiles of what matters most with their intervals, then every number; of a run without trades why it has none."""
    metrics, ranges = document["metrics"], document["intervals"]
    kinds = {name: (label, kind) for name, label, kind in METRICS}
    if not metrics["trades"]:
        return joined((element("p", why_idle(document["decisions"])), _every_number(document)))
    tiles = [
        tile(*kinds[name], metrics[name], ranges.get(name), is_gain=name in _GAINS, basis=_BASES.get(name, ""))
        for name in _TILES
    ]
    told = (element("dl", *tiles, class_="tiles"), _doubt(document["band"]), _held(document), _every_number(document))
    return joined(one for one in told if one)


def why_idle(decisions: Document) -> str:
    """Why a run has no trade, by what its decisions came to (`breakdowns.decided`)."""
    lead = "No trade was opened in this run"
    if decisions["placed"]:
        return f"{lead}: {counted(decisions['placed'], 'bracket')} placed, none of them filled."
    first = sorted((row for row in decisions["refusals"] if row["first"]), key=lambda row: -row["first"])[:_MOST_GATES]
    if not first:
        return f"{lead}: there was no signal to decide on. Is the history long enough for the indicators?"
    named = ", ".join(f"{row['gate']} ({row['first']:,})" for row in first)
    return f"{lead}. {counted(decisions['evaluated'], 'evaluation')} of signals; the gates that refused first: {named}."


def _doubt(band: Document | None) -> Markup:
    if band is None:
        return joined(())
    if not band["bars"] and band["worst"] == band["best"]:
        return element("p", "No bar was doubtful: what came first was known everywhere.", class_="faint")
    bars = counted(band["bars"], "bar")
    worst, best = number(band["worst"], sign=True), number(band["best"], sign=True)
    told = (
        f"{bars} could not tell whether stop or target came first: net result {worst} at the worst, {best} at the best."
    )
    return element("p", told, class_="faint")


def _held(document: Document) -> Markup:
    held = document["benchmark"]
    if held is None:
        return joined(())
    ours = document["metrics"]["total_return"]
    told = (
        f"Buy and hold of the same symbols: {percent(held['total_return'], 2, sign=True)}, this run: "
        f"{percent(ours, 2, sign=True)}; the dashed line below says how that is reckoned."
    )
    return element("p", told, class_="faint")


def _every_number(document: Document) -> Markup:
    metrics, ranges, held = document["metrics"], document["intervals"], document["benchmark"]
    rows = []
    for name, label, kind in METRICS:
        shown = toned(FORMATS[kind](metrics[name]), metrics[name] if name in _GAINS else None)
        hold = (FORMATS[kind](held[name]) if name in held else NONE,) if held is not None else ()
        rows.append((label, shown, _range(ranges, name), *hold))
    levels = sorted({percent(one["level"], 0) for one in ranges.values()})
    caption = f"Money in {', '.join(document['run']['quote'])}, R in units of the risk taken, after all costs."
    if levels:
        caption += (
            f" Intervals hold {', '.join(levels)} of the results that the stationary bootstrap drew again; that of the "
            "drawdown looks at the ends of days, the number itself at every bar."
        )
    if held is not None:
        caption += " The drawdown of buy and hold is that of its curve."
    columns = ("Number", "Value", "Interval", *(("Buy and hold",) if held is not None else ()))
    return element("details", _summary(), table(caption, columns, rows))


def metrics_table(caption: str, results: Mapping[str, Document]) -> Markup:
    """Every metric in a row, every result in a column.

    Args:
        caption: What they are.
        results: Metrics by the name of the result.
    """
    rows = [
        (label, *(element("td", FORMATS[kind](one[name]), class_="number") for one in results.values()))
        for name, label, kind in METRICS
    ]
    return table(caption, ("Number", *results), rows)


def _summary() -> Markup:
    return element("summary", "All numbers")


def tile(
    label: str, kind: str, value: float | None, interval: Document | None = None, *, is_gain: bool, basis: str = ""
) -> Markup:
    """A number that matters, large.

    Args:
        label: What it is.
        kind: How it is written (`FORMATS`).
        value: None = not defined.
        interval: Where it may as well lie.
        is_gain: Whether it is one, or a loss: then it has their tone.
        basis: What the interval is of, where that is not the number itself; stands behind it.
    """
    shown = element("dd", FORMATS[kind](value), class_=tone(value) if is_gain else None)
    told = _bounds(interval, kind)
    level = "" if interval is None else f"{percent(interval['level'], 0)}: "
    extra = () if told == NONE else (element("dd", level + told + basis, class_="range"),)
    return element("div", element("dt", label), shown, *extra)


def _range(intervals: Document, name: str) -> str:
    kind = next(kind for one, _, kind in METRICS if one == name)
    return _bounds(intervals.get(name), kind)


def _bounds(interval: Document | None, kind: str) -> str:
    if interval is None or (interval["low"] is None and interval["high"] is None):
        return NONE
    write = FORMATS[kind]
    low, high = ("unbounded" if interval[end] is None else write(interval[end]) for end in ("low", "high"))
    return f"{low} … {high}"
