"""The same job by backtesting.py and by backtrader, for ratios: on the same bars, at the same bars, the same brackets.

Both are told when to enter, which side, stop and target: those of our own trades. So they decide nothing, evaluate no
gate, lead one target instead of three, and still are asked for every bar. Entries are at market, fees those of ours,
one unit at a time.

Both are development dependencies, so they are imported when first used.

    backtesting_trades(bars, entries_of(bars, result), fee=0.0005)
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from backtest import BacktestResult

_CASH = 1e9  # no entry is refused for the margin
_TARGET_R = 2.0  # the one target: the middle one of our three

# Number of the bar after which it is placed: side (+1, −1), stop, target.
Entries = Mapping[int, tuple[int, float, float]]


def entries_of(bars: pl.DataFrame, result: BacktestResult) -> Entries:
    """The brackets of our trades, by the bar they were placed at.

    Args:
        bars: The bars of the run, one series.
        result: Of the run.
    """
    tf = bars["open_time"][1] - bars["open_time"][0]
    trades = result.trades.with_columns(
        bar=bars["open_time"].search_sorted(result.trades["placed_ts"] - tf),
        sign=pl.when(pl.col("side") == "LONG").then(1).otherwise(-1),
        target=pl.col("entry") + _TARGET_R * (pl.col("entry") - pl.col("stop")),
    )
    return {
        bar: (sign, stop, target) for bar, sign, stop, target in trades.select("bar", "sign", "stop", "target").rows()
    }


def backtesting_trades(bars: pl.DataFrame, entries: Entries, *, fee: float) -> int:
    """Run backtesting.py.

    Args:
        bars: A bar frame (`contracts.candles.BAR_SCHEMA`).
        entries: What is placed, and when.
        fee: Fraction of what is bought and of what is sold.

    Returns:
        How many trades it made.
    """
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")  # what pandas 4 will change, and bars without times: nothing of ours to mend
        from backtesting import Backtest, Strategy

        class Told(Strategy):  # type: ignore[misc] # the library states no types
            def init(self) -> None:
                pass

            def next(self) -> None:
                entry = entries.get(len(self.data) - 1)
                if entry is not None and not self.position:
                    side, stop, target = entry
                    (self.buy if side > 0 else self.sell)(size=1, sl=stop, tp=target)

        test = Backtest(_frame(bars, capital=True), Told, cash=_CASH, commission=fee, finalize_trades=True)
        return len(test.run()["_trades"])


def backtrader_trades(bars: pl.DataFrame, entries: Entries, *, fee: float) -> int:
    """Run backtrader; see `backtesting_trades`."""
    import backtrader

    class Told(backtrader.Strategy):  # type: ignore[misc] # the library states no types
        def __init__(self) -> None:
            self.closed = 0

        def next(self) -> None:
            entry = entries.get(len(self) - 1)
            if entry is not None and not self.position:
                side, stop, target = entry
                enter = self.buy_bracket if side > 0 else self.sell_bracket
                enter(size=1, exectype=backtrader.Order.Market, stopprice=stop, limitprice=target)

        def notify_trade(self, trade: Any) -> None:  # noqa: ANN401 - the library states no types
            self.closed += trade.isclosed

    cerebro = backtrader.Cerebro(stdstats=False)
    cerebro.adddata(backtrader.feeds.PandasData(dataname=_frame(bars, capital=False)))
    cerebro.addstrategy(Told)
    cerebro.broker.setcash(_CASH)
    cerebro.broker.setcommission(commission=fee)
    return int(cerebro.run()[0].closed)


def _frame(bars: pl.DataFrame, *, capital: bool) -> Any:  # noqa: ANN401 - a pandas frame, which is untyped
    """A bar frame as they want it, by time; `capital`: whether names of columns begin with a capital letter."""
    import pandas as pd

    names = ("open", "high", "low", "close", "volume")
    columns = {name.capitalize() if capital else name: bars[name].to_numpy() for name in names}
    return pd.DataFrame(columns, index=pd.DatetimeIndex(bars["open_time"].dt.replace_time_zone(None).to_numpy()))
