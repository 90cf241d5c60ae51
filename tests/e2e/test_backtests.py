"""Backtests through the command line, on candles that a backfill stored: reports, sweeps, walk-forwards, bad input."""

from __future__ import annotations

import json
import os
import re
import signal
import webbrowser
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.commands import Ended, run, started, wait_for
from tests.e2e.conftest import LISTED, NOW, Founder
from tests.e2e.places import Place
from venues.simulator import SimulatorConfig, running

WINDOW = ("--from", "2024-01-10", "--to", "2024-02-01")
MARKET = ("--symbols", "BTCUSDT", "--timeframes", "15m")


@pytest.fixture(scope="module", name="place")
def loaded_place(found: Founder) -> Place:
    """A place with the candles of two series."""
    place = found()
    asked = ("--symbols", "BTCUSDT", "--timeframes", "15m,1h", "--from", "2024-01")
    exchange = SimulatorConfig(seed=1, symbols=("BTCUSDT",), listed_at=LISTED, start=NOW, speed=0)
    with running(exchange) as simulator:
        ended = place.run("backfill", "--no-marts", *asked, simulator=simulator)
    assert ended.code == 0, ended.err
    return place


def command(place: Place, *arguments: str) -> Ended:
    """A command that needs no exchange."""
    return run(*arguments, variables=place.variables)


