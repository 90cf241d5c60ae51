"""The two readers of the specification, kernels and slow reference, behind one face: golden bars ask both.

A reader gives every table as rows whose instants are bar numbers (slots of `tests.engine.hand_bars`), so that what a
golden test expects can be written as it was worked out.

    pytestmark = pytest.mark.parametrize("read", READERS)
    read(bars, EngineParams()).of("swings", "ts", "pivot_ts", "kind", "price")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
import pytest

from engine import TABLES, EngineParams, SeriesEngine
from tests.engine import reference
from tests.engine.strategies import KEY, START, STEP

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULTS = EngineParams()


@dataclass(frozen=True)
class Tables:
    """Rows of every table by its name; every instant is the number of the bar that became known at it."""

    rows: dict[str, list[dict[str, Any]]]

    def of(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        return [tuple(row[name] for name in columns) for row in self.rows[table]]

    def after_lead(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """The rows known at bar 0 or later."""
        return [tuple(row[name] for name in columns) for row in self.rows[table] if row["ts"] >= 0]


class Reader(Protocol):
    def __call__(
        self, bars: pl.DataFrame, params: EngineParams = DEFAULTS, *, micro_bos: Sequence[int] | None = None
    ) -> Tables: ...


def read_reference(
    bars: pl.DataFrame, params: EngineParams = DEFAULTS, *, micro_bos: Sequence[int] | None = None
) -> Tables:
    reading = reference.read(bars, params, STEP, micro_bos)
    columns = reading.indicators
    indicators = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return _by_bar({"indicators": indicators, **reading.rows})


def read_engine(
    bars: pl.DataFrame, params: EngineParams = DEFAULTS, *, micro_bos: Sequence[int] | None = None
) -> Tables:
    rows = SeriesEngine(KEY, params).advance(with_micro_bos(bars, micro_bos))
    return _by_bar({table: plain_rows(rows.frame(table)) for table in TABLES})


READERS = [pytest.param(read_reference, id="reference"), pytest.param(read_engine, id="engine")]


def with_micro_bos(bars: pl.DataFrame, micro_bos: Sequence[int] | None) -> pl.DataFrame:
    return bars if micro_bos is None else bars.with_columns(pl.Series("micro_bos", micro_bos, dtype=pl.Int8))


def plain_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as Python values, instants as µs since the epoch."""
    return frame.with_columns(pl.col(pl.Datetime("us", "UTC")).dt.epoch("us")).to_dicts()


def _by_bar(tables: dict[str, list[dict[str, Any]]]) -> Tables:
    return Tables({table: [_row_by_bar(row) for row in rows] for table, rows in tables.items()})


def _row_by_bar(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (value - START) // STEP - 1 if name.endswith("ts") and value is not None else value
        for name, value in row.items()
    }
