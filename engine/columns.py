"""From the kernels' arrays to polars: `NaN`, `NEVER` and −1 inside, `null` outside.

A column can be made in two ways that say the same: many rows as a series, lent through Arrow buffers and not copied
where that is possible; the few rows of a live bar as Python values, for what a series costs whatever its length is
more than a bar may take.

Invariant: a float goes through both ways bit by bit.

    table(SCHEMA, {"venue": "binance_spot"}, [Instants("ts", ts), Reals("close", close)])
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import numpy as np
import polars as pl
import pyarrow as pa

from engine.rows import NEVER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Value: TypeAlias = str | int | list[float] | None

# Rows up to which a table is built from values, up to which a column is copied, and from which a query pays whose
# literals take no room.
_FEW, _LITTLE, _MANY = 16, 50_000, 10_000
_TS = pl.Datetime("us", "UTC")


class Column(Protocol):
    """One column of a table."""

    @property
    def name(self) -> str: ...  # noqa: D102 - its name in the table

    @property
    def size(self) -> int: ...  # noqa: D102 - how many rows it has

    def series(self) -> pl.Series:
        """The column, for many rows."""
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
    found = {column.name: column.series() for column in columns}
    if size > _MANY:
        literals = {name: pl.lit(value, schema[name]).alias(name) for name, value in same.items()}
        return pl.DataFrame(list(found.values())).select(literals.get(name, pl.col(name)) for name in schema)
    for name, value in same.items():
        found[name] = pl.Series(name, [value], schema[name]).new_from_index(0, size)
    return pl.DataFrame([found[name] for name in schema])


@dataclass(frozen=True, eq=False, slots=True)
class Plain:
    """Values that are all defined."""

    name: str
    values: NDArray[Any]
    dtype: pl.DataType

    @property
    def size(self) -> int:
        """How many rows."""
        return self.values.size

    def series(self) -> pl.Series:
        """See `Column`."""
        return pl.Series(self.name, self.values).cast(self.dtype)

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

    def series(self) -> pl.Series:
        """See `Column`. Undefined values mostly stand at the start: their bitmap is made from their number."""
        if self.undefined == 0:
            valid = None
        elif np.isnan(self.values[: self.undefined]).all():
            valid = np.full(self.size // 8 + 1, 0xFF, np.uint8)
            valid[: self.undefined // 8] = 0
            valid[self.undefined // 8] = 0xFF << self.undefined % 8 & 0xFF
        else:
            valid = np.packbits(~np.isnan(self.values), bitorder="little")
        return _lent(pa.float64(), self.values, valid).alias(self.name)

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

    def series(self) -> pl.Series:
        """See `Column`."""
        present = self.values != NEVER
        valid = None if present.all() else np.packbits(present, bitorder="little")
        return _lent(pa.int64(), self.values, valid).cast(_TS).alias(self.name)

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

    def series(self) -> pl.Series:
        """See `Column`."""
        present = self.codes >= 0
        valid = None if present.all() else np.packbits(present, bitorder="little")
        return _dictionary(self.texts, self.dtype)[_lent(pa.uint32(), self.codes.astype(np.uint32), valid)].alias(
            self.name
        )

    def listed(self) -> list[Any]:
        """See `Column`."""
        return [None if code < 0 else self.texts[code] for code in self.codes.tolist()]


@dataclass(frozen=True, eq=False, slots=True)
class Texts:
    """Texts as they are."""

    name: str
    texts: list[str]

    @property
    def size(self) -> int:
        """How many rows."""
        return len(self.texts)

    def series(self) -> pl.Series:
        """See `Column`."""
        return pl.Series(self.name, self.texts, pl.String())

    def listed(self) -> list[Any]:
        """See `Column`."""
        return self.texts


@cache
def _dictionary(texts: tuple[str, ...], dtype: pl.DataType | None) -> pl.Series:
    return pl.Series(texts, dtype=pl.Enum(texts) if dtype is None else dtype)


def _lent(dtype: pa.DataType, values: NDArray[np.generic], valid: NDArray[np.uint8] | None) -> pl.Series:
    """A series over the memory of `values` (contiguous, never written to again); a zero bit of `valid` is a null."""
    if valid is None and values.size <= _LITTLE:
        return pl.Series(values)  # a copy, which takes less time than lending
    bitmap = None if valid is None else pa.py_buffer(valid)
    array = pa.Array.from_buffers(dtype, values.size, [bitmap, pa.py_buffer(values)])
    return cast("pl.Series", pl.from_arrow(array))
