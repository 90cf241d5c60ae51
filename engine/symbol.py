"""The series of one symbol together: the breaks of a shorter timeframe become `micro_bos` of a longer one's bars.

Section 6 asks, for bars that close at one instant, that sections 1–5 of every series come before the retests. A retest
reads of other series nothing but their breaks (section 4), and those of a timeframe never depend on a longer one: so
series are taken from the shortest to the longest, each through all its sections, which gives the same rows.

A series waits for its sub-timeframe, never for others. The caller hands a bar over when the shorter bars within it
have come or are known to be missing; a shorter bar that comes after that is refused, for live would not have known
it. A sub-timeframe may run ahead: the last break in each window that still waits for its bar is kept, of the last 64
such windows (law 4); a bar that comes for an older window is refused too, never guessed.

Invariant: a call that raises has changed no series, and where calls begin and end changes no row.

    engine = SymbolEngine("binance_spot", "BTCUSDT", {"1m": params, "15m": params}, sub={"15m": "1m"})
    rows = engine.advance({"1m": minutes, "15m": quarters})["15m"]
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from contracts import SeriesKey, Timeframe, from_us
from contracts.candles import BAR_SCHEMA
from engine.bars import MICRO_BOS, Bars, read_bars
from engine.rows import NEVER
from engine.series import SeriesEngine, SeriesRows
from engine.snapshot import SnapshotRefused
from engine.state import PENDING, SeriesState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.params import EngineParams

_NO_SUB: Mapping[str, str] = {}
_NO_BOTS: Mapping[str, bytes] = {}


class SymbolEngine:
    """The engines of the series of one symbol.

    Args:
        venue: The venue.
        symbol: The symbol.
        params: Parameters by timeframe; these are the series there are.
        sub: For each timeframe that has one, its sub-timeframe.

    Raises:
        ValueError: A sub-timeframe is not among the series, or does not divide its timeframe.
    """

    def __init__(
        self,
        venue: str,
        symbol: str,
        params: Mapping[str, EngineParams],
        *,
        sub: Mapping[str, str] = _NO_SUB,
    ) -> None:
        series = {Timeframe(tf): params_of for tf, params_of in params.items()}
        wiring = _wiring(series, sub)
        self._sub = wiring
        self._engines = {
            tf: SeriesEngine(SeriesKey(venue, symbol, tf), series[tf], sub=wiring.get(tf))
            for tf in sorted(series, key=lambda tf: tf.us)
        }

    @property
    def engines(self) -> Mapping[str, SeriesEngine]:
        """The engine of each series, shortest timeframe first."""
        return {str(tf): engine for tf, engine in self._engines.items()}

    @property
    def sub(self) -> Mapping[str, Timeframe]:
        """The sub-timeframe of each timeframe that has one."""
        return {str(tf): of for tf, of in self._sub.items()}

    def advance(self, bars: Mapping[str, pl.DataFrame]) -> dict[str, SeriesRows]:
        """Append closed bars to some or all of the series.

        Args:
            bars: By timeframe; each as `SeriesEngine.advance` takes them, without `micro_bos` where the series has a
                sub-timeframe.

        Returns:
            What became known, for each timeframe of `bars`.

        Raises:
            ValueError: A timeframe is none of this symbol's, a bar cannot be, or it comes too late. No series has
                changed.
        """
        given = {Timeframe(tf): frame for tf, frame in bars.items()}
        for tf in given:
            if tf not in self._engines:
                msg = f"no series of {tf} here: there are {', '.join(self._engines)}"
                raise ValueError(msg)
        rows: dict[Timeframe, SeriesRows] = {}
        states: dict[Timeframe, SeriesState] = {}
        for tf, engine in self._engines.items():
            sub = self._sub.get(tf)
            if tf not in given and sub not in given:
                continue
            try:
                read = self._read(tf, given)
                if sub is None:
                    rows[tf], states[tf] = engine.tried(read)
                else:
                    heard = _Heard(engine.state, rows.get(sub), tf.us)
                    rows[tf], states[tf] = engine.tried(heard.marked(read))
                    heard.keep(states[tf])
            except ValueError as error:
                msg = f"{engine.key}: {error}"
                raise ValueError(msg) from error
        for tf, state in states.items():
            self._engines[tf].accept(state)
        return {tf: rows[tf] for tf in given}

    def snapshots(self, *, bots: Mapping[str, bytes] = _NO_BOTS) -> dict[str, bytes]:
        """A snapshot of every series, all of this moment.

        Args:
            bots: What the plug-in bots of a series remember, by timeframe; carried along unread.
        """
        carried = {Timeframe(tf): data for tf, data in bots.items()}
        return {tf: engine.snapshot(bots=carried.get(tf, b"")) for tf, engine in self._engines.items()}

    @classmethod
    def restore(
        cls,
        blobs: Mapping[str, bytes],
        *,
        sub: Mapping[str, str] = _NO_SUB,
    ) -> Self:
        """The engine that continues exactly where `snapshots` were taken.

        Args:
            blobs: What `snapshots` returned, of at least one series.
            sub: The sub-timeframes they were made with.

        Raises:
            SnapshotRefused: One of them is refused by `SeriesEngine.restore`, is of another symbol, timeframe or
                sub-timeframe, or of another moment than the others.
            ValueError: There are none, or the sub-timeframes cannot be.
        """
        engines = {Timeframe(tf): SeriesEngine.restore(blob) for tf, blob in blobs.items()}
        if not engines:
            msg = "no snapshots to restore a symbol from"
            raise ValueError(msg)
        first = next(iter(engines.values())).key
        made = cls(first.venue, first.symbol, {tf: engine.params for tf, engine in engines.items()}, sub=sub)
        for tf, engine in engines.items():
            expected = made.engines[tf]
            if engine.key != expected.key:
                msg = f"snapshot of another series: asked for {expected.key}, received {engine.key}"
                raise SnapshotRefused(msg)
            if engine.sub != expected.sub:
                msg = f"snapshot of {engine.key} with sub-timeframe {engine.sub}, asked for {expected.sub}"
                raise SnapshotRefused(msg)
            if engine.sub is not None:
                _check_moment(engine, engines[Timeframe(engine.sub)])
        made._engines = {tf: engines[tf] for tf in made._engines}
        return made

    def _read(self, tf: Timeframe, given: Mapping[Timeframe, pl.DataFrame]) -> Bars:
        """The bars of one series, which none of its longer series must have passed already."""
        frame = given.get(tf)
        if frame is None:
            return _NO_BARS
        if tf in self._sub and MICRO_BOS in frame.columns:
            msg = f"{MICRO_BOS} comes from {self._sub[tf]}: leave the column out"
            raise ValueError(msg)
        read = read_bars(frame)
        for parent, sub in self._sub.items():
            passed = self._engines[parent].last_open_time
            if sub == tf and read.size and passed is not None and read.open_time[0] < passed + parent.us:
                msg = (
                    f"bar 0 (open_time {from_us(int(read.open_time[0])).isoformat()}) comes too late: {parent} has "
                    f"been advanced to {from_us(passed + parent.us).isoformat()} without it; rebuild both"
                )
                raise ValueError(msg)
        return read


_NO_BARS = read_bars(pl.DataFrame(schema=BAR_SCHEMA))


def _wiring(series: Mapping[Timeframe, EngineParams], sub: Mapping[str, str]) -> dict[Timeframe, Timeframe]:
    wiring = {Timeframe(tf): Timeframe(of) for tf, of in sub.items()}
    for tf, of in wiring.items():
        missing = [name for name in (tf, of) if name not in series]
        if missing:
            msg = f"sub-timeframe {of} of {tf}: no series of {', '.join(missing)} here"
            raise ValueError(msg)
        if of.us >= tf.us or tf.us % of.us:
            msg = f"sub-timeframe {of} of {tf}: it must be shorter and divide it"
            raise ValueError(msg)
    return wiring


def _check_moment(engine: SeriesEngine, sub: SeriesEngine) -> None:
    heard = int(engine.state.micro["heard_until"][0])
    opened = sub.last_open_time
    if heard != (NEVER if opened is None else opened + sub.key.tf.us):
        msg = f"snapshots of two moments: {engine.key} has not heard {sub.key} to the end of its snapshot"
        raise SnapshotRefused(msg)


class _Heard:
    """What a series has heard of its sub-timeframe and not used: windows, named by the `ts` of their bar.

    Args:
        state: Of the series, before the call.
        rows: What the sub-timeframe has made known in the call; None = it was given no bars.
        step: Duration of the series' timeframe in µs.
    """

    def __init__(self, state: SeriesState, rows: SeriesRows | None, step: int) -> None:
        micro = state.micro[0]
        count = int(micro["pending"])
        ends, sides = micro["ends"][:count], micro["side"][:count]
        self._step = step
        self._lost_until = int(micro["lost_until"])
        self._heard_until = int(micro["heard_until"])
        if rows is not None and rows.found.ts.size:
            breaks = rows.found.breaks
            ends = np.concatenate((ends, -(-breaks["ts"] // step) * step))
            sides = np.concatenate((sides, breaks["side"]))
            self._heard_until = int(rows.found.ts[-1])
        last = np.append(ends[1:] != ends[:-1], True)[: ends.size]  # the last break of a window stays
        self._ends, self._sides = ends[last], sides[last]

    def marked(self, bars: Bars) -> Bars:
        """The bars with their `micro_bos`; windows up to the last of them are forgotten.

        Raises:
            ValueError: A bar comes for a window that had to be dropped.
        """
        if bars.size == 0:
            return bars
        ts = bars.open_time + self._step
        if ts[0] <= self._lost_until:
            msg = (
                f"bar 0 (open_time {from_us(int(bars.open_time[0])).isoformat()}) comes too late: its sub-timeframe "
                f"has run more than {PENDING} windows ahead; rebuild both from a snapshot"
            )
            raise ValueError(msg)
        micro_bos = np.zeros(bars.size, np.int8)
        places = np.searchsorted(self._ends, ts)
        known = places < self._ends.size
        known[known] = self._ends[places[known]] == ts[known]
        micro_bos[known] = self._sides[places[known]]
        waiting = self._ends > ts[-1]
        self._ends, self._sides, self._lost_until = self._ends[waiting], self._sides[waiting], NEVER
        return replace(bars, micro_bos=micro_bos)

    def keep(self, state: SeriesState) -> None:
        """Write to a state what is left, the last `PENDING` windows of it; what is not in use is zero."""
        if self._ends.size > PENDING:
            self._lost_until = int(self._ends[-PENDING - 1])
        ends, sides = self._ends[-PENDING:], self._sides[-PENDING:]
        micro = state.micro[0]
        micro["heard_until"], micro["lost_until"], micro["pending"] = self._heard_until, self._lost_until, ends.size
        for name, values in (("ends", ends), ("side", sides)):
            micro[name][:] = 0
            micro[name][: values.size] = values
