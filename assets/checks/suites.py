"""What a check expects, as plain data: Great Expectations is not imported here, so that definitions load quickly.

A suite holds the expectations of the tables that one step checks. Most are a query for the rows that must not exist:
`{batch}` in it stands for the rows of the run's windows (with the constants that `assets.checks.batches` adds), and
`{bars}`, `{series}` and `{spans}` for the candles, the series and the instruments with the times of the same windows.
Findings are ordered by its first four columns: the key, the time, and whatever comes next.

    Expectation("candles", "Prices are positive.", CANDLES, where("low <= 0", show="low"))
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNEXPECTED_ROWS = "UnexpectedRowsExpectation"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table that belong to the bars of a window.

    Attributes:
        table: With its schema.
        time: Column (or expression) that places a row.
        known: Whether `time` is when a row became known, one bar after its bar opened.
        lead_in: Bars before the window that are looked at too.
        by_series: Whether rows belong to a series; else to an instrument.
    """

    table: str
    time: str
    known: bool = False
    lead_in: int = 0
    by_series: bool = True

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that name a row."""
        return ("venue", "symbol", *(("tf",) if self.by_series else ()), self.time)


@dataclass(frozen=True, slots=True)
class Expectation:
    """One check.

    Attributes:
        asset: The asset it is a check of.
        text: What holds where it passes, in a sentence.
        rows: What it looks at.
        kwargs: Arguments of the expectation.
        kind: Class name of the expectation in `great_expectations.expectations`.
        blocking: Whether a failure stops what is computed from the asset: wrong data would mislead. Else it warns.
    """

    asset: str
    text: str
    rows: Rows
    kwargs: Mapping[str, Any]
    kind: str = UNEXPECTED_ROWS
    blocking: bool = True


@dataclass(frozen=True, slots=True)
class Suite:
    """The expectations of one step, by the name of their check."""

    name: str
    expectations: Mapping[str, Expectation] = field(default_factory=dict)


def unexpected(query: str) -> Mapping[str, Any]:
    """Arguments of an expectation that a query finds no row."""
    return {"unexpected_rows_query": query}


def where(wrong: str, *, show: str, time: str) -> Mapping[str, Any]:
    """Arguments of an expectation that no row of the batch is so.

    Args:
        wrong: The condition of a row that must not exist.
        show: The columns that show what is wrong with it.
        time: The column that places it.
    """
    return unexpected(f"SELECT venue, symbol, tf, {time}, {show} FROM {{batch}} WHERE {wrong}")  # noqa: S608 - constants
