"""One conversation with each of several workers, at once, each with its own deadline.

A bar is late when its answer has not arrived one deadline after the answer for the bar before (or after it was handed
over, where nothing was under way). The first bar of a process has the start-up allowance, for what it imports and
compiles. Bars are handed over a chunk ahead, so that one bar and thousands take the same path. A late bot is asked
where it is, and killed when it has told or after half a second; meanwhile the others are heard.

Invariant: `converse` returns within the sum of the allowances, whatever the bots do; a failure names its bar and ends
the conversation with one bot only. Left out: what to do about a failure (`bots.runner`).

    talk = Exchange(process, source=found.source, work=Work(...), limits=Limits())
    converse([talk])
    talk.failure, talk.answers, talk.state
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bots.states import MAX_STATE_BYTES
from bots.wire import FrameRejected
from engine.plugins import Signal

if TYPE_CHECKING:
    from bots.loading import Source
    from bots.process import BotProcess
    from bots.quarantine import Reason
    from contracts import SeriesKey

_CHUNK = 256
_FOREVER = float("inf")
_WHERE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a bot may take.

    Attributes:
        deadline_ms: For one bar.
        startup_ms: To start, import and load; and for the first bar of a process.
        attempts: How many processes may try a bar before it counts as late. Live has no time for a second one. Batch
            has, and a machine that stalls once shall not cost a bot its history.
    """

    deadline_ms: int = 250
    startup_ms: int = 20_000
    attempts: int = 1

    def __post_init__(self) -> None:
        for name in ("deadline_ms", "startup_ms", "attempts"):
            if getattr(self, name) < 1:
                msg = f"{name} must be at least 1, received {getattr(self, name)}"
                raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a conversation ended early."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Work:
    """Bars for one bot.

    Attributes:
        key: Their series.
        params: The engine's parameters by name.
        state: The bot's state before the first of them.
        ts: `ts` of each bar, µs since the epoch.
        values: (start, end) → the bars of [start, end) as `bots.feed` gives them.
        rehearse: Give the first bar twice, without regard to the first answer: its process is new, but the bar was
            late before, and shall not pass by the start-up allowance.
    """

    key: SeriesKey
    params: Mapping[str, Any]
    state: bytes
    ts: Sequence[int]
    values: Callable[[int, int], list[list[Any]]]
    rehearse: bool = False


@dataclass(eq=False)
class Exchange:
    """What is said to one worker, and what it answered.

    Attributes:
        process: The worker; killed where it failed to answer, else left running.
        source: Loaded before anything else; None = the process was asked to before.
        work: Bars to run; None = only load.
        limits: Deadlines.
        loaded: What the bot says of itself (`name`, `inputs`), once it has.
        answers: (ts in µs, signal) in order.
        state: State after the last answered bar.
        done: How many bars were answered.
        failure: Why it ended early.
    """

    process: BotProcess
    source: Source | None
    work: Work | None
    limits: Limits
    loaded: dict[str, Any] | None = None
    answers: list[tuple[int, Signal]] = field(default_factory=list)
    state: bytes = b""
    done: int = 0
    failure: Failure | None = None
    due: float = _FOREVER
    _handed: int = 0
    _rehearsing: bool = False
    _late: str | None = None

    def begin(self, now: float) -> None:
        """Send the first request."""
        if self.work is not None:
            self.state = self.work.state
        if self.source is not None:
            self.process.load(self.source)
        if self.process.loaded:
            self._begin_bars(now)
        else:
            self.due = now + self.limits.startup_ms / 1e3

    @property
    def finished(self) -> bool:
        """Whether nothing more is to be said."""
        if self.failure is not None:
            return True
        bars = 0 if self.work is None else len(self.work.ts)
        return self.due == _FOREVER and self.done == bars

    def read(self, clock: Callable[[], float]) -> None:
        """Take the answers that have arrived, then hand over what is due."""
        preparing, taken = self._rehearsing or not self.process.loaded, 0
        try:
            for head, blob in self.process.read():
                self._take(head, blob)
                taken += 1
                if self.failure is not None:
                    return
        except EOFError:
            self._end("EXITED", f"its process {self.process.kill()}")
            return
        except FrameRejected as error:
            self._end("REJECTED", str(error))
            return
        except (ValueError, TypeError, LookupError) as error:
            self._end("REJECTED", f"its answer cannot be used: {error!r}")
            return
        if taken and preparing:
            self._begin_bars(clock())
        elif taken:
            self._expect(clock())

    @property
    def overdue(self) -> bool:
        """Whether it is late already: an answer would not count any more."""
        return self._late is not None

    def late(self, now: float) -> None:
        """The deadline has passed and nothing has arrived: ask where it is, and at the second call end it."""
        if self._late is not None:
            self._end_late(self._late)
            return
        if self.process.has_ended():
            self._end("EXITED", f"its process {self.process.kill()}")
            return
        if self.process.loaded:
            limit = self.limits.deadline_ms if self.process.greeted else self.limits.startup_ms
            what = f"no answer for this bar within {limit} ms"
        else:
            what = f"not loaded within {self.limits.startup_ms} ms"
        self._late, self.due = what, now + _WHERE_SECONDS
        self.process.ask_where()

    def heard(self) -> None:
        """Something was printed: of a late bot, perhaps where it is."""
        if self._late is not None and self.process.where()[1]:
            self._end_late(self._late)

    def _begin_bars(self, now: float) -> None:
        self.due = _FOREVER
        if self.work is not None and len(self.work.ts):
            head = {"op": "run", "key": str(self.work.key), "params": dict(self.work.params)}
            if self.work.rehearse and not self.process.greeted:
                self._rehearsing = True
                self.process.send(head, self.state)
                self.process.send({"op": "bars", "bars": self.work.values(0, 1)})
                self.due = now + self.limits.startup_ms / 1e3
                return
            self.process.send(head, self.state)
            self._expect(now)

    def _expect(self, now: float) -> None:
        """Hand over the next chunk where the worker is about to run out, and wait for the next answer."""
        if self.work is None:
            return
        bars = len(self.work.ts)
        if self._handed < bars and self._handed - self.done < _CHUNK:
            end = min(self._handed + _CHUNK, bars)
            self.process.send({"op": "bars", "bars": self.work.values(self._handed, end)})
            self._handed = end
        allowance = self.limits.deadline_ms if self.process.greeted else self.limits.startup_ms
        self.due = now + allowance / 1e3 if self.done < bars else _FOREVER

    def _take(self, head: dict[str, Any], blob: bytes) -> None:
        if "error" in head:
            self._told(head["error"]["reason"], str(head["error"]["detail"]))
            return
        if not self.process.loaded:
            self.loaded = _description(head["loaded"])
            self.process.loaded = True
            return
        if self.work is None or head["ts"] != self.work.ts[self.done]:
            msg = f"it answers for {head.get('ts')!r}, which nobody asked for"
            raise ValueError(msg)
        if len(blob) > MAX_STATE_BYTES:
            msg = f"its state is {len(blob):,} bytes"
            raise ValueError(msg)
        self.process.greeted = True
        if self._rehearsing:
            self._rehearsing = False
            return
        self.answers += [(head["ts"], _signal(one, head["ts"])) for one in head.get("signals", ())]
        self.state = blob or self.state
        self.done += 1

    def _told(self, reason: str, detail: str) -> None:
        """The worker itself reports an error: it can go on with other series, unless bars of this one are under way."""
        self.failure = Failure("RAISED" if reason == "RAISED" else "REJECTED", detail)
        if self.process.unsent or not self.process.loaded:
            self.process.kill()

    def _end_late(self, what: str) -> None:
        self.process.kill()
        where, _ = self.process.where()
        self._end("LATE", f"{what}; it was at (most recent call first):\n{where}" if where else what)

    def _end(self, reason: Reason, detail: str) -> None:
        self.process.kill()
        self.failure = Failure(reason, detail)