def test_a_backtest_ends_with_a_report_that_can_be_opened_and_is_on_record(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = command(
        place, "backtest", *MARKET, *WINDOW, "--surrogates", "3", "--processes", "1", "--set", "profile.reward=1.0"
    )
    assert ended.code == 0, ended.err
    [page] = re.findall(r"^report (.*)$", ended.out, re.MULTILINE)
    [fingerprint] = re.findall(r"^fingerprint ([0-9a-f]{64})$", ended.out, re.MULTILINE)
    assert ended.out.startswith("severe: The null-market gate is not passed: ")
    assert "of 3 surrogate markets" in ended.out.splitlines()[0]
    assert fingerprint in Path(page).read_text(encoding="utf-8")
    numbers = json.loads(Path(page).with_suffix(".json").read_text(encoding="utf-8"))
    assert numbers
    [(run_id, stored, trades)] = place.query(
        "SELECT run_id, fingerprint, (SELECT count(*) FROM research.backtest_trades t WHERE t.run_id = r.run_id) "
        "FROM research.backtest_runs r"
    )
    assert stored == fingerprint
    assert place.query("SELECT (metrics->>'trades')::int FROM research.backtest_runs") == [(trades,)]
    assert (
        f"{run_id[:12]}  default, changed  default  binance_spot:BTCUSDT  15m" in command(place, "report", "list").out
    )
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    shown = command(place, "report", "open", run_id[:6])
    assert (shown.code, shown.out.strip()) == (0, page)
    assert opened == [Path(page).resolve().as_uri()]
    again = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--set", "profile.reward=1.0")
    assert "was on record already, with this very result" in again.err
    assert place.query("SELECT count(*) FROM research.backtest_runs") == [(1,)]
    kept = json.loads(Path(page).with_suffix(".json").read_text(encoding="utf-8"))
    assert kept == numbers  # what the surrogates said stays


def test_two_profiles_are_compared_day_by_day(place: Place) -> None:
    ended = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", "conservative,aggressive")
    assert ended.code == 0, ended.err
    assert re.search(r"^conservative did better on .* of \d+ days, aggressive on .*: chance ", ended.out, re.MULTILINE)
    [page] = re.findall(r"^comparison (.*)$", ended.out, re.MULTILINE)
    assert "aggressive" in Path(page).read_text(encoding="utf-8")
    stored = {name for (name,) in place.query("SELECT profile FROM research.backtest_runs")}
    assert {"conservative", "aggressive"} <= stored


def test_versions_that_are_kept_are_traded_by_their_names(place: Place, tmp_path: Path) -> None:
    for version, fraction in enumerate((0.001, 0.0011), start=1):
        mine = tmp_path / "mine.yaml"
        mine.write_text(f"risk_fraction: {fraction}\n", encoding="utf-8")
        added = command(place, "params", "add", "--name", "mine", "--profile", str(mine), "--note", "try")
        assert f"mine@{version} is kept as a draft" in added.out
    added = command(place, "params", "add", "--name", "wide", "--engine", "tp_r=[1.5,3]", "--note", "two targets")
    assert added.code == 0, added.err
    named = ("--profile", "mine@1,mine@2", "--engine", "wide@1")
    ended = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", *named)
    assert ended.code == 0, ended.err
    assert "mine@1 did better on" in ended.out
    pages = [Path(page).read_text(encoding="utf-8") for page in re.findall(r"^report (.*)$", ended.out, re.MULTILINE)]
    for version, page in enumerate(pages, start=1):
        assert f"mine, kept as mine@{version}, " in page
        assert ", kept as wide@1, 1 of " in page
    assert len(pages) == 2
    hashes = "SELECT hash FROM research.param_sets WHERE name = %s"
    stored = "SELECT profile_hash, param_set FROM research.backtest_runs WHERE profile = 'mine'"
    [(engine,)] = place.query(hashes, "wide")
    assert set(place.query(stored)) == {(profile, engine) for (profile,) in place.query(hashes, "mine")}
    listed = [line.split()[1:3] for line in command(place, "report", "list").out.splitlines()]
    assert ["mine@1", "wide@1"] in listed
    assert ["mine@2", "wide@1"] in listed
    walked = command(
        place, "walkforward", *MARKET, *WINDOW, "--train", "8", "--test", "4", *named[2:], "--profile", "mine@2"
    )
    assert walked.code == 0, walked.err
    spoken_for = place.query("SELECT profile, param_set FROM research.walk_forwards WHERE profile = 'mine'")
    assert spoken_for == [("mine", engine)]


def test_a_parameter_that_is_a_list_is_searched_too(place: Place) -> None:
    grid = ("--grid", "engine.tp_r=[1.5,3],[1,2,3]", "--grid", "profile.after_first=keep,breakeven")
    ended = command(place, "sweep", *MARKET, *WINDOW, *grid, "--study", "ladders", "--processes", "1")
    assert ended.code == 0, ended.err
    kept = place.query("SELECT params -> 'engine.tp_r' FROM research.trials WHERE study = 'ladders'")
    assert sorted(values for (values,) in kept) == [[1, 2, 3], [1, 2, 3], [1.5, 3], [1.5, 3]]


def test_a_sweep_remembers_its_trials_and_goes_on_where_it_stopped(place: Place) -> None:
    grid = ("--grid", "profile.reward=0.5,1.0,2.0", "--study", "reward", "--processes", "1")
    first = command(place, "sweep", *MARKET, *WINDOW, *grid)
    assert first.code == 0, first.err
    assert "3 trials of study reward, 3 of them now" in first.out
    same = command(place, "sweep", *MARKET, *WINDOW, *grid)
    assert "0 of them now" in same.out
    rows = place.query("SELECT count(*), count(DISTINCT trial_id) FROM research.trials WHERE study = 'reward'")
    assert rows == [(3, 3)]


def test_a_study_keeps_to_its_bars_and_says_what_it_cannot_say(place: Place) -> None:
    study = ("--study", "bound", "--processes", "1", "--grid")
    first = command(place, "sweep", *MARKET, *WINDOW, *study, "profile.reward=1.0")
    assert first.code == 0, first.err
    assert "1 trial of study bound, evaluated now" in first.out
    assert re.search(r"^probability that the best has skill, .*: not told, \w+", first.out, re.MULTILINE)
    # Every set of it is one of 22 days.
    on = command(place, "sweep", *MARKET, *study, "profile.reward=0.5,1.0", "--grid", "profile.triggers=1")
    assert on.code == 0, on.err
    assert "study bound goes on over its own window, 2024-01-10 00:00 to 2024-02-01 00:00" in on.err
    assert "3 trials of study bound, 2 of them now" in on.out
    assert "chooses badly: not told, 22 days are too few" in on.out
    rows = "SELECT count(*), count(DISTINCT (series, from_ts, to_ts, dataset_id)) FROM research.trials WHERE study = %s"
    assert place.query(rows, "bound") == [(3, 1)]
    asked = "SELECT DISTINCT series, asked_from, asked_to FROM research.trials WHERE study = %s"
    bounds = (datetime(2024, 1, 10, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC))
    assert place.query(asked, "bound") == [(["binance_spot:BTCUSDT:15m"], *bounds)]
    other = (("--from", "2024-01-10", "--to", "2024-01-31"), (*WINDOW, "--timeframes", "1h"))
    for arguments in other:
        refused = command(place, "sweep", "--symbols", "BTCUSDT", *arguments, *study, "profile.reward=3.0")
        assert refused.code == 1
        assert "study 'bound' is one of binance_spot:BTCUSDT:15m from 2024-01-10 00:00 to 2024-02-01" in refused.err
        assert "say --from 2024-01-10T00:00 --to 2024-02-01T00:00; or give this sweep another --study" in refused.err
    assert place.query(rows, "bound") == [(3, 1)]


def test_a_sweep_that_is_interrupted_keeps_what_is_done_and_ends_with_one_message(place: Place, tmp_path: Path) -> None:
    grid = ("--grid", "profile.reward=" + ",".join(str(0.5 + 0.001 * k) for k in range(3000)), "--study", "long")
    log = tmp_path / "log"
    kept = "SELECT count(*) FROM research.trials WHERE study = 'long'"
    with started("sweep", *MARKET, *WINDOW, *grid, "--processes", "2", variables=place.variables, log=log) as process:
        wait_for("the first trial", lambda: place.query(kept) != [(0,)], seconds=60)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and to its workers
        process.wait(30)
    told = log.read_text(encoding="utf-8")
    assert "Traceback" not in told
    assert "run the same command again to go on" in told
    [(count,)] = place.query(kept)
    assert 0 < count < 3000


def test_a_walk_forward_keeps_its_folds_with_their_verdict(place: Place) -> None:
    lengths = ("--train", "8", "--test", "4")
    ended = command(place, "walkforward", *MARKET, *WINDOW, *lengths)
    assert ended.code == 0, ended.err
    [name] = re.findall(r"^walk-forward (\w+): ", ended.out, re.MULTILINE)
    assert place.query("SELECT count(*) FROM research.walk_forward_folds WHERE run_id = %s", name) == [(4,)]


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("backtest", "--symbols", "NOPEUSDT"), 1, "no candles of binance_spot:NOPEUSDT:15m"),
        (("backtest", *MARKET, "--from", "2020-01", "--to", "2020-02"), 1, "load them first"),
        (("backtest", *MARKET, *WINDOW, "--capital", "0"), 1, "capital above 0"),
        (("backtest", *MARKET, *WINDOW, "--capital", "much"), 2, "no number"),
        (("backtest", *MARKET, *WINDOW, "--profile", "brave"), 1, "there is no risk profile 'brave'"),
        (("backtest", *MARKET, *WINDOW, "--profile", "brave.yaml"), 1, "there is no profile 'brave.yaml'"),
        (("backtest", *MARKET, *WINDOW, "--profile", ","), 2, "--profile names none"),
        (("backtest", *MARKET, *WINDOW, "--set", "profile.reward=2,3"), 2, "takes one value, not 2, 3"),
        (("backtest", *MARKET, *WINDOW, "--engine", "narrow@1"), 1, "there is no narrow@1"),
        (("backtest", *MARKET, *WINDOW, "--set", "profile.reward"), 2, "name=value"),
        (("backtest", *MARKET, *WINDOW, "--set", "profile.rewards=1"), 1, "no parameter 'profile.rewards'"),
        (("backtest", *MARKET, *WINDOW, "--set", "profile.leverage=9"), 1, "leverage"),
        (("sweep", *MARKET, *WINDOW, "--study", "x", "--grid", "engine.pivot_n=0"), 1, "pivot_n"),
        (("sweep", *MARKET, *WINDOW, "--study", "x", "--grid", "profile.reward=2,2"), 1, "has the value 2 twice"),
        (("sweep", *MARKET, *WINDOW, "--study", "", "--grid", "profile.reward=2"), 2, "--study needs a name"),
        (("sweep", *MARKET, *WINDOW, "--study", "x", "--grid", "profile.reward=2", "--seed", "-1"), 2, "--seed"),
        (("walkforward", *MARKET, *WINDOW, "--train", "90"), 1, "too short"),
        (("walkforward", *MARKET, *WINDOW, "--train", "99999999999"), 2, "--train"),
        (("report", "open", "ffffff"), 1, "there is no report of ffffff"),
    ],
)
def test_what_cannot_be_asked_for_is_told_and_leaves_no_row(
    place: Place, arguments: tuple[str, ...], code: int, told: str
) -> None:
    tables = ("backtest_runs", "backtest_trades", "trials", "walk_forwards", "walk_forward_folds")
    counts = " UNION ALL ".join(f"SELECT '{name}', count(*) FROM research.{name}" for name in tables)  # noqa: S608 - names above
    before = place.query(counts)
    ended = command(place, *arguments)
    assert (ended.code, told in ended.err) == (code, True), ended.err
    assert "Traceback" not in ended.err
    assert place.query(counts) == before


