"""From a file or an entry point to a bot: the only place that runs a bot's code, and it runs in the worker.

A file is run from the bytes the runner read, so that a worker started later runs the same code although the file
has changed. Modules of the same folder whose name begins with `_` can be imported by it.

Invariant: whatever is wrong with a bot's code is told as text that names its file and line.
Left out: deadlines and processes (`bots.exchange`).

    bot = load(Source(kind="file", place="/bots/sweep.py", code=b"…"))
"""

from __future__ import annotations

import linecache
import os
import re
import sys
import traceback
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, cast

from contracts import DataRejected

if TYPE_CHECKING:
    from types import TracebackType

    from engine.plugins import Bot

ATTRIBUTE = "bot"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_RESERVED = ("retest",)  # the engine's own agent
_OURS = (str(Path(__file__)), str(Path(__file__).with_name("worker.py")))


class NoBot(DataRejected):
    """What was loaded is not a bot; the message names the place and what is missing."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a bot comes from.

    Attributes:
        kind: `file` or `entry_point`.
        place: Path of the file, or `package.module:attribute`.
        code: Content of the file; empty for an entry point.
    """

    kind: Literal["file", "entry_point"]
    place: str
    code: bytes = b""


def load(source: Source) -> Bot:
    """Run the code and take the bot out of it.

    Raises:
        NoBot: There is none, or it lacks something.
        BaseException: Whatever the code itself raises, SystemExit included.
    """
    found = _run_file(source) if source.kind == "file" else EntryPoint("bot", source.place, "tidemark.bots").load()
    bot = found() if isinstance(found, type) else found
    _check(bot, source.place)
    return cast("Bot", bot)


def _run_file(source: Source) -> object:
    path = Path(source.place)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.append(folder)  # behind everything: a bot's neighbour never stands in for a library
    text = source.code.decode("utf-8", "replace")
    # A traceback quotes what was run, not what the file holds by now.
    linecache.cache[source.place] = (len(text), None, text.splitlines(keepends=True), source.place)
    for name, imported in [*sys.modules.items()]:  # what was loaded before is not to be met again
        if os.path.dirname(getattr(imported, "__file__", None) or "") == folder:  # noqa: PTH120 - a thousand of them
            del sys.modules[name]
    module = ModuleType(f"tidemark_bot_{path.stem}")
    module.__file__ = source.place
    sys.modules[module.__name__] = module
    exec(compile(source.code, source.place, "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - a bot is code
    try:
        return getattr(module, ATTRIBUTE)
    except AttributeError as error:
        msg = f"{source.place}: there is no `{ATTRIBUTE}`; end the file with `{ATTRIBUTE} = YourClass()`"
        raise NoBot(msg) from error


def _check(bot: object, place: str) -> None:
    for attribute in ("name", "inputs", "on_bar"):
        if not hasattr(bot, attribute):
            msg = f"{place}: {type(bot).__name__} has no `{attribute}`"
            raise NoBot(msg)
    name, inputs = getattr(bot, "name"), getattr(bot, "inputs")  # noqa: B009 - `bot` is anything so far
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        msg = f"{place}: `name` must be lower case letters, digits and _, at most 40, received {name!r}"
        raise NoBot(msg)
    if name in _RESERVED:
        msg = f"{place}: the name {name!r} belongs to the engine"
        raise NoBot(msg)
    if not isinstance(inputs, tuple | list) or not all(isinstance(one, str) for one in inputs):
        msg = f'{place}: `inputs` must be a tuple of names such as ("atr14", "swings"), received {inputs!r}'
        raise NoBot(msg)
    if not callable(getattr(bot, "on_bar")):  # noqa: B009 - as above
        msg = f"{place}: `on_bar` must be a method"
        raise NoBot(msg)


def told(error: BaseException) -> str:
    """The traceback of a bot's error, from the bot's own first line on."""
    if isinstance(error, NoBot):
        return str(error)
    return "".join(traceback.format_exception(type(error), error, _own(error.__traceback__))).rstrip()


def _own(trace: TracebackType | None) -> TracebackType | None:
    """The trace without the worker's frames at its beginning (all of it where there are no others)."""
    at = trace
    while at is not None and at.tb_frame.f_code.co_filename in _OURS:
        at = at.tb_next
    return at
