"""Plug-in bots in the pass: signals beside the retest's, failures on record, states from month to month."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import dagster as dg
import polars as pl
import psycopg
import pytest

from assets.analysis_plan import PassReport
from assets.bots import PluginBots
from engine import TABLES
from store import bots as ledger
from store.signals import forget_agent
from tests.assets.fakes import KEY, FakeVenue, slot, venue_of
from tests.assets.passes import FEB, FEB_BARS, JAN, JAN_BARS, Killed, analyse, computed, tables, written
from tests.assets.runs import World, exchange_of, failure_of, keep, load, revise
from tests.databases import Database
from tests.engine.bits import assert_same_bits

MARCH = datetime(2022, 3, 10, tzinfo=UTC)
BARS = JAN_BARS + FEB_BARS

# Signals at its every hundredth bar, counted in its state alone.
COUNTER = """
    from engine.plugins import Signal

    class Counter:
        name, inputs = "counter", ()

        def on_bar(self, ctx, bar, feats, state):
            state["seen"] = state.get("seen", 0) + 1
            return [] if state["seen"] % 100 else [Signal("LONG", entry=bar.close, stop=bar.close / 2)]

    bot = Counter()
"""
# The same, until a bar of February that it cannot bear.
FRAGILE = """
    from engine.plugins import Signal

    class Fragile:
        name, inputs = "fragile", ()

        def on_bar(self, ctx, bar, feats, state):
            state["seen"] = state.get("seen", 0) + 1
            if state["seen"] == 1000:
                raise ZeroDivisionError("the thousandth bar")
            return [] if state["seen"] % 100 else [Signal("SHORT", entry=bar.close, stop=bar.close * 2)]

    bot = Fragile()
"""
BROKEN = """
    class Broken
        name = "broken"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the bots."""
    return tmp_path


@pytest.fixture
def venue(conn: psycopg.Connection) -> FakeVenue:
    """Two months, loaded and not analysed."""
    keep(conn, KEY)
    found = venue_of(BARS, now=MARCH)
    load(conn, found, (JAN, FEB))
    return found


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What a person was told of bots that cannot be loaded; a test that is told something looks at it."""
    told: list[str] = []
    yield told
    assert told == []


Run = Callable[..., PassReport]


@pytest.fixture
def run(conn: psycopg.Connection, folder: Path, said: list[str]) -> Run:
    """One pass with the bots that are in the folder now."""

    def once(**how: object) -> PassReport:
        with PluginBots(folder=str(folder)).running(say=said.append) as runner:
            return analyse(conn, runner=runner, **how)  # type: ignore[arg-type]  # the keywords of `analyse`

    return once


def put(folder: Path, name: str, code: str) -> None:
    (folder / f"{name}.py").write_text(dedent(code), encoding="utf-8")


