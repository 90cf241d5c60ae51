"""What a series remembers between two bars: named records of fixed size, one a section of the specification.

Invariant (law 4): the sizes below are constants; nothing here grows with history, and a snapshot is these bytes and
no others. Byte order and layout are stated, so that the bytes mean the same on every machine.

A seeded average is one number: the running sum of its values until there are enough of them, the average afterwards.
Which of the two it is follows from the index of the bar.

    state = SeriesState.at_start()
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A rank compares a value with the 199 before it: the longest look back of sections 1 and 2.
LEAD = 199

POSITION = np.dtype(
    [
        ("bars", "<i8"),  # bars seen = index t of the next bar
        ("last_open_time", "<i8"),  # µs since the epoch; means nothing while bars == 0
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
        ("high", "<f8", (LEAD,)),
        ("low", "<f8", (LEAD,)),
        ("close", "<f8", (LEAD,)),
        ("volume", "<f8", (LEAD,)),
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


@dataclass(frozen=True, slots=True)
class SeriesState:
    """The records of one series, each an array of shape (1,) that kernels write in place."""

    position: NDArray[np.void]
    features: NDArray[np.void]
    regime: NDArray[np.void]

    @classmethod
    def at_start(cls) -> Self:
        """The state before bar 0."""
        state = cls(np.zeros(1, POSITION), np.zeros(1, FEATURES), np.zeros(1, REGIME))
        state.features["anchor_ends"] = np.iinfo(np.int64).min
        for name in ("high", "low", "close", "volume", "natr", "bbw"):
            state.features[name] = np.nan
        state.regime["atr14"] = np.nan
        return state

    def copy(self) -> SeriesState:
        """A state of its own: what is written to one is not seen in the other."""
        return SeriesState(self.position.copy(), self.features.copy(), self.regime.copy())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The state whose `to_bytes` is `data`.

        Raises:
            ValueError: `data` has not the size of a state.
        """
        if len(data) != STATE_BYTES:
            msg = f"a series state has {STATE_BYTES} bytes, received {len(data)}"
            raise ValueError(msg)
        parts: list[NDArray[Any]] = []
        start = 0
        for dtype in _RECORDS:
            parts.append(np.frombuffer(data, dtype, count=1, offset=start).copy())
            start += dtype.itemsize
        return cls(*parts)

    def to_bytes(self) -> bytes:
        """All records, one behind the other."""
        return b"".join(getattr(self, field.name).tobytes() for field in fields(self))


_RECORDS = (POSITION, FEATURES, REGIME)
STATE_BYTES = sum(dtype.itemsize for dtype in _RECORDS)
