"""The sections of a page below its headline: charts with what they show in words, and tables.

Charts are drawn by the page's script from its data; each has a text that says the same to who cannot see it. Where
there is nothing to show, a section says so.

Invariant: nothing here reckons: every number is one of the document's, written as text.

    months_section(document)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtest.report.markup import NONE, Markup, element, joined, number, percent, table, text, toned
from backtest.report.origin import instant, sampled
from backtest.report.view import MOST_POINTS, MOST_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterable

Document = dict[str, Any]

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_GROUP_COLUMNS = ("trades", "won", "mean R", "Σ R", "profit factor", "PnL")
_NO_TRADES = "There are no trades."

# How a page calls the order in which the trades came, which the document calls `actual`.
AS_THEY_CAME = "as they came"


def chart(name: str, label: str, caption: str, *, class_: str = "chart") -> Markup:
    """A place for a chart of the page's script, with what it shows in words.

    Args:
        name: Of the element.
        label: What a screen reader says of it.
        caption: Under it.
        class_: Of its size.
    """
    place = element("div", id=name, class_=class_, role="img", aria_label=label)
    return element("figure", place, element("figcaption", caption))


def equity_section(document: Document) -> Markup:
    """Equity, under it the drawdown, and how deep that is for who looks how often."""
    curve = document["equity"]
    if not curve["ts"]:
        return element("p", "There is no equity curve: the run has no sample.")
    deepest = max(curve["drawdown"])
    label = (
        f"Equity from {number(document['metrics']['capital'])} to {number(curve['equity'][-1])}, deepest drawdown "
        f"of the curve, which has a point {sampled(document)}, {percent(deepest)}, reached at "
        f"{instant(curve['ts'][curve['drawdown'].index(deepest)])}."
    )
    caption = label
    held = document.get("benchmark")
    if held is not None:
        caption += f" Dashed: {_holding(document, held)}"
    if len(curve["ts"]) > MOST_POINTS:
        caption += " Thinned for the screen; no peak and no depth is left out."
    return joined((chart("chart-equity", label, caption, class_="chart tall"), _depths(document)))


def _holding(document: Document, held: Document) -> str:
    names = ", ".join(name.partition(":")[2] for name in held["instruments"])
    parts = "all of the capital" if len(held["instruments"]) == 1 else "equal parts of the capital"
    sharpe = number(held["sharpe"])
    return (
        f"buy and hold of {names}, {parts} from the first open to the last close, the taker fee paid both times; no "
        f"leverage, slippage or funding. It comes to {percent(held['total_return'], 2, sign=True)} with a deepest "
        f"drawdown of this curve of {percent(held['max_drawdown'])} and a Sharpe ratio of {sharpe} a year."
    )


def _depths(document: Document) -> Markup:
    found = document.get("drawdowns")
    if found is None:
        return joined(())
    rows = (
        ("after every bar: the number above", found["bars"]),
        (f"at the points of this curve, {sampled(document)}", found["samples"]),
        ("at the ends of UTC days: what its interval draws again", found["days"]),
        (
            f"at the ends of trades, equal shares at risk: “{AS_THEY_CAME}” under Monte Carlo",
            found["trades"],
        ),
    )
    told = [(when, percent(depth, 2)) for when, depth in rows if depth is not None]
    whole = table("The same account, looked at more or less often.", ("Looked at", "deepest drawdown"), told)
    return element("details", element("summary", "The deepest drawdown by how often one looks"), whole)


def r_section(document: Document) -> Markup:
    """How many trades ended with how much R."""
    bins = document["r"]
    if not bins["count"]:
        return element("p", _NO_TRADES)
    most = bins["count"].index(max(bins["count"]))
    low, width = bins["from"][most], bins["width"]
    label = (
        f"{sum(bins['count'])} trades between {number(bins['from'][0])} and "
        f"{number(bins['from'][-1] + width)} R; most of them, {bins['count'][most]}, from {number(low)} to "
        f"{number(low + width)} R."
    )
    return chart("chart-r", f"Distribution of R. {label}", label)


def months_section(document: Document) -> Markup:
    """Return of each month and year."""
    if not document["months"]:
        return element("p", "There is no equity curve: the run has no sample.")
    by_month = {row["month"]: row["return"] for row in document["months"]}
    rows = []
    for row in document["years"]:
        year = row["year"]
        cells = [by_month.get(f"{year}-{month:02}") for month in range(1, 13)]
        shown = [toned(percent(value, 2), value) for value in (*cells, row["return"])]
        rows.append((year, *shown))
    caption = "Return of each UTC month and year, open positions included; the first and the last may be parts."
    return table(caption, ("Year", *_MONTHS, "Year's return"), rows)


def hours_section(document: Document) -> Markup:
    """Mean R and count by the hour and weekday of the entry."""
    cells = {(row["weekday"], row["hour"]): row for row in document["hours"]}
    if not cells:
        return element("p", _NO_TRADES)
    most = max(document["hours"], key=lambda row: row["trades"])
    label = (
        f"Colour: mean R; number: trades, by UTC hour and weekday of the entry. Most trades, {most['trades']}, were "
        f"entered on {_DAYS[most['weekday'] - 1]} from {most['hour']:02}:00, with a mean of {number(most['mean_r'])} R."
    )
    rows = [(f"{hour:02}:00", *(_hour_cell(cells.get((day, hour))) for day in range(1, 8))) for hour in range(24)]
    every = table("Trades and their mean R", ("UTC", *_DAYS), rows)
    return joined((chart("chart-hours", label, label), element("details", element("summary", "As a table"), every)))


def _hour_cell(row: Document | None) -> Markup:
    if row is None:
        return toned(NONE, None)
    return toned(f"{row['trades']} · {number(row['mean_r'])}", row["mean_r"])


def group_table(document: Document, name: str, caption: str, heading: str, *, unknown: str = "not known") -> Markup:
    """Trades by one of the document's groups.

    Args:
        document: Of the result.
        name: Of the groups.
        caption: What they are.
        heading: Of their names.
        unknown: What a group without a name is.
    """
    rows = document["groups"][name]
    if not rows:
        return element("p", _NO_TRADES)
    told = [
        (
            NONE if row["name"] is None else row["name"],
            row["trades"],
            percent(row["win_rate"]),
            toned(number(row["mean_r"]), row["mean_r"]),
            toned(number(row["sum_r"]), row["sum_r"]),
            number(row["profit_factor"]),
            toned(number(row["pnl"]), row["pnl"]),
        )
        for row in rows
    ]
    if any(row["name"] is None for row in rows):
        caption += f" {NONE} = {unknown}."
    return table(caption, (heading, *_GROUP_COLUMNS), told)


def refusals_section(document: Document) -> Markup:
    """Which gate refused how often."""
    told = document["decisions"]
    count = told["evaluated"]
    lead = element("p", f"{count:,} evaluations of signals, {told['placed']:,} brackets placed.")
    rows = [row for row in told["refusals"] if row["failed"]]
    if not rows:
        return joined((lead, element("p", "No gate refused anything.")))
    rows.sort(key=lambda row: (-row["first"], -row["failed"]))
    cells = (
        (
            row["gate"],
            f"{row['first']:,}",
            percent(row["first"] / count),
            f"{row['failed']:,}",
            percent(row["failed"] / count),
        )
        for row in rows
    )
    caption = "A signal is evaluated bar by bar while it lives; the first gate that fails names the reason."
    return joined((lead, table(caption, ("Gate", "first to refuse", "share", "refused at all", "share"), cells)))


def trades_section(document: Document) -> Markup:
    """A table that page.js fills, sorts and pages through."""
    count = len(document["trades"]["trade_id"])
    if not count:
        return element("p", _NO_TRADES)
    caption = f"{count:,} trades in the order of their exits. A heading sorts."
    if count > MOST_ROWS:
        caption += f" The first {MOST_ROWS:,} are listed; all of them are in the JSON file beside this page."
    bar = element(
        "div",
        element("button", "Earlier rows", type="button", id="trades-before"),
        element("span", id="trades-place", aria_live="polite"),
        element("button", "Later rows", type="button", id="trades-after"),
        class_="bar",
    )
    head = element("thead", element("tr", id="trades-head"))
    whole = element("table", element("caption", element("span", caption)), head, element("tbody", id="trades-body"))
    without = element("noscript", element("p", "The table needs JavaScript; the JSON file has every trade."))
    return joined(
        (bar, element("div", whole, class_="scroll", role="region", tabindex="0", aria_label=caption), without)
    )


def closeups_section(count: int, trades: int) -> Markup:
    """The chart of one trade, and the choice of it.

    Args:
        count: Trades that have a picture.
        trades: All there are.
    """
    if not count:
        return element("p", _NO_TRADES if not trades else "There are no bars to draw trades on: none were handed in.")
    caption = (
        "Candles around the trade, UTC. Triangle: entry; circle: target; cross: stop; square: other exits. Lines: "
        "entry, stop as placed, targets. Band: the zone of the signal, from its creation to the exit."
    )
    if count < trades:
        caption += (
            f" {count:,} of {trades:,} trades have a picture: the best, the worst, and an even choice of the others."
        )
    bar = element(
        "div",
        element("button", "Previous", type="button", id="closeup-before"),
        element("label", "Trade ", element("select", id="closeup-choice")),
        element("button", "Next", type="button", id="closeup-after"),
        class_="bar",
    )
    told = element("p", id="closeup-text", aria_live="polite")
    return joined((bar, told, chart("chart-trade", "Candles around the trade", caption, class_="chart tall")))


def assumptions_section(document: Document) -> Markup:
    """What the run took for granted."""
    return element("ol", *(element("li", one) for one in document["assumptions"]), class_="assumptions")


def contents(names: Iterable[tuple[str, str]]) -> Markup:
    """Links to the sections, (id, title) each."""
    links = (element("li", element("a", text(title), href=f"#{name}")) for name, title in names)
    return element("nav", element("ul", *links), aria_label="Sections")
