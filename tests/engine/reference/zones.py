"""Engine-spec section 5: zones, their inversions and the life cycle of both.

What is formed depends on bars and breaks alone and is found first; then all of it lives through the bars together,
because the limits look at everything that is active.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.engine.reference.bars import DEMAND, DOWN, SIDE, SUPPLY, UP
from tests.engine.reference.features import mean

if TYPE_CHECKING:
    from engine import EngineParams
    from tests.engine.reference.bars import Bars
    from tests.engine.reference.features import Column
    from tests.engine.reference.structure import Break

OB, FVG = "OB", "FVG"
INVERSION = {OB: "BREAKER", FVG: "IFVG"}
OTHER_SIDE = {DEMAND: SUPPLY, SUPPLY: DEMAND}


@dataclass
class Write:
    """An event of a zone's life at bar `bar`, with the touches counted until then."""

    zone: Zone
    bar: int
    event: str
    touches: int


@dataclass
class Zone:
    """A zone or an inversion (then it has a parent); bars by their index."""

    kind: str
    side: str
    price_lo: float
    price_hi: float
    created: int
    strength: int
    origin: int | None = None
    origin_event: str | None = None
    parent: Zone | None = None
    touches: int = 0
    status: str = "ACTIVE"
    ended: int | None = None
    writes: list[Write] = field(default_factory=list)

    def is_active_after(self, t: int) -> bool:
        """Whether it is ACTIVE at the end of bar t."""
        return self.created <= t and (self.ended is None or self.ended > t)


@dataclass
class Lives:
    """What became of every zone and inversion: all of them, oldest first, and every write in the order it was made."""

    zones: list[Zone] = field(default_factory=list)
    inversions: list[Zone] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)

    def write(self, zone: Zone, t: int, event: str) -> None:
        """Of two writes at one bar only the later stands (in the place of the earlier)."""
        if zone.writes and zone.writes[-1].bar == t:
            zone.writes[-1].event, zone.writes[-1].touches = event, zone.touches
        else:
            zone.writes.append(Write(zone, t, event, zone.touches))
            self.writes.append(zone.writes[-1])

    def end(self, zone: Zone, t: int, status: str) -> None:
        zone.status, zone.ended = status, t
        self.write(zone, t, status)


@dataclass
class Population:
    """The active ones, oldest first; `limit` counts all kinds and sides together."""

    lives: Lives
    limit: int
    active: list[Zone] = field(default_factory=list)

    def live(self, bars: Bars, t: int, expiry_bars: int) -> list[Zone]:
        """The life cycle of every active zone at bar t, oldest first: those that were MITIGATED."""
        for zone in self.active:
            live_one_bar(zone, bars, t, expiry_bars, self.lives)
        mitigated = [zone for zone in self.active if zone.status == "MITIGATED"]
        self.active = [zone for zone in self.active if zone.status == "ACTIVE"]
        return mitigated

    def add(self, zone: Zone) -> None:
        self.lives.write(zone, zone.created, "CREATED")
        self.active.append(zone)
        if len(self.active) > self.limit:
            self.lives.end(self.active.pop(0), zone.created, "EVICTED")


def live_one_bar(zone: Zone, bars: Bars, t: int, expiry_bars: int, lives: Lives) -> None:
    high, low, close = bars.high[t], bars.low[t], bars.close[t]
    if zone.side == DEMAND:
        touched = low <= zone.price_hi
        beyond = close < zone.price_lo
    else:
        touched = high >= zone.price_lo
        beyond = close > zone.price_hi
    if touched:
        zone.touches += 1
        if zone.touches == 1:
            lives.write(zone, t, "TOUCHED")
    if beyond:
        lives.end(zone, t, "MITIGATED")
    elif t - zone.created >= expiry_bars:
        lives.end(zone, t, "EXPIRED")


