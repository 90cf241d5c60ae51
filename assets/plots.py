"""A small plot for an asset's metadata: one line, drawn as SVG inside Markdown, no plotting library.

It answers one question at a glance ("does this month look right?"); anything larger belongs in the console.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

WIDTH, HEIGHT, MARGIN = 480, 96, 4
POINTS = 240


def sparkline(values: Sequence[float], *, title: str) -> str:
    """Markdown that shows `values` as a line, oldest left.

    Args:
        values: At most a few thousand finite numbers; more than 240 are thinned evenly (the last is kept).
        title: Alternative text of the picture.

    Returns:
        A Markdown image whose source is a data URI; a sentence where there is nothing to draw.
    """
    if len(values) < 2:
        return f"{title}: nothing to draw"
    step = max(1, len(values) // POINTS)
    thinned = [*values[:-1:step], values[-1]]
    low, high = min(thinned), max(thinned)
    scale = (HEIGHT - 2 * MARGIN) / ((high - low) or 1.0)
    pitch = (WIDTH - 2 * MARGIN) / (len(thinned) - 1)
    points = " ".join(
        f"{MARGIN + index * pitch:.1f},{HEIGHT - MARGIN - (value - low) * scale:.1f}"
        for index, value in enumerate(thinned)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">'
        f'<polyline points="{points}" fill="none" stroke="#3b82f6" stroke-width="1.5"/></svg>'
    )
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"
