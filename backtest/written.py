"""What a run has written so far: signals by number, decisions with the rows they name, brackets, fills, equity.

Each call of a session adds its part; rows refer to each other by place, which is told anew for the whole. Nothing is
joined or rendered before somebody asks.

Invariant: the order is that of time, whatever the calls were.

    written.add(book, decisions=decisions, accounts=accounts, …)
    written.rows("decisions")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from backtest.records import ACCOUNT, DECISION, GUARD, SAMPLE, SIGNAL, STANDING, TRADE, TRADE_FILL
from backtest.saved import frame_of, of_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backtest.conditions import Conditions
    from backtest.market import Stretch
    from contracts import SeriesKey

LAYOUTS: Final = {
    "decisions": DECISION,
    "accounts": ACCOUNT,
    "standings": STANDING,
    "guards": GUARD,
    "trades": TRADE,
    "fills": TRADE_FILL,
    "samples": SAMPLE,
}

# Columns that name a row of another list, by place.
_PLACES: Final = {
    "decisions": {"account": "accounts", "standing": "standings", "guard": "guards"},
    "fills": {"trade": "trades"},
}

TOLD_SCHEMA = pl.Schema(
    {
        "signal_id": pl.String(),
        "agent": pl.String(),
        "score": pl.Float64(),
        "zone_kind": pl.String(),
        "zone_created_ts": pl.Datetime("us", "UTC"),
        "zone_lo": pl.Float64(),
        "zone_hi": pl.Float64(),
        "zone_strength": pl.Int16(),
        "regime": pl.String(),
    }
)


@dataclass(slots=True, eq=False, repr=False)
class Written:
    """The rows of a run.

    Attributes:
        keys: The series, as SIGNAL and TRADE number them.
        conditions: The versions of rules that decisions name.
    """

    keys: Sequence[SeriesKey]
    conditions: Conditions
    _told: list[pl.DataFrame] = field(default_factory=list)
    _signals: list[NDArray[np.void]] = field(default_factory=list)
    _parts: dict[str, list[NDArray[np.void]]] = field(default_factory=lambda: {name: [] for name in LAYOUTS})
    _counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(LAYOUTS, 0))
    _named: int = 0

    @classmethod
    def nothing(cls, keys: Sequence[SeriesKey], conditions: Conditions) -> Written:
        """Before the first bar."""
        return cls(keys, conditions)

    def name(self, series: int, stretch: Stretch) -> int:
        """Take the signals of a stretch in; they are numbered from what is returned on."""
        first = self._named
        if stretch.signals.size:
            known = stretch.signals.copy()
            known["series"], known["number"] = series, first + np.arange(known.size)
            self._signals.append(known)
            self._told.append(stretch.told.select(TOLD_SCHEMA.names()).cast(TOLD_SCHEMA))
            self._named += known.size
        return first

    def add(self, book: np.void, **lists: NDArray[np.void]) -> None:
        """Take in what one call wrote, by the counts of its book."""
        bases = dict(self._counts)
        for name, rows in lists.items():
            # The room was made for the worst case: what was used of it is kept, the rest given back.
            part = rows[: int(book[name])].copy()
            for column, target in _PLACES.get(name, {}).items():
                part[column] += bases[target]
            self._parts[name].append(part)
            self._counts[name] += part.size

    def rows(self, name: str) -> NDArray[np.void]:
        """All rows of one list (`LAYOUTS`)."""
        parts = self._parts[name]
        if len(parts) != 1:
            self._parts[name] = parts = [np.concatenate([*parts, np.zeros(0, LAYOUTS[name])])]
        return parts[0]

    def saved(self) -> dict[str, NDArray[Any]]:
        """All of it as arrays by name."""
        lists: dict[str, NDArray[Any]] = {f"written.{name}": self.rows(name) for name in LAYOUTS}
        return lists | {"written.signals": self.signals, "written.told": of_frame(self.told)}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the place of what `saved` was taken from."""
        for name in LAYOUTS:
            self._parts[name] = [arrays[f"written.{name}"]]
            self._counts[name] = arrays[f"written.{name}"].size
        self._signals = [arrays["written.signals"]]
        self._told = [frame_of(arrays["written.told"])]
        self._named = self._signals[0].size

    @property
    def signals(self) -> NDArray[np.void]:
        """SIGNAL by number; `bar`, `zone_ends` and `acted` mean nothing here: they are those of one call."""
        if len(self._signals) != 1:
            self._signals = [np.concatenate([*self._signals, np.zeros(0, SIGNAL)])]
        return self._signals[0]

    @property
    def told(self) -> pl.DataFrame:
        """What is told of each signal, by number."""
        if len(self._told) != 1:
            self._told = [pl.concat([*self._told, TOLD_SCHEMA.to_frame()], rechunk=True)]
        return self._told[0]

    def named(self, number: int) -> str:
        """The `signal_id` of a signal."""
        return str(self.told["signal_id"][number])

    def zones_of(self, numbers: NDArray[np.int64]) -> pl.DataFrame:
        """Zones of some signals: `zone_kind`, `zone_created_ts`."""
        if not numbers.size:
            return TOLD_SCHEMA.to_frame().select("zone_kind", "zone_created_ts")
        return self.told.select(pl.col("zone_kind", "zone_created_ts").gather(numbers.tolist()))
