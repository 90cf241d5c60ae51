"""Kline events of one market: what is pushed, when, and in which order.

For every subscribed stream each bar's closing frame (`x: true`) is sent exactly once and in order of time, at whatever
speed the clock runs; frames of the forming bar go out at the market's real cadence at most, after a jump of the clock,
and to a new subscriber at once, and only when something changed. `E` of a closing frame is the instant it was due, so
what is sent does not depend on when the loop came round. A minute that is a hole has no frames.

    feed = Feed(exchange, SPOT); task = asyncio.create_task(feed.run())
"""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from contracts import Timeframe
from venues.simulator.bars import MINUTE_MS, Matrix, duration_ms
from venues.simulator.faults import Fault
from venues.simulator.wire import kline_event

if TYPE_CHECKING:
    from venues.simulator.exchange import Exchange
    from venues.simulator.profiles import VenueProfile

# At high speeds bars close faster than this; their frames then leave in batches.
SHORTEST_PAUSE = 0.02
FRAMES_BETWEEN_YIELDS = 256
GOING_AWAY = 1001
_NAME = re.compile(r"(?P<symbol>[^@]+)@kline_(?P<tf>\w+)")


class Subscriber(Protocol):
    """A connection that wants events."""

    microseconds: bool

    def send(self, name: str, data: str) -> None:
        """Queue one event; `name` is its stream, `data` the raw event."""

    def end(self, code: int, reason: str) -> None:
        """Close the connection once what is queued has left."""


@dataclass(frozen=True, slots=True)
class StreamKey:
    """One series in one time unit."""

    name: str
    symbol: str
    tf: Timeframe
    microseconds: bool


@dataclass(slots=True)
class _Stream:
    key: StreamKey
    next_open: int  # open time of the first bar whose closing frame is still to be sent
    fresh: bool = True  # somebody joined and has seen nothing yet
    last: Any = None  # what the last frame said
    followers: dict[Subscriber, None] = field(default_factory=dict)


