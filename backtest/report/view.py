"""What the script of a page draws: the document's numbers, thinned to what a screen can show.

Curves keep the highest, the lowest and the deepest point of each stretch that is left out, so that no peak and no
drawdown disappears. Numbers that are only drawn are rounded to six digits; prices are not.

    view_of(document, closeups)["equity"]["ts"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backtest.report.headline import label_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Points of a curve: more than a screen has columns.
MOST_POINTS = 6000
# Rows of the trades table: more cannot be looked through, and would make the page heavier than its charts.
MOST_ROWS = 5000

_KEPT = 3  # points of each stretch of a curve
_DIGITS = 6

# Columns of the trades table that are prices or names; the others are rounded.
_EXACT = ("entry", "exit", "stop", "qty", "trade_id", "guesses", "targets_taken", "zone_strength")
_SHOWN = (
    *("trade_id", "symbol", "tf", "side", "entry_ts", "entry", "stop", "exit_ts", "exit", "left_by", "targets_taken"),
    *("qty", "r", "pnl", "fees", "funding", "mfe_r", "mae_r", "guesses", "regime", "zone_kind", "zone_strength"),
)


def view_of(document: dict[str, Any], closeups: list[dict[str, Any]]) -> dict[str, Any]:
    """The data of a page.

    Args:
        document: `document_of` the result.
        closeups: Pictures of its trades.
    """
    trades = document["trades"]
    null, held = document["null"], document["benchmark"]
    return {
        "quote": ", ".join(document["run"]["quote"]),
        "equity": curve_of(document["equity"], {} if held is None else {"held": held["equity"]}),
        "r": document["r"],
        "hours": [{**row, "mean_r": rounded(row["mean_r"])} for row in document["hours"]],
        "monte_carlo": [{name: rounded(value) for name, value in row.items()} for row in document["monte_carlo"]],
        "null": None
        if null is None
        else {"label": label_of(null["statistic"]), **{name: null[name] for name in ("value", "histogram")}},
        "trades": {
            name: [value if name in _EXACT else rounded(value) for value in trades[name][:MOST_ROWS]] for name in _SHOWN
        },
        "decimals": _decimals(document),
        "closeups": closeups,
    }


def _decimals(document: dict[str, Any]) -> dict[str, list[int | None]]:
    """Decimals of the prices and the quantity of each trade that is listed: those of tick and lot; None = not known."""
    trades, increments = document["trades"], document["run"]["increments"]
    names = [f"{venue}:{symbol}" for venue, symbol in zip(trades["venue"], trades["symbol"], strict=True)][:MOST_ROWS]
    told = {name: {of: len(text.partition(".")[2]) for of, text in known.items()} for name, known in increments.items()}
    return {of: [told.get(name, {}).get(of) for name in names] for of in ("tick", "lot")}


def curve_of(equity: dict[str, Any], beside: Mapping[str, list[float]] | None = None) -> dict[str, Any]:
    """An equity curve of a document as a screen shows it.

    Args:
        equity: `ts`, `equity`, `drawdown` of the whole.
        beside: Other curves at the same instants, by name; they keep the points that the curve keeps.
    """
    kept = thinned(np.array(equity["equity"], np.float64), np.array(equity["drawdown"], np.float64)).tolist()
    curves = {"equity": equity["equity"], "drawdown": equity["drawdown"], **(beside or {})}
    return {
        "ts": [equity["ts"][at] for at in kept],
        **{name: [rounded(values[at]) for at in kept] for name, values in curves.items()},
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


def rounded(value: Any) -> Any:  # noqa: ANN401 - numbers are rounded, the rest is handed through
    """A number that is only drawn, to six digits; anything else as it is."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value
