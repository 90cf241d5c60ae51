"""A portfolio that is fed closed bars, as many at a time as one likes.

It holds the engines of its instruments, the account, and what was written so far. Where calls begin and end changes no
row; a session that was saved and restored goes on as if it had not been. `run_backtest` is one call of it.

Every call brings all series to the same instant: what ends by then is in it, what ends later is not.

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

from backtest.carried import PRICES, Carried, living_at
from backtest.conditions import Conditions
from backtest.config import BacktestRefused
from backtest.market import TABLES, Stretch
from backtest.portfolio import WELL, end, walk
from backtest.records import (
    ACCOUNT,
    BOOK,
    DAY,
    DECISION,
    FOREVER,
    GUARD,
    SAMPLE,
    SERIES,
    SIGNAL,
    STANDING,
    TRADE,
    TRADE_FILL,
)
from backtest.result import BacktestResult
from backtest.saved import frame_of, of_bytes, of_frame, of_text, packed, unpacked
from backtest.written import Written
from contracts import InstrumentKey, SeriesKey, from_us, to_us
from contracts.kernel import warm_up
from engine import SymbolEngine
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
        start: When the account begins: the open time of the first bar.

    Raises:
        BacktestRefused: There is no series, none is traded, or the configuration does not fit them.
    """

    def __init__(self, keys: Sequence[SeriesKey], config: BacktestConfig, *, start: datetime) -> None:
        warm_up()
        self.config = config
        # Signals of one instant are looked at from the shortest timeframe to the longest.
        self.keys = sorted(set(keys), key=lambda key: (key.tf.us, key.venue, key.symbol))
        self.traded = [key for key in self.keys if config.trade is None or str(key.tf) in config.trade]
        if not self.traded:
            wanted = "any timeframe" if config.trade is None else ", ".join(config.trade)
            msg = f"nothing to trade: signals of {wanted} are asked for, and the series are {_listed(self.keys)}"
            raise BacktestRefused(msg)
        self.instruments = sorted({key.instrument for key in self.keys})
        self.conditions = Conditions.of(self.instruments, config, start=start)
        self.start = start
        self.until = to_us(start)
        self.written = Written.nothing(self.keys, self.conditions)
        self._series = self._wired()
        self._carried = [Carried() for _ in self.keys]
        self._engines = {instrument: self._engine(instrument) for instrument in self.instruments}
        count = len(self.instruments)
        self._symbols = self.conditions.symbols.copy()
        self._brackets, self._losses = np.zeros(count, BRACKET), np.repeat(nothing_yet(LOSSES), count)
        self._stops, self._fills = nothing_yet(STOPS), np.zeros((count, MAX_FILLS), FILL)
        self._held = np.zeros(count, np.int64)
        self._book = np.zeros(1, BOOK)
        row = self._book[0]
        row["closed"] = row["equity"] = row["peak"] = row["day_start"] = float(config.capital)
        row["day"] = self.until // DAY
        row["sample_us"] = config.sample // timedelta(microseconds=1)
        row["sampled"] = self.until - self.until % row["sample_us"]
        row["last_exit"] = self.until

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
            BacktestRefused: A series is none of the session's, a bar comes too late, or ends after `until`. Nothing
                has changed but the engines.
        """
        for key in bars:
            if key not in self.keys:
                msg = f"{key} is none of the session's series: {_listed(self.keys)}"
                raise BacktestRefused(msg)
        stretches: dict[SeriesKey, Stretch] = {}
        ended: dict[SeriesKey, pl.DataFrame] = {}
        for instrument in self.instruments:
            given = {key: frame for key, frame in bars.items() if key.instrument == instrument}
            known = self._computed(instrument, given) if tables is None else tables
            for key, frame in given.items():
                traded = key in self.traded
                stretches[key] = Stretch.of(key, frame, known.get(key, {}), traded=traded)
                # The tables are large: of those that are not needed any more nothing is held.
                if traded and self._carried[self.keys.index(key)].signals.size:
                    ended[key] = known[key]["zones"]
        self.step(stretches, until=until, zones=ended)

    def step(
        self,
        stretches: Mapping[SeriesKey, Stretch],
        *,
        until: datetime | None = None,
        zones: Mapping[SeriesKey, pl.DataFrame] | None = None,
    ) -> None:
        """`advance` with what was prepared before.

        Args:
            stretches: By series.
            until: See `advance`.
            zones: Zones that changed with these bars: what ends the life of earlier signals' zones.
        """
        ends = [int(one.open_time[-1]) + key.tf.us for key, one in stretches.items() if one.open_time.size]
        last = to_us(until) if until is not None else max(ends, default=self.until)
        self._check_times(stretches, ends, last)
        for at, key in enumerate(self.keys):
            if zones and key in zones and self._carried[at].signals.size:
                self._carried[at].end_zones(zones[key])
        columns, signals = self._laid_out(stretches)
        self._walked(columns, signals, last)
        self._carry_on(stretches, signals, last)
        self.until = last

    def finish(self) -> BacktestResult:
        """Close what is open at its last price, and tell the whole result. The session ends with it."""
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
            arrays[f"carried.{at}.signals"], arrays[f"carried.{at}.zones"] = carried.signals, of_frame(carried.zones)
            arrays[f"carried.{at}.open_time"], arrays[f"carried.{at}.prices"] = carried.open_time, carried.prices
        for instrument, engine in self._engines.items():
            for tf, snapshot in (engine.snapshots() if engine is not None else {}).items():
                arrays[f"engine.{instrument}.{tf}"] = of_bytes(snapshot)
        return packed(arrays | self.written.saved())

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
        for at in range(len(session.keys)):
            parts = {name: arrays[f"carried.{at}.{name}"] for name in ("signals", "zones", "open_time", "prices")}
            session._carried[at] = Carried(
                parts["signals"].copy(), frame_of(parts["zones"]), parts["open_time"], parts["prices"]
            )
        for instrument, engine in session._engines.items():
            if engine is not None:
                blobs = {tf: arrays[f"engine.{instrument}.{tf}"].tobytes() for tf in engine.engines}
                sub = {tf: str(of) for tf, of in engine.sub.items()}
                session._engines[instrument] = SymbolEngine.restore(blobs, sub=sub)
        session.written.restore(arrays)
        return session

    def _name(self) -> str:
        return f"{self.config.hash}|{self.start}|{_listed(self.keys)}"

    def _wired(self) -> NDArray[np.void]:
        """SERIES of every key, with the finest series inside its bars that the instrument has."""
        series = np.zeros(len(self.keys), SERIES)
        for row, key in zip(series, self.keys, strict=True):
            row["symbol"], row["tf"] = self.instruments.index(key.instrument), key.tf.us
            row["due"] = FOREVER
            inside = [
                at
                for at, other in enumerate(self.keys)
                if other.instrument == key.instrument and other.tf.us < key.tf.us and key.tf.us % other.tf.us == 0
            ]
            row["finer"] = inside[0] if inside else -1
        return series

    def _engine(self, instrument: InstrumentKey) -> SymbolEngine | None:
        """The engines of the series that are traded, and of their sub-timeframes."""
        own = [str(key.tf) for key in self.traded if key.instrument == instrument]
        sub = {tf: of for tf, of in self.config.sub.items() if tf in own}
        wanted = sorted({*own, *sub.values()})
        missing = [tf for tf in sub.values() if instrument.series(tf) not in self.keys]
        if missing:
            msg = f"micro_bos of {instrument} comes from {', '.join(missing)}: hand on those bars too"
            raise BacktestRefused(msg)
        if not own:
            return None
        params = dict.fromkeys(wanted, self.config.params)
        return SymbolEngine(instrument.venue, instrument.symbol, params, sub=sub)

    def _computed(self, instrument: InstrumentKey, bars: Mapping[SeriesKey, pl.DataFrame]) -> dict[SeriesKey, Tables]:
        """What an instrument's engines make of these bars."""
        engine = self._engines[instrument]
        given = {str(key.tf): frame for key, frame in bars.items() if engine and str(key.tf) in engine.engines}
        if engine is None or not given:
            return {}
        try:
            rows = {instrument.series(tf): made for tf, made in engine.advance(given).items()}
        except ValueError as error:  # the engine's word for bars that cannot be; its message names series and row
            raise BacktestRefused(str(error)) from error
        return {key: {table: made.frame(table) for table in TABLES} for key, made in rows.items() if key in self.traded}

    def _check_times(self, stretches: Mapping[SeriesKey, Stretch], ends: list[int], last: int) -> None:
        if ends and max(ends) > last:
            msg = f"a bar ends at {from_us(max(ends))}, after the instant {from_us(last)} that was asked for"
            raise BacktestRefused(msg)
        for key, one in stretches.items():
            if one.open_time.size and int(one.open_time[0]) + key.tf.us <= self.until:
                msg = (
                    f"{key}: a bar that ended at {from_us(int(one.open_time[0]) + key.tf.us)} comes too late, all is "
                    f"decided until {from_us(self.until)}"
                )
                raise BacktestRefused(msg)

    def _laid_out(self, stretches: Mapping[SeriesKey, Stretch]) -> tuple[list[NDArray[Any]], NDArray[np.void]]:
        """All bars and all signals in common arrays: open times, four prices, volatility; what is carried first."""
        times: list[NDArray[np.int64]] = []
        prices: list[list[NDArray[np.float64]]] = [[] for _ in range(PRICES)]
        states: list[NDArray[np.int8]] = []
        signals: list[NDArray[np.void]] = []
        place = signal = 0
        for at, (row, key) in enumerate(zip(self._series, self.keys, strict=True)):
            carried, one = self._carried[at], stretches.get(key)
            fresh = carried.open_time.size
            times.append(carried.open_time)
            states.append(np.full(fresh, -1, np.int8))
            for column in range(PRICES):
                prices[column].append(carried.prices[column])
            new = np.zeros(0, SIGNAL)
            row["first"], row["fresh"] = place, place + fresh
            place += fresh
            if one is not None:
                times.append(one.open_time)
                states.append(one.vol_state)
                for column in range(PRICES):
                    prices[column].append(one.prices[column])
                new = one.signals.copy()
                new["bar"] += place
                new["series"] = at
                new["number"] = self.written.name(at, one) + np.arange(new.size)
                place += one.open_time.size
            row["end"] = place
            signals += [carried.signals, new]
            row["signal"], signal = signal, signal + carried.signals.size + new.size
            row["signals_end"] = signal
        columns = [_joined(times), *(_joined(column) for column in prices), _joined(states)]
        return columns, np.concatenate(signals)

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
            since = last - last % max(users) if users else last
            zones = self.written.zones_of(living["number"])
            self._carried[at] = self._carried[at].followed(stretches.get(key), living, zones, since=since)


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One array of all parts; the only one that is not empty is not copied."""
    some = [part for part in parts if part.size]
    if len(some) == 1:
        return np.ascontiguousarray(some[0])
    return np.concatenate(some or parts[:1])


def _listed(keys: Sequence[SeriesKey]) -> str:
    return ", ".join(map(str, keys)) or "none"
