"""Plain SVG text: shapes in the order they are painted, numbers with one decimal, no fonts or styles from outside.

Invariant: equal calls give equal bytes. What is drawn carries a title and a description for those who cannot see it.

    drawing = Drawing(800, 400, title="Swings", description="…")
    drawing.add("line", x1=0, y1=0, x2=10, y2=10, stroke="#000000")
    drawing.text(10, 20, "HH", size=11)
    drawing.document()
"""

from __future__ import annotations

from typing import Literal
from xml.sax.saxutils import escape, quoteattr

FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
# Of a character in units of the font's size: that of the widest of these fonts, so that no text outgrows its room.
_CHARACTER = 0.61


class Drawing:
    """A picture of fixed size on a light ground.

    Args:
        width: In pixels.
        height: In pixels.
        title: Read out by screen readers, shown where the mouse rests.
        description: What is to be seen, in a sentence.
    """

    def __init__(self, width: float, height: float, *, title: str, description: str) -> None:
        self._lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
            f'viewBox="0 0 {width:g} {height:g}" role="img" aria-labelledby="title description" '
            f'font-family="{FONT}">',
            f'<title id="title">{escape(title)}</title>',
            f'<desc id="description">{escape(description)}</desc>',
        ]

    def add(self, tag: str, **attributes: str | float) -> None:
        """Paint a shape; `stroke_width` is written as `stroke-width`."""
        self._lines.append(f"<{tag}{_attributes(attributes)}/>")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        fill: str,
        anchor: Literal["start", "middle", "end"] = "start",
        weight: Literal["normal", "bold"] = "normal",
    ) -> None:
        """Write a line of text with its baseline at y."""
        attributes = _attributes(
            {"x": x, "y": y, "font_size": f"{size:g}", "fill": fill, "text_anchor": anchor, "font_weight": weight}
        )
        self._lines.append(f"<text{attributes}>{escape(text)}</text>")

    def fade(self, name: str, *, colour: str, opacity: float) -> None:
        """Define a fill that fades out from left to right, to be used as `url(#name)`."""
        self._lines.append(
            f'<linearGradient id="{name}"><stop offset="0" stop-color="{colour}" stop-opacity="{opacity:g}"/>'
            f'<stop offset="1" stop-color="{colour}" stop-opacity="0"/></linearGradient>'
        )

    def document(self) -> str:
        """The whole file."""
        return "\n".join([*self._lines, "</svg>", ""])


def text_width(text: str, *, size: float) -> float:
    """How many pixels a line of text takes at most, roughly."""
    return len(text) * size * _CHARACTER


def _attributes(values: dict[str, str | float]) -> str:
    return "".join(f" {name.replace('_', '-')}={_value(value)}" for name, value in values.items())


def _value(value: str | float) -> str:
    return quoteattr(value if isinstance(value, str) else f"{value:.1f}")
