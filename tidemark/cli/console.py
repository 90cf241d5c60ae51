"""What a person sees: one console, progress bars, and how an error is told.

Results go to standard output, everything else (progress, logs, errors) to standard error, so that a command can be
piped. Progress bars appear only on a terminal; elsewhere each finished step is one line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

# A pipe has no width: tables are made wide enough for what they hold.
out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
err = Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Tell a person what happens, in one line, exactly as it is written: brackets are no markup."""
    err.print(text, markup=False, soft_wrap=True)


def error(text: str) -> None:
    """Tell a person what went wrong; the text may quote anything that anybody sent."""
    err.print(f"[red]error:[/] {escape(text)}", soft_wrap=True)


class Bars:
    """One progress bar for each label that reports (see `assets.progress`)."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lines = not err.is_terminal
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, label: str, done: int, total: int) -> None:
        """Show that `done` of `total` units of `label` are finished."""
        if label not in self._tasks:
            self._tasks[label] = self._progress.add_task(label, total=total)
        self._progress.update(self._tasks[label], completed=done, total=total)
        if self._lines and done >= total:
            err.print(f"{label}: {done}/{total}")


@contextmanager
def bars() -> Iterator[Bars]:
    """Progress bars for the length of a block."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, disable=not err.is_terminal) as progress:
        yield Bars(progress)


@contextmanager
def step(text: str) -> Iterator[None]:
    """A spinner while something without a measure of progress runs; one line where there is no terminal."""
    if err.is_terminal:
        with err.status(text):
            yield
    else:
        err.print(text)
        yield
