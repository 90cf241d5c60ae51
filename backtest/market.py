"""What the portfolio's loop reads of one series: bars, volatility, and signals with everything a gate asks of them.

Made from the engine's own tables, whether they were computed a moment ago or read from the database. Signals of
plug-in bots come the same way.

Invariant: nothing is looked up by the end of the data: a zone that ends later is active until it ends.

    stretch = Stretch.of(key, bars, tables)
    stretch.signals["entry"]
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from backtest.config import BacktestRefused
from backtest.records import FOREVER, SIGNAL
from contracts.candles import BAR_SCHEMA
from risk.gates import VOL_STATES
from risk.signals import FLAGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contracts import SeriesKey

# The engine's tables of a series that a backtest reads.
TABLES: Final = ("indicators", "regimes", "zones", "signals_raw")
Tables = Mapping[str, pl.DataFrame]

_PRICES = ("open", "high", "low", "close")
_ORDER_BLOCK = "OB"
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # no zone is created then


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Some closed bars of one series, and what became known at them.

    Attributes:
        key: The series.
        open_time: µs, ascending.
        prices: Open, high, low and close of each bar, quote units.
        vol_state: Of each bar, an index in VOL_STATES; −1 = no regime yet.
        signals: SIGNAL records by ts; `number` and `series` are not told yet, `bar` counts from the first bar here.
        told: A row a signal: `signal_id`, `agent`, `score`, `zone_kind`, `zone_created_ts`, `regime`, `zone_strength`.
    """

    key: SeriesKey
    open_time: NDArray[np.int64]
    prices: tuple[NDArray[np.float64], ...]
    vol_state: NDArray[np.int8]
    signals: NDArray[np.void]
    told: pl.DataFrame

    @classmethod
    def of(cls, key: SeriesKey, bars: pl.DataFrame, tables: Tables, *, traded: bool) -> Stretch:
        """Prepare a series.

        Args:
            key: The series.
            bars: Columns of `contracts.candles.BAR_SCHEMA`, on the grid and in the order of time.
            tables: `TABLES` by name; of a series that is not traded none are needed.
            traded: Whether its signals are.

        Raises:
            BacktestRefused: A column is missing, times do not ascend, or a signal belongs to no bar.
        """
        open_time = check_bars(key, bars)
        prices = tuple(bars[name].to_numpy() for name in _PRICES)
        if not traded:
            nothing = np.full(open_time.size, -1, np.int8)
            return cls(key, open_time, prices, nothing, np.zeros(0, SIGNAL), pl.DataFrame())
        missing = [name for name in TABLES if name not in tables]
        if missing:
            msg = f"{key}: the engine's tables {', '.join(missing)} are needed to trade it"
            raise BacktestRefused(msg)
        ts = open_time + key.tf.us
        signals, told = _signals(key, ts, tables)
        return cls(key, open_time, prices, _vol_states(ts, tables["regimes"]), signals, told)


def check_bars(key: SeriesKey, bars: pl.DataFrame) -> NDArray[np.int64]:
    """The open times of bars that can be walked, in µs.

    Raises:
        BacktestRefused: A column is missing or of another type, a time is not on the grid or does not ascend, or a
            price is no positive number.
    """
    for name, dtype in BAR_SCHEMA.items():
        if name not in bars.columns or bars.schema[name] != dtype:
            msg = f"{key}: bars need the column {name} as {dtype}, received {dict(bars.schema)}"
            raise BacktestRefused(msg)
    open_time = bars["open_time"].to_physical().to_numpy()
    if open_time.size and (open_time[0] % key.tf.us or np.any(np.diff(open_time) <= 0)):
        at = int(np.argmax(np.diff(open_time) <= 0)) if not open_time[0] % key.tf.us else 0
        msg = f"{key}: open times must ascend on the grid of {key.tf}, received {bars['open_time'][at]} at row {at}"
        raise BacktestRefused(msg)
    for name in _PRICES:
        if bars[name].null_count() or not (np.isfinite(bars[name].to_numpy()).all() and (bars[name] > 0).all()):
            msg = f"{key}: column {name} has a value that is no positive number"
            raise BacktestRefused(msg)
    return open_time


def _vol_states(ts: NDArray[np.int64], regimes: pl.DataFrame) -> NDArray[np.int8]:
    """The state of each bar; −1 = its regime is not known."""
    found = np.full(ts.size, -1, np.int8)
    codes = regimes["vol_state"].cast(pl.Enum(VOL_STATES)).to_physical().to_numpy()
    place = _places(ts, _us(regimes["ts"]))
    found[place[place >= 0]] = codes[place >= 0]
    return found


