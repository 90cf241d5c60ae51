"""What came of a run: trades, equity, decisions with every verdict, and the fingerprint of all of it.

Frames are built when they are asked for. A decision is explained by evaluating it again: what it was given is on
record, and the evaluation is the one that the loop called.

    result.trades; result.metrics.sharpe; result.fingerprint
    result.explain(17)["reason"]
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from backtest.assumptions import assumptions_of
from backtest.config import BacktestRefused
from backtest.metrics import Metrics, daily_returns, metrics_of
from engine import ENGINE_VERSION
from risk.evaluation import evaluate
from risk.gates import GATES
from risk.records import SITUATION, VERDICT
from risk.texts import rendered
from venues.fills.records import EXIT_REASONS, ROLES

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from backtest.config import BacktestConfig
    from backtest.written import Written

_TS: Final = pl.Datetime("us", "UTC")
_AT_ONCE = 200_000  # decisions, where all of them are looked at
# What of a signal is known at its instant.
_OF_SIGNAL: Final = ("series", "ts", "side", "entry", "stop", "atr14", "ttl_bars", "structure", "triggers")
_ZONE: Final = ("zone_kind", "zone_created_ts", "zone_lo", "zone_hi")
_SHOWN = 3  # series that are named before the rest is counted


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult:
    """A finished run.

    Attributes:
        config: What was asked.
        start: When the account began: open time of the first bar, or `config.start`.
        until: End of the last.
        written: Its rows.
        book: The account at the end, one BOOK record.
    """

    config: BacktestConfig
    start: datetime
    until: datetime
    written: Written
    book: NDArray[np.void]

    def __repr__(self) -> str:
        keys = list(map(str, self.written.keys))
        series = ", ".join(keys[:_SHOWN]) + (f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else "")
        return (
            f"BacktestResult({series}, {self.start:%Y-%m-%d %H:%M} to {self.until:%Y-%m-%d %H:%M}, "
            f"{self.trades.height} trades, net {self.trades['pnl'].sum():.2f}, fingerprint {self.fingerprint[:12]})"
        )

    @cached_property
    def trades(self) -> pl.DataFrame:
        """A row a position, in the order in which they ended; money in quote units, `r` after all costs."""
        rows = self.written.rows("trades")
        rows = rows[rows["entered"] != 0]
        ticks, steps = self._units(rows["costs"])
        side = np.where(rows["side"] > 0, "LONG", "SHORT")
        left = rows["entered"] + rows["side"] * rows["gross"] / np.maximum(rows["steps"], 1)
        quantity, entry = _exact(rows["steps"], steps), _exact(rows["entered"], ticks)
        told = self.written.told[rows["signal"].tolist()] if rows.size else self.written.told.clear()
        return pl.DataFrame(
            {
                "trade_id": np.arange(rows.size),
                "signal_id": told["signal_id"],
                **self._series_columns(rows["series"]),
                "side": pl.Series(side, dtype=pl.String),
                **{
                    name: _instants(rows[us])
                    for name, us in (("placed_ts", "placed_us"), ("entry_ts", "entered_us"), ("exit_ts", "left_us"))
                },
                "entry": entry,
                "exit": left * ticks,
                "stop": _exact(rows["stop"], ticks),
                "qty": quantity,
                "notional": entry * quantity,
                **{name: rows[name].copy() for name in ("r", "pnl", "fees", "funding")},
                "exit_reason": pl.Series([EXIT_REASONS[code] for code in rows["reason"]], dtype=pl.String),
                "guesses": rows["guesses"].copy(),
                "ambiguous": rows["guesses"] > 0,
                **{name: rows[name].copy() for name in ("mfe_r", "mae_r")},
                "regime": told["regime"],
                "zone_strength": told["zone_strength"],
            }
        )

    @cached_property
    def zones(self) -> pl.DataFrame:
        """A row a trade: the zone of its signal, null = none; `zone_kind`, `zone_created_ts`, `zone_lo`, `zone_hi`."""
        rows = self.written.rows("trades")
        signals = rows["signal"][rows["entered"] != 0].tolist()
        return self.written.told.select(pl.col(_ZONE).gather(signals)).with_row_index("trade_id")

    @cached_property
    def fills(self) -> pl.DataFrame:
        """Every fill of every trade: `trade_id`, `ts`, `role`, `price`, `qty`, `fee`, `maker`."""
        trades, fills = self.written.rows("trades"), self.written.rows("fills")
        entered = trades["entered"] != 0
        number = np.cumsum(entered) - 1
        fills = fills[entered[fills["trade"]]]
        ticks, steps = self._units(trades["costs"][fills["trade"]])
        return pl.DataFrame(
            {
                "trade_id": number[fills["trade"]],
                "ts": _instants(fills["us"]),
                "role": pl.Series([ROLES[code] for code in fills["role"]], dtype=pl.String),
                "price": _exact(fills["price"], ticks),
                "qty": _exact(fills["steps"], steps),
                "fee": fills["fee"].copy(),
                "maker": fills["maker"] != 0,
            }
        )

    @cached_property
    def equity(self) -> pl.DataFrame:
        """The account at every boundary of `config.sample` and at the end: `ts`, `equity`, `drawdown` (fraction)."""
        rows = self.written.rows("samples")
        drawdown = (rows["peak"] - rows["equity"]) / rows["peak"] if rows.size else np.zeros(0)
        return pl.DataFrame({"ts": _instants(rows["ts"]), "equity": rows["equity"].copy(), "drawdown": drawdown})

    @cached_property
    def decisions(self) -> pl.DataFrame:
        """A row an evaluation: who, when, what came out, and a bit for each gate that passed (`risk.GATES`)."""
        rows = self.written.rows("decisions")
        signals, told = self.written.signals, self.written.told
        number = rows["signal"]
        reasons = pl.Series([*GATES, None], dtype=pl.Enum(GATES))
        order = np.where(rows["first"] >= 0, 0, signals["side"][number]) if rows.size else np.zeros(0, np.int64)
        return pl.DataFrame(
            {
                "ts": _instants(rows["ts"]),
                "signal_id": told["signal_id"].gather(number),
                **self._series_columns(signals["series"][number]),
                "close": rows["close"].copy(),
                "side": pl.Series(["SELL", "HOLD", "BUY"], dtype=pl.Enum(["SELL", "HOLD", "BUY"])).gather(order + 1),
                "reason": reasons.gather(np.where(rows["first"] < 0, len(GATES), rows["first"])),
                "passed": rows["passed"].copy(),
            }
        )

    @cached_property
    def metrics(self) -> Metrics:
        """The numbers of the result."""
        capital = float(self.config.capital)
        return metrics_of(
            self.trades,
            self.equity,
            capital=capital,
            max_drawdown=self.max_drawdown,
            open_share=self.open_share,
            turnover=float(self.book["turnover"][0]) / capital,
        )

    @property
    def assumptions(self) -> list[str]:
        """What the run took for granted, in sentences."""
        return assumptions_of(self.config, self)

    @property
    def daily_returns(self) -> NDArray[np.float64]:
        """Of UTC days, as fractions; that of the first day begins with the capital."""
        return daily_returns(self.equity, capital=float(self.config.capital))

    @property
    def open_share(self) -> float:
        """Share of the time with a position open."""
        begin, end = (self.trades[name].to_physical().to_numpy() for name in ("entry_ts", "exit_ts"))
        order = np.argsort(begin, kind="stable")
        begin, end = begin[order], np.maximum.accumulate(end[order]) if end.size else end
        # What of each position was not open already through those that were entered before it.
        before = np.concatenate((begin[:1], end[:-1]))
        held = np.maximum(0, end - np.maximum(begin, before)).sum()
        return float(held / ((self.until - self.start) / timedelta(microseconds=1)))

    @property
    def max_drawdown(self) -> float:
        """The deepest fall below a peak, as a fraction of it, looked at whenever bars have ended."""
        return float(self.book["drawdown"][0])

    @property
    def opened(self) -> int:
        """How many brackets were placed, filled or not."""
        return int((self.written.rows("decisions")["first"] < 0).sum())

    @property
    def guesses(self) -> int:
        """How many bars could not tell what came first, so that the policy decided."""
        return int(self.written.rows("trades")["guesses"].sum())

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of everything that came out, bit by bit, and of what was asked: equal inputs give equal ones."""
        digest = hashlib.sha256(f"{self.config.hash}|{ENGINE_VERSION}|{self.start}|{self.until}".encode())
        digest.update("|".join(map(str, self.written.keys)).encode())
        signals, rank = self._signals_in_order()
        digest.update(signals)
        for name in ("trades", "fills", "samples"):
            rows = self.written.rows(name)
            for column in rows.dtype.names or ():
                values = rank[rows[column]] if column == "signal" else rows[column]
                digest.update(values.tobytes())
        decisions = self.written.rows("decisions")
        for first in range(0, decisions.size, _AT_ONCE):
            some = decisions[first : first + _AT_ONCE]
            digest.update(rank[some["signal"]].tobytes())
            for column in ("ts", "close", "passed", "first", "vol_state", "zone_active", "rules"):
                digest.update(some[column].tobytes())
            for name, place in (("accounts", "account"), ("standings", "standing"), ("guards", "guard")):
                named = self.written.rows(name)
                for column in named.dtype.names or ():
                    digest.update(named[column][some[place]].tobytes())
        return digest.hexdigest()

    def _signals_in_order(self) -> tuple[bytes, NDArray[np.int64]]:
        """All that is told of the signals, by time, and where each stands there: numbers depend on the calls."""
        signals = self.written.signals
        order = np.lexsort((signals["series"], signals["ts"]))
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        columns = [signals[column][order].tobytes() for column in _OF_SIGNAL]
        told = self.written.told.select(pl.all().gather(order)).with_columns(pl.col("zone_created_ts").to_physical())
        return b"".join([*columns, told.write_csv().encode()]), rank

    def explain(self, row: int) -> dict[str, Any]:
        """One decision in full: every gate with value, limit and text, and the bracket that was looked at.

        Args:
            row: Of `decisions`, from 0.

        Raises:
            BacktestRefused: There is no such row.
        """
        decisions = self.written.rows("decisions")
        _check_row(row, decisions.size)
        one = decisions[row]
        verdict = self._evaluated(one)
        rules = self.written.conditions.versions[int(one["rules"])]
        first = int(verdict["first"])
        tick, step = rules.tick_size, rules.lot_size
        rungs = range(int(verdict["targets"]))
        return {
            **self.decisions.row(int(row), named=True),
            "entry": int(verdict["entry"]) * tick,
            "sl": int(verdict["stop"]) * tick,
            "size": int(verdict["steps"]) * step if first < 0 else 0 * step,
            "tp_ladder": [(int(verdict["target"][k]) * tick, int(verdict["rung"][k]) * step) for k in rungs],
            "gates": [_gate(verdict, place) for place in range(len(GATES))],
        }

    def _evaluated(self, decision: np.void) -> np.void:
        """The verdict of a decision, made again of what it was given."""
        written, conditions = self.written, self.written.conditions
        signal = written.signals[int(decision["signal"])]
        situation, verdict = np.zeros(1, SITUATION), np.zeros(1, VERDICT)
        row = situation[0]
        row["now"] = row["ts"] = decision["ts"]
        row["tf"], row["close"] = written.keys[int(signal["series"])].tf.us, decision["close"]
        row["vol_state"], row["zone_active"] = decision["vol_state"], decision["zone_active"]
        for name in ("side", "ttl_bars", "structure", "triggers", "entry", "stop", "atr14"):
            row[name] = signal[name]
        row["signal_ts"] = signal["ts"]
        for name, place in (("accounts", "account"), ("standings", "standing"), ("guards", "guard")):
            given = written.rows(name)[int(decision[place])]
            for column in given.dtype.names or ():
                row[column] = given[column]
        evaluate(row, conditions.limits[0], conditions.rules[int(decision["rules"])], verdict[0])
        result: np.void = verdict[0]
        return result

    def _units(self, versions: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        costs = self.written.conditions.costs
        return costs["tick"][versions], costs["step"][versions]

    def _series_columns(self, series: NDArray[np.int64]) -> dict[str, pl.Series]:
        keys = self.written.keys
        columns = {name: [str(getattr(key, name)) for key in keys] for name in ("venue", "symbol", "tf")}
        return {
            name: pl.Series(texts, dtype=pl.String).gather(series) if series.size else pl.Series(dtype=pl.String)
            for name, texts in columns.items()
        }


def _check_row(row: object, rows: int) -> None:
    if not isinstance(row, int | np.integer) or not 0 <= row < rows:
        msg = f"there is no decision {row!r} to explain: give the number of a row of `decisions`, which has {rows}"
        raise BacktestRefused(msg)


def _gate(verdict: np.void, place: int) -> dict[str, Any]:
    passed = bool(int(verdict["passed"]) >> place & 1)
    value, limit = (float(verdict[name][place]) for name in ("value", "limit"))
    known = [number if math.isfinite(number) else None for number in (value, limit)]
    text = rendered(GATES[place], passed=passed, value=known[0], limit=known[1])
    return {"gate": GATES[place], "passed": passed, "value": known[0], "limit": known[1], "text": text}


def _instants(us: NDArray[np.int64]) -> pl.Series:
    return pl.Series(us.copy()).cast(pl.Int64).cast(_TS)


def _exact(counts: NDArray[np.int64], units: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count × unit as the float whose shortest text is that decimal: dividing by the whole inverse does not round."""
    inverse = np.round(1.0 / units)
    whole = (inverse >= 1.0) & (np.abs(inverse * units - 1.0) < 1e-12)
    return np.where(whole, counts / np.where(whole, inverse, 1.0), counts * units)
