"""Bars that make zones, shared by the golden tests of section 5, and how they are read.

After the calm lead-in atr14 is 2; a bar with a true range of 2 leaves it there. `view` reads the bars as they are or
upside down (around 100), where DEMAND becomes SUPPLY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import EngineParams
from tests.engine.hand_bars import candles, turned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.engine.hand_bars import Candle
    from tests.engine.readers import Reader, Tables

both_ways = pytest.mark.parametrize("up", [True, False], ids=["up", "down"])

LIFE = ("kind", "touches", "first_touch_ts", "status", "ended_ts")
EVENT = ("kind", "created_ts", "parent_created_ts", "ts", "event", "touches")

# Bar 0 has a true range of 9: atr14 = (13·2 + 9)/14 = 2.5. Bar 1 has 9.5: atr14 = (13·2.5 + 9.5)/14 = 3. Between bar −1
# (high 101) and bar 1 (low 102.5) lies a gap of 1.5 = 0.5·atr14. No swing is known yet, so there is no break.
GAP: list[Candle] = [(100, 109, 100, 109), (109, 112, 102.5, 110)]


# Swings of half-width 2. Every true range is 2, so atr14 stays 2. HIGH 103 of bar 1 is known at bar 3; bar 4 closes at
# 103.5: BOS_UP. Back from bar 3 the first candle that closes below its open is bar 2.
TWO = EngineParams(pivot_n=2)
BREAK: list[Candle] = [
    (100, 102, 100, 101),
    (101, 103, 101, 102),
    (102, 102.5, 100.5, 101),
    (101, 102, 100, 101.5),
    (101.5, 103.5, 101.5, 103.5),
]


# As BREAK, but the bar of the break (close 105) leaves a gap of 1 above bar 2 as well.
BREAK_AND_GAP: list[Candle] = [
    *BREAK[:3],
    (101, 103, 101, 103),
    (103.5, 105, 103.5, 105),
]


def quiet_then_gap(quiet: int) -> list[Candle]:
    """After the break at bar 4: quiet bars, a bar up, and a gap of 1 at bar 6 + `quiet`; every true range is 2."""
    return [
        *BREAK,
        *[(103.5, 104.5, 102.5, 103.5)] * quiet,
        (103.5, 105.5, 103.5, 105.5),
        (105.5, 107.5, 105.5, 107.5),
    ]


def view(
    read: Reader,
    rows: Sequence[Candle],
    *,
    up: bool = True,
    params: EngineParams | None = None,
    lead: int = 40,
    volume: Sequence[float] | None = None,
    slots: Sequence[int] | None = None,
) -> Tables:
    turnable = list(rows) if up else turned(rows)
    return read(candles(turnable, lead=lead, volume=volume, slots=slots), params or EngineParams())
