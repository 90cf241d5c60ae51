"""Engine-spec section 3: the swings of a series in the order in which they are confirmed, the HIGH of a bar first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.engine.reference.bars import HIGH, LOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine import EngineParams
    from tests.engine.reference.bars import Bars
    from tests.engine.reference.features import Column


@dataclass(frozen=True)
class Swing:
    """A swing confirmed at bar `bar`, drawn at bar `pivot`; `half_width` is null in zigzag."""

    bar: int
    pivot: int
    kind: str
    price: float
    label: str | None
    half_width: int | None


def swings(bars: Bars, atr: Column, params: EngineParams) -> list[Swing]:
    if params.swing_mode == "pivot":
        found = pivots(bars, params.pivot_n)
        half_width = params.pivot_n
    else:
        found = zigzag(bars, atr, params.zigzag_k)
        half_width = None
    rows: list[Swing] = []
    previous: dict[str, float] = {}
    for bar, pivot, kind in found:
        price = bars.high[pivot] if kind == HIGH else bars.low[pivot]
        rows.append(Swing(bar, pivot, kind, price, label(kind, price, previous.get(kind)), half_width))
        previous[kind] = price
    return rows


def label(kind: str, price: float, previous: float | None) -> str | None:
    """A HIGH is HH if above the previous HIGH, else LH; a LOW is LL if below the previous LOW, else HL."""
    if previous is None:
        return None
    if kind == HIGH:
        return "HH" if price > previous else "LH"
    return "LL" if price < previous else "HL"


def pivots(bars: Bars, n: int) -> Iterator[tuple[int, int, str]]:
    """Bar, pivot, kind: bar q is decided when bar t = q+N closes, if q ≥ N."""
    for q in range(n, len(bars) - n):
        before, after = range(q - n, q), range(q + 1, q + n + 1)
        high, low = bars.high[q], bars.low[q]
        if all(high > bars.high[i] for i in before) and all(high >= bars.high[i] for i in after):
            yield q + n, q, HIGH
        if all(low < bars.low[i] for i in before) and all(low <= bars.low[i] for i in after):
            yield q + n, q, LOW


@dataclass
class Extreme:
    """What is sought on one side: the candidate's bar, and the bar of the opposite extreme beside it.

    Attributes:
        kind: HIGH or LOW.
        candidate: Bar of the most extreme price so far, the first of equals; None before the window's first bar.
        beside: Bar of the opposite extreme after the candidate, the first of equals; None where there is none.
    """

    kind: str
    candidate: int | None = None
    beside: int | None = None

    def update(self, bars: Bars, t: int) -> None:
        mine, other = (bars.high, bars.low) if self.kind == HIGH else (bars.low, bars.high)
        sign = 1 if self.kind == HIGH else -1
        if self.candidate is None or sign * mine[t] > sign * mine[self.candidate]:
            self.candidate, self.beside = t, None
        elif self.beside is None or sign * other[t] < sign * other[self.beside]:
            self.beside = t

    def is_confirmed(self, bars: Bars, t: int, reach: float) -> bool:
        """Whether the close has come back from the candidate by k·atr14."""
        assert self.candidate is not None
        if self.kind == HIGH:
            return bars.close[t] <= bars.high[self.candidate] - reach
        return bars.close[t] >= bars.low[self.candidate] + reach


def zigzag(bars: Bars, atr: Column, k: float) -> Iterator[tuple[int, int, str]]:
    """Bar, pivot, kind: before the first swing both sides are sought, afterwards the one opposite to the last."""
    sought = [Extreme(HIGH), Extreme(LOW)]
    for t in range(len(bars)):
        for extreme in sought:
            extreme.update(bars, t)
        width = atr[t]
        if width is None or not width > 0:
            continue
        for extreme in sought:
            if extreme.is_confirmed(bars, t, k * width):
                assert extreme.candidate is not None
                yield t, extreme.candidate, extreme.kind
                # the next candidate is what lay beside; what lies beside that one comes only from later bars
                sought = [Extreme(LOW if extreme.kind == HIGH else HIGH, extreme.beside)]
                break
