"""What faults do to rows before they are written: bars and settlements that are missing, doubled or something else.

Pure: the same rows and faults give the same result, so a zip and its CHECKSUM, asked for one after the other, agree.
Rows are named by their open time (bars) or the instant they are for (settlements), in milliseconds.

    bars = spoilt_bars(bars, faults)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from venues.simulator.bars import Bars, Col, Matrix
from venues.simulator.faults import Fault
from venues.simulator.funding import Settlement

Chosen = npt.NDArray[np.bool_]


def spoilt_bars(bars: Bars, faults: Iterable[Fault]) -> Bars:
    """Bars as these faults leave them; those of other things than rows are passed over."""
    for fault in faults:
        chosen = np.isin(bars[Col.OPEN_MS].astype(np.int64), fault.open_times)
        if fault.kind == "hide_rows":
            bars = Bars(bars.cells[:, ~chosen])
        elif fault.kind in {"duplicate_rows", "contradicting_rows"}:
            cells = np.repeat(bars.cells, np.where(chosen, 2, 1), axis=1)
            second = np.diff(cells[Col.OPEN_MS].astype(np.int64), prepend=-1) == 0
            bars = _otherwise(cells, second) if fault.kind == "contradicting_rows" else Bars(cells)
        elif fault.kind in {"republished", "disagreeing_rows"}:
            changed = chosen if fault.open_times else np.arange(len(bars)) == 0
            bars = _otherwise(bars.cells.copy(), changed)
        elif fault.kind == "crossed_rows":
            cells = bars.cells.copy()
            # One more, for bars whose high is their low.
            cells[Col.HIGH, chosen], cells[Col.LOW, chosen] = bars[Col.LOW][chosen], bars[Col.HIGH][chosen] + 1
            bars = Bars(cells)
    return bars


def spoilt_settlements(rows: Sequence[Settlement], faults: Iterable[Fault]) -> list[Settlement]:
    """Settlements as these faults leave them; those of other things than rows are passed over."""
    for fault in faults:
        named = [one.at_ms in fault.open_times for one in rows]
        if fault.kind == "hide_rows":
            rows = [one for one, chosen in zip(rows, named, strict=True) if not chosen]
        elif fault.kind in {"duplicate_rows", "contradicting_rows"}:
            other = int(fault.kind == "contradicting_rows")
            rows = [
                each
                for one, chosen in zip(rows, named, strict=True)
                for each in ((one, replace(one, rate=one.rate + other)) if chosen else (one,))
            ]
        elif fault.kind in {"republished", "disagreeing_rows"}:
            changed = named if fault.open_times else [number == 0 for number in range(len(rows))]
            rows = [
                replace(one, rate=one.rate + 1) if chosen else one for one, chosen in zip(rows, changed, strict=True)
            ]
    return list(rows)


def _otherwise(cells: Matrix, changed: Chosen) -> Bars:
    # One tick more of range and one step more of volume: a plausible correction, still a legal bar.
    cells[Col.HIGH, changed] += 1
    cells[Col.VOLUME, changed] += 1
    return Bars(cells)
