"""The null-market gate: where a result stands among those of markets in which there is nothing to find.

A surrogate is made of the real bars in another order: of stretches of time whose length is random with a given mean
(the stationary bootstrap: Politis and Romano 1994), each scaled to begin where the one before ended. Inside a stretch
all series of all instruments stay as they were, so that markets still move together and a longer bar still agrees with
the shorter ones in it. Stretches keep the size and the clustering of moves; which follows which is chance, so structure
longer than a stretch is gone, and with it whatever a rule could know of it.

Time is cut into slots of the shortest timeframe that is traded: finer bars, which only tell what came first, move
inside their slot wherever there are any; longer ones are made anew of those that moved.

The same engine, decision and fill model trade every surrogate (`Workers.surrogates`). A result that is not above all
but a twentieth of them is what luck gives (`backtest.report.NullPlace`).

    market = surrogate(bars, seed=1, traded=("15m",))
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import polars as pl

from contracts import InstrumentKey, SeriesKey
from contracts.candles import BAR_SCHEMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

MEAN_BLOCK: Final = 20
"""Mean length of a stretch, in bars of the shortest traded timeframe.

Of the clustering of moves at a distance of k bars (1 − 1/20)^k stays, two thirds at 8 bars; a zone takes 50 bars to be
found and lives for 200. Longer stretches hold whole trades, which shorter ones do not, and then what was found in the
market is found in its surrogates, too.
"""

Bars = Mapping[SeriesKey, pl.DataFrame]
_PRICES = ("open", "high", "low", "close")


def surrogate(
    bars: Bars, *, seed: int, traded: Collection[str] = (), mean_block: int = MEAN_BLOCK
) -> dict[SeriesKey, pl.DataFrame]:
    """One market made of another's bars in another order: over the same span, from the same prices on.

    An instrument that has no bars where a stretch comes from (it was listed later, or there is a hole) takes one of its
    own instead.

    Args:
        bars: Bars of some series; of each instrument the shortest traded one must span the others that are traded.
        seed: Equal seeds give equal markets.
        traded: Timeframes that are traded; empty = all.
        mean_block: Mean length of a stretch, in bars of the shortest traded timeframe.
    """
    rng = np.random.default_rng(seed)
    filled = {key: frame for key, frame in bars.items() if frame.height}
    anchors = _anchors(filled, traded)
    slot = _slot(filled, anchors)
    mean = max(mean_block * min((key.tf.us for key in anchors.values()), default=slot) / slot, 1.0)
    tracks = {one: _Track.of(filled[key], slot) for one, key in anchors.items()}
    times = np.unique(np.concatenate([np.zeros(0, np.int64), *(track.times for track in tracks.values())]))
    shared = times[_order(rng, times.size, mean)]
    found: dict[SeriesKey, pl.DataFrame] = dict(bars)
    for instrument, track in sorted(tracks.items()):
        own = _order(rng, track.times.size, mean)
        # Where its time comes from: the same as for all, where it has bars there.
        wanted = shared[np.searchsorted(times, track.times)]
        place = np.minimum(np.searchsorted(track.times, wanted), track.times.size - 1)
        moves = track.moved(np.where(track.times[place] == wanted, place, own))
        for key in (key for key in filled if key.instrument == instrument):
            made = moves.of(bars[key], slot) if key.tf.us <= slot else _longer(found[anchors[instrument]], key)
            first, last = bars[key]["open_time"][0], bars[key]["open_time"][-1]
            found[key] = made.filter(pl.col("open_time").is_between(first, last))
    return found


def _anchors(bars: Bars, traded: Collection[str]) -> dict[InstrumentKey, SeriesKey]:
    """The series whose closes are the path of each instrument: its shortest traded one."""
    found: dict[InstrumentKey, SeriesKey] = {}
    for key in sorted(bars, key=lambda key: key.tf.us, reverse=True):
        if not traded or str(key.tf) in traded or key.instrument not in found:
            found[key.instrument] = key
    return found


def _slot(bars: Bars, anchors: Mapping[InstrumentKey, SeriesKey]) -> int:
    """µs in which every series up to the anchors has whole bars, and of which longer ones are made."""
    slot = max((key.tf.us for key in anchors.values()), default=1)
    for us in sorted({key.tf.us for key in bars}):
        if slot % us and us % slot:
            slot = math.lcm(slot, us)
    return slot


@dataclass(frozen=True, slots=True, eq=False)
class _Track:
    """The path of an instrument by slots.

    Attributes:
        times: Of the slots that have a bar, µs.
        before: Close before each.
        change: What each makes of it, as a factor.
    """

    times: Ints
    before: Floats
    change: Floats

    @classmethod
    def of(cls, frame: pl.DataFrame, slot: int) -> Self:
        at, close = _slots(frame, slot), frame["close"].to_numpy()
        times, first = np.unique(at, return_index=True)
        last = np.append(first[1:], at.size) - 1
        before = np.concatenate((frame["open"].to_numpy()[:1], close[last[:-1]]))
        return cls(times, before, close[last] / before)

    def moved(self, source: Ints) -> _Moves:
        """The moves that put each slot of `source` where this track has its slots."""
        path = self.before[0] * np.cumprod(self.change[source])
        begins = np.concatenate((self.before[:1], path[:-1]))
        return _Moves(self.times, self.times[source], begins / self.before[source])


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """Which slot goes where: at `times` stand the bars of `source`, their prices scaled."""

    times: Ints
    source: Ints
    scale: Floats

    def of(self, frame: pl.DataFrame, slot: int) -> pl.DataFrame:
        """The bars of a series, moved."""
        at = _slots(frame, slot)
        first, past = np.searchsorted(at, self.source), np.searchsorted(at, self.source, side="right")
        counts = past - first
        # Of each move the rows first … past − 1, one behind the other.
        rows = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(int(counts.sum()))
        scale = np.repeat(self.scale, counts)
        opened = frame["open_time"].to_physical().to_numpy()[rows] + np.repeat(self.times - self.source, counts)
        columns: dict[str, Any] = {
            "open_time": pl.Series(opened).cast(BAR_SCHEMA["open_time"]),
            **{name: frame[name].to_numpy()[rows] * scale for name in _PRICES},
            "volume": frame["volume"].to_numpy()[rows],
        }
        return pl.DataFrame(columns, schema=BAR_SCHEMA)


def _slots(frame: pl.DataFrame, slot: int) -> Ints:
    opened: Ints = frame["open_time"].to_physical().to_numpy()
    return opened - opened % slot


def _order(rng: np.random.Generator, size: int, mean_block: float) -> Ints:
    """Which slot stands where: stretches of geometric length that begin anywhere and go around the end."""
    if size == 0:
        return np.zeros(0, np.int64)
    begins = rng.random(size) < 1.0 / mean_block
    begins[0] = True
    first = np.flatnonzero(begins)
    start = rng.integers(0, size, first.size)
    block = np.cumsum(begins) - 1
    order: Ints = (start[block] + np.arange(size) - first[block]) % size
    return order


def _longer(frame: pl.DataFrame, key: SeriesKey) -> pl.DataFrame:
    """Bars of a longer timeframe, made of shorter ones."""
    grouped = frame.group_by_dynamic("open_time", every=str(key.tf)).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )
    return grouped.select(BAR_SCHEMA.names()).cast(dict(BAR_SCHEMA))  # type: ignore[arg-type] # names and types
