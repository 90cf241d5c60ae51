"""`tidemark bots`: list and check without a database, quarantine and release on the session's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from contracts import SeriesKey
from store.bots import Quarantine, record_quarantine
from tests.bots.fakes import COUNTING, write_bot
from tests.databases import Database
from tests.e2e.commands import run

KEYS = [SeriesKey("binance_spot", "BTCUSDT", tf) for tf in ("1m", "15m")]
FAILED = datetime(2026, 1, 5, 12, tzinfo=UTC)


def test_list_shows_what_was_found(tmp_path: Path) -> None:
    write_bot(tmp_path, "alpha", COUNTING)
    ended = run("bots", "list", variables={"TIDEMARK_BOTS__FOLDER": str(tmp_path)})
    assert ended.code == 0
    assert "alpha" in ended.out
    assert "atr14" in ended.out


def test_list_tells_what_cannot_be_loaded_with_file_and_line_and_exits_with_1(tmp_path: Path) -> None:
    write_bot(tmp_path, "alpha", COUNTING)
    (tmp_path / "broken.py").write_text("x = 1\ny = (\n")
    ended = run("bots", "list", variables={"TIDEMARK_BOTS__FOLDER": str(tmp_path)})
    assert ended.code == 1
    assert "alpha" in ended.out
    assert 'broken.py", line 2' in ended.err


def test_no_bots_are_no_error() -> None:
    ended = run("bots", "list", variables={})
    assert ended.code == 0
    assert "the setting bots.folder is not set" in ended.out


def test_check_counts_signals_and_tells_the_laws(tmp_path: Path) -> None:
    ended = run("bots", "check", str(write_bot(tmp_path, "alpha", COUNTING)), "--bars", "300", variables={})
    assert ended.code == 0, ended.err
    assert "alpha: 100 signals in 300 bars of a random walk" in ended.out
    assert "a restart at every bar: the same signals and the same state" in ended.out


def test_check_fails_for_a_bot_that_breaks_a_law(tmp_path: Path) -> None:
    body = "self.n = getattr(self, 'n', 0) + 1\nstate['n'] = self.n\nreturn []"
    ended = run("bots", "check", str(write_bot(tmp_path, "alpha", body)), "--bars", "300", variables={})
    assert ended.code == 1
    assert "a restart at every bar: another last state; keep everything in `state`" in ended.err


def test_check_shows_the_traceback_of_a_bot_that_raises(tmp_path: Path) -> None:
    path = write_bot(tmp_path, "alpha", "return state['nothing']")
    ended = run("bots", "check", str(path), "--bars", "300", variables={})
    assert ended.code == 1
    assert "RAISED at the bar of 2022-01-01T00:15:00+00:00" in ended.err
    assert "KeyError: 'nothing'" in ended.err


def test_check_tells_what_is_wrong_with_a_file_that_is_no_bot(tmp_path: Path) -> None:
    path = tmp_path / "alpha.py"
    path.write_text("")
    ended = run("bots", "check", str(path), variables={})
    assert (ended.code, "there is no `bot`" in ended.err) == (1, True)


@pytest.fixture
def variables(database: Database) -> dict[str, str]:
    """An installation whose bot `alpha` is quarantined on two series."""
    with psycopg.connect(database.dsn("tidemark_batch")) as conn:
        for key in KEYS:
            span = Quarantine(
                agent="alpha",
                key=key,
                from_ts=FAILED,
                reason="RAISED",
                detail="ZeroDivisionError: [red]division",
                bot_version="0123456789abcdef",
                origin="live",
                recorded_at=FAILED,
            )
            record_quarantine(conn, span)
    return {"TIDEMARK_BATCH_URL": database.dsn("tidemark_batch")}


def test_quarantine_lists_spans_and_the_tracebacks_of_open_ones(variables: dict[str, str]) -> None:
    ended = run("bots", "quarantine", "--series", "binance_spot:BTCUSDT:15m", variables=variables)
    assert ended.code == 0, ended.err
    assert "binance_spot:BTCUSDT:15m" in ended.out
    assert "2026-01-05 12:00" in ended.out
    assert "open" in ended.out
    assert "ZeroDivisionError: [red]division" in ended.out
    assert ":1m" not in ended.out
    assert run("bots", "quarantine", "--agent", "beta", variables=variables).out == "no bot is or was quarantined\n"


def test_release_ends_the_spans_of_one_series_then_of_all(variables: dict[str, str]) -> None:
    one = run("bots", "release", "alpha", "--series", "binance_spot:BTCUSDT:1m", variables=variables)
    assert (one.code, one.out[:19]) == (0, "alpha: 1 span ended")
    rest = run("bots", "release", "alpha", "--at", "2026-01-06T00:00Z", variables=variables)
    assert (rest.code, rest.out) == (0, "alpha: 1 span ended at 2026-01-06 00:00:00 UTC\n")
    listed = run("bots", "quarantine", variables=variables)
    assert "open" not in listed.out
    assert "2026-01-06 00:00" in listed.out
    again = run("bots", "release", "alpha", variables=variables)
    assert (again.code, "'alpha' is not quarantined" in again.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["quarantine", "--series", "BTCUSDT"], "'BTCUSDT' is no series key"),
        (["release", "alpha", "--at", "soon"], "--at needs an instant such as 2026-01-31T12:00Z, received 'soon'"),
    ],
)
def test_arguments_that_cannot_be_are_told(arguments: list[str], told: str) -> None:
    ended = run("bots", *arguments, variables={})
    assert (ended.code, told in ended.err) == (1, True)
