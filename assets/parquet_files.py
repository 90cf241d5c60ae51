"""Parquet files with exact decimals, written piece by piece, and their fingerprints.

What the exchange said is `decimal128(38, 18)`: every price and volume Binance can state (20 digits before the point)
as the number it is, comparable and addable in polars, DuckDB, Spark and pandas. A value with more than 18 digits
behind the point would have to be rounded: it is refused instead. Pieces are row groups, so memory stays that of one.

    with ParquetFile(path) as file:
        file.write(exact(candles, DECIMALS))
    file.rows
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import polars as pl
import pyarrow.parquet as pq

from contracts import DataRejected

EXACT: Final = pl.Decimal(38, 18)
"""The type of what the exchange stated."""
_TOO_FINE: Final = r"\.\d{18}\d*[1-9]"


def exact(frame: pl.DataFrame, columns: Collection[str]) -> pl.DataFrame:
    """The frame with decimal text as decimals, and words as plain text.

    Args:
        frame: Any frame.
        columns: Which of its columns hold decimal text.

    Raises:
        DataRejected: A value has more than 18 digits behind the point.
    """
    for name in columns:
        # A digit that is not zero behind the eighteenth.
        fine = frame.filter(pl.col(name).str.contains(_TOO_FINE))
        if not fine.is_empty():
            msg = (
                f"column {name!r} holds {fine[name][0]}: a Parquet decimal keeps 18 digits behind the point, and "
                f"nothing is rounded here; write CSV instead"
            )
            raise DataRejected(msg)
    words = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)]
    return frame.with_columns(pl.col(*columns).cast(EXACT) if columns else [], pl.col(words).cast(pl.String))


class ParquetFile:
    """A file that is being written; it has as many row groups as pieces were written.

    Attributes:
        path: Where it is.
        rows: Rows written so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, frame: pl.DataFrame) -> None:
        """Append a piece; all pieces have the columns and types of the first."""
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, table.schema, compression="zstd")
        self._writer.write_table(table)
        self.rows += frame.height


def sha256_of(path: Path) -> str:
    """Fingerprint of a file, 64 hex characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
