"""The bars around single trades, small enough to travel inside a page.

A window goes from some bars before the order was placed to some after the exit. A trade that spans more than a picture
can show has several bars in each candle, and says how many. Of many trades the best, the worst and an even choice of
the others are shown.

Invariant: prices are those of the bars, nothing is smoothed; the same result gives the same choice.

    closeups(result, {key: bars}, rows=5000)[0]["candles"]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from backtest.metrics import instants
from contracts import SeriesKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from backtest.report.outcome import Outcome

MOST_TRADES = 300
BARS_BEFORE, BARS_AFTER, MOST_CANDLES = 30, 15, 150

_MS = 1000
_HOLD = "HOLD"


def closeups(
    result: Outcome, bars: Mapping[SeriesKey, pl.DataFrame], *, rows: int, most: int = MOST_TRADES
) -> list[dict[str, Any]]:
    """Pictures of trades whose series has bars.

    Args:
        result: The run.
        bars: As the run was given them; a series that is missing has no pictures.
        rows: How many trades, from the first, may have one: those that the page lists.
        most: How many pictures at most.

    Returns:
        By trade: `trade_id`; `candles`, see `_candles`; `targets`, the prices that were asked for, nearest first;
        `fills`, (ms, role, price, quantity) each; `zone`, see `_zones`. Instants are ms since the epoch.
    """
    trades = result.trades.head(rows)
    keys = [SeriesKey(*row) for row in trades.select("venue", "symbol", "tf").iter_rows()]
    held = {key for key in set(keys) if key in bars}
    shown = chosen(trades["r"].to_numpy(), [at for at, key in enumerate(keys) if key in held], most=most)
    targets, fills, zones = _targets(result, shown), _fills(result, shown), _zones(result)
    placed, left = instants(trades, "placed_ts"), instants(trades, "exit_ts")
    found = {}
    # Series by series: what hands bars out one at a time is asked once for each.
    for key in sorted({keys[at] for at in shown}):
        frame = bars[key]
        for at in shown:
            if keys[at] == key:
                number = int(trades["trade_id"][at])
                found[at] = {
                    "trade_id": number,
                    "candles": _candles(frame, key.tf.us, since=int(placed[at]), until=int(left[at])),
                    "targets": targets.get(number, []),
                    "fills": fills.get(number, []),
                    "zone": zones.get(number),
                }
    return [found[at] for at in shown]


def chosen(r: NDArray[np.float64], possible: Sequence[int], *, most: int) -> list[int]:
    """Which trades are shown: all, or a quarter each for the best and the worst and an even choice of the others.

    Args:
        r: Of every trade.
        possible: Places of those that can be shown, ascending.
        most: How many at most.
    """
    if len(possible) <= most:
        return list(possible)
    ranked = sorted(possible, key=lambda at: (r[at], at))
    extreme = most // 4
    ends = {*ranked[:extreme], *ranked[len(ranked) - extreme :]}
    others = [at for at in possible if at not in ends]
    count = most - len(ends)
    even = [others[k * len(others) // count] for k in range(count)]
    return sorted({*ends, *even})


def _candles(frame: pl.DataFrame, tf: int, *, since: int, until: int) -> dict[str, Any]:
    """Candles of a window.

    Returns:
        `start` (ms, open of the first candle), `step` (ms, from open to open), `bars` (of each candle), `at` (candles
        from the first, None = one after the other), and the prices `open`, `high`, `low`, `close`.
    """
    times = frame["open_time"].to_physical().to_numpy()
    first = max(0, int(np.searchsorted(times, since)) - BARS_BEFORE)
    last = min(times.size, int(np.searchsorted(times, until)) + BARS_AFTER)
    some = frame[first:last]
    per_candle = max(1, -(-some.height // MOST_CANDLES))
    step = tf * per_candle
    place = (times[first:last] - times[first]) // step if some.height else np.zeros(0, np.int64)
    begins = np.flatnonzero(np.diff(place, prepend=-1))
    ends = np.append(begins[1:], place.size) - 1
    at = place[begins]
    prices = {name: some[name].to_numpy() for name in ("open", "high", "low", "close")}
    return {
        "start": int(times[first]) // _MS if some.height else 0,
        "step": step // _MS,
        "bars": per_candle,
        "at": None if np.array_equal(at, np.arange(at.size)) else at.tolist(),
        "open": prices["open"][begins].tolist(),
        "high": np.maximum.reduceat(prices["high"], begins).tolist() if begins.size else [],
        "low": np.minimum.reduceat(prices["low"], begins).tolist() if begins.size else [],
        "close": prices["close"][ends].tolist() if begins.size else [],
    }


def _targets(result: Outcome, shown: Sequence[int]) -> dict[int, list[float]]:
    """Prices of the ladder that each trade was placed with, as the decision that placed it tells them."""
    identity = ("signal_id", "venue", "symbol", "tf")
    # Where a signal was looked at more than once, one look placed it: the only one that did not hold.
    orders = result.decisions.with_row_index("row").filter(pl.col("side").cast(pl.String) != _HOLD)
    named = result.trades[list(shown)].select("trade_id", *identity)
    rows = named.join(orders.select("row", *identity), on=identity, how="inner", maintain_order="left")
    return {
        int(number): [float(price) for price, _ in result.explain(int(row))["tp_ladder"]]
        for number, row in rows.select("trade_id", "row").iter_rows()
    }


def _zones(result: Outcome) -> dict[int, dict[str, Any]]:
    """Of each trade whose signal stood in a zone: its `kind`, `lo` and `hi`, and `since` when it is there (ms)."""
    known = result.zones.drop_nulls(("zone_kind", "zone_created_ts", "zone_lo", "zone_hi"))
    rows = known.select("trade_id", "zone_kind", "zone_lo", "zone_hi", pl.col("zone_created_ts").dt.timestamp("ms"))
    return {
        int(number): {"kind": kind, "lo": low, "hi": high, "since": since}
        for number, kind, low, high, since in rows.iter_rows()
    }


def _fills(result: Outcome, shown: Sequence[int]) -> dict[int, list[list[Any]]]:
    numbers = result.trades["trade_id"][list(shown)]
    some = result.fills.filter(pl.col("trade_id").is_in(numbers.implode()))
    found: dict[int, list[list[Any]]] = {}
    ms = (instants(some, "ts") // _MS).tolist()
    for at, row in zip(ms, some.select("trade_id", "role", "price", "qty").iter_rows(), strict=True):
        found.setdefault(row[0], []).append([at, *row[1:]])
    return found
