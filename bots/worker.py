"""The process a bot lives in: `python -m bots.worker`, started and ended by the runner.

It reads requests from standard input and answers on what was standard output; what a bot prints goes to standard
error. Three requests: `load` a bot, `run` = the series and state of what follows, `bars`. Each bar is answered by one
frame; after an error the bars up to the next `run` are dropped.

Invariant: the state a bar is given is read from the bytes the bar before left. Left out: deadlines. A bot that does
not come back is asked where it is (signal `WHERE`) and killed from outside; one whose runner has died is ended from
inside.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO

from bots.loading import NoBot, Source, load, told
from bots.states import EMPTY, state_bytes
from bots.wire import PREFIX, WHERE, frame, read_head
from contracts import SeriesKey
from engine.plugins import INPUT_TABLES, Bar, BotContext, Signal

if TYPE_CHECKING:
    from engine.plugins import Bot

_ORPHAN_SECONDS = 0.5
_FIELDS = tuple(one.name for one in fields(Signal))


class Worker:
    """One bot, and the series it is just called for.

    Args:
        requests: Frames of the runner.
        replies: Descriptor the answers are written to.
    """

    def __init__(self, requests: BinaryIO, replies: int) -> None:
        self._requests = requests
        self._replies = replies
        self._bot: Bot | None = None
        self._inputs: tuple[str, ...] = ()
        self._columns: tuple[str, ...] = ()
        self._empty: dict[str, tuple[dict[str, Any], ...]] = {}
        self._key = SeriesKey("binance_spot", "NONE", "1m")
        self._params: Mapping[str, Any] = MappingProxyType({})
        self._state = EMPTY
        self._failed = False

    def serve(self) -> None:
        """Answer until the runner closes its end."""
        while (request := self._next()) is not None:
            head, blob = request
            match head["op"]:
                case "load":
                    self._load(Source(head["kind"], head["place"], blob))
                case "run":
                    self._key = SeriesKey.parse(head["key"])
                    # Nothing a bot could change: it would meet its change until the next `run`.
                    self._params = MappingProxyType({name: _frozen(value) for name, value in head["params"].items()})
                    self._state = blob
                    self._failed = False
                case "bars":
                    for values in head["bars"]:
                        if self._failed:
                            break
                        self._bar(values)

    def _next(self) -> tuple[dict[str, Any], bytes] | None:
        prefix = self._requests.read(PREFIX.size)
        if len(prefix) < PREFIX.size:
            return None
        text, blob = PREFIX.unpack(prefix)
        return read_head(self._requests.read(text)), self._requests.read(blob)

    def _answer(self, head: dict[str, Any], blob: bytes = b"") -> None:
        data = memoryview(frame(head, blob))
        while data:
            data = data[os.write(self._replies, data) :]

    def _load(self, source: Source) -> None:
        try:
            bot = load(source)
            inputs = tuple(bot.inputs)
        except BaseException as error:  # noqa: BLE001 - a bot may raise anything; all of it is told
            self._answer(
                {"error": {"reason": "REJECTED" if isinstance(error, NoBot) else "RAISED", "detail": told(error)}}
            )
            return
        self._bot, self._inputs = bot, inputs
        self._columns = tuple(name for name in inputs if name not in INPUT_TABLES)
        self._empty = {name: () for name in inputs if name in INPUT_TABLES}
        self._answer({"loaded": {"name": bot.name, "inputs": list(inputs)}})

    def _bar(self, values: list[Any]) -> None:
        *bar_values, columns, tables = values
        bar = Bar(*bar_values)
        feats: dict[str, Any] = dict(zip(self._columns, columns, strict=True))
        feats.update(self._empty)
        for name, rows in tables.items():
            feats[name] = tuple(rows)
        state = json.loads(self._state)
        try:
            answer = self._bot.on_bar(BotContext(self._key, bar.ts, self._params), bar, feats, state)  # type: ignore[union-attr] # loaded before
        except BaseException as error:  # noqa: BLE001 - as above
            self._fail(bar, "RAISED", told(error))
            return
        try:
            signals = _plain(answer)
            data = state_bytes(state)
        except ValueError as error:
            self._fail(bar, "REJECTED", str(error))
            return
        head: dict[str, Any] = {"ts": bar.ts}
        if signals:
            head["signals"] = signals
        changed = data != self._state
        self._state = data
        self._answer(head, data if changed else b"")

    def _fail(self, bar: Bar, reason: str, detail: str) -> None:
        self._failed = True
        self._answer({"ts": bar.ts, "error": {"reason": reason, "detail": detail}})


def _frozen(value: object) -> object:
    """JSON's lists as the tuples they were."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _plain(answer: object) -> list[dict[str, Any]]:
    """The signals of one bar as JSON values.

    Raises:
        ValueError: The answer is no list of signals.
    """
    if not isinstance(answer, list | tuple):
        msg = f"on_bar returned {answer!r:.200}: it returns a list of signals, [] where there is none"
        raise ValueError(msg)  # noqa: TRY004 - told like any other answer that cannot be
    for one in answer:
        if not isinstance(one, Signal):
            msg = f"on_bar returned {one!r:.200} in its list: it holds engine.plugins.Signal"
            raise ValueError(msg)  # noqa: TRY004 - as above
    sides = [one.side for one in answer]
    if len(set(sides)) < len(sides):
        msg = f"on_bar returned {len(sides)} signals for {sorted(sides)}: at most one of either side a bar"
        raise ValueError(msg)
    return [{name: getattr(one, name) for name in _FIELDS} for one in answer]


def _end_with(runner: int) -> None:
    """End this process and its group once the runner is gone, even in the middle of a bot's loop."""
    while os.getppid() == runner:
        time.sleep(_ORPHAN_SECONDS)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Take standard input and output away from the bot, then serve."""
    requests, replies = os.dup(0), os.dup(1)  # not inherited by what the bot starts
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # Needs neither the GIL nor a bot that gives way. A descriptor of its own: a bot may close or redirect stderr.
    faulthandler.register(WHERE, file=os.dup(2), all_threads=False)
    with contextlib.suppress(OSError):  # short of memory, the kernel shall take the bot before the platform
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    threading.Thread(target=_end_with, args=(int(sys.argv[1]),), daemon=True).start()
    with os.fdopen(requests, "rb") as source:
        Worker(source, replies).serve()


if __name__ == "__main__":
    main()
