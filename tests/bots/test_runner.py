from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from bots.discovery import FoundBot
from bots.exchange import Exchange, Failure, Limits, converse
from bots.process import BotProcess
from bots.quarantine import Quarantine, Reason
from bots.runner import BotRunner, Call
from bots.series import SeriesBots
from bots.states import BotStates
from contracts import to_us
from engine.frames import SIGNAL_SCHEMA, signal_id
from tests.bots.fakes import COUNTING, KEY, OTHER, PARAMS, answering, found, known, rows_of, run, some_bars, table

# What is too slow takes for ever, what is not takes no time: a loaded machine changes neither.
SHORT = Limits(deadline_ms=1_500)
BUSY = "while True: pass"
HEAD = """
import contextlib, os, signal, stat, time


def write_to_every_pipe():
    for fd in range(3, 20):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                os.write(fd, b"x" * 99)
"""


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> FoundBot:
    return found(tmp_path_factory.mktemp("bots"), "counting", COUNTING)


def at_bar(place: int, deed: str) -> str:
    """A bot that counts, and does something else at one bar."""
    return f"if bar.ts == {to_us(known(place))}:\n    {deed}\n{COUNTING.strip()}"


def expected_ts(bars: int) -> list[object]:
    """When the counting bot signals: every third bar."""
    return [known(place) for place in range(2, bars, 3)]


def test_signals_become_rows_of_the_table(tmp_path: Path) -> None:
    body = """
    if feats["atr14"] != 1.0:
        return []
    return [
        Signal("SHORT", entry=bar.close, stop=bar.high, tp_r=[2, 4], ttl_bars=3, score=0.25, zone=("OB", ctx.ts)),
        Signal("LONG", entry=bar.close, stop=bar.low, features={"b": 1, "a": True}, retest_ok=True, structure_ok=True),
    ]
    """
    ran = run([found(tmp_path, "both", body)], some_bars(3))
    common = {"agent": "both", "venue": "binance_spot", "symbol": "BTCUSDT", "tf": "15m", "ts": known(1)}
    ids = {
        side: signal_id(KEY, to_us(known(1)), agent="both", side=side, params_hash=PARAMS.hash)
        for side in ("LONG", "SHORT")
    }
    long = {"side_hint": "LONG", "entry_hint": 101.0, "sl_hint": 99.0, "tp_r": [1.5, 2.0, 3.0], "score": 0.5}
    long |= {"features": '{"a":true,"b":1}', "ttl_bars": 6, "retest_ok": True, "structure_ok": True}
    short = {"side_hint": "SHORT", "entry_hint": 101.0, "sl_hint": 103.0, "tp_r": [2.0, 4.0], "score": 0.25}
    short |= {"features": "{}", "ttl_bars": 3, "retest_ok": False, "structure_ok": False}
    zone = {"zone_kind": "OB", "zone_created_ts": known(1)}
    no_zone = {"zone_kind": None, "zone_created_ts": None}
    expected = [
        common | {"signal_id": ids["LONG"]} | long | no_zone,
        common | {"signal_id": ids["SHORT"]} | short | zone,
    ]
    assert ran.signals.schema == SIGNAL_SCHEMA
    assert ran.signals.equals(pl.DataFrame(expected, schema=SIGNAL_SCHEMA))
    assert ran.quarantined == ()


