"""What the script of a page draws: the document's numbers, thinned to what a screen can show.

Curves keep the highest, the lowest and the deepest point of each stretch that is left out, so that no peak and no
drawdown disappears. Numbers that are only drawn are rounded to six digits; prices are not.

    view_of(document, closeups)["equity"]["ts"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Points of a curve: more than a screen has columns.
MOST_POINTS = 6000
# Rows of the trades table: more cannot be looked through, and would make the page heavier than its charts.
MOST_ROWS = 5000

_KEPT = 3  # points of each stretch of a curve
_DIGITS = 6

# Columns of the trades table that are prices or names; the others are rounded.
_EXACT = ("entry", "exit", "stop", "qty", "trade_id", "guesses", "zone_strength")
_SHOWN = (
    *("trade_id", "symbol", "tf", "side", "entry_ts", "entry", "stop", "exit_ts", "exit", "exit_reason"),
    *("qty", "r", "pnl", "fees", "funding", "mfe_r", "mae_r", "guesses", "regime", "zone_strength"),
)


def view_of(document: dict[str, Any], closeups: list[dict[str, Any]]) -> dict[str, Any]:
    """The data of a page.

    Args:
        document: `document_of` the result.
        closeups: Pictures of its trades.
    """
    curve, trades = document["equity"], document["trades"]
    kept = thinned(np.array(curve["equity"], np.float64), np.array(curve["drawdown"], np.float64)).tolist()
    null = document["null"]
    return {
        "quote": ", ".join(document["run"]["quote"]),
        "equity": {
            "ts": [curve["ts"][at] for at in kept],
            "equity": [_rounded(curve["equity"][at]) for at in kept],
            "drawdown": [_rounded(curve["drawdown"][at]) for at in kept],
        },
        "r": document["r"],
        "hours": [{**row, "mean_r": _rounded(row["mean_r"])} for row in document["hours"]],
        "monte_carlo": [{name: _rounded(value) for name, value in row.items()} for row in document["monte_carlo"]],
        "null": None if null is None else {name: null[name] for name in ("statistic", "value", "histogram")},
        "trades": {
            name: [value if name in _EXACT else _rounded(value) for value in trades[name][:MOST_ROWS]]
            for name in _SHOWN
        },
        "closeups": closeups,
    }


def thinned(values: NDArray[np.float64], depths: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places of the points that stand for a whole curve, ascending; all of them where they are few.

    Args:
        values: Of the curve.
        depths: Drawdown at each point.

    Returns:
        The first and the last are among them.
    """
    if values.size <= MOST_POINTS:
        return np.arange(values.size)
    edges = np.linspace(0, values.size, MOST_POINTS // _KEPT, dtype=np.int64)
    kept = {0, values.size - 1}
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        some = values[first:last]
        kept |= {first + int(at) for at in (some.argmin(), some.argmax(), depths[first:last].argmax())}
    return np.array(sorted(kept))


def _rounded(value: Any) -> Any:  # noqa: ANN401 - numbers are rounded, the rest is handed through
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
