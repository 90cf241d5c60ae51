"""The engine's laws, for bots: any cuts and a restart anywhere give the same, and batch gives what live gave."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots.discovery import FoundBot
from bots.exchange import Limits
from bots.runner import BotRunner
from bots.series import SeriesBots
from bots.states import BotStates
from contracts import to_us
from tests.bots.fakes import COUNTING, KEY, PARAMS, found, known, rows_of, run, some_bars

BARS = 60
MARKET = some_bars(BARS)


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> FoundBot:
    return found(tmp_path_factory.mktemp("bots"), "counting", COUNTING)


@pytest.fixture(scope="module")
def runner(counting: FoundBot) -> Iterator[BotRunner]:
    with BotRunner([counting]) as running:
        yield running


def pieces(series: SeriesBots, edges: list[int]) -> pl.DataFrame:
    parts = [MARKET[start:end] for start, end in pairwise(edges)]
    return pl.concat([series.advance(bars, rows_of(bars).frame).signals for bars in parts])


@given(st.lists(st.integers(1, BARS - 1), unique=True, max_size=12).map(sorted))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_cuts_give_the_same_signals_and_the_same_state(runner: BotRunner, cuts: list[int]) -> None:
    whole = SeriesBots(runner, KEY, PARAMS)
    cut = SeriesBots(runner, KEY, PARAMS)
    assert pieces(cut, [0, *cuts, BARS]).equals(pieces(whole, [0, BARS]))
    assert cut.snapshot() == whole.snapshot()


def test_a_restart_at_every_bar_changes_nothing(counting: FoundBot, runner: BotRunner) -> None:
    whole = SeriesBots(runner, KEY, PARAMS)
    expected = pieces(whole, [0, BARS])
    blob, signals = BotStates().encode(), []
    with BotRunner([counting], reload=True) as restarted:
        for place in range(BARS):
            series = SeriesBots(restarted, KEY, PARAMS, states=BotStates.decode(blob))
            signals.append(pieces(series, [place, place + 1]))
            blob = series.snapshot()
    assert pl.concat(signals).equals(expected)
    assert blob == whole.snapshot()


def test_a_new_process_goes_on_where_the_old_one_was_killed(counting: FoundBot, runner: BotRunner) -> None:
    expected = pieces(SeriesBots(runner, KEY, PARAMS), [0, BARS])
    blob, signals = BotStates().encode(), []
    for edges in pairwise([0, 1, 31, 32, BARS]):
        with BotRunner([counting]) as fresh:
            series = SeriesBots(fresh, KEY, PARAMS, states=BotStates.decode(blob))
            signals.append(pieces(series, [*edges]))
            blob = series.snapshot()
    assert pl.concat(signals).equals(expected)


def test_a_bot_that_keeps_things_elsewhere_is_caught_by_a_restart_at_every_bar(tmp_path: Path) -> None:
    """A test of the test two above."""
    body = "self.seen = getattr(self, 'seen', 0) + 1\nstate['seen'] = self.seen - 1\n" + COUNTING
    bot = found(tmp_path, "forgetful", body)
    with BotRunner([bot], reload=True) as restarted, BotRunner([bot]) as steady:
        every = [*range(BARS + 1)]
        assert pieces(SeriesBots(steady, KEY, PARAMS), every).height == BARS // 3
        assert pieces(SeriesBots(restarted, KEY, PARAMS), every).height == 0


def test_what_a_bot_did_to_its_state_in_the_bar_it_failed_at_is_forgotten(tmp_path: Path) -> None:
    body = f"state['n'] = state.get('n', 0) + 1\nif bar.ts == {to_us(known(7))}:\n    raise ValueError\nreturn []"
    bot = found(tmp_path, "half", body)
    assert run([bot], some_bars(9)).states.of("half", version=bot.version) == b'{"n":7}'


def test_a_state_of_another_version_is_not_used_and_the_bot_is_named(tmp_path: Path, runner: BotRunner) -> None:
    series = SeriesBots(runner, KEY, PARAMS)
    anew = [series.starting_anew]
    pieces(series, [0, 4])
    anew.append(series.starting_anew)
    assert anew == [("counting",), ()]
    changed = found(tmp_path, "counting", COUNTING + "# another version")
    with BotRunner([changed]) as other:
        again = SeriesBots(other, KEY, PARAMS, states=series.states)
        assert again.starting_anew == ("counting",)
        pieces(again, [4, 5])
        assert again.states.of("counting", version=changed.version) == b'{"seen":1}'


def test_batch_replays_a_span_that_live_recorded_and_gives_the_same_rows(tmp_path: Path) -> None:
    """Live, the bot was late at bar 20 and released at bar 40; the batch's machine would have been in time."""
    slow_here = tmp_path / "slow_here"
    deed = f"if bar.ts == {to_us(known(20))} and pathlib.Path({str(slow_here)!r}).exists():\n    time.sleep(3600)\n"
    bot = found(tmp_path, "late", deed + COUNTING, head="import pathlib, time")
    slow_here.touch()
    with BotRunner([bot], limits=Limits(deadline_ms=1_000)) as live:
        series = SeriesBots(live, KEY, PARAMS)
        signals = [pieces(series, [place, place + 1]) for place in range(40)]
        (span,) = series.quarantines
        assert (span.reason, span.from_ts, span.to_ts) == ("LATE", known(20), None)
        released = type(span)(span.agent, KEY, span.from_ts, known(40), span.reason, span.detail, span.bot_version)
        series = SeriesBots(live, KEY, PARAMS, states=series.states, quarantines=[released])
        signals += [pieces(series, [place, place + 1]) for place in range(40, BARS)]
        lived, blob = pl.concat(signals), series.snapshot()
    slow_here.unlink()
    with BotRunner([bot], limits=Limits(attempts=3)) as batch:
        replayed = SeriesBots(batch, KEY, PARAMS, quarantines=[released])
        assert pieces(replayed, [0, BARS]).equals(lived)
        assert replayed.snapshot() == blob
        assert not pieces(SeriesBots(batch, KEY, PARAMS), [0, BARS]).equals(lived)  # the span is what makes them equal
    # 20 bars before the span and 20 after it: the count goes on where it stood.
    assert lived["ts"].to_list() == [known(place) for place in (2, 5, 8, 11, 14, 17, 40, 43, 46, 49, 52, 55, 58)]
