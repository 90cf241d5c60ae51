"""From the kernels' arrays to polars: `NaN`, `NEVER` and −1 inside, `null` outside.

A column can be made in two ways that say the same: many rows as an Arrow array over the kernels' own memory, the few
rows of a live bar as Python values, for what an array costs whatever its length is more than a bar may take. What is
the same in every row takes no memory.

Invariant: a float goes through both ways bit by bit.

    table(SCHEMA, {"venue": "binance_spot"}, [Instants("ts", ts), Reals("close", close)])
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np
import polars as pl
import pyarrow as pa

from engine.rows import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Value: TypeAlias = str | int | tuple[float, ...] | None

# Rows up to which a table is built from values.
_FEW = 16
_TS = pa.timestamp("us", "UTC")


class Column(Protocol):
    """One column of a table."""

    @property
    def name(self) -> str: ...  # noqa: D102 - its name in the table

    @property
    def size(self) -> int: ...  # noqa: D102 - how many rows it has

    def array(self) -> pa.Array:
        """What polars reads for many rows: where types agree, over the memory of the values, never written to again."""
        ...

    def listed(self) -> list[Any]:
        """Its values, for few."""
        ...


def table(schema: pl.Schema, same: Mapping[str, Value], columns: Sequence[Column]) -> pl.DataFrame:
    """A frame of `columns` and of what is the `same` in every row, in the order of its schema.

    Args:
        schema: Names and types of all columns.
        same: Values by name.
        columns: The others, of one size that is not 0.
    """
    size = columns[0].size
    if size <= _FEW:
        lists = {column.name: column.listed() for column in columns}
        for name, value in same.items():
            lists[name] = [value] * size
        return pl.DataFrame(list(zip(*(lists[name] for name in schema), strict=True)), schema, orient="row")
    names = [column.name for column in columns]
    read = pl.DataFrame(pa.RecordBatch.from_arrays([column.array() for column in columns], names)).get_columns()
    found = [
        column.named(part) if isinstance(column, Names) else part for column, part in zip(columns, read, strict=True)
    ]
    constants = tuple((name, value, schema[name]) for name, value in same.items())
    return _repeated(constants, (size - 1).bit_length()).head(size).hstack(found)[schema.names()]


@lru_cache(maxsize=1_024)
def _repeated(constants: tuple[tuple[str, Value, pl.DataType], ...], bits: int) -> pl.DataFrame:
    """Columns that say one thing, 2 ** `bits` rows of them: polars keeps the value, once."""
    rows = pl.Series("row", np.zeros(2**bits, np.int8)).to_frame()
    return rows.select(pl.col("row"), *(_literal(value, dtype).alias(name) for name, value, dtype in constants)).drop(
        "row"
    )


def _literal(value: Value, dtype: pl.DataType) -> pl.Expr:
    return pl.lit(list(value) if isinstance(value, tuple) else value, dtype)


@dataclass(frozen=True, eq=False, slots=True)
class Plain:
    """Values that are all defined."""

    name: str
    values: NDArray[Any]
    dtype: pa.DataType

    @property
    def size(self) -> int:
        """How many rows."""
        return self.values.size

    def array(self) -> pa.Array:
        """See `Column`."""
        return pa.array(self.values, self.dtype)

    def listed(self) -> list[Any]:
        """See `Column`."""
        return cast("list[Any]", self.values.tolist())


@dataclass(frozen=True, eq=False, slots=True)
class Reals:
    """Floats of which `undefined` are NaN; those that never are say 0."""

    name: str
    values: NDArray[np.float64]
    undefined: int = 0

    @property
    def size(self) -> int:
        """How many rows."""
        return self.values.size

    def array(self) -> pa.Array:
        """See `Column`. Undefined values mostly stand at the start: their bitmap is made from their number."""
        if self.undefined == 0:
            valid = None
        elif np.isnan(self.values[: self.undefined]).all():
            valid = np.full(self.size // 8 + 1, 0xFF, np.uint8)
            valid[: self.undefined // 8] = 0
            valid[self.undefined // 8] = 0xFF << self.undefined % 8 & 0xFF
        else:
            valid = np.packbits(~np.isnan(self.values), bitorder="little")
        return _lent(pa.float64(), self.values, valid)

    def listed(self) -> list[Any]:
        """See `Column`."""
        return [None if value != value else value for value in self.values.tolist()]


@dataclass(frozen=True, eq=False, slots=True)
class Instants:
    """Instants in µs since the epoch; `NEVER` is null."""

    name: str
    values: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many rows."""
        return self.values.size

    def array(self) -> pa.Array:
        """See `Column`."""
        present = self.values != NEVER
        valid = None if present.all() else np.packbits(present, bitorder="little")
        return _lent(_TS, self.values, valid)

    def listed(self) -> list[Any]:
        """See `Column`."""
        return [None if value == NEVER else value for value in self.values.tolist()]


@dataclass(frozen=True, eq=False, slots=True)
class Names:
    """Names from their positions in `texts`; −1 is null. Of type `pl.Enum(texts)`, unless another is named."""

    name: str
    texts: tuple[str, ...]
    codes: NDArray[np.integer[Any]]
    dtype: pl.DataType | None = None

    @property
    def size(self) -> int:
        """How many rows."""
        return self.codes.size

    def array(self) -> pa.Array:
        """See `Column`."""
        present = self.codes >= 0
        valid = None if present.all() else np.packbits(present, bitorder="little")
        return _lent(pa.uint32(), self.codes.astype(np.int32, copy=False), valid)

    def named(self, codes: pl.Series) -> pl.Series:
        """The column from what polars has read of `array`."""
        return _dictionary(self.texts, self.dtype)[codes].alias(self.name)

    def listed(self) -> list[Any]:
        """See `Column`."""
        return [None if code < 0 else self.texts[code] for code in self.codes.tolist()]


@dataclass(frozen=True, eq=False, slots=True)
class Texts:
    """Texts of one width: shape (rows, width), in ASCII."""

    name: str
    characters: NDArray[np.uint8]

    @property
    def size(self) -> int:
        """How many rows."""
        return len(self.characters)

    def array(self) -> pa.Array:
        """See `Column`."""
        rows, width = self.characters.shape
        ends = pa.py_buffer(np.arange(rows + 1) * width)
        return pa.Array.from_buffers(pa.large_string(), rows, [None, ends, pa.py_buffer(self.characters)])

    def listed(self) -> list[Any]:
        """See `Column`."""
        return [row.tobytes().decode("ascii") for row in self.characters]


@cache
def _dictionary(texts: tuple[str, ...], dtype: pl.DataType | None) -> pl.Series:
    return pl.Series(texts, dtype=pl.Enum(texts) if dtype is None else dtype)


def _lent(dtype: pa.DataType, values: NDArray[np.generic], valid: NDArray[np.uint8] | None) -> pa.Array:
    """An array over the memory of `values` (contiguous, never written to again); a zero bit of `valid` is a null."""
    bitmap = None if valid is None else pa.py_buffer(valid)
    return pa.Array.from_buffers(dtype, values.size, [bitmap, pa.py_buffer(values)])
