"""The portfolio in plain Python, slow and plain: `risk.decide` and `venues.fills.BracketOrder` in exact decimals, one
bar and one signal after the other. It shares no line with the compiled loop but what both call on purpose.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from backtest import BacktestConfig
from contracts import InstrumentKey, InstrumentRules, SeriesKey
from contracts.events import SignalRawV1
from contracts.rounding import whole_below
from engine import SymbolEngine
from risk import ClosedTrade, Decision, Funding, OpenBracket, Position, RiskContext, Signal, decide
from venues.fills import Bar, Bracket, BracketOrder, Fill, FillTerms

_BUY = {"BUY": "LONG", "SELL": "SHORT"}
_LEAST = timedelta(microseconds=1)


@dataclass
class Held:
    """A bracket, whose it is, the rules it was placed under, and what its symbol cost last and when."""

    key: SeriesKey
    order: BracketOrder
    decision: Decision
    rules: InstrumentRules
    mark: Decimal
    marked: datetime
    since: datetime
    fills: list[Fill] = field(default_factory=list)


@dataclass
class Ended:
    """A bracket that has ended."""

    held: Held
    exit_ts: datetime


@dataclass
class Plain:
    """What came out."""

    decisions: list[Decision] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    equity: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)
    drawdown: Decimal = Decimal(0)


@dataclass(frozen=True)
class Idea:
    """A signal, and when its zone ends."""

    key: SeriesKey
    signal: Signal
    ends: datetime | None


def plain_backtest(bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig) -> Plain:
    """Trade these bars."""
    return _Portfolio(bars, config).run()


class _Portfolio:
    def __init__(self, bars: Mapping[SeriesKey, pl.DataFrame], config: BacktestConfig) -> None:
        self.config, self.profile = config, config.profile
        self.keys = sorted(bars, key=lambda key: (key.tf.us, key.venue, key.symbol))
        self.bars = {key: _bars_of(key, frame) for key, frame in bars.items()}
        self.ideas, self.states = self._read(bars)
        self.found = Plain()
        self.closed = self.day_start = self.peak = config.capital
        self.held: dict[InstrumentKey, Held] = {}
        self.trades: list[ClosedTrade] = []
        self.acted: set[str] = set()
        first = min(bar.open_time for of_key in self.bars.values() for bar in of_key.values())
        self.day, self.last_exit = first.date(), first

    def run(self) -> Plain:
        ends = sorted({end for of_key in self.bars.values() for end in of_key})
        for end in ends:
            self.halt(end - _LEAST)
            self.begin_day(end - _LEAST)
            for instrument in list(self.held):
                self.walk(instrument, end)
            self.halt(end)
            self.observe()
            self.begin_day(end)  # midnight belongs to the day it begins, once its bars are known
            for key in self.keys:
                if end in self.bars[key]:
                    self.look(key, end)
        for instrument, one in list(self.held.items()):
            self.close(instrument, one.marked)
        self.observe()
        self.found.equity, self.found.peak = self.closed, self.peak
        return self.found

    def begin_day(self, now: datetime) -> None:
        if now.date() > self.day:
            self.day, self.day_start = now.date(), self.equity()

    def observe(self) -> None:
        equity = self.equity()
        self.peak = max(self.peak, equity)
        self.found.drawdown = max(self.found.drawdown, 1 - equity / self.peak)

    def halt(self, until: datetime) -> None:
        """Leave the symbols that ceased to be traded."""
        for instrument, one in list(self.held.items()):
            later = [at for at, rules in self.config.rules[instrument] if rules.status != "TRADING"]
            at = min((at for at in later if at > one.decision.ts), default=until + _LEAST)
            if at <= until:
                self.begin_day(at - _LEAST)
                self.close(instrument, at)

    def close(self, instrument: InstrumentKey, at: datetime) -> None:
        one = self.held[instrument]
        one.fills += one.order.close_out(one.mark, at, one.rules)
        self.settle(instrument)

    def walk(self, instrument: InstrumentKey, end: datetime) -> None:
        one = self.held[instrument]
        bar = self.bars[one.key].get(end)
        if bar is not None:
            self.advance(one, bar)
        if one.order.state == "WAITING" and end >= one.decision.entry_expires_at:
            self.close(instrument, end)
        elif one.order.state == "DONE":
            self.settle(instrument)

    def advance(self, one: Held, bar: Bar) -> None:
        instrument = one.key.instrument
        finer = next((key for key in self.keys if key.instrument == instrument and key.tf.us < one.key.tf.us), None)
        inside = []
        if finer is not None:
            inside = [b for b in self.bars[finer].values() if bar.open_time <= b.open_time < bar.end]
        for at, rate, mark in self.settled(instrument):
            if one.since < at <= bar.open_time:
                one.order.fund(Decimal(repr(rate)), bar.open if mark is None else Decimal(repr(mark)), one.rules)
        one.since = bar.open_time
        one.fills += one.order.advance(bar, inside, one.rules)
        one.mark, one.marked = bar.close, bar.end

    def settle(self, instrument: InstrumentKey) -> None:
        one = self.held.pop(instrument)
        self.closed += one.order.pnl
        if one.order.entry_price is not None:
            at = one.fills[-1].at
            self.last_exit = max(self.last_exit, at)
            stopped = one.order.exit_reason in ("STOP", "BREAKEVEN", "TRAIL", "LIQUIDATION")
            self.trades.append(
                ClosedTrade(
                    venue=instrument.venue,
                    symbol=instrument.symbol,
                    exit_ts=self.last_exit,
                    r=one.order.r,
                    stopped=stopped,
                )
            )
            self.found.ended.append(Ended(one, at))

    def look(self, key: SeriesKey, end: datetime) -> None:
        for idea in self.ideas[key]:
            signal = idea.signal
            lives = signal.ts <= end < signal.ts + signal.ttl_bars * key.tf.duration
            if not lives or signal.signal_id in self.acted:
                continue
            decision = decide(signal, self.context(idea, end), self.profile)
            self.found.decisions.append(decision)
            if decision.side != "HOLD":
                self.place(idea, decision, end)

    def place(self, idea: Idea, decision: Decision, end: datetime) -> None:
        signal, rules = idea.signal, self.rules(idea.key.instrument, end)
        assert decision.entry is not None
        assert decision.sl is not None
        assert signal.atr14 is not None
        ticks = whole_below(self.profile.trail_atr * signal.atr14 / float(rules.tick_size))
        ask = Bracket(
            "BUY" if decision.side == "BUY" else "SELL",
            decision.entry,
            decision.sl,
            tuple((rung.price, rung.qty) for rung in decision.tp_ladder),
            since=end,
            tf=idea.key.tf,
            ttl_bars=(decision.entry_expires_at - end) // idea.key.tf.duration,
            max_bars=self.profile.max_bars,
            after_first=self.profile.after_first,
            trail=ticks * rules.tick_size if self.profile.after_first == "trail" else None,
        )
        terms = FillTerms(slippage=Decimal(str(self.profile.slippage)), leverage=Decimal(self.profile.leverage))
        close = self.bars[idea.key][end].close
        order = BracketOrder(ask, rules, terms)
        self.held[idea.key.instrument] = Held(idea.key, order, decision, rules, close, end, since=end)
        self.acted.add(signal.signal_id)

    def context(self, idea: Idea, end: datetime) -> RiskContext:
        key = idea.key
        status = None if idea.signal.zone_kind is None else "ACTIVE"
        if status and idea.ends is not None and idea.ends <= end:
            status = "MITIGATED"
        equity = self.equity()
        return RiskContext(
            book="backtest",
            account="backtest",
            now=end,
            ts=end,
            close=float(self.bars[key][end].close),
            vol_state=self.states[key].get(end),
            zone_status=status,
            equity=equity,
            day_start_equity=self.day_start,
            peak_equity=self.peak,
            positions=tuple(p for one in self.held.values() for p in self.positions_of(one)),
            brackets=tuple(self.bracket_of(one) for one in self.held.values()),
            trades=tuple(self.trades),
            calendar=tuple(self.config.calendar),
            funding=self.funding(key.instrument, end),
            rules=self.rules(key.instrument, end),
        )

    def settled(self, instrument: InstrumentKey) -> list[tuple[datetime, float, float | None]]:
        frame = self.config.funding.get(instrument)
        return [] if frame is None else frame.rows()

    def funding(self, instrument: InstrumentKey, end: datetime) -> Funding:
        if instrument not in self.config.funding:
            return Funding(last_time=datetime(2021, 1, 1, tzinfo=end.tzinfo), last_rate=0.0)
        past = [(at, rate) for at, rate, _ in self.settled(instrument) if at <= end]
        later = [at for at, _, _ in self.settled(instrument) if at > end]
        last_time, last_rate = past[-1] if past else (None, None)
        return Funding(next_time=later[0] if later else None, last_time=last_time, last_rate=last_rate)

    def positions_of(self, one: Held) -> list[Position]:
        order, rules = one.order, one.rules
        if order.entry_price is None:
            return []
        return [
            Position(
                venue=one.key.venue,
                symbol=one.key.symbol,
                profile=self.profile.name,
                side=_BUY[order.ask.side],
                quantity=order.open_quantity,
                entry_price=order.entry_price,
                mark_price=one.mark,
                stop=order.stop_price,
                costs=order.open_quantity * self.leaving(order.stop_price, rules),
            )
        ]

    def bracket_of(self, one: Held) -> OpenBracket:
        order, rules = one.order, one.rules
        waits = order.entry_price is None
        unfilled = sum((quantity for _, quantity in order.ask.ladder), Decimal(0)) if waits else Decimal(0)
        costs = self.leaving(order.ask.entry, rules) + self.leaving(order.ask.stop, rules)
        return OpenBracket(
            bracket_id=one.decision.bracket_id,
            venue=one.key.venue,
            symbol=one.key.symbol,
            profile=self.profile.name,
            side=_BUY[order.ask.side],
            unfilled=unfilled,
            entry=order.ask.entry,
            stop=order.ask.stop,
            costs=unfilled * costs,
        )

    def leaving(self, price: Decimal, rules: InstrumentRules) -> Decimal:
        """Slippage of a fill in whole ticks, and the dearer fee, a unit."""
        slipped = rules.price_above(price * Decimal(str(self.profile.slippage)))
        return slipped + max(rules.maker_fee, rules.taker_fee) * price

    def equity(self) -> Decimal:
        total = self.closed
        for one in self.held.values():
            order = one.order
            if order.entry_price is not None:
                side = 1 if order.ask.side == "BUY" else -1
                total += order.pnl + side * (one.mark - order.entry_price) * order.open_quantity
        return total

    def rules(self, instrument: InstrumentKey, at: datetime) -> InstrumentRules:
        versions = self.config.rules[instrument]
        return [rules for since, rules in versions if since <= at or since == versions[0][0]][-1]

    def _read(
        self, bars: Mapping[SeriesKey, pl.DataFrame]
    ) -> tuple[dict[SeriesKey, list[Idea]], dict[SeriesKey, dict[datetime, Any]]]:
        ideas, states = {}, {}
        for instrument in {key.instrument for key in bars}:
            given = {str(key.tf): bars[key] for key in bars if key.instrument == instrument}
            params = dict.fromkeys(given, self.config.params)
            engine = SymbolEngine(instrument.venue, instrument.symbol, params, sub=self.config.sub)
            for tf, rows in engine.advance(given).items():
                key = instrument.series(tf)
                atr = dict(rows.indicators.select("ts", "atr14").iter_rows())
                states[key] = dict(rows.regimes.select("ts", pl.col("vol_state").cast(pl.String)).iter_rows())
                ends = {
                    (kind, created): ended
                    for kind, created, ended in rows.zones.select(
                        pl.col("kind").cast(pl.String), "created_ts", "ended_ts"
                    ).iter_rows()
                }
                ideas[key] = [
                    Idea(
                        key, Signal.from_event(event, atr14=atr[event.ts]), ends[event.zone_kind, event.zone_created_ts]
                    )
                    for event in _events(rows.signals)
                ]
        return ideas, states


def _events(signals: pl.DataFrame) -> Sequence[SignalRawV1]:
    rows = signals.iter_rows(named=True)
    return [SignalRawV1.model_validate({**row, "features": json.loads(row["features"])}) for row in rows]


def _bars_of(key: SeriesKey, frame: pl.DataFrame) -> dict[datetime, Bar]:
    found = {}
    for opened, *prices in frame.select("open_time", "open", "high", "low", "close").iter_rows():
        end = opened + key.tf.duration
        found[end] = Bar(opened, end, *(Decimal(repr(price)) for price in prices))
    return found
