"""Which bots there are: installed packages' entry points `tidemark.bots`, and the `*.py` files of a folder.

A file whose name begins with `_` is no bot, but other files of the folder may import it. A bot's code is never run in
this process: a worker runs it and tells what it found.

Invariant: whatever is wrong with one bot is told, with its place, and the others are found all the same.
A bot's version is the sha256 of its file (and of the folder's `_` files, where there are any); that of an entry
point is its distribution's name and version, and the sha256 of its module's file.

    discovery = discover(Path("bots"))
    discovery.bots, discovery.failures
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bots.exchange import Exchange, Limits, converse
from bots.feed import UnknownInput, check_inputs
from bots.loading import Source
from bots.process import BotProcess
from contracts import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from importlib.metadata import EntryPoint

GROUP = "tidemark.bots"
# Workers that start side by side: each is a second of work for a core.
_AT_ONCE = 4


class BotRejected(Rejected):
    """A bot cannot be loaded; the message names its place and what is wrong there."""


@dataclass(frozen=True, slots=True)
class FoundBot:
    """A bot that can be run.

    Attributes:
        name: The agent of its signals.
        inputs: What it wants to be given.
        version: What its state and its quarantines belong to.
        source: Where it comes from, with the code as it was read.
    """

    name: str
    inputs: tuple[str, ...]
    version: str
    source: Source


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """A bot that cannot be run.

    Attributes:
        place: Its file, folder or entry point.
        message: What is wrong, with file and line.
    """

    place: str
    message: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """All that was found, each in the order of names and places."""

    bots: tuple[FoundBot, ...]
    failures: tuple[LoadFailure, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    source: Source
    version: str


def discover(
    folder: Path | None = None,
    *,
    entry_points: Iterable[EntryPoint] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Discovery:
    """Find every bot.

    Args:
        folder: Folder of bot files; None = none.
        entry_points: What to look at in place of the installed packages.
        limits: How long a worker may take to load a bot.
    """
    installed = importlib.metadata.entry_points(group=GROUP) if entry_points is None else entry_points
    candidates: list[_Candidate] = []
    failures: list[LoadFailure] = []
    for one in (*_of_packages(installed), *_of_folder(folder)):
        if isinstance(one, LoadFailure):
            failures.append(one)
        else:
            candidates.append(one)
    bots: list[FoundBot] = []
    for told in _described(candidates, limits):
        if isinstance(told, LoadFailure):
            failures.append(told)
        else:
            bots.append(told)
    unique, clashes = _without_namesakes(bots)
    return Discovery(unique, tuple(sorted((*failures, *clashes), key=lambda one: one.place)))


def load_file(path: Path, *, limits: Limits = Limits()) -> FoundBot:  # noqa: B008 - frozen
    """The bot of one file.

    Raises:
        BotRejected: It cannot be read, run, or is no bot.
    """
    candidate = _of_file(path, _neighbours(path.parent))
    told = candidate if isinstance(candidate, LoadFailure) else next(_described([candidate], limits))
    if isinstance(told, LoadFailure):
        raise BotRejected(told.message)
    return told


def _of_packages(entry_points: Iterable[EntryPoint]) -> Iterator[_Candidate | LoadFailure]:
    for point in sorted(entry_points, key=lambda one: one.value):
        dist = point.dist
        parts = ["unknown package" if dist is None else f"{dist.name} {dist.version}"]
        try:
            code = _module_code(_module_name(point))
        except (ImportError, ValueError, OSError) as error:
            place = point.value or point.name
            yield LoadFailure(place, f"{place} (entry point {point.name!r} of {parts[0]}): {error}")
            continue
        if code is not None:
            parts.append(hashlib.sha256(code).hexdigest())
        yield _Candidate(Source("entry_point", point.value), " ".join(parts))


def _module_name(point: EntryPoint) -> str:
    try:
        return point.module
    except AttributeError as error:  # how Python tells that the value is of no known form
        msg = f"it must be package.module:attribute, received {point.value!r}"
        raise ValueError(msg) from error


def _module_code(module: str) -> bytes | None:
    """The file of a module, found without running it; None where it has none (its packages' `__init__` aside)."""
    if "." in module:  # to find a submodule, Python would import its package
        top = importlib.util.find_spec(module.partition(".")[0])
        roots = [] if top is None else list(top.submodule_search_locations or ())
        inner = module.split(".")[1:]
        for root in roots:
            path = Path(root, *inner)
            for file in (path.with_suffix(".py"), path / "__init__.py"):
                if file.is_file():
                    return file.read_bytes()
        return None
    spec = importlib.util.find_spec(module)
    if spec is None:
        msg = f"there is no module {module!r}"
        raise ImportError(msg)
    return Path(spec.origin).read_bytes() if spec.has_location and spec.origin is not None else None


def _of_folder(folder: Path | None) -> Iterator[_Candidate | LoadFailure]:
    if folder is None:
        return
    if not folder.is_dir():
        yield LoadFailure(
            str(folder), f"{folder}: there is no such folder; create it, or change the setting bots.folder"
        )
        return
    neighbours = _neighbours(folder)
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("_"):
            yield _of_file(path, neighbours)


def _neighbours(folder: Path) -> bytes:
    """The folder's `_` files, which any bot of it may import: names and contents."""
    try:
        return b"".join(path.name.encode() + b"\0" + path.read_bytes() for path in sorted(folder.glob("_*.py")))
    except OSError:  # whoever imports the unreadable file will say so
        return b""


def _of_file(path: Path, neighbours: bytes) -> _Candidate | LoadFailure:
    place = str(path.absolute())
    try:
        code = path.read_bytes()
    except OSError as error:
        return LoadFailure(place, f"{place}: cannot be read: {error.strerror}")
    return _Candidate(Source("file", place, code), hashlib.sha256(code + neighbours).hexdigest())


def _described(candidates: Sequence[_Candidate], limits: Limits) -> Iterator[FoundBot | LoadFailure]:
    for start in range(0, len(candidates), _AT_ONCE):
        with ExitStack() as stack:
            asked = []
            for candidate in candidates[start : start + _AT_ONCE]:
                process = BotProcess()
                stack.callback(process.kill)
                asked.append((candidate, Exchange(process, candidate.source, None, limits)))
            converse([exchange for _, exchange in asked])
        for candidate, exchange in asked:
            yield _judged(candidate, exchange)


def _judged(candidate: _Candidate, exchange: Exchange) -> FoundBot | LoadFailure:
    place = candidate.source.place
    if exchange.failure is not None:
        detail = exchange.failure.detail
        says_so = exchange.failure.reason != "LATE" and place in detail
        return LoadFailure(place, detail if says_so else f"{place}: {detail}")
    told = exchange.loaded or {}
    inputs = tuple(told["inputs"])
    try:
        check_inputs(inputs)
    except UnknownInput as error:
        return LoadFailure(place, f"{place}: {error}")
    return FoundBot(told["name"], inputs, candidate.version, candidate.source)


def _without_namesakes(bots: Sequence[FoundBot]) -> tuple[tuple[FoundBot, ...], tuple[LoadFailure, ...]]:
    count = Counter(bot.name for bot in bots)
    failures = []
    for bot in bots:
        if count[bot.name] > 1:
            others = ", ".join(sorted(one.source.place for one in bots if one.name == bot.name and one is not bot))
            message = f"{bot.source.place}: its name {bot.name!r} is also that of {others}; none of them is run"
            failures.append(LoadFailure(bot.source.place, message))
    unique = sorted((bot for bot in bots if count[bot.name] == 1), key=lambda bot: bot.name)
    return tuple(unique), tuple(failures)
