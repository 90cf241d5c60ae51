"""Turns: threads whose works go through the same stages in the order of their numbers, no two in one stage at a time.

    turns = Turns("read", "write")
    turns.take("read", 0)   # waits until every work before has given its turn on
    turns.give("read", 0)

Whoever watches over the threads closes the turns in the end: what still waits then, or comes later, is refused.
"""

from __future__ import annotations

import threading


class TurnsClosed(Exception):
    """Nobody's turn comes any more: a work before failed, or the caller has gone."""


class Turns:
    """Whose turn it is, stage by stage; the work of number 0 is first in each.

    Args:
        stages: Their names.
    """

    def __init__(self, *stages: str) -> None:
        self._next = dict.fromkeys(stages, 0)
        self._closed = False
        self._changed = threading.Condition()

    def take(self, stage: str, number: int) -> None:
        """Wait for the turn of a work in a stage.

        Raises:
            TurnsClosed: It will not come.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._next[stage] == number)
            if self._closed:
                raise TurnsClosed

    def give(self, stage: str, number: int) -> None:
        """Let the work behind have its turn in a stage."""
        with self._changed:
            self._next[stage] = number + 1
            self._changed.notify_all()

    def close(self) -> None:
        """Refuse every turn from here on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
