"""Small frames for tests of the store, written by hand."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from contracts import SeriesKey
from contracts.candles import CANDLE_SCHEMA
from store.frames import SCHEMAS, AnalysisTable

KEY = SeriesKey("binance_usdm", "BTCUSDT", "1m")
T0 = datetime(2022, 1, 1, tzinfo=UTC)
SEEN = datetime(2022, 2, 1, 12, tzinfo=UTC)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def candles(slots: list[int], *, close: str | dict[int, str] = "100.5") -> pl.DataFrame:
    """One-minute candles in the given slots after T0; `close` is the only value that differs."""
    closes = close if isinstance(close, dict) else dict.fromkeys(slots, close)
    rows = [
        (T0 + minutes(slot), "100.10", "200", "50", closes[slot], "12.500", 7, "3.25", "1250.0000") for slot in slots
    ]
    return pl.DataFrame(rows, schema=CANDLE_SCHEMA, orient="row")


def ts(slot: int) -> datetime:
    """The close boundary of the one-minute bar that opens `slot` minutes after T0."""
    return T0 + minutes(slot + 1)


def rows_of(table: AnalysisTable, rows: list[dict[str, Any]], *, key: SeriesKey = KEY) -> pl.DataFrame:
    """A frame of an analysis table; what a row does not name is null."""
    series = {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf)}
    return pl.DataFrame([{**series, **row} for row in rows], schema=SCHEMAS[table])


def swings(slots: list[int], *, price: float = 100.5) -> pl.DataFrame:
    """A HIGH confirmed at each slot, three bars after its pivot; the first has no label."""
    rows = [
        {"ts": ts(slot), "pivot_ts": ts(slot - 3), "kind": "HIGH", "price": price, "left_n": 3, "right_n": 3}
        | ({"label": "HH"} if slot != slots[0] else {})
        for slot in slots
    ]
    return rows_of("swings", rows)


def breaks(slots: list[int]) -> pl.DataFrame:
    """The four kinds of structure break in turn."""
    kinds = ("CHOCH_UP", "CHOCH_DN", "BOS_UP", "BOS_DN")
    rows = [{"ts": ts(s), "kind": kinds[s % 4], "ref_ts": ts(s - 9), "level": 41000.0 + s} for s in slots]
    return rows_of("smc_events", rows)


def liquidity(slots: list[int]) -> pl.DataFrame:
    """At each slot a swept high and equal lows, in the engine's order: the high side first."""
    sides = (("SWEEP_HIGH", 101.25), ("EQL", 99.75))
    rows = [{"ts": ts(s), "kind": kind, "ref_ts": ts(s - 5), "level": level} for s in slots for kind, level in sides]
    return rows_of("liquidity_events", rows)


def signals(slots: list[int], *, agent: str = "retest", **others: object) -> pl.DataFrame:
    """A LONG of an agent at each slot."""
    rows = [
        {
            "signal_id": hashlib.sha256(f"{agent} {slot}".encode()).hexdigest()[:24],
            "agent": agent,
            "ts": ts(slot),
            "side_hint": "LONG",
            "entry_hint": 100.1 + slot,
            "sl_hint": 99.30000000000001,
            "tp_r": [1.5, 2.0, 3.0],
            "features": '{"ema200_up":true,"in_direction":false}',
            "score": 0.85,
            "ttl_bars": 6,
            "zone_kind": "OB",
            "zone_created_ts": ts(slot - 4),
            "retest_ok": True,
            "structure_ok": False,
            **others,
        }
        for slot in slots
    ]
    return rows_of("signals_raw", rows)