def test_profiles_of_files_without_a_name_are_called_like_their_files(place: Place, tmp_path: Path) -> None:
    for name, fraction in (("calm.yaml", 0.001), ("Bold One.yml", 0.002)):
        (tmp_path / name).write_text(f"risk_fraction: {fraction}\n", encoding="utf-8")
    both = f"{tmp_path / 'calm.yaml'},{tmp_path / 'Bold One.yml'}"
    ended = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", both)
    assert ended.code == 0, ended.err
    assert "calm did better on" in ended.out
    stored = {name for (name,) in place.query("SELECT profile FROM research.backtest_runs")}
    assert {"calm", "bold-one"} <= stored
    again = tmp_path / "again"
    again.mkdir()
    (again / "calm.yml").write_text("risk_fraction: 0.003\n", encoding="utf-8")
    twice = f"{tmp_path / 'calm.yaml'},{again / 'calm.yml'}"
    refused = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", twice)
    assert (refused.code, "names 'calm' twice" in refused.err) == (2, True)


def test_a_profile_that_is_no_text_is_refused_wherever_one_is_read(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_bytes(bytes(range(256)))
    for arguments in (
        ("backtest", *MARKET, *WINDOW, "--profile", str(broken)),
        ("params", "add", "--name", "broken", "--note", "-", "--profile", str(broken)),
    ):
        refused = command(place, *arguments)
        assert refused.code == 1
        assert "broken.yaml cannot be read as text in UTF-8" in refused.err
        assert "Traceback" not in refused.err


def test_a_profile_in_a_file_is_read_and_one_that_cannot_be_met_is_refused(place: Place, tmp_path: Path) -> None:
    mine = tmp_path / "lone.yaml"
    mine.write_text("name: lone\nrisk_fraction: 0.002\n", encoding="utf-8")
    ended = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", str(mine))
    assert ended.code == 0, ended.err
    assert place.query("SELECT count(*) FROM research.backtest_runs WHERE profile = 'lone'") == [(1,)]
    mine.write_text("name: lone\nleverage: 20\n", encoding="utf-8")
    refused = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", str(mine))
    assert refused.code == 1
    assert "leverage" in refused.err
