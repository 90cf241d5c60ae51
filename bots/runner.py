"""Runs bots over the bars of any series: a worker process a bot, each answering on its own time.

A call hands over the bars of one series (one live bar or thousands, the same path), the bots' states before them and
the quarantines that concern them. A bot that fails is quarantined from that bar's `ts` on: its earlier signals of the
call stand, its state stays what it was before that bar. The others do not notice.

Invariant: a call is a function of its arguments; a worker keeps nothing that matters, for a new one that is given the
same bytes goes on the same way. Left out: remembering states and quarantines between calls (`bots.series`).
One call at a time: a runner is used by one thread.

    with BotRunner(discover(folder).bots) as runner:
        ran = runner.run(Call(key, params, bars, rows.frame), states=states, quarantines=known)
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl

from bots.exchange import Exchange, Limits, Work, converse
from bots.feed import Feed
from bots.process import BotProcess
from bots.quarantine import Quarantine
from bots.states import BotStates, SavedState
from contracts import from_us
from engine.frames import SIGNAL_SCHEMA, signal_id

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from bots.discovery import FoundBot
    from contracts import SeriesKey
    from engine import EngineParams
    from engine.plugins import Signal

_log = logging.getLogger(__name__)
_NO_SIGNALS = SIGNAL_SCHEMA.to_frame()


@dataclass(frozen=True, eq=False, slots=True)
class Call:
    """The bars of one series, and what the engine made of them.

    Attributes:
        key: The series.
        params: Parameters of the engine; their hash is part of every signal's id.
        bars: Bar frame, as it was handed to the engine.
        frame_of: Table name → frame, such as `SeriesRows.frame`.
    """

    key: SeriesKey
    params: EngineParams
    bars: pl.DataFrame
    frame_of: Callable[[str], pl.DataFrame]


@dataclass(frozen=True, eq=False, slots=True)
class BotRows:
    """What the bots made of one call.

    Attributes:
        signals: Rows of table `signals_raw`, by ts, then agent, LONG before SHORT.
        states: What to hand over with the next bars of the series.
        quarantined: Bots that failed in this call, each with an open span.
    """

    signals: pl.DataFrame
    states: BotStates
    quarantined: tuple[Quarantine, ...]


@dataclass(eq=False, slots=True)
class _Task:
    """One bot in one call: which bars it is given, and how far it has come."""

    bot: FoundBot
    places: Sequence[int]
    state: bytes
    answers: list[tuple[int, Signal]]
    done: int = 0
    tried: int = 0
    exchange: Exchange | None = None
    failed: Quarantine | None = None

    @property
    def open(self) -> bool:
        return self.failed is None and self.done < len(self.places)


class BotRunner:
    """The workers of some bots.

    Args:
        bots: As discovered.
        limits: How long a bar may take; live keeps the default, batch gives `attempts=3`.
        reload: Load each bot's code anew before each call, as a restart would: for tests of bots.
    """

    def __init__(self, bots: Sequence[FoundBot], *, limits: Limits = Limits(), reload: bool = False) -> None:  # noqa: B008 - frozen
        self.bots = tuple(bots)
        self.limits = limits
        self._reload = reload
        self._processes: dict[str, BotProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def versions(self) -> dict[str, str]:
        """Name → version of the bots it runs."""
        return {bot.name: bot.version for bot in self.bots}

    def start(self) -> None:
        """Start and load every worker now, so that the first live bar need not wait for it.

        What fails here is told at the bot's first bar.
        """
        converse([self._exchange(bot, None) for bot in self.bots])

    def close(self) -> None:
        """End every worker."""
        for process in self._processes.values():
            process.kill()
        self._processes.clear()

    def run(self, call: Call, *, states: BotStates, quarantines: Sequence[Quarantine] = ()) -> BotRows:
        """Give the bars to every bot.

        Args:
            call: The bars.
            states: What `states` of the call before was; of a bot without one, the state begins empty.
            quarantines: Recorded spans; those of other series or bots are ignored.

        Raises:
            ValueError: The frames do not belong to the bars.
        """
        feed = Feed(call.key, call.bars, call.frame_of)
        tasks = [
            _Task(bot, _places(feed.ts, bot, call.key, quarantines), states.of(bot.name, version=bot.version), [])
            for bot in self.bots
        ]
        try:
            while due := [task for task in tasks if task.open]:
                for task in due:
                    task.exchange = self._exchange(task.bot, _work(task, call, feed))
                    task.tried += 1
                converse([task.exchange for task in due if task.exchange is not None])
                for task in due:
                    self._settle(task, call.key, feed)
        except BaseException:
            self.close()  # a worker may be in the middle of an answer
            raise
        saved = {task.bot.name: SavedState(task.bot.version, task.state) for task in tasks}
        failed = tuple(task.failed for task in tasks if task.failed is not None)
        return BotRows(_signal_frame(call, tasks), BotStates(saved), failed)

    def _exchange(self, bot: FoundBot, work: Work | None) -> Exchange:
        process = self._process(bot)
        known = process.asked and not self._reload
        return Exchange(process, None if known else bot.source, work, self.limits)

    def _process(self, bot: FoundBot) -> BotProcess:
        """The bot's process; a new one where it has ended between two calls, for which no bar is to blame."""
        process = self._processes.get(bot.name)
        if process is not None and not process.ended and process.has_ended():
            process.kill()
        if process is None or process.ended:
            process = self._processes[bot.name] = BotProcess()
        return process

    def _settle(self, task: _Task, key: SeriesKey, feed: Feed) -> None:
        """Take over what the conversation brought; a bar that was late may be tried again."""
        exchange = task.exchange
        if exchange is None:
            return
        if exchange.done:
            task.tried = 1
        task.done += exchange.done
        task.answers += exchange.answers
        task.state = exchange.state
        failure = exchange.failure
        if failure is None or (failure.reason == "LATE" and task.tried < self.limits.attempts):
            return
        from_ts = from_us(int(feed.ts[task.places[task.done]]))
        task.failed = Quarantine(task.bot.name, key, from_ts, None, failure.reason, failure.detail, task.bot.version)
        if exchange.process.ended:  # made ready now, so that the bot's other series need not wait for it
            self._process(task.bot).load(task.bot.source)
        _log.warning(
            "bot quarantined",
            extra={"agent": task.bot.name, "series": str(key), "from_ts": str(from_ts), "reason": failure.reason},
        )


