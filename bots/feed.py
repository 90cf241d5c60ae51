"""What bots are given, bar by bar, out of the frames of one call of the engine.

A column of `indicators` gives one value a bar. A table gives each bar the rows that became known at it. `zones` and
`inversions` arrive from the engine as the last state of a whole call, which depends on where the call ends and would
let a bot see the future: here each of their rows is wound back to what it was at each of its events.

Invariant: the entry of bar t depends on bars ≤ t alone, and not on where calls begin or end.
Left out: which bars a bot is kept from (`bots.runner`).

    feed = Feed(key, bars, rows.frame)
    feed.bars(("atr14", "swings"), start=0, end=256)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from contracts import Rejected
from engine.frames import INDICATOR_SCHEMA
from engine.plugins import INPUT_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from contracts import SeriesKey

INDICATORS = "indicators"
_BAR = ("open", "high", "low", "close", "volume")
_KEY = ("venue", "symbol", "tf")
_TABLE_OF = {"signals": "signals_raw"}
# Derived from the life cycle; the columns that identify one of their rows among the events.
_LIVES = {"zones": ("kind", "created_ts"), "inversions": ("kind", "parent_created_ts")}
_AT = "_bar"
_KNOWN = "_ts"
COLUMNS = tuple(name for name in INDICATOR_SCHEMA if name not in (*_KEY, "ts"))


class UnknownInput(Rejected):
    """A bot asks for what the engine does not compute."""


def check_inputs(inputs: Sequence[str]) -> None:
    """Refuse names that are neither a column of `indicators` nor a table.

    Raises:
        UnknownInput: The message tells near matches.
    """
    known = (*COLUMNS, *INPUT_TABLES)
    for name in inputs:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.5) or known
            msg = f"there is no input {name!r}: did you mean {', '.join(near)}?"
            raise UnknownInput(msg)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A table ready to be dealt out: rows in order, and the index of the bar each became known at."""

    frame: pl.DataFrame
    bars: NDArray[np.int64]


_NOTHING = pl.DataFrame()