def _signals(key: SeriesKey, ts: NDArray[np.int64], tables: Tables) -> tuple[NDArray[np.void], pl.DataFrame]:
    """SIGNAL records, and what is told of each."""
    frame = tables["signals_raw"]
    known = _us(frame["ts"])
    if (np.diff(known) <= 0).any():
        frame = frame.sort("ts", "agent", "signal_id")
        known = _us(frame["ts"])
    bar = _places(ts, known)
    if (bar < 0).any():
        msg = (
            f"{key}: a signal of {frame['ts'][int(np.argmin(bar))]} belongs to no bar: hand on the tables of these bars"
        )
        raise BacktestRefused(msg)
    signals = np.zeros(frame.height, SIGNAL)
    long = (frame["side_hint"] == "LONG").to_numpy()
    signals["bar"], signals["ts"], signals["side"] = bar, known, np.where(long, 1, -1)
    signals["entry"], signals["stop"] = frame["entry_hint"].to_numpy(), frame["sl_hint"].to_numpy()
    signals["atr14"] = _looked_up(known, tables["indicators"], "atr14").fill_null(np.nan).to_numpy()
    signals["ttl_bars"], signals["structure"] = frame["ttl_bars"].to_numpy(), frame["structure_ok"].to_numpy()
    signals["triggers"] = _triggers(frame["features"], long=long)
    zone = _zones(frame, tables["zones"])
    ended = tables["zones"]["ended_ts"].to_physical().fill_null(FOREVER)
    signals["zone_ends"] = ended.gather(zone).fill_null(FOREVER).to_numpy()
    told = frame.select("signal_id", "agent", "score", pl.col("zone_kind").cast(pl.String), "zone_created_ts")
    told = told.with_columns(
        tables["zones"]["strength"].gather(zone).alias("zone_strength"),
        _looked_up(known, tables["regimes"], "regime").cast(pl.String).alias("regime"),
    )
    return signals, told


def _places(ts: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of some instants stands in `ts`, both ascending; −1 = it does not."""
    tail = ts[ts.size - wanted.size :] if wanted.size <= ts.size else ts
    if np.array_equal(tail, wanted):  # one row a bar, but for the first ones: the usual table
        return np.arange(ts.size - wanted.size, ts.size)
    if not ts.size:
        return np.full(wanted.size, -1)
    at = np.minimum(np.searchsorted(ts, wanted), ts.size - 1)
    return np.where(ts[at] == wanted, at, -1)


def _looked_up(known: NDArray[np.int64], table: pl.DataFrame, column: str) -> pl.Series:
    """A column of the bars of signals; null where the table has no such row."""
    return table[column].gather(_or_null(_places(_us(table["ts"]), known)))


def _or_null(places: NDArray[np.int64]) -> pl.Series:
    """Places to gather at: null instead of −1."""
    return pl.Series(places).set(pl.Series(places < 0), None)


def _zones(frame: pl.DataFrame, zones: pl.DataFrame) -> pl.Series:
    """Where the zone of each signal stands in its table; null = the signal has none, or it is not told."""
    # Two kinds may be created by one bar: the lowest bit tells them apart.
    made, wanted = (
        2 * _us(table[ts].fill_null(_NO_TIME))
        + (table[kind].cast(pl.String) == _ORDER_BLOCK).fill_null(False).to_numpy()  # noqa: FBT003 - polars' own
        for table, ts, kind in ((zones, "created_ts", "kind"), (frame, "zone_created_ts", "zone_kind"))
    )
    order = np.argsort(made, kind="stable")
    at = np.searchsorted(made, wanted, sorter=order)
    place = order[np.minimum(at, made.size - 1)] if made.size else np.zeros(0, np.int64)
    if not made.size:
        return pl.Series([None] * frame.height, dtype=pl.Int64)
    return _or_null(np.where(made[place] == wanted, place, -1))


def _triggers(features: pl.Series, *, long: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many of the flags that a signal needs are set, seen from its side."""
    texts = features.unique().to_list()
    if not texts:
        return np.zeros(0, np.int64)
    sides = [[_set_flags(text, side) for text in texts] for side in ("SHORT", "LONG")]
    which = features.replace_strict(texts, list(range(len(texts))), return_dtype=pl.Int64).to_numpy()
    counts: NDArray[np.int64] = np.array(sides, np.int64)[long.astype(np.int64), which]
    return counts


@cache
def _set_flags(text: str, side: str) -> int:
    """How many flags of a side a signal's `features` have; there are a few dozen different ones."""
    features = json.loads(text)
    return sum(features.get(name) is True for name in FLAGS[side].values())


def _us(column: pl.Series) -> NDArray[np.int64]:
    return column.cast(pl.Datetime("us", "UTC")).to_physical().to_numpy()