def live_through(bars: Bars, atr: Column, breaks: list[Break], params: EngineParams) -> Lives:
    """Every zone and inversion as it stands after the last bar."""
    gaps = fair_value_gaps(bars, atr, breaks, params)
    blocks = order_blocks(bars, atr, breaks, gaps, params)
    gap_at = {gap.created: gap for gap in gaps}
    block_at = {block.created: block for block in blocks}
    lives = Lives()
    zones, inversions = Population(lives, params.max_zones), Population(lives, params.max_inversions)
    for t in range(len(bars)):
        mitigated = zones.live(bars, t, params.expiry_bars)
        inversions.live(bars, t, params.expiry_bars)
        for zone in mitigated:
            lives.inversions.append(inversion(zone, t))
            inversions.add(lives.inversions[-1])
        for formed in (gap_at.get(t), block_at.get(t)):
            if formed is not None:
                lives.zones.append(formed)
                zones.add(formed)
    return lives


def inversion(zone: Zone, t: int) -> Zone:
    """A zone of the other side with the same bounds and strength."""
    return Zone(
        INVERSION[zone.kind], OTHER_SIDE[zone.side], zone.price_lo, zone.price_hi, t, zone.strength, parent=zone
    )


def fair_value_gaps(bars: Bars, atr: Column, breaks: list[Break], params: EngineParams) -> list[Zone]:
    found: list[Zone] = []
    broken = {event.bar: event.direction for event in breaks}
    for t in range(2, len(bars)):
        width = atr[t]
        if width is None or not width > 0:
            continue
        if bars.open_time[t] - bars.open_time[t - 2] != 2 * bars.tf_us:
            continue
        bounds = fair_value_gap(bars, t, params.fvg_min_atr * width)
        if bounds is None:
            continue
        direction, lo, hi = bounds
        confluent = any(broken.get(u) == direction for u in range(t - params.confluence_bars, t + 1))
        found.append(Zone(FVG, SIDE[direction], lo, hi, t, strength(bars, t, (hi - lo) / width, confluent), t - 1))
    return found


def fair_value_gap(bars: Bars, t: int, least: float) -> tuple[int, float, float] | None:
    """Direction, price_lo and price_hi of the gap between bars t−2 and t that is at least `least` wide."""
    if bars.low[t] > bars.high[t - 2] and bars.low[t] - bars.high[t - 2] >= least:
        return UP, bars.high[t - 2], bars.low[t]
    if bars.high[t] < bars.low[t - 2] and bars.low[t - 2] - bars.high[t] >= least:
        return DOWN, bars.high[t], bars.low[t - 2]
    return None


def order_blocks(bars: Bars, atr: Column, breaks: list[Break], gaps: list[Zone], params: EngineParams) -> list[Zone]:
    found: list[Zone] = []
    formed = {gap.created: gap.side for gap in gaps}
    for event in breaks:
        t = event.bar
        width = atr[t]
        if width is None or not width > 0:
            continue
        origin = last_candle_against(bars, event, params.ob_lookback)
        if origin is None:
            continue
        side = SIDE[event.direction]
        confluent = any(formed.get(u) == side for u in range(t - params.confluence_bars, t + 1))
        disp = abs(bars.close[t] - bars.close[origin]) / width
        power = strength(bars, t, disp, confluent)
        found.append(Zone(OB, side, bars.low[origin], bars.high[origin], t, power, origin, event.kind))
    return found


def last_candle_against(bars: Bars, event: Break, lookback: int) -> int | None:
    t = event.bar
    for u in range(t - 1, max(event.reference.pivot, t - lookback) - 1, -1):
        if event.direction == UP and bars.close[u] < bars.open[u]:
            return u
        if event.direction == DOWN and bars.close[u] > bars.open[u]:
            return u
    return None


def strength(bars: Bars, t: int, disp: float, confluent: bool) -> int:  # noqa: FBT001 - the third term of a sum
    traded = mean(bars.volume[t - 19 : t + 1]) if t >= 19 else 0.0
    relative = math.floor(min(bars.volume[t] / traded, 2)) if traded != 0 else 0
    return math.floor(2 * min(disp, 3)) + relative + (2 if confluent else 0)