class Feed:
    """The bars of one call and what the engine made of them.

    Args:
        key: Series of the bars.
        bars: Bar frame of the call.
        frame_of: Name of a table of schema.md → its frame, such as `SeriesRows.frame`; asked only for what bots want.
    """

    def __init__(self, key: SeriesKey, bars: pl.DataFrame, frame_of: Callable[[str], pl.DataFrame]) -> None:
        self.key = key
        self._frame_of = frame_of
        self._bars = bars
        self._open_time: NDArray[np.int64] = bars["open_time"].to_physical().to_numpy()
        self._indicators: pl.DataFrame | None = None
        self._tables: dict[str, _Rows] = {}

    @property
    def ts(self) -> NDArray[np.int64]:
        """The instant each bar became known, µs since the epoch."""
        return self._open_time + self.key.tf.us

    def bars(self, inputs: Sequence[str], *, start: int, end: int) -> list[list[Any]]:
        """The bars of [start, end) as a worker reads them.

        Args:
            inputs: Names as a bot declares them, checked before.
            start: First bar, by its place in the call.
            end: First bar not wanted.

        Returns:
            A list a bar: open_time, ts, open … volume, values of the columns in the order of `inputs`, tables by name.
        """
        span = self._bars.slice(start, end - start)
        opened = self._open_time[start:end]
        values = zip(
            opened.tolist(), (opened + self.key.tf.us).tolist(), *(span[c].to_list() for c in _BAR), strict=True
        )
        columns = self._columns([name for name in inputs if name in COLUMNS], start=start, end=end)
        tables = self._dealt([name for name in inputs if name in INPUT_TABLES], start=start, end=end)
        return [[*bar, column, table] for bar, column, table in zip(values, columns, tables, strict=True)]

    def _columns(self, names: Sequence[str], *, start: int, end: int) -> list[tuple[float | None, ...]]:
        if not names:
            return [()] * (end - start)
        if self._indicators is None:
            known = self._frame_of(INDICATORS)
            if not np.array_equal(known["ts"].to_physical().to_numpy(), self.ts):
                raise self._strangers(INDICATORS)
            self._indicators = known
        span = self._indicators.slice(start, end - start)
        return list(zip(*(span[name].to_list() for name in names), strict=True))

    def _dealt(self, names: Sequence[str], *, start: int, end: int) -> list[dict[str, list[dict[str, Any]]]]:
        dealt: list[dict[str, list[dict[str, Any]]]] = [{} for _ in range(end - start)]
        for name in names:
            rows = self._rows(name)
            first, last = np.searchsorted(rows.bars, (start, end)).tolist()
            places = rows.bars[first:last].tolist()
            for place, row in zip(places, rows.frame.slice(first, last - first).iter_rows(named=True), strict=True):
                dealt[place - start].setdefault(name, []).append(_parsed(name, row))
        return dealt

    def _rows(self, name: str) -> _Rows:
        if name not in self._tables:
            known = self._wound_back(name) if name in _LIVES else self._frame_of(_TABLE_OF.get(name, name))
            self._tables[name] = self._placed(name, known)
        return self._tables[name]

    def _placed(self, name: str, known: pl.DataFrame) -> _Rows:
        """The rows of a table in the order of bars, each with the place of the bar that made it known."""
        if known.is_empty():
            return _Rows(_NOTHING.clone(), np.empty(0, np.int64))
        opened = known[_KNOWN if _KNOWN in known.columns else "ts"].to_physical().to_numpy() - self.key.tf.us
        places = np.searchsorted(self._open_time, opened).astype(np.int64)
        if places.max() >= self._open_time.size or (self._open_time[places] != opened).any():
            raise self._strangers(name)
        ordered = known.with_columns(pl.Series(_AT, places)).sort(_AT, maintain_order=True)
        return _Rows(_plain(ordered.drop(_AT, _KNOWN, *_KEY, strict=False)), ordered[_AT].to_numpy())

    def _strangers(self, name: str) -> ValueError:
        msg = f"{self.key}: the rows of {name!r} are not those of these bars: hand over bars and rows of one call"
        return ValueError(msg)

    def _wound_back(self, name: str) -> pl.DataFrame:
        """The rows of a life-cycle table as each of their events left them."""
        lives, same = self._frame_of(name), list(_LIVES[name])
        if lives.is_empty():
            return lives
        events = self._frame_of("zone_events").select(
            *(pl.col(column).cast(pl.String) if column == "kind" else pl.col(column) for column in same),
            pl.col("ts").alias(_KNOWN),
            pl.col("event").cast(pl.String).alias("_event"),
            pl.col("touches").alias("_touches"),
        )
        ended = pl.col("_event").is_in(["MITIGATED", "EXPIRED", "EVICTED"])
        then = events.join(
            lives.with_columns(pl.col("kind").cast(pl.String)), on=same, how="inner", maintain_order="left"
        )
        return then.with_columns(
            pl.col("_touches").alias("touches"),
            pl.when(pl.col("first_touch_ts") <= pl.col(_KNOWN)).then("first_touch_ts").alias("first_touch_ts"),
            pl.when(ended).then("_event").otherwise(pl.lit("ACTIVE")).alias("status"),
            pl.when(ended).then(_KNOWN).alias("ended_ts"),
        ).select(*lives.columns, _KNOWN)


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Times as µs, names as text: what JSON can say."""
    return frame.with_columns(
        pl.col(pl.Datetime("us", "UTC")).to_physical(),
        *(pl.col(name).cast(pl.String) for name, dtype in frame.schema.items() if isinstance(dtype, pl.Enum)),
    )


def _parsed(name: str, row: dict[str, Any]) -> dict[str, Any]:
    if name == "signals":
        row["features"] = json.loads(row["features"])
    return row
