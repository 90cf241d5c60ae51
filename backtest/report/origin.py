"""What a page says about where its result comes from: the header, every parameter, and the names to make it again by.

Invariant: the header names what was traded and nothing else as traded; bars that were only asked what came first inside
a longer one stand apart.

    header(document); parameters_section(document); origin_section(document)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backtest.report.markup import Markup, element, joined, length, number, readable, table
from contracts import SeriesKey, Timeframe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Document = dict[str, Any]

# Symbols of a venue that the header names before it counts the rest.
MOST_SYMBOLS = 12

_OF: dict[str, str] = {"profile": "Risk profile", "engine": "Engine"}


def header(document: Document) -> Markup:
    """What was traded, when, with what: the facts at the top of a page.

    Args:
        document: Whose `run` is told.
    """
    run = document["run"]
    traded, finer = _by_venue(run["traded"]), set(run["series"]) - set(run["traded"])
    quote = ", ".join(run["quote"])
    facts = [
        *((f"Traded at {venue}", _listed(symbols)) for venue, symbols in traded.items()),
        ("Timeframes" if len(_timeframes(run["traded"])) > 1 else "Timeframe", ", ".join(_timeframes(run["traded"]))),
        ("Time", f"{instant(run['from'])} to {instant(run['to'])} UTC"),
        ("Capital", f"{number(float(run['capital']))} {quote}"),
        ("Risk profile", _named(run["profile"], run["profile_version"], run["parameters"]["profile"])),
        (
            "Engine",
            _named(f"engine version {run['engine_version']}", run["params_version"], run["parameters"]["engine"]),
        ),
    ]
    if finer:
        facts.append(
            ("Finer bars, not traded", f"{', '.join(_timeframes(finer))}: what came first inside a longer bar")
        )
    rows = (element("div", element("dt", what), element("dd", which)) for what, which in facts)
    return element("dl", *rows, class_="facts")


def parameters_section(document: Document) -> Markup:
    """Every number of the profile and of the engine, those that are not the shipped ones marked; folded."""
    parts = []
    for of, values in document["run"]["parameters"].items():
        rows = [
            (
                element("strong", name) if _differs(one) else name,
                element("td", readable(one["value"])),
                element("td", f"◆ shipped: {readable(one['default'])}" if _differs(one) else "as shipped"),
            )
            for name, one in values.items()
        ]
        summary = f"{_OF[of]}: {_changed(values)}"
        whole = table(
            "What each means is told in docs/profiles.md.",
            ("Parameter", "value", "against the shipped default"),
            rows,
            words=3,
        )
        parts.append(element("details", element("summary", summary), whole))
    return joined(parts)


def origin_section(document: Document, *, more: Iterable[tuple[str, object]] = ()) -> Markup:
    """What the result was made from.

    Args:
        document: Whose `run` is told.
        more: Rows behind it.
    """
    run = document["run"]
    rows = (
        ("Bars", f"{instant(run['from'])} to {instant(run['to'])} UTC"),
        ("Series that were traded", ", ".join(run["traded"])),
        ("Series that were read beside them", ", ".join(sorted({*run["series"]} - {*run["traded"]})) or "none"),
        ("Dataset", run["dataset_id"] or "none: the bars are named by the fingerprint alone"),
        ("Fingerprint of the result", run["fingerprint"]),
        ("Configuration", run["config_hash"]),
        ("Risk profile", f"{run['profile']} ({run['profile_hash']})"),
        ("Parameters of the engine", run["engine_hash"]),
        ("Version of the engine", run["engine_version"]),
        ("Version of Tidemark", run["platform_version"]),
        *more,
    )
    caption = "The same bars and configuration give the same fingerprint."
    return table(caption, ("What", "Which"), rows, words=2, class_="words origin")


def sampled(document: Document) -> str:
    """How often the curve has a point, for people."""
    seconds = int(document["run"]["sample_seconds"])
    return "every hour" if seconds == 3_600 else f"every {length(seconds).removeprefix('1 ')}"


def instant(iso: str) -> str:
    """An instant of the document, to the minute."""
    return iso[:16].replace("T", " ")


def _by_venue(series: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, set[str]] = {}
    for key in map(SeriesKey.parse, series):
        found.setdefault(key.venue, set()).add(key.symbol)
    return {venue: sorted(symbols) for venue, symbols in sorted(found.items())}


def _timeframes(series: Iterable[str]) -> list[str]:
    return sorted({str(SeriesKey.parse(one).tf) for one in series}, key=lambda tf: Timeframe(tf).us)


def _listed(names: list[str]) -> str:
    rest = len(names) - MOST_SYMBOLS
    return ", ".join(names[:MOST_SYMBOLS]) + (f" and {rest} more, listed under Origin" if rest > 0 else "")


def _differs(one: Mapping[str, Any]) -> bool:
    return bool(one["value"] != one["default"])


def _named(name: str, version: str | None, values: Mapping[str, Mapping[str, Any]]) -> str:
    kept = f", kept as {version}" if version is not None else ""
    return f"{name}{kept}, {_changed(values)}"


def _changed(values: Mapping[str, Mapping[str, Any]]) -> str:
    count = sum(map(_differs, values.values()))
    return f"{count} of {len(values)} parameters not as shipped" if count else "parameters as shipped"