def test_a_bot_is_given_what_it_declared_and_where_it_stands(tmp_path: Path) -> None:
    body = """
    assert str(ctx.key) == "binance_spot:BTCUSDT:15m" and ctx.ts == bar.ts == bar.open_time + ctx.key.tf.us
    assert ctx.params["tp_r"] == (1.5, 2.0, 3.0) and ctx.params["rsi_long"] == (40.0, 55.0)
    assert not [name for name, value in ctx.params.items() if isinstance(value, list | dict)]
    assert sorted(feats) == ["atr14", "liquidity_events", "swings"] and feats["swings"] == ()
    found = [event["kind"] for event in feats["liquidity_events"]]
    assert found == (["EQH"] if bar.close == 101.0 else [])
    return []
    """
    bars = some_bars(3)
    events = table("liquidity_events", {"ts": known(1), "kind": "EQH", "ref_ts": known(0), "level": 1.0})
    bot = found(tmp_path, "looking", body, inputs='("atr14", "liquidity_events", "swings")')
    with BotRunner([bot]) as runner:
        call = Call(KEY, PARAMS, bars, rows_of(bars, liquidity_events=events).frame)
        assert runner.run(call, states=BotStates()).quarantined == ()


def test_no_bots_and_no_bars_are_no_signals(counting: FoundBot) -> None:
    assert run([], some_bars(3)).signals.equals(SIGNAL_SCHEMA.to_frame())
    assert run([counting], some_bars(0)).signals.equals(SIGNAL_SCHEMA.to_frame())


def test_signals_of_one_call_are_not_those_of_another_even_when_changed_in_place() -> None:
    mine = run([], some_bars(1)).signals
    mine.extend(table("signals_raw", {"agent": "me"}))
    mine.insert_column(0, pl.Series("stray", [1]))
    assert run([], some_bars(1)).signals.equals(SIGNAL_SCHEMA.to_frame())


@pytest.mark.parametrize(
    ("deed", "reason", "told"),
    [
        ("raise KeyError('ema20')", "RAISED", ['failing.py", line {line}, in on_bar', "raise KeyError('ema20')"]),
        ("raise SystemExit(2)", "RAISED", ['failing.py", line {line}, in on_bar', "SystemExit: 2"]),
        ("return [Signal('LONG', entry=1.0, stop=2.0)]", "RAISED", ["line {line}", "stop must be below the entry 1.0"]),
        ("return None", "REJECTED", ["on_bar returned None: it returns a list of signals, [] where there is none"]),
        ("return ['LONG']", "REJECTED", ["on_bar returned 'LONG' in its list: it holds engine.plugins.Signal"]),
        ("return [Signal('LONG', entry=2.0, stop=1.0)] * 2", "REJECTED", ["at most one of either side a bar"]),
        ("state['x'] = {1, 2}", "REJECTED", ["state holds what JSON cannot"]),
        ("state['x'] = 'x' * 70_000", "REJECTED", ["at most 65,536 are kept"]),
        ("state[1] = 0", "REJECTED", ["the name 1"]),
        ("os._exit(5)", "EXITED", ["its process ended with exit code 5"]),
        ("print('my last words'); os.kill(os.getpid(), 11)", "EXITED", ["SIGSEGV", "my last words"]),
        ("return [Signal('LONG', entry=2.0, stop=1.0, zone=('OB', 2**62))]", "REJECTED", ["the zone of its signal"]),
        ("write_to_every_pipe()", "REJECTED", ["no frame"]),
        (BUSY, "LATE", ["no answer for this bar within 1500 ms; it was at", 'failing.py", line {line} in on_bar']),
        ("time.sleep(3600)", "LATE", ["it was at (most recent call first):", 'failing.py", line {line} in on_bar']),
        ("while True: print('x' * 999)", "LATE", ["no answer for this bar", 'failing.py", line {line} in on_bar']),
        ("os.dup2(os.open(os.devnull, 1), 2); time.sleep(3600)", "LATE", ['failing.py", line {line} in on_bar']),
        (
            f"signal.signal(signal.SIGUSR1, signal.SIG_IGN)\n    {BUSY}",
            "LATE",
            ["no answer for this bar within 1500 ms"],
        ),
        ("os.kill(os.getpid(), signal.SIGSTOP)", "LATE", ["no answer for this bar within 1500 ms"]),
    ],
)
def test_a_bot_that_fails_is_quarantined_from_that_bar_on_and_no_other_notices(
    tmp_path: Path, counting: FoundBot, deed: str, reason: Reason, told: list[str]
) -> None:
    bot = found(tmp_path, "failing", at_bar(400, deed), head=HEAD)
    line = next(
        number for number, text in enumerate(bot.source.code.decode().splitlines(), 1) if deed.split("\n")[0] in text
    )
    ran = run([bot, counting], some_bars(1_000), limits=SHORT)
    (span,) = ran.quarantined
    assert (span.agent, span.key, span.from_ts, span.to_ts) == ("failing", KEY, known(400), None)
    assert (span.reason, span.bot_version) == (reason, bot.version)
    for part in told:
        assert part.replace("{line}", str(line)) in span.detail
    by_agent = {str(name): part["ts"].to_list() for (name,), part in ran.signals.group_by("agent")}
    assert by_agent == {"counting": expected_ts(1_000), "failing": expected_ts(400)}
    assert ran.states.of("failing", version=bot.version) == b'{"seen":400}'


