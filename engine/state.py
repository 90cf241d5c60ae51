"""What a series remembers between two bars: named records of fixed size, one a section of the specification.

Invariant (law 4): the sizes below are constants or parameters; nothing here grows with history, and a snapshot is
these bytes and no others. Byte order and layout are stated, so that the bytes mean the same on every machine; what
is not in use is zero or NaN, so that equal histories have equal bytes.

A seeded average is one number: the running sum of its values until there are enough of them, the average afterwards.
Which of the two it is follows from the index of the bar. A price that is NaN is a level that does not exist.

    state = SeriesState.at_start(params)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from engine.rows import NEVER, ZONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.params import EngineParams

# A rank compares a value with the 199 before it: the longest look back of all sections.
LEAD = 199

# Windows of a sub-timeframe that may lie ahead of their series; see engine.symbol.
PENDING = 64

POSITION = np.dtype(
    [
        ("bars", "<i8"),  # bars seen = index t of the next bar
        ("last_open_time", "<i8"),  # µs since the epoch; means nothing while bars == 0
    ]
)

# The last bars, oldest first; NaN (NEVER) before bar 0.
TAIL = np.dtype(
    [
        ("open_time", "<i8", (LEAD,)),
        ("open", "<f8", (LEAD,)),
        ("high", "<f8", (LEAD,)),
        ("low", "<f8", (LEAD,)),
        ("close", "<f8", (LEAD,)),
        ("volume", "<f8", (LEAD,)),
    ]
)

FEATURES = np.dtype(
    [
        ("bars", "<i8"),
        ("anchor_ends", "<i8"),  # µs: the next 00:00 UTC, where vwap starts anew
        ("anchor_value", "<f8"),  # Σ tp·v since the anchor
        ("anchor_volume", "<f8"),  # Σ v since the anchor
        ("ema12", "<f8"),
        ("ema20", "<f8"),
        ("ema26", "<f8"),
        ("ema50", "<f8"),
        ("ema200", "<f8"),
        ("macd_signal", "<f8"),
        ("gain", "<f8"),
        ("loss", "<f8"),
        ("atr14", "<f8"),
        ("plus_dm", "<f8"),
        ("minus_dm", "<f8"),
        ("adx14", "<f8"),
        # the last 199 values of each, oldest first; NaN before bar 0
        ("natr", "<f8", (LEAD,)),
        ("bbw", "<f8", (LEAD,)),
    ]
)

REGIME = np.dtype(
    [
        ("atr14", "<f8"),  # of the bar before; NaN while undefined
        ("calm", "<i8"),  # the last regime that was not SHOCK; 0 = RANGE, also where there was none
    ]
)

SWINGS = np.dtype(
    [
        ("high", "<f8"),  # the last HIGH and LOW, which the next is labelled against
        ("low", "<f8"),
        # zigzag alone: what is sought (+1 a HIGH, −1 a LOW, 0 both), the candidate and the extreme beside it
        ("seek", "<i8"),
        ("top", "<f8"),
        ("top_bar", "<i8"),
        ("top_ts", "<i8"),
        ("dip", "<f8"),  # the lowest low after top
        ("dip_bar", "<i8"),
        ("dip_ts", "<i8"),
        ("bottom", "<f8"),
        ("bottom_bar", "<i8"),
        ("bottom_ts", "<i8"),
        ("peak", "<f8"),  # the highest high after bottom
        ("peak_bar", "<i8"),
        ("peak_ts", "<i8"),
    ]
)

STRUCTURE = np.dtype(
    [
        ("trend", "<i8"),
        # the last and the most extreme swing of each side since its last break
        ("last_high", "<f8"),
        ("last_high_bar", "<i8"),
        ("last_high_ts", "<i8"),
        ("ext_high", "<f8"),
        ("ext_high_bar", "<i8"),
        ("ext_high_ts", "<i8"),
        ("last_low", "<f8"),
        ("last_low_bar", "<i8"),
        ("last_low_ts", "<i8"),
        ("ext_low", "<f8"),
        ("ext_low_bar", "<i8"),
        ("ext_low_ts", "<i8"),
        ("range_high", "<f8"),  # the last confirmed, broken or not
        ("range_low", "<f8"),
    ]
)

LIQUIDITY = np.dtype(
    [
        ("high", "<f8"),
        ("high_ts", "<i8"),
        ("high_untaken", "<i8"),
        ("low", "<f8"),
        ("low_ts", "<i8"),
        ("low_untaken", "<i8"),
    ]
)

ZONES = np.dtype(
    [
        ("made", "<i8"),  # zones ever made = id of the next
        ("inversions_made", "<i8"),
        ("active", "<i8"),  # how many records of `zones` and `inversions` are in use
        ("active_inversions", "<i8"),
        # bar of the last break and of the last fair value gap of each side; −1000 = none within any look back
        ("break_up", "<i8"),
        ("break_down", "<i8"),
        ("gap_demand", "<i8"),
        ("gap_supply", "<i8"),
    ]
)

RETEST = np.dtype(
    [
        ("choch", "<i8"),  # side of the most recent CHOCH; 0 = there was none
        ("continued", "<i8"),  # whether a BOS came after it
        ("rsi14", "<f8"),  # of the bar before
        ("macd_hist", "<f8"),
        ("side", "<i8"),  # of the setup; 0 = there is none
        ("opened", "<i8"),  # its bar t₀
        ("since", "<i8"),  # pivot bar of its reference swing
        ("entered", "<i8"),  # how many records of `entered` are in use
    ]
)

MICRO = np.dtype(
    [
        ("heard_until", "<i8"),  # ts of the last bar of the sub-timeframe; NEVER = none yet
        ("lost_until", "<i8"),  # windows that end here or earlier were dropped, being too many
        ("pending", "<i8"),  # how many of the windows below are in use, oldest first
        ("ends", "<i8", (PENDING,)),  # ts of the bar the window belongs to
        ("side", "<i8", (PENDING,)),  # of the last break in it
    ]
)


# Type, number and place in bytes of each of the records below.
_Layout: TypeAlias = tuple[tuple[np.dtype[Any], int, int], ...]


@dataclass(frozen=True, slots=True)
class SeriesState:
    """The records of one series: arrays over one block of bytes, of one record or of as many as params allow.

    Kernels write them in place.
    """

    _bytes: NDArray[np.uint8]  # which all others are views of
    _layout: _Layout
    position: NDArray[np.void]
    tail: NDArray[np.void]
    features: NDArray[np.void]
    regime: NDArray[np.void]
    swings: NDArray[np.void]
    structure: NDArray[np.void]
    liquidity: NDArray[np.void]
    zone_counts: NDArray[np.void]
    zones: NDArray[np.void]  # active ones, oldest first
    inversions: NDArray[np.void]
    retest: NDArray[np.void]
    entered: NDArray[np.int64]  # ids of the zones the setup has entered
    micro: NDArray[np.void]

    @classmethod
    def at_start(cls, params: EngineParams) -> Self:
        """The state before bar 0."""
        layout, size = _layout(params)
        state = cls._over(np.zeros(size, np.uint8), layout)
        state.tail["open_time"] = NEVER
        for name in ("open", "high", "low", "close", "volume"):
            state.tail[name] = np.nan
        state.features["anchor_ends"] = NEVER
        for name in ("natr", "bbw"):
            state.features[name] = np.nan
        state.regime["atr14"] = np.nan
        for name in ("high", "low", "top", "dip", "bottom", "peak"):
            state.swings[name] = np.nan
        for name in ("last_high", "ext_high", "last_low", "ext_low", "range_high", "range_low"):
            state.structure[name] = np.nan
        for name in ("high", "low"):
            state.liquidity[name] = np.nan
        for name in ("break_up", "break_down", "gap_demand", "gap_supply"):
            state.zone_counts[name] = -1000
        for name in ("rsi14", "macd_hist"):
            state.retest[name] = np.nan
        for name in ("heard_until", "lost_until"):
            state.micro[name] = NEVER
        return state

    def __reduce__(self) -> tuple[Any, ...]:
        # Copied as bytes: records that are no views of them would be written to unseen.
        return SeriesState._over, (self._bytes, self._layout)

    def copy(self) -> SeriesState:
        """A state of its own: what is written to one is not seen in the other."""
        return self._over(self._bytes.copy(), self._layout)

    @classmethod
    def from_bytes(cls, data: bytes, params: EngineParams) -> Self:
        """The state whose `to_bytes` is `data`.

        Raises:
            ValueError: `data` has not the size of a state with these parameters, or counts more than it has room for.
        """
        layout, expected = _layout(params)
        if len(data) != expected:
            msg = f"a series state has {expected} bytes, received {len(data)}"
            raise ValueError(msg)
        state = cls._over(np.frombuffer(data, np.uint8).copy(), layout)
        state._check_counts(params)
        return state

    @classmethod
    def _over(cls, data: NDArray[np.uint8], layout: _Layout) -> Self:
        """The records that stand in `data` one behind the other."""
        return cls(data, layout, *(np.ndarray(count, dtype, data, start) for dtype, count, start in layout))

    def _check_counts(self, params: EngineParams) -> None:
        """Kernels trust these: more than there is room for would be read from beyond it."""
        counted = {
            "zones": (self.zone_counts["active"][0], params.max_zones),
            "inversions": (self.zone_counts["active_inversions"][0], params.max_inversions),
            "entered zones": (self.retest["entered"][0], params.max_zones),
            "pending windows": (self.micro["pending"][0], PENDING),
        }
        for name, (count, room) in counted.items():
            if not 0 <= count <= room:
                msg = f"a series state with {count} {name}, there is room for {room}"
                raise ValueError(msg)

    def to_bytes(self) -> bytes:
        """All records, one behind the other."""
        return self._bytes.tobytes()


def _layout(params: EngineParams) -> tuple[_Layout, int]:
    """Type, number and place of the records, in the order of the fields of `SeriesState`, and their size in bytes."""
    parts: tuple[tuple[np.dtype[Any], int], ...] = (
        (POSITION, 1),
        (TAIL, 1),
        (FEATURES, 1),
        (REGIME, 1),
        (SWINGS, 1),
        (STRUCTURE, 1),
        (LIQUIDITY, 1),
        (ZONES, 1),
        (ZONE, params.max_zones),
        (ZONE, params.max_inversions),
        (RETEST, 1),
        (np.dtype("<i8"), params.max_zones),
        (MICRO, 1),
    )
    places = [0, *accumulate(dtype.itemsize * count for dtype, count in parts)]
    return tuple((*part, start) for part, start in zip(parts, places, strict=False)), places[-1]
