"""What the portfolio's loop reads of one series: bars, volatility, and signals with everything a gate asks of them.

Made from the engine's own tables, whether they were computed a moment ago or read from the database. Signals of
plug-in bots come the same way.

Invariant: nothing is looked up by the end of the data: a zone that ends later is active until it ends. A signal's zone
is active when it is told, so that it is among those that changed with these bars or were active before them.

    stretch = Stretch.of(key, bars, tables)
    stretch.signals["entry"]
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from backtest.config import BacktestRefused
from backtest.records import FOREVER, SIGNAL
from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA
from engine.bars import check_bars as require_sound
from engine.bars import read_bars
from risk.gates import VOL_STATES
from risk.signals import FLAGS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The engine's tables of a series that a backtest reads.
TABLES: Final = ("indicators", "regimes", "zones", "signals_raw")
Tables = Mapping[str, pl.DataFrame]

_TS: Final = pl.Datetime("us", "UTC")
ZONES_SCHEMA: Final = pl.Schema(
    {
        "kind": pl.String(),
        "created_ts": _TS,
        "ended_ts": _TS,
        "price_lo": pl.Float64(),
        "price_hi": pl.Float64(),
        "strength": pl.Int16(),
    }
)
# What is told of a signal's zone, and how that is called there.
_OF_ZONE: Final = {"price_lo": "zone_lo", "price_hi": "zone_hi", "strength": "zone_strength"}

_PRICES = ("open", "high", "low", "close")
_ORDER_BLOCK = "OB"
_COLONS = 2  # in the text of a series key
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # no zone is created then


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Stretch:
    """Some closed bars of one series, and what became known at them.

    Attributes:
        key: The series.
        open_time: µs, ascending.
        prices: Open, high, low and close of each bar, quote units.
        vol_state: Of each bar, an index in VOL_STATES; −1 = no regime yet.
        signals: SIGNAL records by ts; `number` and `series` are not told yet, `bar` counts from the first bar here.
        told: A row a signal: `signal_id`, `agent`, `score`, `regime`, and of its zone `zone_kind`, `zone_created_ts`,
            `zone_lo`, `zone_hi` and `zone_strength`.
        zones: Those that changed with these bars or were active before them (`ZONES_SCHEMA`).
    """

    key: SeriesKey
    open_time: NDArray[np.int64]
    prices: tuple[NDArray[np.float64], ...]
    vol_state: NDArray[np.int8]
    signals: NDArray[np.void]
    told: pl.DataFrame
    zones: pl.DataFrame = field(default_factory=ZONES_SCHEMA.to_frame)

    @classmethod
    def of(
        cls, key: SeriesKey, bars: pl.DataFrame, tables: Tables, *, traded: bool, zones: pl.DataFrame | None = None
    ) -> Stretch:
        """Prepare a series.

        Args:
            key: The series.
            bars: Columns of `contracts.candles.BAR_SCHEMA`, on the grid and in the order of time.
            tables: `TABLES` by name; of a series that is not traded none are needed.
            traded: Whether its signals are.
            zones: Those that were active before these bars (`ZONES_SCHEMA`), where there were any.

        Raises:
            BacktestRefused: A row is no bar (`check_bars`), a table is missing, or a signal belongs to no bar.
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
        known = _zones_known(tables["zones"], zones)
        signals, told = _signals(key, ts, tables, known)
        return cls(key, open_time, prices, _vol_states(ts, tables["regimes"]), signals, told, known)

    def since(self, us: int) -> Stretch:
        """The same without the signals before an instant."""
        first = int(np.searchsorted(self.signals["ts"], us))
        return self if first == 0 else replace(self, signals=self.signals[first:], told=self.told[first:])


def check_key(key: object) -> None:
    """Refuse what is no `SeriesKey`.

    Raises:
        BacktestRefused: It is none; the message says how one is made.
    """
    if not isinstance(key, SeriesKey):
        text = key if isinstance(key, str) and key.count(":") == _COLONS else "binance_spot:BTCUSDT:15m"
        msg = f"{key!r} is no series key: SeriesKey.parse({text!r}) names one, venue:symbol:timeframe"
        raise BacktestRefused(msg)