def test_a_bot_that_failed_is_not_called_again_while_the_others_go_on(tmp_path: Path, counting: FoundBot) -> None:
    bot = found(tmp_path, "failing", at_bar(2, "raise ValueError"))
    with BotRunner([bot, counting]) as runner:
        series = SeriesBots(runner, KEY, PARAMS)
        signals = []
        for place in range(9):
            bars = some_bars(1, first=place)
            signals.append(series.advance(bars, rows_of(bars).frame).signals)
        assert pl.concat(signals)["ts"].to_list() == expected_ts(9)
        assert [span.from_ts for span in series.quarantines] == [known(2)]
        assert series.states.of("failing", version=bot.version) == b'{"seen":2}'


def test_a_failure_on_one_series_leaves_the_bots_other_series_alone(tmp_path: Path) -> None:
    bot = found(tmp_path, "failing", "if ctx.key.symbol == 'BTCUSDT':\n    raise ValueError\n" + COUNTING)
    bars = some_bars(9)
    with BotRunner([bot]) as runner:
        spans = [
            *SeriesBots(runner, KEY, PARAMS).advance(bars, rows_of(bars).frame).quarantined,
            *SeriesBots(runner, OTHER, PARAMS).advance(bars, rows_of(bars, key=OTHER).frame).quarantined,
        ]
        assert [span.key for span in spans] == [KEY]
        other = SeriesBots(runner, OTHER, PARAMS, quarantines=spans)
        assert other.advance(bars, rows_of(bars, key=OTHER).frame).signals.height == 3


def test_what_a_bot_prints_disturbs_nothing(tmp_path: Path) -> None:
    noise = 'print("x" * 5_000)\nos.write(1, b"\\x00" * 100)\nos.write(2, b"more")\ninput_left = sys.stdin.read()\n'
    bot = found(tmp_path, "noisy", noise + COUNTING, head="import os, sys")
    ran = run([bot], some_bars(300))
    assert (ran.quarantined, ran.signals["ts"].to_list()) == ((), expected_ts(300))


def gone(pid: int) -> bool:
    """Whether a process is over (a zombie that nobody has buried yet is over too)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(what: Callable[[], bool], *, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


SPAWN = """
if not state:
    state["started"] = True
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    forked = os.fork() or time.sleep(3600)
    pathlib.Path({file!r}).write_text(f"{{os.getpid()}} {{child.pid}} {{forked}}")
    return []
