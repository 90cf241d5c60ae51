"""Zones that live and die by dice, one throw a bar: histories that share every bar up to a revised one.

What happens at a bar depends on its seed and on the zones alive then. A market whose bars from some slot on have
another seed agrees with the first before it and differs after it, as the analysis of a revised candle does.

    told = history([7] * 40)
    expected, window = told.frames(0, 40), told.frames(10, 20)
"""

import random
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from contracts import SeriesKey
from store.frames import AnalysisTable
from tests.store.frames import KEY, rows_of, ts

TABLES: tuple[AnalysisTable, ...] = ("zone_events", "zones", "inversions")
_INVERSE = {"OB": "BREAKER", "FVG": "IFVG"}
_OTHER_SIDE = {"DEMAND": "SUPPLY", "SUPPLY": "DEMAND"}


@dataclass(frozen=True)
class Life:
    """A zone or inversion after one event at `slot`."""

    kind: str
    side: str
    low: float
    high: float
    created: int
    parent: int | None
    slot: int
    event: str = "CREATED"
    touches: int = 0
    first_touch: int | None = None
    ended: int | None = None


@dataclass(frozen=True)
class History:
    """Every event, in the order it happened, with the zone as the event left it."""

    events: tuple[Life, ...]

    def frames(self, start: int, end: int, *, key: SeriesKey = KEY) -> dict[AnalysisTable, pl.DataFrame]:
        """The three frames of the bars of slots [start, end): what the engine hands over for them."""
        seen = [life for life in self.events if start <= life.slot < end]
        last = {(life.kind, life.created, life.parent): life for life in seen}.values()
        zones = sorted((life for life in last if life.parent is None), key=lambda life: (life.created, life.kind))
        inversions = sorted(
            (life for life in last if life.parent is not None),
            key=lambda life: (life.created, life.parent, life.kind == "BREAKER"),
        )
        events = sorted(
            seen, key=lambda life: (life.slot, life.created, -1 if life.parent is None else life.parent, life.kind)
        )
        rows: dict[AnalysisTable, list[dict[str, Any]]] = {
            "zone_events": [_event(life) for life in events],
            "zones": [_state(life) for life in zones],
            "inversions": [_state(life) for life in inversions],
        }
        return {table: rows_of(table, found, key=key) for table, found in rows.items()}


def history(seeds: list[int]) -> History:
    """What happens in a market whose bars have these seeds."""
    alive: list[Life] = []
    told: list[Life] = []
    for slot, seed in enumerate(seeds):
        dice = random.Random(f"{seed} {slot}")
        survivors: list[Life] = []
        born: list[Life] = []
        for life in alive:
            after, event = _bar(life, slot, dice)
            if event is not None:
                told.append(replace(after, slot=slot, event=event))
            if after.ended is None:
                survivors.append(after)
            elif event == "MITIGATED" and life.parent is None:
                inverse = _INVERSE[life.kind]
                born.append(
                    Life(inverse, _OTHER_SIDE[life.side], life.low, life.high, slot, parent=life.created, slot=slot)
                )
        for kind in ("FVG", "OB"):
            if dice.random() < 0.4:
                low = dice.uniform(1, 100)
                born.append(Life(kind, dice.choice(["DEMAND", "SUPPLY"]), low, low * 1.1, slot, parent=None, slot=slot))
        for life in born:
            if dice.random() < 0.1:  # a limit of one: gone at the bar it came
                told.append(replace(life, event="EVICTED", ended=slot))
            else:
                told.append(life)
                survivors.append(life)
        alive = survivors
    return History(tuple(told))


def _bar(life: Life, slot: int, dice: random.Random) -> tuple[Life, str | None]:
    event = None
    if dice.random() < 0.3:
        event = "TOUCHED" if life.touches == 0 else None
        first = slot if life.first_touch is None else life.first_touch
        life = replace(life, touches=life.touches + 1, first_touch=first)
    if dice.random() < 0.2:
        event = dice.choice(["MITIGATED", "MITIGATED", "EXPIRED", "EVICTED"])
        life = replace(life, ended=slot)
    return life, event


def _event(life: Life) -> dict[str, Any]:
    return {
        "kind": life.kind,
        "created_ts": ts(life.created),
        "parent_created_ts": None if life.parent is None else ts(life.parent),
        "ts": ts(life.slot),
        "event": life.event,
        "touches": life.touches,
    }


def _state(life: Life) -> dict[str, Any]:
    origin: dict[str, Any] = {"parent_created_ts": None if life.parent is None else ts(life.parent)}
    if life.parent is None:
        origin = {"origin_ts": ts(life.created - 2), "origin_event": "BOS_UP" if life.kind == "OB" else None}
    return {
        "kind": life.kind,
        "side": life.side,
        "price_lo": life.low,
        "price_hi": life.high,
        "created_ts": ts(life.created),
        **origin,
        "strength": life.created % 11,
        "expiry_bars": 200,
        "touches": life.touches,
        "first_touch_ts": None if life.first_touch is None else ts(life.first_touch),
        "status": "ACTIVE" if life.ended is None else life.event,
        "ended_ts": None if life.ended is None else ts(life.ended),
    }