class Feed:
    """Events of one market; create it inside the event loop that runs it."""

    def __init__(self, exchange: Exchange, venue: VenueProfile) -> None:
        self._exchange = exchange
        self._venue = venue
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._closed = False
        self._jumped = False
        self._pushed_at = exchange.ticks()
        self._streams: dict[StreamKey, _Stream] = {}
        self._connected: dict[Subscriber, None] = {}
        self._leave = (
            exchange.clock.subscribe(lambda: self._call(self._on_jump)),
            exchange.faults.subscribe(lambda fault: self._call(self._on_fault, fault)),
        )

    def connect(self, subscriber: Subscriber) -> None:
        """Know a connection, so that faults reach it."""
        self._connected[subscriber] = None

    def disconnect(self, subscriber: Subscriber) -> None:
        """Forget a connection and what it followed."""
        self._connected.pop(subscriber, None)
        self.follow(subscriber, ())

    async def prepare(self, subscriber: Subscriber, names: tuple[str, ...]) -> None:
        """Make the history of streams that nobody follows yet, away from the loop: other connections do not wait."""
        keys = [key for key in self._keys(subscriber, names) if key not in self._streams]
        now_ms = self._exchange.clock.now_ms()

        def make() -> None:
            for key in keys:
                self._exchange.history.forming(key.symbol, key.tf, now_ms)

        if keys:
            await asyncio.to_thread(make)

    def follow(self, subscriber: Subscriber, names: tuple[str, ...]) -> None:
        """Make these stream names, and no others, what a connection is sent; unknown names are passed over."""
        wanted = self._keys(subscriber, names)
        for key, stream in list(self._streams.items()):
            if key not in wanted and stream.followers.pop(subscriber, self) is None and not stream.followers:
                del self._streams[key]
        now_ms = self._exchange.clock.now_ms()
        for key in wanted:
            running = now_ms - now_ms % duration_ms(key.tf)
            stream = self._streams.setdefault(key, _Stream(key, running))
            if subscriber not in stream.followers:
                stream.followers[subscriber] = None
                stream.fresh = True
        self._wake.set()

    async def run(self) -> None:
        """Send what is due until closed."""
        while not self._closed:
            self._wake.clear()
            await self._send_due()
            pause = self._pause()
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """Stop, and end all connections."""
        self._closed = True
        for leave in self._leave:
            leave()
        self._end_all()
        self._wake.set()

    def _keys(self, subscriber: Subscriber, names: tuple[str, ...]) -> dict[StreamKey, None]:
        keys = (self._key(name, microseconds=subscriber.microseconds) for name in names)
        return {key: None for key in keys if key is not None}

    def _key(self, name: str, *, microseconds: bool) -> StreamKey | None:
        match = _NAME.fullmatch(name)
        if match is None or match["symbol"] != match["symbol"].lower():
            return None
        symbol = match["symbol"].upper()
        if symbol not in self._exchange.history.symbols or match["tf"] not in list(Timeframe):
            return None
        return StreamKey(name, symbol, Timeframe(match["tf"]), microseconds)

    async def _send_due(self) -> None:
        now_ms = self._exchange.clock.now_ms()
        late = self._exchange.faults.standing(self._venue.name, kinds=frozenset({"late_close"}))
        late_ms = round(sum(fault.seconds for fault in late) * 1000)
        for sent, (due, stream, bar) in enumerate(self._closings(now_ms - late_ms), start=1):
            self._emit(stream, bar, event_ms=due + late_ms, closed=True)
            if sent % FRAMES_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
        due = self._jumped or self._exchange.ticks() - self._pushed_at >= self._venue.push_seconds
        for stream in list(self._streams.values()):
            if due or stream.fresh:
                self._emit_forming(stream, now_ms)
        if due:
            self._jumped, self._pushed_at = False, self._exchange.ticks()

    def _closings(self, until_ms: int) -> list[tuple[int, _Stream, Matrix]]:
        """Every bar that closed by `until` and was not announced: by time, then timeframe, then symbol."""
        found: list[tuple[int, _Stream, Matrix]] = []
        for stream in self._streams.values():
            length = duration_ms(stream.key.tf)
            running = until_ms - until_ms % length
            if running <= stream.next_open:
                continue
            bars = self._exchange.history.window(
                stream.key.symbol, stream.key.tf, start_ms=stream.next_open, end_ms=running
            )
            stream.next_open = running
            found.extend((int(bar[0]) + length, stream, bar) for bar in bars.cells.T)
        found.sort(key=lambda item: (item[0], item[1].key.tf.us, item[1].key.symbol))
        return found

    def _emit_forming(self, stream: _Stream, now_ms: int) -> None:
        bars = self._exchange.history.forming(stream.key.symbol, stream.key.tf, now_ms)
        if len(bars):
            bar = bars.cells[:, -1]
            said = tuple(bar.tolist())
            if stream.fresh or said != stream.last:
                self._emit(stream, bar, event_ms=now_ms, closed=False)
            stream.last = said
        stream.fresh = False

    def _emit(self, stream: _Stream, bar: Matrix, *, event_ms: int, closed: bool) -> None:
        key = stream.key
        rules = self._exchange.history.symbols[key.symbol]
        event = kline_event(
            bar, rules, self._venue, key.tf, event_ms=event_ms, closed=closed, microseconds=key.microseconds
        )
        text = json.dumps(event, separators=(",", ":"))
        for follower in list(stream.followers):
            follower.send(key.name, text)

    def _pause(self) -> float | None:
        """Real seconds until something can be due; None = until woken."""
        speed = self._exchange.clock.speed
        if not self._streams or speed == 0:
            return None
        to_boundary = (MINUTE_MS - self._exchange.clock.now_ms() % MINUTE_MS) / 1000 / speed
        to_push = self._venue.push_seconds - (self._exchange.ticks() - self._pushed_at)
        return max(SHORTEST_PAUSE, min(to_boundary, to_push))

    def _call(self, action: Any, *arguments: Any) -> None:  # noqa: ANN401 - passed on as they are
        """Do something on the loop, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action, *arguments)

    def _on_jump(self) -> None:
        self._jumped = True
        self._wake.set()

    def _on_fault(self, fault: Fault) -> None:
        if fault.venue not in {None, self._venue.name}:
            return
        if fault.kind == "drop_sockets":
            self._end_all()
        elif fault.kind == "server_shutdown":
            if self._venue.name == "spot":  # nothing of the kind is documented for USD-M: it just closes
                self._announce_shutdown()
            self._loop.call_later(fault.seconds, self._end_all)

    def _announce_shutdown(self) -> None:
        now_us = self._exchange.clock.now_us()
        for subscriber in list(self._connected):
            at = now_us if subscriber.microseconds else now_us // 1000
            subscriber.send("!serverShutdown", json.dumps({"e": "serverShutdown", "E": at}, separators=(",", ":")))

    def _end_all(self) -> None:
        for subscriber in list(self._connected):
            subscriber.end(GOING_AWAY, "")
