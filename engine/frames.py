"""The tables: which columns each has, and where the kernels' rows have them.

Invariant: columns, names and order are those of schema.md; frames without rows are cloned, not made.

    indicatortable(key, ts, values=out, undefined=undefined, trend=trend)
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
import pyarrow as pa

from engine.columns import Instants, Names, Plain, Reals, Texts, Value, table
from engine.digests import HEX, hex_digests
from engine.features import COLUMNS
from engine.regime import NO_ROW, REGIMES, VOL_STATES
from engine.retest import AGENT, FLAGS
from engine.rows import (
    BREAK_KINDS,
    LABELS,
    LIQUIDITY_KINDS,
    SIDES,
    STATUSES,
    SWING_KINDS,
    ZONE_EVENTS,
    ZONE_KINDS,
    Columns,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from contracts import SeriesKey
    from engine.columns import Column
    from engine.params import EngineParams

_TS = pl.Datetime("us", "UTC")
_SERIES: Final = {"venue": pl.String(), "symbol": pl.String(), "tf": pl.String()}
_KEY: Final = {**_SERIES, "ts": _TS}
SIGNAL_SIDES = ("LONG", "SHORT")

INDICATOR_SCHEMA = pl.Schema(
    {**_KEY, **dict.fromkeys(COLUMNS, pl.Float64()), "trend": pl.Int16(), "range_pos": pl.Float64()}
)
REGIME_SCHEMA = pl.Schema({**_KEY, "regime": pl.Enum(REGIMES), "vol_state": pl.Enum(VOL_STATES)})
SWING_SCHEMA = pl.Schema(
    {
        **_KEY,
        "pivot_ts": _TS,
        "kind": pl.Enum(SWING_KINDS),
        "price": pl.Float64(),
        "label": pl.Enum(LABELS),
        "left_n": pl.Int16(),
        "right_n": pl.Int16(),
    }
)
BREAK_SCHEMA = pl.Schema({**_KEY, "kind": pl.Enum(BREAK_KINDS), "ref_ts": _TS, "level": pl.Float64()})
LIQUIDITY_SCHEMA = pl.Schema({**_KEY, "kind": pl.Enum(LIQUIDITY_KINDS), "ref_ts": _TS, "level": pl.Float64()})
ZONE_EVENT_SCHEMA = pl.Schema(
    {
        **_SERIES,
        "kind": pl.Enum(ZONE_KINDS),
        "created_ts": _TS,
        "parent_created_ts": _TS,
        "ts": _TS,
        "event": pl.Enum(ZONE_EVENTS),
        "touches": pl.Int32(),
    }
)
_LIFE: Final = {
    "strength": pl.Int16(),
    "expiry_bars": pl.Int32(),
    "touches": pl.Int32(),
    "first_touch_ts": _TS,
    "status": pl.Enum(STATUSES),
    "ended_ts": _TS,
}
ZONE_SCHEMA = pl.Schema(
    {
        **_SERIES,
        "kind": pl.Enum(ZONE_KINDS[:2]),
        "side": pl.Enum(SIDES),
        "price_lo": pl.Float64(),
        "price_hi": pl.Float64(),
        "created_ts": _TS,
        "origin_ts": _TS,
        "origin_event": pl.Enum(BREAK_KINDS),
        **_LIFE,
    }
)
INVERSION_SCHEMA = pl.Schema(
    {
        **_SERIES,
        "kind": pl.Enum(ZONE_KINDS[2:]),
        "side": pl.Enum(SIDES),
        "price_lo": pl.Float64(),
        "price_hi": pl.Float64(),
        "created_ts": _TS,
        "parent_created_ts": _TS,
        **_LIFE,
    }
)
SIGNAL_SCHEMA = pl.Schema(
    {
        "signal_id": pl.String(),
        "agent": pl.String(),
        **_KEY,
        "side_hint": pl.Enum(SIGNAL_SIDES),
        "entry_hint": pl.Float64(),
        "sl_hint": pl.Float64(),
        "tp_r": pl.List(pl.Float64()),
        "features": pl.String(),
        "score": pl.Float64(),
        "ttl_bars": pl.Int32(),
        "zone_kind": pl.Enum(ZONE_KINDS[:2]),
        "zone_created_ts": _TS,
        "retest_ok": pl.Boolean(),
        "structure_ok": pl.Boolean(),
    }
)


# Cloned, not made: most live bars have no row for most tables. Never handed out themselves: a frame can be changed.
_NO_INDICATORS = INDICATOR_SCHEMA.to_frame()
_NO_REGIMES = REGIME_SCHEMA.to_frame()
_NO_SWINGS = SWING_SCHEMA.to_frame()
_NO_BREAKS = BREAK_SCHEMA.to_frame()
_NO_LIQUIDITY = LIQUIDITY_SCHEMA.to_frame()
_NO_ZONE_EVENTS = ZONE_EVENT_SCHEMA.to_frame()
_NO_ZONES = ZONE_SCHEMA.to_frame()
_NO_INVERSIONS = INVERSION_SCHEMA.to_frame()
_NO_SIGNALS = SIGNAL_SCHEMA.to_frame()


def indicator_frame(
    key: SeriesKey,
    ts: NDArray[np.int64],
    *,
    values: NDArray[np.float64],
    undefined: NDArray[np.int64],
    trend: NDArray[np.int16],
) -> pl.DataFrame:
    """The rows of table `indicators`.

    Args:
        key: Series of the bars.
        ts: µs since the epoch, one a bar.
        values: Shape (columns, bars); a row for each of `engine.features.COLUMNS`, then range_pos.
        undefined: How many NaN each row of `values` has.
        trend: One a bar.
    """
    if ts.size == 0:
        return _NO_INDICATORS.clone()
    reals = [Reals(name, values[row], int(undefined[row])) for row, name in enumerate((*COLUMNS, "range_pos"))]
    return table(INDICATOR_SCHEMA, _named(key), [Instants("ts", ts), Plain("trend", trend, pa.int16()), *reals])


def regime_frame(key: SeriesKey, ts: NDArray[np.int64], *, codes: NDArray[np.uint8], rows: int) -> pl.DataFrame:
    """The rows of table `regimes`.

    Args:
        key: Series of the bars.
        ts: µs since the epoch, one a bar.
        codes: Shape (2, bars): regime and vol_state as `engine.regime.regimes` wrote them.
        rows: How many bars have a row.
    """
    if rows == 0:
        return _NO_REGIMES.clone()
    start = ts.size - rows
    if codes[0, start:].max() == NO_ROW:
        present = codes[0] != NO_ROW
        ts, codes = ts[present], codes[:, present]
    else:
        ts, codes = ts[start:], codes[:, start:]
    columns: list[Column] = [Names("regime", REGIMES, codes[0]), Names("vol_state", VOL_STATES, codes[1])]
    return table(REGIME_SCHEMA, _named(key), [Instants("ts", ts), *columns])


def swing_frame(key: SeriesKey, params: EngineParams, rows: Columns) -> pl.DataFrame:
    """The rows of table `swings` from `SWING` records."""
    if rows.size == 0:
        return _NO_SWINGS.clone()
    width = params.pivot_n if params.swing_mode == "pivot" else None
    columns: list[Column] = [
        Instants("ts", rows["ts"]),
        Instants("pivot_ts", rows["pivot_ts"]),
        Names("kind", SWING_KINDS, _mirrored(rows)),
        Reals("price", rows["price"]),
        Names("label", LABELS, rows["label"]),
    ]
    return table(SWING_SCHEMA, {**_named(key), "left_n": width, "right_n": width}, columns)


def break_frame(key: SeriesKey, rows: Columns) -> pl.DataFrame:
    """The rows of table `smc_events` from `BREAK` records."""
    if rows.size == 0:
        return _NO_BREAKS.clone()
    columns: list[Column] = [
        Instants("ts", rows["ts"]),
        Names("kind", BREAK_KINDS, _mirrored(rows) + 2 * (rows["choch"] == 0)),
        Instants("ref_ts", rows["ref_ts"]),
        Reals("level", rows["level"]),
    ]
    return table(BREAK_SCHEMA, _named(key), columns)


def liquidity_frame(key: SeriesKey, rows: Columns) -> pl.DataFrame:
    """The rows of table `liquidity_events` from `LIQUIDITY` records."""
    if rows.size == 0:
        return _NO_LIQUIDITY.clone()
    columns: list[Column] = [
        Instants("ts", rows["ts"]),
        Names("kind", LIQUIDITY_KINDS, rows["kind"]),
        Instants("ref_ts", rows["ref_ts"]),
        Reals("level", rows["level"]),
    ]
    return table(LIQUIDITY_SCHEMA, _named(key), columns)


def zone_event_frame(key: SeriesKey, times: Columns, codes: Columns) -> pl.DataFrame:
    """The rows of table `zone_events` from `EVENT_TIMES` and `EVENT_CODES`, in the order of their happening."""
    if times.size == 0:
        return _NO_ZONE_EVENTS.clone()
    columns: list[Column] = [
        Names("kind", ZONE_KINDS, codes["kind"]),
        Instants("created_ts", times["created_ts"]),
        Instants("parent_created_ts", times["parent_ts"]),
        Instants("ts", times["ts"]),
        Names("event", ZONE_EVENTS, codes["event"]),
        Plain("touches", codes["touches"], pa.int32()),
    ]
    return table(ZONE_EVENT_SCHEMA, _named(key), columns)


def zone_frame(key: SeriesKey, params: EngineParams, rows: Columns) -> pl.DataFrame:
    """The rows of table `zones` from `ZONE` records, one a zone."""
    if rows.size == 0:
        return _NO_ZONES.clone()
    columns: list[Column] = [
        Names("kind", ZONE_KINDS[:2], rows["kind"]),
        Instants("origin_ts", rows["origin_ts"]),
        Names("origin_event", BREAK_KINDS, rows["origin_event"]),
        *_life(rows),
    ]
    return table(ZONE_SCHEMA, {**_named(key), "expiry_bars": params.expiry_bars}, columns)


def inversion_frame(key: SeriesKey, params: EngineParams, rows: Columns) -> pl.DataFrame:
    """The rows of table `inversions` from `ZONE` records, one an inversion."""
    if rows.size == 0:
        return _NO_INVERSIONS.clone()
    columns: list[Column] = [
        Names("kind", ZONE_KINDS[2:], rows["kind"] - 2),
        Instants("parent_created_ts", rows["origin_ts"]),
        *_life(rows),
    ]
    return table(INVERSION_SCHEMA, {**_named(key), "expiry_bars": params.expiry_bars}, columns)


def signal_frame(key: SeriesKey, params: EngineParams, rows: Columns) -> pl.DataFrame:
    """The rows of table `signals_raw` from `SIGNAL` records."""
    if rows.size == 0:
        return _NO_SIGNALS.clone()
    short = _mirrored(rows)
    columns: list[Column] = [
        Texts("signal_id", _signal_ids(key, rows["ts"], short, params_hash=params.hash)),
        Instants("ts", rows["ts"]),
        Names("side_hint", SIGNAL_SIDES, short),
        Reals("entry_hint", rows["entry"]),
        Reals("sl_hint", rows["stop"]),
        Names("features", _feature_texts(), rows["flags"] + short * 2 ** len(FLAGS), pl.String()),
        Reals("score", rows["score"]),
        Names("zone_kind", ZONE_KINDS[:2], rows["zone_kind"]),
        Instants("zone_created_ts", rows["zone_created_ts"]),
        Plain("retest_ok", rows["retest_ok"] != 0, pa.bool_()),
        Plain("structure_ok", rows["structure_ok"] != 0, pa.bool_()),
    ]
    return table(
        SIGNAL_SCHEMA, {**_named(key), "agent": AGENT, "tp_r": params.tp_r, "ttl_bars": params.ttl_bars}, columns
    )


def signal_id(key: SeriesKey, ts: int, *, agent: str, side: str, params_hash: str) -> str:
    """The name of a signal: sha256 of series key, ts in µs, agent, side and parameters, its first 24 hex characters."""
    return hashlib.sha256(f"{key}|{ts}|{agent}|{side}|{params_hash}".encode()).hexdigest()[:HEX]


def _signal_ids(
    key: SeriesKey, ts: NDArray[np.int64], short: NDArray[np.int8], *, params_hash: str
) -> NDArray[np.uint8]:
    """`signal_id` of many signals of the retest, in ASCII; `ts` ascending."""
    ids = np.empty((ts.size, HEX), np.uint8)
    for code, side in enumerate(SIGNAL_SIDES):
        rows = np.flatnonzero(short == code)
        if rows.size:
            ids[rows] = hex_digests(f"{key}|".encode(), ts[rows], f"|{AGENT}|{side}|{params_hash}".encode())
    return ids


@cache
def _feature_texts() -> tuple[str, ...]:
    """Canonical JSON of every combination of flags under the contract's names: those of a LONG, then of a SHORT."""
    texts = []
    for direction in ("up", "down"):
        names = {"ema200": f"ema200_{direction}", "macd": f"macd_hist_{direction}", "rsi": "rsi_mid_rebound"}
        for flags in range(2 ** len(FLAGS)):
            values = {names.get(name, name): bool(flags >> bit & 1) for bit, name in enumerate(FLAGS)}
            texts.append(json.dumps(values, sort_keys=True, separators=(",", ":")))
    return tuple(texts)


def _mirrored(rows: Columns) -> NDArray[np.int8]:
    """0 for HIGH, up, DEMAND and LONG, 1 for their mirror images."""
    return (rows["side"] < 0).view(np.int8)


def _life(rows: Columns) -> list[Column]:
    """What zones and inversions have in common."""
    return [
        Names("side", SIDES, _mirrored(rows)),
        Reals("price_lo", rows["price_lo"]),
        Reals("price_hi", rows["price_hi"]),
        Instants("created_ts", rows["created_ts"]),
        Plain("strength", rows["strength"], pa.int16()),
        # Later touches are counted, not written, until the zone ends.
        Plain("touches", np.where(rows["status"] == 0, np.minimum(rows["touches"], 1), rows["touches"]), pa.int32()),
        Instants("first_touch_ts", rows["first_touch_ts"]),
        Names("status", STATUSES, rows["status"]),
        Instants("ended_ts", rows["ended_ts"]),
    ]


def _named(key: SeriesKey) -> dict[str, Value]:
    return {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf)}
