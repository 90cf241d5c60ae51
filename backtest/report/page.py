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

from backtest.report import chance, headline, origin, sections
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
    return framed(title, origin.header(document), made, view=view_of(document, closeups), script="page.js")


def framed(
    title: str, subtitle: Markup, made: Sequence[tuple[str, str, Markup]], *, view: dict[str, Any], script: str
) -> str:
    """A page of some sections, with everything that it needs inside.

    Args:
        title: Of the page.
        subtitle: Under it.
        made: Id, heading and body of each section; links to all but the first stand behind the first.
        view: What the script draws.
        script: Its file, of this package; what all pages share (`charts.js`) stands before it.
    """
    bodies = [element("section", element("h2", heading), body, id=name) for name, heading, body in made]
    links = sections.contents((name, heading) for name, heading, _ in made[1:])
    return Template(_file("page.html")).substitute(
        title=text(title),
        css=_file("page.css"),
        header=joined((element("h1", title), subtitle)),
        sections=joined((bodies[0], element("section", links), *bodies[1:])),
        data=script_json(view),
        plotly=_plotly(),
        script=_file("charts.js") + _file(script),
    )


def _sections(pictures: int) -> list[tuple[str, str, Callable[[Document], Markup]]]:
    return [
        ("warnings", "Warnings", headline.warnings_section),
        ("headline", "Headline numbers", headline.headline_section),
        ("equity", "Equity and drawdown", sections.equity_section),
        ("r", "Distribution of R", sections.r_section),
        ("months", "Months", sections.months_section),
        ("hours", "Hours and weekdays", sections.hours_section),
        ("zones", "Zones", _zones),
        ("regime", "Regimes", _group("regime", "Trades by regime at the signal.", "Regime")),
        (
            "exits",
            "Exits",
            _group("exit", "Trades by how they ended, targets that were taken before included.", "Exit"),
        ),
        ("series", "Symbols, timeframes and sides", _series),
        ("refusals", "Refusals", sections.refusals_section),
        ("monte-carlo", "Monte Carlo", chance.monte_carlo_section),
        ("null-market", "Place among null markets", chance.null_section),
        ("trades", "Trades", sections.trades_section),
        ("closeups", "Each trade", lambda one: sections.closeups_section(pictures, len(one["trades"]["trade_id"]))),
        ("parameters", "Parameters", origin.parameters_section),
        ("assumptions", "Assumptions", sections.assumptions_section),
        ("origin", "Origin", origin.origin_section),
    ]


def _group(name: str, caption: str, heading: str) -> Callable[[Document], Markup]:
    return lambda document: sections.group_table(document, name, caption, heading)


def _zones(document: Document) -> Markup:
    if not document["groups"]["zone_kind"]:
        return sections.group_table(document, "zone_kind", "", "")
    kinds = (
        "Trades by the zone of the signal. OB: order block; FVG: fair value gap. Breakers and IFVGs give no signals."
    )
    strengths = "Trades by the strength of that zone (0 to 10)."
    return joined(
        (
            sections.group_table(document, "zone_kind", kinds, "Zone", unknown="no zone"),
            sections.group_table(document, "zone_strength", strengths, "Strength"),
        )
    )


def _series(document: Document) -> Markup:
    names = ("symbol", "timeframe", "side")
    if not any(document["groups"][name] for name in names):
        return sections.group_table(document, "symbol", "", "")
    return joined(sections.group_table(document, name, f"Trades by {name}.", name.capitalize()) for name in names)


@cache
def _file(name: str) -> str:
    return resources.files("backtest.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    # Imported here: a page is the last thing a run needs, and plotly takes its time.
    from plotly.offline import get_plotlyjs

    # What would end the element that holds it is escaped; no release so far contains it.
    return str(get_plotlyjs()).replace("</script", "<\\/script")
