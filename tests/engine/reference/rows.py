"""The findings of this reading as rows of schema.md's tables: bars by their ts in µs, without the series key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.engine.reference.bars import UP

if TYPE_CHECKING:
    from engine import EngineParams
    from tests.engine.reference.bars import Bars
    from tests.engine.reference.liquidity import Liquidity
    from tests.engine.reference.retest import Signal
    from tests.engine.reference.structure import Break
    from tests.engine.reference.swings import Swing
    from tests.engine.reference.zones import Write, Zone

Row = dict[str, Any]


def regime_rows(bars: Bars, found: list[tuple[int, str, str]]) -> list[Row]:
    return [{"ts": bars.ts(t), "regime": regime, "vol_state": vol_state} for t, regime, vol_state in found]


def swing_rows(bars: Bars, swings: list[Swing]) -> list[Row]:
    return [
        {
            "ts": bars.ts(swing.bar),
            "pivot_ts": bars.ts(swing.pivot),
            "kind": swing.kind,
            "price": swing.price,
            "label": swing.label,
            "left_n": swing.half_width,
            "right_n": swing.half_width,
        }
        for swing in swings
    ]


def break_rows(bars: Bars, breaks: list[Break]) -> list[Row]:
    return [
        {
            "ts": bars.ts(event.bar),
            "kind": event.kind,
            "ref_ts": bars.ts(event.reference.pivot),
            "level": event.reference.price,
        }
        for event in breaks
    ]


def liquidity_rows(bars: Bars, events: list[Liquidity]) -> list[Row]:
    return [
        {"ts": bars.ts(event.bar), "kind": event.kind, "ref_ts": bars.ts(event.pivot), "level": event.level}
        for event in events
    ]


def zone_event_rows(bars: Bars, writes: list[Write]) -> list[Row]:
    """In the order of writing; the text names none for the events of one bar."""
    return [
        {
            "kind": write.zone.kind,
            "created_ts": bars.ts(write.zone.created),
            "parent_created_ts": bars.ts(write.zone.parent.created) if write.zone.parent else None,
            "ts": bars.ts(write.bar),
            "event": write.event,
            "touches": write.touches,
        }
        for write in writes
    ]


def zone_rows(bars: Bars, zones: list[Zone], params: EngineParams) -> list[Row]:
    """One row a zone, as its last event left it, in order of creation."""
    return [
        {
            "kind": zone.kind,
            "side": zone.side,
            "price_lo": zone.price_lo,
            "price_hi": zone.price_hi,
            "created_ts": bars.ts(zone.created),
            "origin_ts": None if zone.origin is None else bars.ts(zone.origin),
            "origin_event": zone.origin_event,
            **life_of(bars, zone, params),
        }
        for zone in zones
    ]


def inversion_rows(bars: Bars, inversions: list[Zone], params: EngineParams) -> list[Row]:
    return [
        {
            "kind": zone.kind,
            "side": zone.side,
            "price_lo": zone.price_lo,
            "price_hi": zone.price_hi,
            "created_ts": bars.ts(zone.created),
            "parent_created_ts": bars.ts(zone.parent.created) if zone.parent else None,
            **life_of(bars, zone, params),
        }
        for zone in inversions
    ]


def life_of(bars: Bars, zone: Zone, params: EngineParams) -> Row:
    touched = [write.bar for write in zone.writes if write.touches]
    return {
        "strength": zone.strength,
        "expiry_bars": params.expiry_bars,
        "touches": zone.writes[-1].touches,
        "first_touch_ts": bars.ts(touched[0]) if touched else None,
        "status": zone.status,
        "ended_ts": None if zone.ended is None else bars.ts(zone.ended),
    }


def signal_rows(bars: Bars, signals: list[Signal], params: EngineParams) -> list[Row]:
    """Without signal_id, which is made of the series key and the parameters' hash."""
    return [
        {
            "agent": "retest",
            "ts": bars.ts(signal.bar),
            "side_hint": "LONG" if signal.direction == UP else "SHORT",
            "entry_hint": signal.entry,
            "sl_hint": signal.stop,
            "tp_r": list(params.tp_r),
            "features": features(signal),
            "score": signal.score,
            "ttl_bars": params.ttl_bars,
            "zone_kind": signal.zone.kind,
            "zone_created_ts": bars.ts(signal.zone.created),
            "retest_ok": signal.retest_ok,
            "structure_ok": signal.structure_ok,
        }
        for signal in signals
    ]


def features(signal: Signal) -> str:
    """The flags under the contract's names, seen from the signal's side: canonical JSON."""
    ending = "up" if signal.direction == UP else "down"
    named = {
        f"ema200_{ending}": signal.flags["ema200"],
        f"macd_hist_{ending}": signal.flags["macd"],
        "rsi_mid_rebound": signal.flags["rsi"],
        "micro_bos": signal.flags["micro_bos"],
        "in_direction": signal.flags["in_direction"],
    }
    return json.dumps(named, sort_keys=True, separators=(",", ":"))
