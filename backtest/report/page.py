"""A document as one HTML page that needs nothing but itself: styles, plotly.js, data and script are inside.

The policy of the page (its Content-Security-Policy) forbids it to fetch anything. plotly.js comes from the installed
plotly package, which has the full bundle alone: 4.8 MB of every page are it.

Invariant: all text is escaped (`markup`); the order of the sections is that of `_SECTIONS`, warnings first.

    page_of(document, closeups)
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from backtest.report import headline, sections
from backtest.report.markup import Markup, element, joined, script_json, text
from backtest.report.view import view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Document = dict[str, Any]


def page_of(document: Document, closeups: list[dict[str, Any]]) -> str:
    """The page.

    Args:
        document: `document_of` the result.
        closeups: Pictures of its trades; may be none.
    """
    run = document["run"]
    title = f"Backtest of {run['profile']}, {run['from'][:10]} to {run['to'][:10]}"
    made = [(name, heading, make(document)) for name, heading, make in _sections(len(closeups))]
    return framed(title, _subtitle(document), made, view=view_of(document, closeups), script="page.js")


def framed(
    title: str, subtitle: str, made: Sequence[tuple[str, str, Markup]], *, view: dict[str, Any], script: str
) -> str:
    """A page of some sections, with everything that it needs inside.

    Args:
        title: Of the page.
        subtitle: Under it.
        made: Id, heading and body of each section; links to all but the first stand behind the first.
        view: What the script draws.
        script: Its file, of this package.
    """
    bodies = [element("section", element("h2", heading), body, id=name) for name, heading, body in made]
    links = sections.contents((name, heading) for name, heading, _ in made[1:])
    return Template(_file("page.html")).substitute(
        title=text(title),
        css=_file("page.css"),
        header=joined((element("h1", title), element("p", subtitle, class_="faint"))),
        sections=joined((bodies[0], element("section", links), *bodies[1:])),
        data=script_json(view),
        plotly=_plotly(),
        script=_file(script),
    )


def _sections(pictures: int) -> list[tuple[str, str, Callable[[Document], Markup]]]:
    return [
        ("warnings", "Warnings", headline.warnings_section),
        ("headline", "Headline numbers", headline.headline_section),
        ("equity", "Equity and drawdown", sections.equity_section),
        ("r", "Distribution of R", sections.r_section),
        ("months", "Months", sections.months_section),
        ("hours", "Hours and weekdays", sections.hours_section),
        (
            "regime",
            "Regimes",
            lambda one: sections.group_table(one, "regime", "Trades by regime at the signal.", "Regime"),
        ),
        (
            "zone-strength",
            "Zone strength",
            lambda one: sections.group_table(
                one, "zone_strength", "Trades by strength of the signal's zone (0 to 10).", "Strength"
            ),
        ),
        ("series", "Symbols, timeframes and sides", _series),
        ("refusals", "Refusals", sections.refusals_section),
        ("monte-carlo", "Monte Carlo", sections.monte_carlo_section),
        ("null-market", "Place among null markets", sections.null_section),
        ("trades", "Trades", sections.trades_section),
        ("closeups", "Each trade", lambda one: sections.closeups_section(pictures, len(one["trades"]["trade_id"]))),
        ("assumptions", "Assumptions", sections.assumptions_section),
        ("origin", "Origin", sections.origin_section),
    ]


def _series(document: Document) -> Markup:
    names = ("symbol", "timeframe", "side")
    if not any(document["groups"][name] for name in names):
        return sections.group_table(document, "symbol", "", "")
    return joined(sections.group_table(document, name, f"Trades by {name}.", name.capitalize()) for name in names)


def _subtitle(document: Document) -> str:
    run = document["run"]
    count = len(run["series"])
    listed = ", ".join(run["series"][:4]) + (f" and {count - 4} more" if count > 4 else "")
    return f"{listed}. Fingerprint {run['fingerprint'][:12]}, dataset {run['dataset_id'] or 'not named'}."


@cache
def _file(name: str) -> str:
    return resources.files("backtest.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    # Imported here: a page is the last thing a run needs, and plotly takes its time.
    from plotly.offline import get_plotlyjs

    # What would end the element that holds it is escaped; no release so far contains it.
    return str(get_plotlyjs()).replace("</script", "<\\/script")