def _places(ts: Any, bot: FoundBot, key: SeriesKey, quarantines: Sequence[Quarantine]) -> list[int]:  # noqa: ANN401 - an array of int64
    """The bars that the bot is given: those inside no span of its own."""
    mine = [span for span in quarantines if span.agent == bot.name and span.key == key]
    if not mine:
        return list(range(ts.size))
    return [place for place, at in enumerate(ts.tolist()) if not any(span.holds(at) for span in mine)]


def _work(task: _Task, call: Call, feed: Feed) -> Work:
    places = task.places[task.done :]

    def values(start: int, end: int) -> list[list[Any]]:
        wanted = places[start:end]
        first, last = wanted[0], wanted[-1] + 1
        bars = feed.bars(task.bot.inputs, start=first, end=last)
        return bars if len(bars) == len(wanted) else [bars[place - first] for place in wanted]

    ts = feed.ts[np.asarray(places, np.int64)].tolist()
    return Work(call.key, call.params.model_dump(mode="json"), task.state, ts, values, rehearse=task.tried > 0)


def _signal_frame(call: Call, tasks: Sequence[_Task]) -> pl.DataFrame:
    found = [(ts, task.bot.name, signal) for task in tasks for ts, signal in task.answers]
    if not found:
        return _NO_SIGNALS.clone()  # `extend` changes a frame in place
    key, params_hash = call.key, call.params.hash
    found.sort(key=lambda one: (one[0], one[1], one[2].side))
    rows = [
        {
            "signal_id": signal_id(key, ts, agent=agent, side=signal.side, params_hash=params_hash),
            "agent": agent,
            "venue": key.venue,
            "symbol": key.symbol,
            "tf": str(key.tf),
            "ts": from_us(ts),
            "side_hint": signal.side,
            "entry_hint": signal.entry,
            "sl_hint": signal.stop,
            "tp_r": list(signal.tp_r),
            "features": signal.features_text,
            "score": signal.score,
            "ttl_bars": signal.ttl_bars,
            "zone_kind": None if signal.zone is None else signal.zone.kind,
            "zone_created_ts": None if signal.zone is None else from_us(signal.zone.created_ts),
            "retest_ok": signal.retest_ok,
            "structure_ok": signal.structure_ok,
        }
        for ts, agent, signal in found
    ]
    return pl.DataFrame(rows, schema=SIGNAL_SCHEMA)
