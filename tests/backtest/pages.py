"""Reports of small runs, and pages taken apart."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
import polars as pl

from backtest.bootstrap import Interval
from backtest.lints import Finding
from backtest.monte_carlo import shuffled
from backtest.report import NullPlace, Outcome, Report, build
from contracts import SeriesKey
from tests.backtest.reported import CAPITAL, KEYS, told
from tests.backtest.results import START

NULL = NullPlace(statistic="expectancy_r", value=0.5, surrogates=tuple(k / 100 for k in range(-50, 40)))
FINDINGS = [Finding(code="too_few_trades", severity="severe", text="3 trades, fewer than 30.", value=3.0, limit=30.0)]
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Parsed(HTMLParser):
    """A page taken apart: elements in order with their attributes, whether they nest, and text by section."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.section = ""
        self.texts: dict[str, str] = {}
        self.scripts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section" and attributes.get("id"):
            self.section = attributes["id"] or ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"{tag} ends where another element is open"
        if tag == "section":
            self.section = ""

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data
        elif self.section:
            self.texts[self.section] = self.texts.get(self.section, "") + data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.scripts[0])
        return data


def report(run: Outcome | None = None, **changes: Any) -> Report:  # noqa: ANN401 - `build` checks them
    made = told([2.0, -1.0, 0.5]) if run is None else run
    asked: dict[str, Any] = {
        "findings": FINDINGS,
        "intervals": {"sharpe": Interval(value=1.0, low=-0.5, high=None, level=0.95)},
        "monte_carlo": shuffled(made.trades, capital=CAPITAL, risk_fraction=0.01, draws=100, seed=1),
        "null": NULL,
    }
    return build(made, **(asked | changes))


def bars_of(count: int, *, start: datetime = START - timedelta(days=1), key: SeriesKey = KEYS[0]) -> dict[Any, Any]:
    """Bars whose low is their number, which tells them apart."""
    low = np.arange(count, dtype=np.float64) + 1
    frame = pl.DataFrame(
        {
            "open_time": pl.Series([start + k * key.tf.duration for k in range(count)], dtype=pl.Datetime("us", "UTC")),
            "open": low + 0.25,
            "high": low + 1,
            "low": low,
            "close": low + 0.5,
            "volume": low,
        }
    )
    return {key: frame}