"""


@pytest.mark.parametrize("deed", [BUSY, "os._exit(1)", "return []"])
def test_what_a_bot_started_in_its_process_group_ends_with_it(tmp_path: Path, deed: str) -> None:
    file = tmp_path / "pids"
    body = SPAWN.format(file=str(file)) + deed
    bot = found(tmp_path, "spawning", body, head="import os, pathlib, subprocess, sys, time")
    run([bot], some_bars(2), limits=SHORT)
    pids = [int(pid) for pid in file.read_text().split()]
    assert len(pids) == 3
    assert eventually(lambda: all(gone(pid) for pid in pids)), pids


def test_a_late_bot_that_cannot_tell_where_it_is_has_half_a_second_and_is_killed_all_the_same(
    counting: FoundBot,
) -> None:
    process = BotProcess()
    try:
        converse([Exchange(process, counting.source, None, Limits())])
        os.kill(process.pid, signal.SIGSTOP)
        talk = Exchange(process, None, None, Limits(startup_ms=700))
        talk.late(10.0)
        assert (talk.failure, talk.finished, talk.due) == (None, False, 10.5)
        assert not gone(process.pid)
        talk.late(10.5)
        assert talk.failure == Failure("LATE", "no answer for this bar within 700 ms")
        assert talk.finished
        assert gone(process.pid)
    finally:
        process.kill()


def test_what_a_late_bot_started_in_a_session_of_its_own_is_beyond_the_runner(tmp_path: Path) -> None:
    """As docs/bots.md says."""
    file = tmp_path / "pid"
    spawn = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)"
    deed = f"pathlib.Path({str(file)!r}).write_text(str({spawn}.pid))\n    {BUSY}"
    bot = found(tmp_path, "spawning", at_bar(1, deed), head="import pathlib, subprocess, sys")
    (span,) = run([bot], some_bars(2), limits=SHORT).quarantined
    pid = int(file.read_text())
    try:
        assert span.reason == "LATE"
        assert not gone(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_worker_whose_answer_to_load_has_a_wrong_shape_is_quarantined(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    lie = "".join(f"    {line}\n" for line in answering({"loaded": 5}).splitlines())
    bot = found(tmp_path, "liar", COUNTING, head=f"import pathlib\nif pathlib.Path({str(marker)!r}).exists():\n{lie}")
    marker.touch()
    (span,) = run([bot], some_bars(3)).quarantined
    assert (span.from_ts, span.reason) == (known(0), "REJECTED")
    assert "its answer cannot be used" in span.detail


def test_a_worker_ends_by_itself_when_its_runner_is_killed(tmp_path: Path) -> None:
    """Even in the middle of a bar that never ends."""
    pids = tmp_path / "pids"
    body = f"pathlib.Path({str(pids)!r}).write_text(str(os.getpid()))\n{BUSY}"
    bot = found(tmp_path, "busy", body, head="import os, pathlib")
    script = (
        "from pathlib import Path; from bots.discovery import load_file; from bots.exchange import Limits; "
        "from tests.bots.fakes import run, some_bars; "
        f"bot = load_file(Path({bot.source.place!r})); "
        "run([bot], some_bars(1), limits=Limits(deadline_ms=90_000, startup_ms=90_000))"
    )
    root = str(Path(__file__).parents[2])
    runner = subprocess.Popen([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": root})
    assert eventually(lambda: pids.exists() and bool(pids.read_text()))
    runner.kill()
    runner.wait()
    assert eventually(lambda: gone(int(pids.read_text())))


def test_a_worker_that_ended_between_two_calls_is_replaced_without_a_quarantine(counting: FoundBot) -> None:
    bars = some_bars(9)
    with BotRunner([counting]) as runner:
        series = SeriesBots(runner, KEY, PARAMS)
        first = series.advance(bars[:4], rows_of(bars[:4]).frame)
        process = runner._processes["counting"]
        os.kill(process.pid, signal.SIGKILL)
        assert eventually(process.has_ended)
        second = series.advance(bars[4:], rows_of(bars[4:]).frame)
        assert pl.concat([first.signals, second.signals])["ts"].to_list() == expected_ts(9)
        assert series.quarantines == ()


def test_after_a_failure_the_bots_other_series_meet_a_new_process(tmp_path: Path) -> None:
    bot = found(tmp_path, "dying", "if ctx.key.symbol == 'BTCUSDT':\n    os._exit(1)\n" + COUNTING, head="import os")
    bars = some_bars(9)
    with BotRunner([bot]) as runner:
        assert SeriesBots(runner, KEY, PARAMS).advance(bars, rows_of(bars).frame).quarantined[0].reason == "EXITED"
        other = SeriesBots(runner, OTHER, PARAMS).advance(bars, rows_of(bars, key=OTHER).frame)
        assert (other.quarantined, other.signals.height) == ((), 3)


def test_workers_end_with_the_runner(counting: FoundBot) -> None:
    with BotRunner([counting]) as runner:
        runner.start()
        pids = [process.pid for process in runner._processes.values()]
        assert [gone(pid) for pid in pids] == [False]
    assert [gone(pid) for pid in pids] == [True]


def test_a_second_attempt_forgives_a_stall_but_not_a_slow_bot(tmp_path: Path) -> None:
    """The first bar of the second process does not pass by its start-up allowance."""
    flag = tmp_path / "stalled"
    once = at_bar(
        5,
        f"if not pathlib.Path({str(flag)!r}).exists():\n        pathlib.Path({str(flag)!r}).touch(); time.sleep(3600)",
    )
    stalled = found(tmp_path, "stalled", once, head="import pathlib, time")
    slow = found(tmp_path, "slow", at_bar(5, "time.sleep(2.5)"), head="import time")
    ran = run([stalled, slow], some_bars(9), limits=Limits(deadline_ms=1_000, attempts=2))
    assert [(span.agent, span.from_ts, span.reason) for span in ran.quarantined] == [("slow", known(5), "LATE")]
    assert ran.signals.filter(agent="stalled")["ts"].to_list() == expected_ts(9)
    assert ran.signals.filter(agent="slow")["ts"].to_list() == expected_ts(5)


def test_the_first_bar_of_a_process_has_the_startup_allowance(tmp_path: Path) -> None:
    bot = found(tmp_path, "warming", at_bar(0, "time.sleep(2.0)"), head="import time")
    assert run([bot], some_bars(9), limits=SHORT).quarantined == ()


def test_a_bot_that_cannot_start_is_quarantined_at_its_first_bar(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    head = f"import pathlib\nassert not pathlib.Path({str(marker)!r}).exists(), 'not twice'"
    bot = found(tmp_path, "moody", COUNTING, head=head)
    marker.touch()
    (span,) = run([bot], some_bars(3)).quarantined
    assert (span.from_ts, span.reason) == (known(0), "RAISED")
    assert "AssertionError: not twice" in span.detail


def test_the_code_that_was_found_is_run_although_the_file_has_changed_since(tmp_path: Path) -> None:
    bot = found(tmp_path, "alpha", COUNTING)
    Path(bot.source.place).write_text("raise RuntimeError\n")
    assert run([bot], some_bars(9)).signals.height == 3


def test_a_call_that_is_refused_leaves_the_runner_usable(counting: FoundBot) -> None:
    bars = some_bars(9)
    with BotRunner([counting]) as runner:
        with pytest.raises(ValueError, match="'indicators' are not those of these bars"):
            runner.run(Call(KEY, PARAMS, bars, rows_of(some_bars(9, first=1)).frame), states=BotStates())
        ran = runner.run(Call(KEY, PARAMS, bars, rows_of(bars).frame), states=BotStates())
        assert ran.signals["ts"].to_list() == expected_ts(9)


def test_spans_of_other_bots_and_series_do_not_matter(counting: FoundBot) -> None:
    spans = (
        Quarantine("other", KEY, known(0), None, "LATE", "", "v"),
        Quarantine("counting", OTHER, known(0), None, "LATE", "", "v"),
    )
    assert run([counting], some_bars(9), quarantines=spans).signals["ts"].to_list() == expected_ts(9)


@pytest.mark.parametrize("field", ["deadline_ms", "startup_ms", "attempts"])
def test_limits_are_positive(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be at least 1, received 0"):
        Limits(**{field: 0})
