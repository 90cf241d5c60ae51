"""A portfolio that is fed closed bars, as many at a time as one likes.

It holds the engines of its instruments, the account, and what was written so far. Where calls begin and end changes no
row; a session that was saved and restored goes on as if it had not been. `run_backtest` is one call of it.

Every call brings all series to the same instant: what ends by then is in it, what ends later is not. Until
`config.start` bars only warm the engines up: the account begins there, and earlier signals are never traded.

    session = Session(keys, config, start=first_open)
    session.advance({key: january}); session.advance({key: february})
    result = session.finish()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from backtest.carried import Carried, living_at
from backtest.conditions import Conditions
from backtest.config import BacktestRefused
from backtest.engines import Engines
from backtest.layout import laid_out, wired
from backtest.market import Stretch, check_bars, check_key
from backtest.portfolio import WELL, end, walk
from backtest.records import (
    ACCOUNT,
    BOOK,
    DAY,
    DECISION,
    GUARD,
    SAMPLE,
    STANDING,
    TRADE,
    TRADE_FILL,
)
from backtest.result import BacktestResult
from backtest.saved import of_text, packed, unpacked
from backtest.written import Written
from contracts import SeriesKey, from_us, to_us
from contracts.kernel import warm_up
from risk.records import LOSSES, SITUATION, STOPS, VERDICT, nothing_yet
from venues.fills.records import BRACKET, FILL, MAX_FILLS

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from backtest.config import BacktestConfig
    from backtest.market import Tables

# The records that are the portfolio's whole memory.
_STATE = ("book", "stops", "symbols", "brackets", "losses", "fills", "held")


class Session:
    """One portfolio under one profile.

    Args:
        keys: The series it is fed.
        config: Of the run; has rules for every instrument.
        start: Open time of the first bar.

    Attributes:
        start: When the account begins: with the first bar, or at `config.start` where that is later.
        until: Up to which instant everything is decided, µs.

    Raises:
        BacktestRefused: There is no series, none is traded, or the configuration does not fit them.
    """

    def __init__(self, keys: Sequence[SeriesKey], config: BacktestConfig, *, start: datetime) -> None:
        warm_up()
        self.config = config
        for key in keys:
            check_key(key)
        # Signals of one instant are looked at from the shortest timeframe to the longest.
        self.keys = sorted(set(keys), key=lambda key: (key.tf.us, key.venue, key.symbol))
        self.traded = [key for key in self.keys if config.trade is None or str(key.tf) in config.trade]
        if not self.traded:
            wanted = "any timeframe" if config.trade is None else ", ".join(config.trade)
            msg = f"nothing to trade: signals of {wanted} are asked for, and the series are {_listed(self.keys)}"
            raise BacktestRefused(msg)
        self.instruments = sorted({key.instrument for key in self.keys})
        self._first_bar, self.until = start, to_us(start)
        self.start = start if config.start is None else max(start, config.start)
        self.conditions = Conditions.of(self.instruments, config, start=self.start)
        self.written = Written.nothing(self.keys, self.conditions)
        self._series = wired(self.keys, self.instruments)
        self._carried = [Carried() for _ in self.keys]
        self._engines = Engines(self.traded, self.keys, config)
        count = len(self.instruments)
        self._symbols = self.conditions.symbols.copy()
        self._brackets, self._losses = np.zeros(count, BRACKET), np.repeat(nothing_yet(LOSSES), count)
        self._stops, self._fills = nothing_yet(STOPS), np.zeros((count, MAX_FILLS), FILL)
        self._held = np.zeros(count, np.int64)
        self._book = np.zeros(1, BOOK)
        row = self._book[0]
        row["closed"] = row["equity"] = row["peak"] = row["day_start"] = float(config.capital)
        begin = to_us(self.start)
        row["day"] = begin // DAY
        row["sample_us"] = config.sample // timedelta(microseconds=1)
        row["sampled"] = begin - begin % row["sample_us"]
        row["last_exit"] = begin

    def advance(
        self,
        bars: Mapping[SeriesKey, pl.DataFrame],
        *,
        until: datetime | None = None,
        tables: Mapping[SeriesKey, Tables] | None = None,
    ) -> None:
        """Let bars happen.

        Args:
            bars: New closed bars of some or all series (`contracts.candles.BAR_SCHEMA`).
            until: To which instant all series are brought; None = the end of the last of these bars.
            tables: What the engine made of these bars, where that is known already; None = compute it.

        Raises:
            BacktestRefused: A series is none of the session's, a row is no bar, a bar comes too late or ends after
                `until`, or `until` lies before what is decided. Nothing has changed.
        """
        last = self._reached({key: check_bars(key, frame) for key, frame in bars.items()}, until)
        stretches: dict[SeriesKey, Stretch] = {}
        # The tables are large: those of one instrument are let go before the next one's are made.
        for instrument in self.instruments:
            given = {key: frame for key, frame in bars.items() if key.instrument == instrument}
            known = self._engines.advance(instrument, given) if tables is None else tables
            for key, frame in given.items():
                active = self._carried[self.keys.index(key)].zones
                stretches[key] = Stretch.of(key, frame, known.get(key, {}), traded=key in self.traded, zones=active)
        self._happen(stretches, last)

    def step(self, stretches: Mapping[SeriesKey, Stretch], *, until: datetime | None = None) -> None:
        """`advance` with what was prepared before.

        Args:
            stretches: By series.
            until: See `advance`.

        Raises:
            BacktestRefused: See `advance`.
        """
        self._happen(stretches, self._reached({key: one.open_time for key, one in stretches.items()}, until))

    def finish(self) -> BacktestResult:
        """Close what is open at its last price, and tell the whole result. The session ends with it.

        Raises:
            BacktestRefused: The account has not begun: there were no bars, or all of them ended by `config.start`.
        """
        if self.until <= to_us(self.start):
            msg = f"signals are traded from {self.start} on, and the bars end at {from_us(self.until)}: load later bars"
            raise BacktestRefused(msg if self.config.start is None else f"{msg}, or begin sooner")
        room = int(self._book["held"][0])
        trades, fills = np.zeros(room, TRADE), np.zeros(room * MAX_FILLS, TRADE_FILL)
        samples = np.zeros(1, SAMPLE)
        self._start_outputs()
        end(
            self.until,
            self._book[0],
            self._stops[0],
            self._symbols,
            self._brackets,
            self._losses,
            self._fills,
            self._held,
            self.conditions.limits[0],
            self.conditions.costs,
            trades,
            fills,
            samples,
        )
        self.written.add(self._book[0], trades=trades, fills=fills, samples=samples)
        return BacktestResult(self.config, self.start, from_us(self.until), self.written, self._book.copy())

    def saved(self) -> bytes:
        """All of the session as bytes, for `restored`."""
        arrays: dict[str, NDArray[Any]] = {name: getattr(self, f"_{name}") for name in _STATE}
        arrays["of"] = of_text(self._name())
        arrays["until"] = np.array([self.until])
        for at, carried in enumerate(self._carried):
            arrays |= carried.saved(f"carried.{at}")
        return packed(arrays | self._engines.saved() | self.written.saved())

    @classmethod
    def restored(cls, data: bytes, keys: Sequence[SeriesKey], config: BacktestConfig, *, start: datetime) -> Self:
        """The session that `saved` was taken from; the other arguments are those it was made with.

        Raises:
            BacktestRefused: The bytes are damaged, or of a session of other series or another configuration.
        """
        session = cls(keys, config, start=start)
        arrays = unpacked(data)
        if arrays.get("of", np.zeros(0, np.uint8)).tobytes() != session._name().encode():
            msg = "the saved session is of other series, another configuration or another start: begin it anew"
            raise BacktestRefused(msg)
        for name in _STATE:
            setattr(session, f"_{name}", arrays[name].copy())
        session.until = int(arrays["until"][0])
        session._carried = [Carried.restored(arrays, f"carried.{at}") for at in range(len(session.keys))]
        session._engines.restore(arrays)
        session.written.restore(arrays)
        return session

    def _name(self) -> str:
        return f"{self.config.hash}|{self._first_bar}|{_listed(self.keys)}"

    def _reached(self, opened: Mapping[SeriesKey, NDArray[np.int64]], until: datetime | None) -> int:
        """The instant, µs, that a call with these bars (open times by series) brings all series to."""
        ends = {}
        for key, times in opened.items():
            if key not in self.keys:
                msg = f"{key} is none of the session's series: {_listed(self.keys)}"
                raise BacktestRefused(msg)
            if not times.size:
                continue
            first, ends[key] = int(times[0]) + key.tf.us, int(times[-1]) + key.tf.us
            if first <= self.until:
                msg = (
                    f"{key}: a bar that ended at {from_us(first)} comes too late, all is decided until "
                    f"{from_us(self.until)}"
                )
                raise BacktestRefused(msg)
        end = max(ends.values(), default=self.until)
        last = end if until is None else to_us(until)
        if last < self.until:
            msg = f"all is decided until {from_us(self.until)}, and time only goes on: {until} lies before that"
            raise BacktestRefused(msg)
        if end > last:
            msg = f"a bar ends at {from_us(end)}, after the instant {from_us(last)} that was asked for"
            raise BacktestRefused(msg)
        return last

    def _happen(self, stretches: Mapping[SeriesKey, Stretch], last: int) -> None:
        """Let everything happen that is known by an instant, but for signals from before the account begins."""
        begin = to_us(self.start)
        traded = {key: one.since(begin) for key, one in stretches.items()}
        self._end_zones(traded)
        columns, signals = laid_out(self._series, self.keys, self._carried, traded, name=self.written.name)
        self._walked(columns, signals, last)
        self._carry_on(traded, signals, last)
        self.until = last

    def _end_zones(self, stretches: Mapping[SeriesKey, Stretch]) -> None:
        """Tell the signals of earlier calls which of their zones have ended."""
        for key, carried in zip(self.keys, self._carried, strict=True):
            if key in stretches and carried.signals.size:
                named = self.written.zones_of(carried.signals["number"])
                carried.end_zones(stretches[key].zones, named=named)

    def _walked(self, columns: Sequence[NDArray[Any]], signals: NDArray[np.void], last: int) -> None:
        """The loop over what was laid out; what it writes is kept."""
        looks = int(signals["ttl_bars"].sum())
        room = signals.size + int(self._book["held"][0])
        boundaries = max(0, (last - int(self._book["sampled"][0])) // int(self._book["sample_us"][0])) + 1
        decisions, accounts = np.empty(looks, DECISION), np.empty(looks, ACCOUNT)
        standings, guards = np.empty(looks, STANDING), np.empty(looks, GUARD)
        trades, fills = np.empty(room, TRADE), np.empty(room * MAX_FILLS, TRADE_FILL)
        samples = np.empty(boundaries, SAMPLE)
        situation, verdict = np.zeros(1, SITUATION), np.zeros(1, VERDICT)
        self._start_outputs()
        known = self.conditions
        open_time, bar_open, high, low, close, vol_state = columns
        code = walk(
            last,
            self._book[0],
            self._stops[0],
            self._symbols,
            self._brackets,
            self._losses,
            self._fills,
            self._held,
            self._series,
            open_time,
            bar_open,
            high,
            low,
            close,
            vol_state,
            signals,
            known.limits[0],
            known.terms[0],
            known.rules,
            known.costs,
            known.rules_from,
            known.news,
            known.funding_time,
            known.funding_rate,
            known.funding_mark,
            situation[0],
            verdict[0],
            decisions,
            accounts,
            standings,
            guards,
            trades,
            fills,
            samples,
        )
        if code != WELL:
            msg = f"signal {self.written.named(code)} passed every gate and the fill model refused its bracket"
            raise RuntimeError(msg)
        self.written.add(
            self._book[0],
            decisions=decisions,
            accounts=accounts,
            standings=standings,
            guards=guards,
            trades=trades,
            fills=fills,
            samples=samples,
        )

    def _start_outputs(self) -> None:
        for name in ("decisions", "accounts", "standings", "guards", "trades", "fills", "samples"):
            self._book[name] = 0
        self._symbols["standing"] = self._symbols["guard"] = -1

    def _carry_on(self, stretches: Mapping[SeriesKey, Stretch], signals: NDArray[np.void], last: int) -> None:
        """Keep what the next call needs of this one."""
        for at, (row, key) in enumerate(zip(self._series, self.keys, strict=True)):
            living = living_at(last, signals[row["signal"] : row["signals_end"]], key.tf)
            users = [int(user["tf"]) for user in self._series if user["finer"] == at]
            # Where each bar that will ask began; they need not nest.
            since = min((last - last % tf for tf in users), default=last)
            self._carried[at] = self._carried[at].followed(stretches.get(key), living, last=last, since=since)


def _listed(keys: Sequence[SeriesKey]) -> str:
    return ", ".join(map(str, keys)) or "none"
