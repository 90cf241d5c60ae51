"""Candles over time, with one grammar in every picture: violet is when something became known, grey where it is drawn.

A candle stands between its open and its close boundary, and a bar is named by the latter: what became known at 09:45 is
a line at 09:45, on the right edge of its bar. Flags over the candles name what became known, flags under them what is
drawn back in time; they are set in rows so that none covers another.

Invariant: nothing is moved to look better: every x is an instant, every y a price of a row.

    chart = Chart(bars, tf, title="Swings", description="…", known=[Flag(ts, "HIGH")], drawn=[], levels=[])
    chart.band(start, end, low, high, colour=DEMAND, opacity=0.2)
    chart.svg()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from docs.pictures.svg import Drawing, text_width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl

    from contracts import Timeframe

KNOWN: Final = "#6d28d9"
DRAWN: Final = "#6b7280"
DEMAND: Final = "#2563eb"
SUPPLY: Final = "#d97706"
LEVEL: Final = "#374151"

_INK, _GRID, _GROUND, _FRAME = "#111827", "#eceff3", "#ffffff", "#d1d5db"
_UP, _DOWN = "#16a085", "#c8504b"
_WIDTH, _LEFT, _RIGHT = 800.0, 14.0, 74.0
_HEADER, _PLOT, _AXIS, _LEGEND = 58.0, 270.0, 22.0, 26.0
_ROW, _FLAG_HEIGHT, _FLAG_SIZE, _GAP = 20.0, 16.0, 11.0, 6.0
_DOTS = "2 3"
_PRICE_STEPS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_MINUTES = (5, 15, 30, 60, 120, 180, 240, 360)


@dataclass(frozen=True, slots=True)
class Flag:
    """A name at an instant.

    Attributes:
        ts: Where its line stands.
        text: What it says.
        price: Of a flag under the candles: how high its line reaches; None = it belongs over them.
    """

    ts: datetime
    text: str
    price: float | None = None


class Chart:
    """One picture: a window of bars, flags over and under it, and what is added to it.

    Args:
        bars: Bar frame of the window.
        tf: Its timeframe.
        title: Over the picture.
        description: What is to be seen; under the title and for screen readers.
        known: What became known in the window.
        drawn: What is drawn at an earlier bar than the one it became known at.
        levels: Prices to be written at the right edge, with their colours.
    """

    def __init__(
        self,
        bars: pl.DataFrame,
        tf: Timeframe,
        *,
        title: str,
        description: str,
        known: Sequence[Flag],
        drawn: Sequence[Flag],
        levels: Sequence[tuple[float, str]],
    ) -> None:
        self._bars, self._tf = bars, tf
        self._start, self._end = bars["open_time"][0], bars["open_time"][-1] + tf.duration
        prices = [*bars["low"].to_list(), *bars["high"].to_list(), *(price for price, _ in levels)]
        margin = 0.07 * (max(prices) - min(prices))
        self._lowest: float = min(prices) - margin
        self._highest: float = max(prices) + margin
        self._known, self._drawn, self._levels = known, drawn, levels
        self._known_rows, self._drawn_rows = self._rows(known), self._rows(drawn)
        self._top = _HEADER + _ROW * (max(self._known_rows, default=-1) + 1) + 4
        self._bottom = self._top + _PLOT
        self._axis = self._bottom + _ROW * (max(self._drawn_rows, default=-1) + 1) + 4
        height = self._axis + _AXIS + _LEGEND
        self._drawing = Drawing(_WIDTH, height, title=title, description=description)
        self._drawing.add(
            "rect", x=0.5, y=0.5, width=_WIDTH - 1, height=height - 1, rx=6.0, fill=_GROUND, stroke=_FRAME
        )
        self._drawing.text(_LEFT, 24, title, size=15, fill=_INK, weight="bold")
        self._drawing.text(_LEFT, 43, description, size=12, fill=DRAWN)
        self._axes()
        self._fades = 0
        self._over: list[tuple[float, float, str, str]] = []

    def x(self, ts: datetime) -> float:
        """Where an instant stands."""
        share: float = (ts - self._start) / (self._end - self._start)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def middle(self, ts: datetime) -> float:
        """Where the candle stands whose close boundary is `ts`."""
        return self.x(ts - self._tf.duration / 2)

    def y(self, price: float) -> float:
        """Where a price stands."""
        return self._bottom - (price - self._lowest) / (self._highest - self._lowest) * _PLOT

    def band(self, start: datetime, end: datetime, low: float, high: float, *, colour: str, opacity: float) -> None:
        """Fill [start, end) between two prices."""
        self._box(start, end, low, high, fill=colour, fill_opacity=f"{opacity:g}")

    def outline(self, start: datetime, end: datetime, low: float, high: float, *, colour: str) -> None:
        """Dashed edges and no fill: what a chart draws back in time, and nobody knew then."""
        self._box(start, end, low, high, fill="none", stroke=colour, stroke_dasharray="4 3")

    def fading(self, start: datetime, end: datetime, low: float, high: float, *, colour: str, opacity: float) -> None:
        """A fill that ends: what is no longer active after `start`."""
        self._fades += 1
        self._drawing.fade(f"fade{self._fades}", colour=colour, opacity=opacity)
        self._box(start, end, low, high, fill=f"url(#fade{self._fades})")

    def candles(self) -> None:
        """Paint the bars; bands that were added before lie behind them."""
        for flag in self._drawn:
            if flag.price is not None:
                x, y = self.middle(flag.ts), self.y(flag.price)
                dotted: dict[str, str | float] = {"stroke_dasharray": _DOTS}
                self._drawing.add("line", x1=x, y1=y + 3, x2=x, y2=self._bottom + 4, stroke=DRAWN, **dotted)
        width = (self.x(self._end) - self.x(self._start)) / self._bars.height
        body = max(width * 0.62, 2.0)
        for opened, open_, high, low, close in self._bars.select("open_time", "open", "high", "low", "close").rows():
            middle, colour = self.middle(opened + self._tf.duration), _UP if close >= open_ else _DOWN
            self._drawing.add("line", x1=middle, y1=self.y(high), x2=middle, y2=self.y(low), stroke=colour)
            top, bottom = self.y(max(open_, close)), self.y(min(open_, close))
            self._drawing.add(
                "rect",
                x=middle - body / 2,
                y=top,
                width=body,
                height=max(bottom - top, 1.0),
                fill="#ffffff" if close >= open_ else colour,
                stroke=colour,
            )

    def level(self, start: float, end: float, price: float, *, colour: str, dashed: bool = False) -> None:
        """A horizontal line between two places, `x` or `middle` of an instant."""
        dashes: dict[str, str | float] = {"stroke_dasharray": "4 3"} if dashed else {}
        y = self.y(price)
        self._drawing.add("line", x1=start, y1=y, x2=end, y2=y, stroke=colour, stroke_width=1.5, **dashes)

    def reference(self, pivot: datetime, known: datetime, until: datetime, level: float, *, colour: str) -> None:
        """The price of a swing: dashed from its pivot to when it was confirmed, from there on a line."""
        self.level(self.middle(pivot), self.x(known), level, colour=colour, dashed=True)
        self.level(self.x(known), self.x(until), level, colour=colour)

    def mark(self, ts: datetime, price: float, text: str, *, side: Literal["above", "below"], colour: str) -> None:
        """A dot at the candle of `ts`, with a word beyond it; painted over everything else."""
        y = self.y(price)
        self._drawing.add("circle", cx=self.middle(ts), cy=y, r=3.0, fill=colour)
        self._over.append((self.middle(ts), y - 7 if side == "above" else y + 15, text, colour))

    def svg(self) -> str:
        """The finished file."""
        for flag, row in zip(self._known, self._known_rows, strict=True):
            top, x = _HEADER + 2 + _ROW * row, self.x(flag.ts)
            self._drawing.add(
                "line", x1=x, y1=top + _FLAG_HEIGHT, x2=x, y2=self._bottom, stroke=KNOWN, stroke_width=1.3
            )
            self._flag(flag.text, self._span(flag), top, colour=KNOWN, fill="#f1ebfd")
        for flag, row in zip(self._drawn, self._drawn_rows, strict=True):
            top, x = self._bottom + 4 + _ROW * row, self.middle(flag.ts)
            self._drawing.add("line", x1=x, y1=self._bottom + 4, x2=x, y2=top, stroke=DRAWN, stroke_dasharray=_DOTS)
            self._flag(flag.text, self._span(flag), top, colour=DRAWN, fill="#f3f4f6")
        for x, y, text, colour in self._over:
            self._halo(x, y, text, colour)
        for price, colour, y in self._pills():
            x = _WIDTH - _RIGHT + 4
            self._drawing.add("rect", x=x, y=y - 8, width=_RIGHT - 10, height=16.0, rx=3.0, fill=colour)
            self._drawing.text(x + (_RIGHT - 10) / 2, y + 4, f"{price:,.2f}", size=11, fill="#ffffff", anchor="middle")
        self._legend()
        return self._drawing.document()

    def _box(self, start: datetime, end: datetime, low: float, high: float, **attributes: str) -> None:
        left, right = self.x(max(start, self._start)), self.x(min(end, self._end))
        y, height = self.y(high), self.y(low) - self.y(high)
        self._drawing.add("rect", x=left, y=y, width=right - left, height=height, **attributes)

    def _rows(self, flags: Sequence[Flag]) -> list[int]:
        """In which row a flag stands, 0 at the top: one that overlaps an earlier one stands under it."""
        rows: list[int] = []
        spans: list[tuple[float, float]] = []
        for flag in flags:
            left, right = self._span(flag)
            over = [row for row, (a, b) in zip(rows, spans, strict=True) if left < b + _GAP and a < right + _GAP]
            rows.append(max(over, default=-1) + 1)
            spans.append((left, right))
        return rows

    def _span(self, flag: Flag) -> tuple[float, float]:
        """From where to where a flag reaches: to the right of its line over the candles, to the left under them.

        So no line crosses the flag of another.
        """
        width = text_width(flag.text, size=_FLAG_SIZE) + 10
        wanted = self.x(flag.ts) if flag.price is None else self.middle(flag.ts) - width
        left = max(min(wanted, _WIDTH - 8 - width), 8.0)
        return left, left + width

    def _flag(self, text: str, span: tuple[float, float], top: float, *, colour: str, fill: str) -> None:
        left, right = span
        frame: dict[str, str | float] = {"fill": fill, "stroke": colour, "stroke_width": 0.7}
        self._drawing.add("rect", x=left, y=top, width=right - left, height=_FLAG_HEIGHT, rx=3.0, **frame)
        ink = KNOWN if colour == KNOWN else LEVEL
        self._drawing.text((left + right) / 2, top + 12, text, size=_FLAG_SIZE, fill=ink, anchor="middle")

    def _halo(self, x: float, y: float, text: str, colour: str) -> None:
        width = text_width(text, size=_FLAG_SIZE)
        self._drawing.add("rect", x=x - width / 2, y=y - 10, width=width, height=13.0, fill=_GROUND, fill_opacity="0.8")
        self._drawing.text(x, y, text, size=_FLAG_SIZE, fill=colour, anchor="middle", weight="bold")

    def _axes(self) -> None:
        span = self._highest - self._lowest
        step = next((step for step in _PRICE_STEPS if span / step <= 8), _PRICE_STEPS[-1])
        pills = [y for _, _, y in self._pills()]
        number = int(self._lowest / step) + 1
        while number * step < self._highest:
            y = self.y(number * step)
            self._drawing.add("line", x1=_LEFT, y1=y, x2=_WIDTH - _RIGHT, y2=y, stroke=_GRID)
            if all(abs(y - pill) > 14 for pill in pills):
                self._drawing.text(_WIDTH - _RIGHT + 10, y + 4, f"{number * step:,.2f}", size=11, fill=DRAWN)
            number += 1
        minutes = (self._end - self._start).total_seconds() / 60
        every = next((every for every in _MINUTES if minutes / every <= 11), _MINUTES[-1])
        for opened in self._bars["open_time"].to_list():
            if (opened.hour * 60 + opened.minute) % every == 0 and self.x(opened) < _WIDTH - _RIGHT - 14:
                x = self.x(opened)
                self._drawing.add("line", x1=x, y1=self._top, x2=x, y2=self._bottom, stroke=_GRID)
                if x > _LEFT + 14:
                    label = f"{opened:%d %b}" if opened.hour == opened.minute == 0 else f"{opened:%H:%M}"
                    self._drawing.text(x, self._axis + 13, label, size=11, fill=DRAWN, anchor="middle")

    def _pills(self) -> list[tuple[float, str, float]]:
        """The levels from the highest down, each at least a pill's height under the one before."""
        pills: list[tuple[float, str, float]] = []
        for price, colour in sorted(set(self._levels), reverse=True):
            above = pills[-1][2] + 18 if pills else 0.0
            pills.append((price, colour, max(self.y(price), above)))
        return pills

    def _legend(self) -> None:
        y = self._axis + _AXIS + 8
        day = f"{self._tf} bars · {self._start.day} {self._start:%B %Y}, UTC · a seeded random walk"
        self._drawing.text(_LEFT, y + 4, day, size=11, fill=DRAWN)
        right = _WIDTH - _LEFT
        for text, colour, dashes in (("drawn here", DRAWN, _DOTS), ("known from here on", KNOWN, "")):
            self._drawing.text(right, y + 4, text, size=11, fill=colour, anchor="end")
            x = right - text_width(text, size=11) - 3
            attributes: dict[str, str | float] = {"stroke_dasharray": dashes} if dashes else {}
            self._drawing.add("line", x1=x, y1=y - 7, x2=x, y2=y + 7, stroke=colour, stroke_width=1.5, **attributes)
            right = x - 18
