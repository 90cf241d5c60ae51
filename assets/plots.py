"""A small plot for an asset's metadata: one line, drawn as SVG inside Markdown, no plotting library.

It answers one question at a glance ("does this month look right?"); anything larger belongs in the console. Dagster
shows Markdown in place only below 1,000 characters, hence whole pixels and few points.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime

import polars as pl

WIDTH, HEIGHT, MARGIN = 360, 72, 2
POINTS = 56


def sparkline(values: Sequence[float], *, title: str) -> str:
    """Markdown that shows `values` as a line, oldest left.

    Args:
        values: At most a few thousand finite numbers; more than 56 are thinned evenly (the last is kept).
        title: Alternative text of the picture; a few words.

    Returns:
        A Markdown image whose source is a data URI; a sentence where there is nothing to draw.
    """
    if len(values) < 2:
        return f"{title}: nothing to draw"
    last = len(values) - 1
    count = min(len(values), POINTS)
    thinned = [values[round(index * last / (count - 1))] for index in range(count)]
    low, high = min(thinned), max(thinned)
    span = (high - low) or 1.0
    pitch = (WIDTH - 2 * MARGIN) / (len(thinned) - 1)
    points = " ".join(
        f"{MARGIN + index * pitch:.0f},{HEIGHT - MARGIN - (value - low) / span * (HEIGHT - 2 * MARGIN):.0f}"
        for index, value in enumerate(thinned)
    )
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">'
        f'<polyline points="{points}" fill="none" stroke="#36c"/></svg>'
    )
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def rhythm(instants: pl.Series, *, start: datetime, end: datetime, title: str) -> str:
    """Markdown that shows how often something happened: a line over 56 equal parts of a window.

    Args:
        instants: When it happened; what lies outside [start, end] is left out.
        start: Beginning of the window.
        end: End of the window; the last part holds it too.
        title: Alternative text of the picture; a few words.
    """
    if end <= start or instants.is_empty():
        return f"{title}: nothing to draw"
    inside = instants.filter((instants >= start) & (instants <= end))
    places = ((inside - start).dt.total_microseconds() / ((end - start).total_seconds() * 1e6) * POINTS).floor()
    counts = [0] * POINTS
    for place in places.to_list():
        counts[min(int(place), POINTS - 1)] += 1
    return sparkline(counts, title=title)
