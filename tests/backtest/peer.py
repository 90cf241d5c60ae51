"""The other engine of the cross-check: backtesting.py, asked for brackets with one entry, one stop and one target.

It opens one position at a time and always one unit, so that results are those of a unit. A bracket whose entry is not
filled within its bars is cancelled; one that is asked for while another waits or is open is left out, as ours is by
gate `symbol_free`.

    peer_trades(bars, [Ask(bar=3, side=1, entry=None, stop=98.0, target=104.0)])
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import polars as pl
from backtesting import Backtest, Strategy

_CASH = 1e9  # a position is never refused for the margin

# What it warns of: a bracket that could end in the bar of its entry (a difference the tests name), and bars without
# times, which it needs for figures a year that nobody asks for here.
_WARNINGS = (r".*contingent SL/TP order would execute in the same bar", "Data index is not datetime")


@dataclass(frozen=True)
class Ask:
    """A bracket that is asked for when a bar has closed.

    Attributes:
        bar: Which one.
        side: +1 long, −1 short.
        entry: Limit of the entry; None = at market.
        stop: Quote units, as `entry` and `target`.
        target: Of the whole quantity.
        ttl: For how many bars the entry waits.
        max_bars: After how many bars, that of the entry included, the position is sold at the next open; None = never.
    """

    bar: int
    side: int
    entry: float | None
    stop: float
    target: float
    ttl: int = 1
    max_bars: int | None = None


@dataclass(frozen=True)
class Done:
    """A position that was opened and closed, in either engine.

    Attributes:
        ask: Which bracket, counted from 0.
        entered: When: the bar's open where the fill was at the open, else its end.
        left: The same of the exit.
        entry: Price of the fill, quote units.
        exit: The same of the exit.
        result: Of one unit after commission, quote units.
    """

    ask: int
    entered: datetime
    left: datetime
    entry: float
    exit: float
    result: float


def peer_trades(bars: pl.DataFrame, asks: Sequence[Ask], *, commission: float = 0.0) -> list[Done]:
    """What backtesting.py makes of these brackets.

    Args:
        bars: A bar frame (`contracts.candles.BAR_SCHEMA`), without holes.
        asks: In the order of their bars, one a bar. The library never calls a strategy for the very first bar.
        commission: Fraction of what is bought and of what is sold.
    """
    by_bar = {ask.bar: (number, ask) for number, ask in enumerate(asks)}

    class Asked(Strategy):  # type: ignore[misc] # the library states no types
        def init(self) -> None:
            self.placed = self.last = -1

        def next(self) -> None:
            at = len(self.data) - 1
            for order in self.orders:
                if not order.is_contingent and at >= self.last:
                    order.cancel()
            for trade in self.trades:
                most = asks[trade.tag].max_bars
                if most is not None and at == trade.entry_bar + most - 1:
                    trade.close()
            if at in by_bar and not self.orders and not self.position:
                number, ask = by_bar[at]
                self.last = at + ask.ttl
                enter = self.buy if ask.side > 0 else self.sell
                enter(size=1, limit=ask.entry, sl=ask.stop, tp=ask.target, tag=number)

    with warnings.catch_warnings():
        for message in _WARNINGS:
            warnings.filterwarnings("ignore", message=message, category=UserWarning)
        test = Backtest(_pandas(bars), Asked, cash=_CASH, commission=commission, finalize_trades=True)
        found = test.run()["_trades"].sort_values("Tag")
    return [_done(row, bars) for row in found.to_dict("records")]


def _done(row: dict[str, Any], bars: pl.DataFrame) -> Done:
    length = bars["open_time"][1] - bars["open_time"][0]

    def instant(bar: int, price: float) -> datetime:
        opened: datetime = bars["open_time"][bar]
        return opened if price == bars["open"][bar] else opened + length

    entry, left = row["EntryPrice"], row["ExitPrice"]
    return Done(
        row["Tag"], instant(row["EntryBar"], entry), instant(row["ExitBar"], left), entry, left, row["PnL"] or 0.0
    )


def _pandas(bars: pl.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {name.capitalize(): bars[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    )
