"""Research: any indicator of pandas-ta-classic by name, beside the engine's own columns.

Batch only, and never part of what the platform stores: several of these indicators repaint, that is, their value at a
bar changes when later bars come. `check=True` recomputes on prefixes and refuses those.

Invariant: the frame's own rows and columns are kept as they are; a NaN of the library is a null.
Left out: anything live; a bot reads the engine's columns (docs/bots.md).

    add_indicators(bars, "supertrend", ("rsi", {"length": 7}), check=True)
    repaint_of(bars, "dpo")               # Repaint(column="DPO_20", open_time=…, …): centred by default
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import polars as pl

from contracts import DataRejected, Rejected

if TYPE_CHECKING:
    from types import ModuleType

Wanted: TypeAlias = str | tuple[str, Mapping[str, Any]]

_BAR = ("open", "high", "low", "close", "volume")
_PREFIXES = 24
# The library sums with pandas' rolling windows, whose last bits depend on what was in them before.
_RELATIVE = 1e-9


class IndicatorRejected(Rejected):
    """An indicator cannot be added: unknown, refused by the library, or not one value a bar."""


class Repaints(DataRejected):
    """An indicator's past changes with its future."""


@dataclass(frozen=True, slots=True)
class Repaint:
    """The first bar whose value changed.

    Attributes:
        column: Which of the indicator's columns.
        open_time: The bar, UTC.
        known_until: Open time of the last bar that was there when it had the value `before`.
        before: Its value then; None = undefined.
        after: Its value with all bars.
    """

    column: str
    open_time: datetime
    known_until: datetime
    before: float | None
    after: float | None

    def __str__(self) -> str:
        return (
            f"{self.column} at {self.open_time.isoformat()} was {self.before} with bars up to "
            f"{self.known_until.isoformat()} and is {self.after} with all of them"
        )


def add_indicators(frame: pl.DataFrame, *wanted: Wanted, prefix: str = "", check: bool = False) -> pl.DataFrame:
    """Append the columns of indicators.

    Args:
        frame: At least `open_time` (UTC, ascending), open, high, low, close, volume; other columns are kept.
        wanted: Names, or pairs of a name and the library's own keyword arguments for it.
        prefix: Put before the library's column names, such as `"ta_"`.
        check: Refuse an indicator that repaints on these bars.

    Raises:
        IndicatorRejected: An indicator is unknown, cannot be computed, or its column exists already; or the library
            is not installed.
        Repaints: With `check`: the message names the first bar that changed.
    """
    _check_frame(frame)
    for one in wanted:
        name, arguments = (one, {}) if isinstance(one, str) else one
        columns = _computed(frame, name, arguments)
        if check and (found := _first_repaint(frame, name, arguments, columns)) is not None:
            msg = f"{name}{_told(arguments)} repaints: {found}"
            raise Repaints(msg)
        named = columns.rename({column: prefix + column for column in columns.columns})
        taken = [column for column in named.columns if column in frame.columns]
        if taken:
            msg = f"{name}{_told(arguments)}: the frame has {', '.join(taken)} already; give a prefix"
            raise IndicatorRejected(msg)
        frame = frame.hstack(named)
    return frame


def repaint_of(frame: pl.DataFrame, name: str, **arguments: Any) -> Repaint | None:  # noqa: ANN401 - the library's own
    """The first bar of an indicator whose value changed when later bars came; None where none did.

    The indicator is computed on up to 24 prefixes of the frame. A change that shows on none of them is not found:
    None is evidence, not a proof.

    Raises:
        IndicatorRejected: As for `add_indicators`.
    """
    _check_frame(frame)
    return _first_repaint(frame, name, arguments, _computed(frame, name, arguments))


def repaints(frame: pl.DataFrame, name: str, **arguments: Any) -> bool:  # noqa: ANN401 - the library's own
    """Whether `repaint_of` finds a bar."""
    return repaint_of(frame, name, **arguments) is not None


def _check_frame(frame: pl.DataFrame) -> None:
    missing = [column for column in ("open_time", *_BAR) if column not in frame.columns]
    if missing:
        msg = f"indicators are computed from bars: the frame lacks {', '.join(missing)}"
        raise IndicatorRejected(msg)
    opened = frame["open_time"]
    if opened.dtype != pl.Datetime("us", "UTC") or opened.null_count() or not opened.is_sorted():
        msg = f"open_time must be ascending Datetime(us, UTC) without nulls, received {opened.dtype}"
        raise IndicatorRejected(msg)


