"""Engine-spec section 6: the signals of the agent `retest`, setup by setup.

Setups follow one another: an older one has its last test at the bar that opens the next. Zones are looked at with
hindsight (when each was created and ended is known by now), which is why nothing here has to keep them up to date.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.engine.reference.bars import SIDE, UP
from tests.engine.reference.zones import FVG, Zone

if TYPE_CHECKING:
    from engine import EngineParams
    from tests.engine.reference.bars import Bars
    from tests.engine.reference.features import Column
    from tests.engine.reference.structure import Break


@dataclass(frozen=True)
class Known:
    """What sections 1 to 5 found; events and zones in the order of their bars."""

    bars: Bars
    columns: dict[str, Column]
    breaks: list[Break]
    zones: list[Zone]
    params: EngineParams

    def zones_created(self, side: str, first: int, end: int) -> list[Zone]:
        """The zones of a side created at a bar in [first, end)."""
        start = bisect_left(self.zones, first, key=lambda zone: zone.created)
        stop = bisect_left(self.zones, end, key=lambda zone: zone.created)
        return [zone for zone in self.zones[start:stop] if zone.side == side]

    def breaks_until(self, t: int) -> list[Break]:
        return self.breaks[: bisect_right(self.breaks, t, key=lambda event: event.bar)]


@dataclass(frozen=True)
class Signal:
    """A confirmed retest at bar `bar`; flags by their names in section 6."""

    bar: int
    direction: int
    zone: Zone
    entry: float
    stop: float
    flags: dict[str, bool]
    retest_ok: bool
    structure_ok: bool
    score: float


@dataclass
class Retests:
    """The signals, how the setups ended (signal, window, opposite, replaced) and what confirmed the signals."""

    signals: list[Signal] = field(default_factory=list)
    setup_ends: Counter[str] = field(default_factory=Counter)
    confirmations: Counter[str] = field(default_factory=Counter)


def retests(known: Known) -> Retests:
    result = Retests()
    events = {event.bar: event for event in known.breaks}
    for opener in known.breaks:
        ending = follow_setup(known, opener, events, result.signals)
        if ending is not None:
            result.setup_ends[ending] += 1
    for signal in result.signals:
        confirmed = [name for name in ("in_direction", "micro_bos") if signal.flags[name]]
        result.confirmations.update(confirmed if len(confirmed) > 1 else [*confirmed, f"{confirmed[0]} alone"])
    return result


def follow_setup(known: Known, opener: Break, events: dict[int, Break], signals: list[Signal]) -> str | None:
    """Test the setup opened by a break at each bar of its window: how it ended, None where the bars end first."""
    entered: list[Zone] = []
    for t in range(opener.bar + 1, opener.bar + known.params.retest_window + 1):
        if t >= len(known.bars):
            return None
        event = events.get(t)
        if event is not None and event.direction != opener.direction:
            return "opposite"
        signal = try_setup(known, opener, entered, t)
        if signal is not None:
            signals.append(signal)
            return "signal"
        if event is not None:
            return "replaced"
    return "window" if opener.bar + known.params.retest_window + 1 < len(known.bars) else None


def try_setup(known: Known, opener: Break, entered: list[Zone], t: int) -> Signal | None:
    width = known.columns["atr14"][t]
    if width is None:
        return None
    tol = known.params.retest_tol * width
    enter_zones(known, opener, entered, t, tol)
    counting = [zone for zone in entered if zone.is_active_after(t)]
    if not counting:
        return None
    zone = max(counting, key=lambda zone: (zone.strength, zone.created, zone.kind == FVG))
    flags = confirmation(known, opener.direction, t)
    return None if flags is None else signal_of(known, opener.direction, t, zone, tol, flags)


def enter_zones(known: Known, opener: Break, entered: list[Zone], t: int, tol: float) -> None:
    """Zones of the setup's side, active, created from the reference's pivot bar on; those made at t join after it."""
    for zone in known.zones_created(SIDE[opener.direction], opener.reference.pivot, t):
        if zone in entered or not zone.is_active_after(t):
            continue
        if known.bars.low[t] <= zone.price_hi + tol and known.bars.high[t] >= zone.price_lo - tol:
            entered.append(zone)


def confirmation(known: Known, direction: int, t: int) -> dict[str, bool] | None:
    """The flags of a confirmed bar; None where it is not confirmed or lacks a feature."""
    columns, params = known.columns, known.params
    opened, close = known.bars.open[t], known.bars.close[t]
    ema = columns["ema200"][t]
    rsi_before, rsi = columns["rsi14"][t - 1], columns["rsi14"][t]
    hist_before, hist = columns["macd_hist"][t - 1], columns["macd_hist"][t]
    if ema is None or rsi_before is None or rsi is None or hist_before is None or hist is None:
        return None
    micro_bos = known.bars.micro_bos[t] == direction
    if direction == UP:
        lo, hi = params.rsi_long
        flags = {
            "ema200": close > ema,
            "macd": hist > hist_before,
            "rsi": lo <= rsi_before <= hi and rsi > rsi_before,
            "micro_bos": micro_bos,
            "in_direction": close > opened,
        }
    else:
        lo, hi = params.rsi_short
        flags = {
            "ema200": close < ema,
            "macd": hist < hist_before,
            "rsi": lo <= rsi_before <= hi and rsi < rsi_before,
            "micro_bos": micro_bos,
            "in_direction": close < opened,
        }
    return flags if flags["in_direction"] or flags["micro_bos"] else None


def signal_of(known: Known, direction: int, t: int, zone: Zone, tol: float, flags: dict[str, bool]) -> Signal:
    retest_ok = flags["macd"] and flags["rsi"]
    structure_ok = is_structure_ok(known.breaks_until(t), direction)
    score = (
        0.30
        + 0.20 * retest_ok
        + 0.15 * structure_ok
        + 0.10 * flags["ema200"]
        + 0.05 * flags["macd"]
        + 0.05 * flags["rsi"]
        + 0.15 * zone.strength / 10
    )
    return Signal(
        t,
        direction,
        zone,
        known.bars.close[t],
        zone.price_lo - tol if direction == UP else zone.price_hi + tol,
        flags,
        retest_ok,
        structure_ok,
        score,
    )


def is_structure_ok(breaks: list[Break], direction: int) -> bool:
    """The most recent CHOCH of either direction was in d, and at least one BOS in d came after it."""
    followed = False
    for event in reversed(breaks):
        if event.is_choch:
            return event.direction == direction and followed
        followed = followed or event.direction == direction
    return False
