"""Where an asset's body tells how far it is.

The body calls `report(...)`; whoever started the run decides what that shows: the command line draws a bar, a run
that Dagster launched writes nothing (its log lines suffice). The listener travels in a context variable, so
the bodies need no resource for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str, int, int], None]


def _nobody(label: str, done: int, total: int) -> None:
    del label, done, total


_listener: ContextVar[Listener] = ContextVar("progress_listener", default=_nobody)


def report(label: str, *, done: int, total: int) -> None:
    """Say that `done` of `total` units of the work named `label` are finished."""
    _listener.get()(label, done, total)


def counter(label: str) -> Callable[[int, int], None]:
    """The like of `report` for the work named `label`, to be called by any thread: `count(done, total)`."""
    listener = _listener.get()  # other threads do not inherit it

    def count(done: int, total: int) -> None:
        listener(label, done, total)

    return count


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send every report made inside to `listener`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
