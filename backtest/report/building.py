"""The report of a run: a page for people and a document for programs, with the same numbers.

report = build(result, findings=lint(…), intervals=intervals(…), monte_carlo=shuffled(…), bars=bars)
page, numbers = report.write(Path("reports/2024-05"))
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backtest.benchmark import buy_and_hold
from backtest.report.closeups import closeups
from backtest.report.document import document_of
from backtest.report.made_from import UNNAMED
from backtest.report.page import page_of
from backtest.report.view import MOST_ROWS
from contracts import Rejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from backtest.bootstrap import Interval
    from backtest.lints import Finding
    from backtest.report.outcome import NullPlace, Outcome
    from contracts import SeriesKey


class ReportUnwritable(Rejected):
    """The folder cannot take a report; the message says which and why."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Report:
    """A report that is not written yet.

    Attributes:
        html: One page that needs nothing but itself.
        json: Its numbers, in the order of the page; `json.dumps` takes them as they are.
        name: Of its files, without what tells their kind.
    """

    html: str
    json: dict[str, Any]
    name: str = "report"

    def page(self, folder: Path) -> Path:
        """Where the page is once it is written to a folder."""
        return folder / f"{self.name}.html"

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `<name>.html` and `<name>.json`, each whole or not at all; what stood there is replaced.

        Args:
            folder: Made where it is not there.

        Returns:
            The paths of both.

        Raises:
            ReportUnwritable: The folder cannot be made or written.
        """
        page, numbers = self.page(folder), folder / f"{self.name}.json"
        told = json.dumps(self.json, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _write(numbers, told + "\n")
            _write(page, self.html)
        except OSError as error:
            msg = f"a report cannot be written to {folder}: {error.strerror or error}; name a folder that can be"
            raise ReportUnwritable(msg) from error
        return page, numbers


def build(
    result: Outcome,
    *,
    findings: Sequence[Finding],
    intervals: Mapping[str, Interval],
    monte_carlo: pl.DataFrame,
    null: NullPlace | None = None,
    band: tuple[float, float] | None = None,
    bars: Mapping[SeriesKey, pl.DataFrame] | None = None,
    versions: Mapping[str, str] = UNNAMED,
) -> Report:
    """Make the report of a run. The same arguments give the same bytes.

    Args:
        result: The run.
        findings: Of `backtest.lints`, in the order in which they are to be read.
        intervals: Of `backtest.bootstrap`, by the names of metrics.
        monte_carlo: Of `backtest.monte_carlo.shuffled`.
        null: Its place among null markets; None = it was not looked for, which is warned of.
        band: Net result, quote units, with every bar that could not tell at its worst and at its best; None = not
            known.
        bars: As the run was given them, for charts of trades and for what holding would have made; None = there are
            none.
        versions: What parameters that are kept are called (`main@2`), by their hash.
    """
    document = document_of(
        result,
        findings=findings,
        intervals=intervals,
        monte_carlo=monte_carlo,
        null=null,
        band=band,
        benchmark=buy_and_hold(result, bars) if bars else None,
        versions=versions,
    )
    pictures = closeups(result, bars, rows=MOST_ROWS) if bars else []
    return Report(html=page_of(document, pictures), json=document)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
