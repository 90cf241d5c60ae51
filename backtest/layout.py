"""The bars and signals of one call in common arrays, in which each series has its stretch, as the loop walks them.

Of a series come first what was carried from earlier calls, then what is new; SERIES tells where each part begins.

    series = wired(keys, instruments)
    (open_time, *prices, vol_state), signals = laid_out(series, keys, carried, stretches, name=written.name)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.carried import PRICES
from backtest.records import FOREVER, SERIES, SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from backtest.carried import Carried
    from backtest.market import Stretch
    from contracts import InstrumentKey, SeriesKey


def wired(keys: Sequence[SeriesKey], instruments: Sequence[InstrumentKey]) -> NDArray[np.void]:
    """SERIES of every key, with the finest series inside its bars that the instrument has.

    Args:
        keys: Shortest timeframe first.
        instruments: As SYMBOL numbers them.
    """
    series = np.zeros(len(keys), SERIES)
    for row, key in zip(series, keys, strict=True):
        row["symbol"], row["tf"] = instruments.index(key.instrument), key.tf.us
        row["due"] = FOREVER
        inside = [
            at
            for at, other in enumerate(keys)
            if other.instrument == key.instrument and other.tf.us < key.tf.us and key.tf.us % other.tf.us == 0
        ]
        row["finer"] = inside[0] if inside else -1
    return series


def laid_out(
    series: NDArray[np.void],
    keys: Sequence[SeriesKey],
    carried: Sequence[Carried],
    stretches: Mapping[SeriesKey, Stretch],
    *,
    name: Callable[[int, Stretch], int],
) -> tuple[list[NDArray[Any]], NDArray[np.void]]:
    """All bars and all signals of a call.

    Args:
        series: Of the keys; where each one's parts stand is written there.
        keys: The series.
        carried: What each has of earlier calls.
        stretches: What is new.
        name: Takes the signals of a series in, and tells the number of the first.

    Returns:
        Open times, four prices and volatility of the bars; SIGNAL records.
    """
    times: list[NDArray[np.int64]] = []
    prices: list[list[NDArray[np.float64]]] = [[] for _ in range(PRICES)]
    states: list[NDArray[np.int8]] = []
    signals: list[NDArray[np.void]] = []
    place = signal = 0
    for at, (row, key) in enumerate(zip(series, keys, strict=True)):
        before, one = carried[at], stretches.get(key)
        fresh = before.open_time.size
        times.append(before.open_time)
        states.append(np.full(fresh, -1, np.int8))
        for column in range(PRICES):
            prices[column].append(before.prices[column])
        new = np.zeros(0, SIGNAL)
        row["first"], row["fresh"] = place, place + fresh
        place += fresh
        if one is not None:
            times.append(one.open_time)
            states.append(one.vol_state)
            for column in range(PRICES):
                prices[column].append(one.prices[column])
            new = one.signals.copy()
            new["bar"] += place
            new["series"] = at
            new["number"] = name(at, one) + np.arange(new.size)
            place += one.open_time.size
        row["end"] = place
        signals += [before.signals, new]
        row["signal"], signal = signal, signal + before.signals.size + new.size
        row["signals_end"] = signal
    columns = [_joined(times), *(_joined(column) for column in prices), _joined(states)]
    return columns, np.concatenate(signals)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of all parts; the only one that is not empty is not copied."""
    some = [part for part in parts if part.size]
    if len(some) == 1:
        return np.ascontiguousarray(some[0])
    return np.concatenate(some or parts[:1])
