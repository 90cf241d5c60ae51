"""The bots of one series: the twin of `SeriesEngine`, and like it the same for one bar and a million.

It keeps the states and the quarantines between calls, so that a bot that failed in one call is not called in the
next. Bots of several series share one runner.

Invariant: chunk and restart invariance, as for the engine: any cuts, and `SeriesBots(..., states=decode(snapshot))`
at any bar, give the same rows.

    bots = SeriesBots(runner, key, params, quarantines=recorded)
    rows = engine.advance(bars)
    bots.advance(bars, rows.frame).signals
    bots.snapshot()                       # bytes to stand beside the engine's
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bots.runner import BotRows, BotRunner, Call
from bots.states import BotStates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import polars as pl

    from bots.quarantine import Quarantine
    from contracts import SeriesKey
    from engine import EngineParams


class SeriesBots:
    """What the runner's bots have seen of one series.

    Args:
        runner: Runs them; may be shared with other series.
        key: The series.
        params: Parameters of its engine.
        states: States at the bar before the next one; bots without one begin empty.
        quarantines: Recorded spans of any bots and series.
    """

    def __init__(
        self,
        runner: BotRunner,
        key: SeriesKey,
        params: EngineParams,
        *,
        states: BotStates | None = None,
        quarantines: Iterable[Quarantine] = (),
    ) -> None:
        self._runner = runner
        self._key = key
        self._params = params
        self._states = BotStates() if states is None else states
        self._quarantines = list(quarantines)

    @property
    def states(self) -> BotStates:
        """What the bots remember after the last bar."""
        return self._states

    @property
    def quarantines(self) -> tuple[Quarantine, ...]:
        """The spans it was given, and those that have come since."""
        return tuple(self._quarantines)

    @property
    def starting_anew(self) -> tuple[str, ...]:
        """Bots whose state does not come from a call before: new ones, and those whose version has changed.

        Where that is not the series' first bar, only a run from there would give what they would have given.
        """
        return self._states.missing(self._runner.versions)

    def advance(self, bars: pl.DataFrame, frame_of: Callable[[str], pl.DataFrame]) -> BotRows:
        """Give the next bars of the series to every bot.

        Args:
            bars: Bar frame, as it was handed to the engine.
            frame_of: Table name → frame, such as `SeriesRows.frame` of the same call.

        Raises:
            ValueError: The frames do not belong to the bars.
        """
        call = Call(self._key, self._params, bars, frame_of)
        ran = self._runner.run(call, states=self._states, quarantines=self._quarantines)
        self._states = ran.states
        self._quarantines += ran.quarantined
        return ran

    def snapshot(self) -> bytes:
        """The states as bytes: `BotStates.decode` reads them."""
        return self._states.encode()