def signals(conn: psycopg.Connection, agent: str) -> list[int]:
    """The bars, by their place in the series, at which an agent signalled."""
    found = tables(conn)["signals_raw"].filter(pl.col("agent") == agent)["ts"]
    return [(ts - slot(1)) // KEY.tf.duration for ts in found]


def hundredths(until: int = BARS, *, first: int = 0) -> list[int]:
    """The places of every hundredth bar after `first`."""
    return list(range(first + 99, until, 100))


def assert_the_rest_is_the_engines(conn: psycopg.Connection) -> None:
    """What bots do changes no table but theirs, and no row of the retest."""
    found, expected = tables(conn), computed(conn)[KEY]
    for table in TABLES:
        frame = found[table]
        assert_same_bits(
            frame.filter(pl.col("agent") == "retest") if "agent" in frame.columns else frame, expected[table]
        )
    assert expected["signals_raw"].height > 50


def test_signals_of_a_bot_stand_beside_the_retests(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    put(folder, "counter", COUNTER)
    report = run()
    assert signals(conn, "counter") == hundredths()
    assert_the_rest_is_the_engines(conn)
    assert report.rows["signals_raw"] == tables(conn)["signals_raw"].height
    [price] = venue.tape[KEY].filter(pl.col("open_time") == slot(99))["close"]
    first = tables(conn)["signals_raw"].filter(pl.col("agent") == "counter").row(0, named=True)
    assert (first["entry_hint"], first["sl_hint"]) == (float(price), float(price) / 2)
    assert run().written == []


def test_a_bots_memory_goes_on_month_by_month_and_through_a_killed_pass_as_in_one_run(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    put(folder, "counter", COUNTER)
    assert written(run(until=JAN)) == [JAN]
    assert signals(conn, "counter") == hundredths(JAN_BARS)
    assert written(run()) == [FEB]
    assert signals(conn, "counter") == hundredths()
    # A revision of January, and a pass that dies behind it: the state goes on from the snapshot it left.
    candle = venue.tape[KEY].row(JAN_BARS - 3, named=True)
    revise(conn, venue, candle["open_time"], candle["low"])
    with pytest.raises(Killed):
        run(die_after=1)
    assert signals(conn, "counter") == hundredths(JAN_BARS)
    assert written(run()) == [FEB]
    assert signals(conn, "counter") == hundredths()
    assert_the_rest_is_the_engines(conn)


def test_a_bot_that_raises_is_quarantined_with_its_traceback_and_the_rest_goes_on(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    put(folder, "counter", COUNTER)
    put(folder, "fragile", FRAGILE)
    report = run()
    [span] = ledger.quarantines(conn)
    assert (span.agent, span.key, span.from_ts, span.to_ts) == ("fragile", KEY, slot(1000), None)
    assert (span.reason, span.origin) == ("RAISED", "batch")
    assert 'raise ZeroDivisionError("the thousandth bar")' in span.detail
    assert f'{folder / "fragile.py"}", line 10' in span.detail
    [told] = report.quarantined
    assert told.startswith(f"bot fragile is quarantined on {KEY} from {slot(1000).isoformat()} on (RAISED)")
    assert told.endswith("ZeroDivisionError: the thousandth bar")
    assert signals(conn, "fragile") == hundredths(999)
    assert signals(conn, "counter") == hundredths()
    assert_the_rest_is_the_engines(conn)
    # It is not asked again: neither by a pass that has nothing to do, nor by one that computes January anew.
    assert run().written == []
    candle = venue.tape[KEY].row(5, named=True)
    revise(conn, venue, candle["open_time"], candle["low"])
    report = run()
    assert (written(report), report.quarantined) == ([JAN, FEB], [])
    assert signals(conn, "fragile") == hundredths(999)
    assert len(ledger.quarantines(conn)) == 1


def test_a_quarantine_of_an_earlier_month_holds_in_a_later_pass(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    put(folder, "fragile", FRAGILE.replace("== 1000", "== 50"))
    run(until=JAN)
    assert [span.from_ts for span in ledger.quarantines(conn)] == [slot(50)]
    assert run().quarantined == []
    assert signals(conn, "fragile") == []


def test_a_mended_bot_is_asked_again_from_the_start(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    put(folder, "fragile", FRAGILE)
    run()
    put(folder, "fragile", FRAGILE.replace("== 1000", "== -1"))
    assert written(run()) == [JAN, FEB]
    assert signals(conn, "fragile") == hundredths()
    assert [(span.from_ts, span.to_ts) for span in ledger.quarantines(conn)] == [(slot(1000), None)]  # what was, stays


def test_a_span_that_was_recorded_live_is_replayed_also_for_another_version(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    span = ledger.Quarantine(
        agent="counter",
        key=KEY,
        from_ts=slot(151),  # of the bar at place 150
        to_ts=slot(801),
        reason="LATE",
        detail="no answer within 250 ms",
        bot_version="another",
        origin="live",
        recorded_at=MARCH,
    )
    ledger.record_quarantine(conn, span)
    put(folder, "counter", COUNTER)
    assert run().quarantined == []
    # It had seen 150 bars before the span; its count stood still in it.
    assert signals(conn, "counter") == [99, *range(849, BARS, 100)]
    assert ledger.quarantines(conn) == [span]


def test_another_version_of_a_bot_computes_again_and_the_signals_of_one_that_is_not_found_stay(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    put(folder, "counter", COUNTER)
    run()
    put(folder, "counter", COUNTER.replace("% 100", "% 200"))
    assert written(run()) == [JAN, FEB]
    assert signals(conn, "counter") == list(range(199, BARS, 200))
    (folder / "counter.py").unlink()
    report = run()
    assert (written(report), report.removed) == ([], [])
    assert signals(conn, "counter") == list(range(199, BARS, 200))
    assert forget_agent(conn, "counter") == len(range(199, BARS, 200))
    assert set(tables(conn)["signals_raw"]["agent"]) == {"retest"}
    assert_the_rest_is_the_engines(conn)


def test_signals_that_go_with_a_month_are_told_where_their_bot_is_not_found_and_come_back_with_it(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run
) -> None:
    put(folder, "counter", COUNTER)
    run()
    (folder / "counter.py").unlink()
    candle = venue.tape[KEY].row(JAN_BARS + 5, named=True)
    revise(conn, venue, candle["open_time"], candle["low"] if candle["low"] != candle["close"] else candle["high"])
    report = run()
    assert written(report) == [FEB]
    gone = [bar for bar in hundredths() if bar >= JAN_BARS]
    assert report.removed == [
        f"bot counter is not found now: its {len(gone)} signals on {KEY} from 2022-02 on are removed; they come back "
        f"with the bot"
    ]
    assert signals(conn, "counter") == [bar for bar in hundredths() if bar < JAN_BARS]
    put(folder, "counter", COUNTER)
    assert written(run()) == [FEB]
    assert signals(conn, "counter") == hundredths()


def test_a_file_with_a_syntax_error_is_said_with_its_line_and_the_rest_goes_on(
    conn: psycopg.Connection, folder: Path, venue: FakeVenue, run: Run, said: list[str]
) -> None:
    put(folder, "broken", BROKEN)
    put(folder, "counter", COUNTER)
    assert written(run()) == [JAN, FEB]
    assert signals(conn, "counter") == hundredths()
    [told] = said
    said.clear()
    assert told.startswith("a bot is left out: ")
    assert f"{folder / 'broken.py'}" in told
    assert "line 2" in told


def test_versions_are_told_without_a_run_and_where_there_are_no_bots_no_process_is_started(
    folder: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder, "counter", COUNTER)
    assert list(PluginBots(folder=str(folder)).versions(say=said.append)) == ["counter"]

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a process was started")

    monkeypatch.setattr("subprocess.Popen", refuse)
    assert PluginBots().versions(say=said.append) == {}
    (folder / "counter.py").unlink()
    assert PluginBots(folder=str(folder)).versions(say=said.append) == {}


def test_the_run_in_dagster_has_the_bots_and_tells_their_quarantine(
    database: Database, conn: psycopg.Connection, instance: dg.DagsterInstance, folder: Path, venue: FakeVenue
) -> None:
    put(folder, "fragile", FRAGILE)
    world = World(database, exchange_of(venue), instance, PluginBots(folder=str(folder)))
    result = world.analyse((JAN, FEB))
    assert result.success, failure_of(result)
    told = {
        str(event.step_materialization_data.materialization.metadata["quarantined bots"].value)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key == dg.AssetKey("signals_raw")
    }
    assert [text.startswith("- bot fragile is quarantined") for text in told] == [True]
    assert signals(conn, "fragile") == hundredths(999)
