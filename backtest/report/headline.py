"""The first sections of a page: what warns of the result, its headline numbers, and every number there is.

Invariant: warnings are the first section whatever they are, and every metric of `Metrics` is shown under a name.

    warnings_section(document), headline_section(document)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from backtest.report.markup import NONE, Markup, element, joined, number, percent, table, tone, toned

if TYPE_CHECKING:
    from collections.abc import Callable

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
    ("max_drawdown", "Deepest drawdown", "percent"),
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
    """Tiles of what matters most with their intervals, then every number."""
    metrics, ranges = document["metrics"], document["intervals"]
    kinds = {name: (label, kind) for name, label, kind in METRICS}
    tiles = [_tile(*kinds[name], metrics[name], ranges.get(name), is_gain=name in _GAINS) for name in _TILES]
    band = document["band"]
    if band is not None:
        worst, best = (number(band[end]) for end in ("worst", "best"))
        tiles.append(
            element(
                "div",
                element("dt", "Net result, doubtful bars at their worst … best"),
                element("dd", f"{worst} … {best}", class_="band"),
            )
        )
    rows = [
        (label, toned(FORMATS[kind](metrics[name]), metrics[name] if name in _GAINS else None), _range(ranges, name))
        for name, label, kind in METRICS
    ]
    levels = sorted({percent(one["level"], 0) for one in ranges.values()})
    quote = ", ".join(document["run"]["quote"])
    caption = f"Money in {quote}, R in units of the risk taken, after all costs."
    if levels:
        caption += (
            f" Intervals hold {', '.join(levels)} of the results that the stationary bootstrap drew again; that of the "
            "drawdown looks at the ends of days, the number itself at every bar."
        )
    every = table(caption, ("Number", "Value", "Interval"), rows)
    empty = () if metrics["trades"] else (element("p", "No trade was opened in this run."),)
    return joined((*empty, element("dl", *tiles, class_="tiles"), element("details", _summary(), every)))


def _summary() -> Markup:
    return element("summary", "All numbers")


def _tile(label: str, kind: str, value: float | None, interval: Document | None, *, is_gain: bool) -> Markup:
    shown = element("dd", FORMATS[kind](value), class_=tone(value) if is_gain else None)
    told = _bounds(interval, kind)
    level = "" if interval is None else f"{percent(interval['level'], 0)}: "
    extra = () if told == NONE else (element("dd", level + told, class_="range"),)
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