def check_columns(key: object, bars: object) -> None:
    """Refuse what is no frame of bars by a series.

    Raises:
        BacktestRefused: The key is none, or a column is missing or of another type.
    """
    check_key(key)
    if not isinstance(bars, pl.DataFrame):
        makes = "collect() it" if isinstance(bars, pl.LazyFrame) else "polars.DataFrame(…) makes one"
        received = f"{type(bars).__module__.partition('.')[0]}.{type(bars).__name__}"
        msg = f"{key}: bars are a polars.DataFrame, received a {received}: {makes}"
        raise BacktestRefused(msg)
    columns = bars.schema
    faults = [f"{name} is missing" for name in BAR_SCHEMA if name not in columns]
    faults += [f"{name} is {columns[name]}" for name in BAR_SCHEMA if columns.get(name) not in (None, BAR_SCHEMA[name])]
    if faults:
        needed = ", ".join(name for name in BAR_SCHEMA if name != "open_time")
        msg = (
            f"{key}: bars need open_time as {BAR_SCHEMA['open_time']} and {needed} as Float64 "
            f"(contracts.candles.BAR_SCHEMA), received columns {', '.join(columns)}: {'; '.join(faults)}"
        )
        raise BacktestRefused(msg)


def check_bars(key: SeriesKey, bars: pl.DataFrame) -> NDArray[np.int64]:
    """The open times of bars that can be walked, in µs. What the engine would not read is not traded either.

    Raises:
        BacktestRefused: A column is missing or of another type, or a row cannot be: its time is off the grid or does
            not ascend, a price is no positive number or lies outside [low, high], or the volume is none. The message
            names the row.
    """
    check_columns(key, bars)
    try:
        read = read_bars(bars.select(BAR_SCHEMA.names()))
        if read.size:
            require_sound(read, key.tf, start=0, end=read.size, last_open_time=None)
    except ValueError as error:
        msg = f"{key}: {error}"
        raise BacktestRefused(msg) from error
    return read.open_time


def _vol_states(ts: NDArray[np.int64], regimes: pl.DataFrame) -> NDArray[np.int8]:
    """The state of each bar; −1 = its regime is not known."""
    found = np.full(ts.size, -1, np.int8)
    codes = regimes["vol_state"].cast(pl.Enum(VOL_STATES)).to_physical().to_numpy()
    place = _places(ts, _us(regimes["ts"]))
    found[place[place >= 0]] = codes[place >= 0]
    return found


def _zones_known(changed: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """Every zone once, as it is by now."""
    fresh = changed.select(ZONES_SCHEMA.names()).cast(dict(ZONES_SCHEMA))  # type: ignore[arg-type] # names and types
    if before is None or before.is_empty():
        return fresh
    return pl.concat([fresh, before]).unique(("kind", "created_ts"), keep="first", maintain_order=True)


def _signals(
    key: SeriesKey, ts: NDArray[np.int64], tables: Tables, zones: pl.DataFrame
) -> tuple[NDArray[np.void], pl.DataFrame]:
    """SIGNAL records, and what is told of each."""
    frame = tables["signals_raw"]
    if frame.is_empty():  # as at most bars of a live market
        return np.zeros(0, SIGNAL), pl.DataFrame()
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
    zone = _zones(frame, zones)
    ended = zones["ended_ts"].to_physical().fill_null(FOREVER)
    signals["zone_ends"] = ended.gather(zone).fill_null(FOREVER).to_numpy()
    told = frame.select("signal_id", "agent", "score", pl.col("zone_kind").cast(pl.String), "zone_created_ts")
    told = told.with_columns(
        *(zones[name].gather(zone).alias(called) for name, called in _OF_ZONE.items()),
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
    return column.cast(_TS).to_physical().to_numpy()