@cache
def _library() -> ModuleType:
    with _quiet():
        try:
            import pandas_ta_classic
        except ImportError as error:
            msg = f"indicators by name need pandas-ta-classic ({error}): install `tidemark[research]`"
            raise IndicatorRejected(msg) from error
    # It warns of every frame that is too short; here that is an error, or expected of a prefix.
    logging.getLogger("pandas_ta_classic").setLevel(logging.ERROR)
    found: ModuleType = pandas_ta_classic
    return found


class _quiet(warnings.catch_warnings):  # noqa: N801 - used like the context manager it is
    """Without warnings: the library speaks of its own use of pandas, which the caller cannot change."""

    def __enter__(self) -> None:
        super().__enter__()
        warnings.simplefilter("ignore")


@cache
def indicator_names() -> tuple[str, ...]:
    """Every indicator of the installed library, sorted."""
    return tuple(sorted({name for names in _library().Category.values() for name in names}))


def _computed(frame: pl.DataFrame, name: str, arguments: Mapping[str, Any]) -> pl.DataFrame:
    """The columns of one indicator, a row a bar."""
    known = indicator_names()
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "bots.frames.indicator_names() lists them"
        msg = f"pandas-ta-classic has no indicator {name!r}: {hint}"
        raise IndicatorRejected(msg)
    import pandas as pd

    with _quiet(), np.errstate(all="ignore"):
        bars = pd.DataFrame(
            {column: frame[column].cast(pl.Float64).to_numpy().copy() for column in _BAR},
            index=pd.DatetimeIndex(frame["open_time"].to_physical().to_numpy(), dtype="datetime64[us, UTC]"),
        )
        try:
            answer = getattr(bars.ta, name)(**arguments)
        except Exception as error:
            msg = f"{name}{_told(arguments)} on {frame.height} bars: pandas-ta-classic raised {error!r}"
            raise IndicatorRejected(msg) from error
    if isinstance(answer, tuple):  # ichimoku: beside its values what it draws into the future
        answer = answer[0]
    # Where the bars are too few, the library gives them back as they are.
    if answer is None or list(getattr(answer, "columns", ())) == [*_BAR]:
        msg = f"{name}{_told(arguments)}: pandas-ta-classic computes nothing from {frame.height} bars"
        raise IndicatorRejected(msg)
    values = answer.to_frame() if isinstance(answer, pd.Series) else answer
    if len(values) != frame.height or not values.index.equals(bars.index):
        msg = f"{name}{_told(arguments)}: {len(values)} rows for {frame.height} bars: it is not one value a bar"
        raise IndicatorRejected(msg)
    return pl.DataFrame([pl.Series(str(column), _reals(values[column])).fill_nan(None) for column in values.columns])


def _reals(column: Any) -> np.ndarray[tuple[int], np.dtype[np.float64]]:  # noqa: ANN401 - a pandas Series
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan))


def _first_repaint(frame: pl.DataFrame, name: str, arguments: Mapping[str, Any], whole: pl.DataFrame) -> Repaint | None:
    opened = frame["open_time"]
    found: list[tuple[int, Repaint]] = []
    for length in _lengths(frame.height):
        try:
            part = _computed(frame.head(length), name, arguments)
        except IndicatorRejected:  # too short for it
            continue
        for column in set(whole.columns) & set(part.columns):
            before, after = part[column], whole[column].head(length)
            row = _first_difference(before, after)
            if row is not None:
                change = Repaint(column, opened[row], opened[length - 1], before[row], after[row])
                found.append((row, change))
    return min(found, key=lambda one: (one[0], one[1].column))[1] if found else None


def _lengths(height: int) -> list[int]:
    """Prefixes from a twentieth of the frame to all but its last bar, and no two of them alike."""
    lengths = np.linspace(max(height // 20, 1), height - 1, _PREFIXES).astype(int).tolist() if height > 1 else []
    return [length for length, after in pairwise([*lengths, height]) if length != after]


def _first_difference(before: pl.Series, after: pl.Series) -> int | None:
    a, b = (one.fill_null(np.nan).to_numpy() for one in (before, after))
    same = np.isclose(a, b, rtol=_RELATIVE, atol=_RELATIVE, equal_nan=True)
    return None if same.all() else int(np.argmin(same))


def _told(arguments: Mapping[str, Any]) -> str:
    return "(" + ", ".join(f"{name}={value!r}" for name, value in arguments.items()) + ")"
