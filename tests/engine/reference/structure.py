"""Engine-spec section 4: breaks of structure, the trend after each bar, and where its close stands in the range."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.engine.reference.bars import DOWN, HIGH, LOW, UP

if TYPE_CHECKING:
    from tests.engine.reference.bars import Bars
    from tests.engine.reference.features import Column
    from tests.engine.reference.swings import Swing


@dataclass(frozen=True)
class Break:
    """A BOS or CHOCH at bar `bar` in `direction`, through the swing `reference`."""

    bar: int
    kind: str
    direction: int
    reference: Swing

    @property
    def is_choch(self) -> bool:
        return self.kind.startswith("CHOCH")


@dataclass
class Side:
    """The swings of one kind confirmed at a later bar than that side's last break."""

    since_break: list[Swing] = field(default_factory=list)

    def last(self) -> Swing | None:
        return self.since_break[-1] if self.since_break else None

    def external(self) -> Swing | None:
        """The most extreme; of equal prices the first."""
        if not self.since_break:
            return None
        pick = max if self.since_break[0].kind == HIGH else min
        return pick(self.since_break, key=lambda swing: swing.price)


def by_bar(swings: list[Swing], bars: Bars) -> list[list[Swing]]:
    found: list[list[Swing]] = [[] for _ in range(len(bars))]
    for swing in swings:
        found[swing.bar].append(swing)
    return found


def breaks(bars: Bars, swings: list[Swing]) -> tuple[list[Break], list[int]]:
    """The events, and the trend after the event of every bar."""
    events: list[Break] = []
    trends: list[int] = []
    trend = 0
    sides = {HIGH: Side(), LOW: Side()}
    for t, confirmed in enumerate(by_bar(swings, bars)):
        for swing in confirmed:
            sides[swing.kind].since_break.append(swing)
        upward = sides[HIGH].last() if trend == DOWN else sides[HIGH].external()
        downward = sides[LOW].last() if trend == UP else sides[LOW].external()
        if upward is not None and bars.close[t] > upward.price:
            events.append(Break(t, "CHOCH_UP" if trend == DOWN else "BOS_UP", UP, upward))
            trend = UP
            sides[HIGH] = Side()
        elif downward is not None and bars.close[t] < downward.price:
            events.append(Break(t, "CHOCH_DN" if trend == UP else "BOS_DN", DOWN, downward))
            trend = DOWN
            sides[LOW] = Side()
        trends.append(trend)
    return events, trends


def range_positions(bars: Bars, swings: list[Swing]) -> Column:
    """(close − L)/(H − L) between the most recently confirmed HIGH and LOW, broken or not."""
    result: Column = []
    latest: dict[str, float] = {}
    for t, confirmed in enumerate(by_bar(swings, bars)):
        for swing in confirmed:
            latest[swing.kind] = swing.price
        if HIGH in latest and LOW in latest and latest[HIGH] > latest[LOW]:
            result.append((bars.close[t] - latest[LOW]) / (latest[HIGH] - latest[LOW]))
        else:
            result.append(None)
    return result


def micro_bos(parent: Bars, sub: Bars, sub_breaks: list[Break]) -> list[int]:
    """Section 6: the sign of the sub-timeframe's last break with ts in (open_time, ts] of each parent bar, else 0."""
    result: list[int] = []
    first = 0
    instants = [sub.ts(event.bar) for event in sub_breaks]
    for t in range(len(parent)):
        while first < len(instants) and instants[first] <= parent.open_time[t]:
            first += 1
        after = first
        while after < len(instants) and instants[after] <= parent.ts(t):
            after += 1
        result.append(sub_breaks[after - 1].direction if after > first else 0)
        first = after
    return result
