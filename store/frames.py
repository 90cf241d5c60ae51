"""The tables of analysis as polars frames: columns, types, order, and the check every frame passes before it is stored.

The engine hands its rows over in these very frames, and they are read back in them: names, types and order equal, null
= not defined (never NaN). A frame that differs is refused as a whole, with a message that names series, column and row.
What a table means stands in its comments (`store/migrations/versions`).

    check_frame("swings", key, frame, ts_start=first, ts_end=stop)
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import polars as pl

from contracts import SeriesKey
from store.errors import FrameRejected

AnalysisTable = Literal[
    "indicators",
    "regimes",
    "swings",
    "smc_events",
    "liquidity_events",
    "zone_events",
    "zones",
    "inversions",
    "signals_raw",
]

INSTANT: Final = pl.Datetime("us", "UTC")
_SERIES: Final = dict.fromkeys(("venue", "symbol", "tf"), pl.String())
_KEY: Final = {**_SERIES, "ts": INSTANT}
_ENDS: Final = ("MITIGATED", "EXPIRED", "EVICTED")
_BREAKS: Final = ("CHOCH_UP", "CHOCH_DN", "BOS_UP", "BOS_DN")
_LEVEL: Final = {"ref_ts": INSTANT, "level": pl.Float64()}
_BOUNDS: Final = {
    "side": pl.Enum(("DEMAND", "SUPPLY")),
    "price_lo": pl.Float64(),
    "price_hi": pl.Float64(),
    "created_ts": INSTANT,
}
_LIFE: Final = {
    "strength": pl.Int16(),
    "expiry_bars": pl.Int32(),
    "touches": pl.Int32(),
    "first_touch_ts": INSTANT,
    "status": pl.Enum(("ACTIVE", *_ENDS)),
    "ended_ts": INSTANT,
}

SCHEMAS: Final[Mapping[AnalysisTable, pl.Schema]] = {
    "indicators": pl.Schema(
        {
            **_KEY,
            **dict.fromkeys(("ema20", "ema50", "ema200", "rsi14", "macd", "macd_signal", "macd_hist"), pl.Float64()),
            **dict.fromkeys(("atr14", "adx14", "bb_mid", "bb_upper", "bb_lower", "vwap", "vwma20"), pl.Float64()),
            **dict.fromkeys(("natr", "natr_rank", "bbw_rank"), pl.Float64()),
            "trend": pl.Int16(),
            "range_pos": pl.Float64(),
        }
    ),
    "regimes": pl.Schema(
        {**_KEY, "regime": pl.Enum(("RANGE", "TREND", "SHOCK")), "vol_state": pl.Enum(("OK", "CHOP", "SHOCK"))}
    ),
    "swings": pl.Schema(
        {
            **_KEY,
            "pivot_ts": INSTANT,
            "kind": pl.Enum(("HIGH", "LOW")),
            "price": pl.Float64(),
            "label": pl.Enum(("HH", "LH", "LL", "HL")),
            "left_n": pl.Int16(),
            "right_n": pl.Int16(),
        }
    ),
    "smc_events": pl.Schema({**_KEY, "kind": pl.Enum(_BREAKS), **_LEVEL}),
    "liquidity_events": pl.Schema({**_KEY, "kind": pl.Enum(("EQH", "EQL", "SWEEP_HIGH", "SWEEP_LOW")), **_LEVEL}),
    "zone_events": pl.Schema(
        {
            **_SERIES,
            "kind": pl.Enum(("OB", "FVG", "BREAKER", "IFVG")),
            "created_ts": INSTANT,
            "parent_created_ts": INSTANT,
            "ts": INSTANT,
            "event": pl.Enum(("CREATED", "TOUCHED", *_ENDS)),
            "touches": pl.Int32(),
        }
    ),
    "zones": pl.Schema(
        {
            **_SERIES,
            "kind": pl.Enum(("OB", "FVG")),
            **_BOUNDS,
            "origin_ts": INSTANT,
            "origin_event": pl.Enum(_BREAKS),
            **_LIFE,
        }
    ),
    "inversions": pl.Schema(
        {**_SERIES, "kind": pl.Enum(("BREAKER", "IFVG")), **_BOUNDS, "parent_created_ts": INSTANT, **_LIFE}
    ),
    "signals_raw": pl.Schema(
        {
            "signal_id": pl.String(),
            "agent": pl.String(),
            **_KEY,
            "side_hint": pl.Enum(("LONG", "SHORT")),
            "entry_hint": pl.Float64(),
            "sl_hint": pl.Float64(),
            "tp_r": pl.List(pl.Float64()),
            "features": pl.String(),
            "score": pl.Float64(),
            "ttl_bars": pl.Int32(),
            "zone_kind": pl.Enum(("OB", "FVG")),
            "zone_created_ts": INSTANT,
            "retest_ok": pl.Boolean(),
            "structure_ok": pl.Boolean(),
        }
    ),
}

# What a row became known by: the time its window is cut by.
TIMES: Final[Mapping[AnalysisTable, str]] = {
    **dict.fromkeys(SCHEMAS, "ts"),
    "zones": "created_ts",
    "inversions": "created_ts",
}


def check_frame(
    table: AnalysisTable, key: SeriesKey, frame: pl.DataFrame, *, ts_start: datetime | None, ts_end: datetime
) -> None:
    """Refuse a frame that is not this table's, this series' and this window's.

    Args:
        table: Where it is going.
        key: The series.
        frame: The rows.
        ts_start: First instant a row may have become known at; None = as early as it likes.
        ts_end: Exclusive end.

    Raises:
        FrameRejected: Other columns or types, another series, or a row outside the window.
    """
    schema = SCHEMAS[table]
    if sorted(frame.columns) != sorted(schema):
        msg = f"{table} of {key} came with the columns {frame.columns}: the table has {list(schema)}"
        raise FrameRejected(msg)
    for name, wanted in schema.items():
        received = frame.schema[name]
        if received != wanted and not (is_text(received) and is_text(wanted)):
            msg = f"{table} of {key}: column {name!r} came as {received}, the table has {wanted}"
            raise FrameRejected(msg)
    if frame.is_empty():
        return
    foreign = frame.filter(
        (pl.col("venue") != key.venue) | (pl.col("symbol") != key.symbol) | (pl.col("tf") != str(key.tf))
    )
    if not foreign.is_empty():
        series = ":".join(foreign.select("venue", "symbol", "tf").row(0))
        msg = f"{table} of {key} came with {foreign.height} rows of another series, the first of {series}"
        raise FrameRejected(msg)
    time = TIMES[table]
    too_early = pl.lit(value=False) if ts_start is None else pl.col(time) < ts_start
    outside = frame.filter(too_early | (pl.col(time) >= ts_end))
    if not outside.is_empty():
        window = "before" if ts_start is None else f"from {ts_start.isoformat()} to before"
        msg = (
            f"{table} of {key}: {outside.height} rows lie outside the window, the first at "
            f"{outside[time][0].isoformat()}; {time} of its bars is {window} {ts_end.isoformat()}"
        )
        raise FrameRejected(msg)


def is_text(dtype: pl.DataType) -> bool:
    """Whether values of this type are texts in the database; an Enum's order does not matter there."""
    return dtype == pl.String or isinstance(dtype, pl.Enum)
