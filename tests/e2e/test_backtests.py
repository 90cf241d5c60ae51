"""Backtests through the command line, on candles that a backfill stored: reports, sweeps, walk-forwards, bad input."""

from __future__ import annotations

import json
import re
import webbrowser
from pathlib import Path

import pytest

from tests.e2e.commands import Ended, run
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
    assert "3 surrogate markets gave as much or more" in ended.out
    assert fingerprint in Path(page).read_text(encoding="utf-8")
    numbers = json.loads(Path(page).with_suffix(".json").read_text(encoding="utf-8"))
    assert numbers
    [(run_id, stored, trades)] = place.query(
        "SELECT run_id, fingerprint, (SELECT count(*) FROM research.backtest_trades t WHERE t.run_id = r.run_id) "
        "FROM research.backtest_runs r"
    )
    assert stored == fingerprint
    assert place.query("SELECT (metrics->>'trades')::int FROM research.backtest_runs") == [(trades,)]
    assert run_id in command(place, "report", "list").out
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    shown = command(place, "report", "open", run_id[:6])
    assert (shown.code, shown.out.strip()) == (0, page)
    assert opened == [Path(page).resolve().as_uri()]
    again = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--set", "profile.reward=1.0")
    assert "was on record already, with this very result" in again.err
    assert place.query("SELECT count(*) FROM research.backtest_runs") == [(1,)]


def test_two_profiles_are_compared_day_by_day(place: Place) -> None:
    ended = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", "conservative,aggressive")
    assert ended.code == 0, ended.err
    assert re.search(r"^conservative did better on .* of \d+ days, aggressive on .*: chance ", ended.out, re.MULTILINE)
    [page] = re.findall(r"^comparison (.*)$", ended.out, re.MULTILINE)
    assert "aggressive" in Path(page).read_text(encoding="utf-8")
    stored = {name for (name,) in place.query("SELECT profile FROM research.backtest_runs")}
    assert {"conservative", "aggressive"} <= stored


def test_a_sweep_remembers_its_trials_and_goes_on_where_it_stopped(place: Place) -> None:
    grid = ("--grid", "profile.reward=0.5,1.0,2.0", "--study", "reward", "--processes", "1")
    first = command(place, "sweep", *MARKET, *WINDOW, *grid)
    assert first.code == 0, first.err
    assert "3 trials of study reward, 3 of them now" in first.out
    same = command(place, "sweep", *MARKET, *WINDOW, *grid)
    assert "0 of them now" in same.out
    rows = place.query("SELECT count(*), count(DISTINCT trial_id) FROM research.trials WHERE study = 'reward'")
    assert rows == [(3, 3)]


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
        (("backtest", *MARKET, *WINDOW, "--profile", "brave"), 1, "there is no profile 'brave'"),
        (("backtest", *MARKET, *WINDOW, "--set", "profile.reward"), 2, "name=value"),
        (("backtest", *MARKET, *WINDOW, "--set", "profile.rewards=1"), 1, "no parameter 'profile.rewards'"),
        (("backtest", *MARKET, *WINDOW, "--set", "profile.leverage=9"), 1, "leverage"),
        (("sweep", *MARKET, *WINDOW, "--study", "x", "--grid", "engine.pivot_n=0"), 1, "pivot_n"),
        (("walkforward", *MARKET, *WINDOW, "--train", "90"), 1, "too short"),
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


def test_a_profile_in_a_file_is_read_and_one_that_cannot_be_met_is_refused(place: Place, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\nrisk_fraction: 0.002\n", encoding="utf-8")
    ended = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", str(mine))
    assert ended.code == 0, ended.err
    assert place.query("SELECT count(*) FROM research.backtest_runs WHERE profile = 'mine'") == [(1,)]
    mine.write_text("name: mine\nleverage: 20\n", encoding="utf-8")
    refused = command(place, "backtest", *MARKET, *WINDOW, "--surrogates", "0", "--profile", str(mine))
    assert refused.code == 1
    assert "leverage" in refused.err