def _description(value: object) -> dict[str, Any]:
    """What a bot says of itself, once it has the shape of that."""
    if isinstance(value, dict) and isinstance(value.get("name"), str):
        inputs = value.get("inputs")
        if isinstance(inputs, list) and all(isinstance(one, str) for one in inputs):
            return value
    msg = f"a bot describes itself as name and inputs, received {value!r:.200}"
    raise ValueError(msg)


def _signal(values: dict[str, Any], ts: int) -> Signal:
    signal = Signal(**values)
    if signal.zone is not None and not 0 <= signal.zone.created_ts <= ts:
        msg = f"the zone of its signal was created at {signal.zone.created_ts}, the bar is known at {ts}"
        raise ValueError(msg)
    return signal


def converse(exchanges: Sequence[Exchange], *, clock: Callable[[], float] = time.monotonic) -> None:
    """Lead every conversation to its end, all of them side by side."""
    with selectors.DefaultSelector() as selector:
        for exchange in exchanges:
            selector.register(exchange.process.replies, selectors.EVENT_READ, exchange)
            selector.register(exchange.process.printed, selectors.EVENT_READ, exchange)
            exchange.begin(clock())
        talking = [exchange for exchange in exchanges if _goes_on(selector, exchange)]
        while talking:
            _serve(selector, min(exchange.due for exchange in talking) - clock(), clock)
            now = clock()
            if any(exchange.due <= now for exchange in talking if not exchange.finished):
                # What has arrived meanwhile is heard first: a runner that was busy makes no bot late.
                _serve(selector, 0.0, clock)
                for exchange in talking:
                    if not exchange.finished and exchange.due <= now:
                        exchange.late(now)
            talking = [exchange for exchange in talking if _goes_on(selector, exchange)]


def _serve(selector: selectors.BaseSelector, wait: float, clock: Callable[[], float]) -> None:
    for ready, _ in selector.select(max(wait, 0.0)):
        exchange: Exchange = ready.data
        if exchange.finished:
            continue
        if ready.fd == exchange.process.replies:
            exchange.read(clock)
        elif ready.fd == exchange.process.requests:
            exchange.process.write()
        else:
            if not exchange.process.read_printed():
                selector.unregister(ready.fd)
            exchange.heard()


def _goes_on(selector: selectors.BaseSelector, exchange: Exchange) -> bool:
    """Whether there is more to say; what the selector watches is brought in step with that."""
    watched = {key.fd for key in selector.get_map().values() if key.data is exchange}
    if exchange.finished:
        for fd in watched:
            selector.unregister(fd)
        return False
    if exchange.overdue and exchange.process.replies in watched:
        selector.unregister(exchange.process.replies)
    requests = exchange.process.requests
    if exchange.process.unsent and requests not in watched:
        selector.register(requests, selectors.EVENT_WRITE, exchange)
    elif requests in watched and not exchange.process.unsent:
        selector.unregister(requests)
    return True
