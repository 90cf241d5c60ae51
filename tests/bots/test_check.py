from pathlib import Path

import pytest

from bots.check import KEY, check_bot, seeded_bars
from bots.discovery import load_file
from bots.exchange import Limits
from engine import EngineParams, SeriesEngine
from tests.bots.fakes import COUNTING, found

BARS = 600


def test_a_bot_that_keeps_everything_in_its_state_passes(tmp_path: Path) -> None:
    report = check_bot(found(tmp_path, "counting", COUNTING), bars=BARS)
    assert report.passed
    assert report.signals.height == BARS // 3
    assert [(law.name, law.broken) for law in report.laws] == [
        ("pieces of any size", None),
        ("a restart at every bar", None),
    ]


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("self.n = getattr(self, 'n', 0) + 1\nn = self.n", ""),
        ("seen.append(1)\nn = len(seen)", "seen = []"),
        ("_part.SEEN.append(1)\nn = len(_part.SEEN)", "import _part"),
    ],
)
def test_a_bot_that_keeps_something_elsewhere_fails_the_restart(tmp_path: Path, body: str, head: str) -> None:
    (tmp_path / "_part.py").write_text("SEEN = []\n")
    body += "\nreturn [Signal('LONG', entry=bar.close, stop=bar.low / 2)] if n % 3 == 0 else []"
    report = check_bot(found(tmp_path, "forgetful", body, head=head), bars=BARS)
    assert not report.passed
    assert [law.broken for law in report.laws] == [None, f"{400 // 3} signals in place of {BARS // 3}"]


def test_a_state_that_only_a_restart_changes_is_found_although_the_signals_agree(tmp_path: Path) -> None:
    body = "self.n = getattr(self, 'n', 0) + 1\nstate['n'] = self.n\nreturn []"
    report = check_bot(found(tmp_path, "forgetful", body), bars=BARS)
    assert [law.broken for law in report.laws] == [None, "another last state"]


def test_a_bot_that_fails_is_reported_with_its_traceback(tmp_path: Path) -> None:
    report = check_bot(found(tmp_path, "failing", "return feats['atr14'] + 1"), bars=BARS, limits=Limits())
    assert not report.passed
    assert report.quarantined is not None
    assert "TypeError: unsupported operand" in report.quarantined.detail
    assert report.laws == ()


def test_the_seeded_bars_are_bars_and_always_the_same() -> None:
    bars = seeded_bars(1_000)
    assert SeriesEngine(KEY, EngineParams()).advance(bars).indicators.height == 1_000
    assert bars.equals(seeded_bars(1_000))
    assert not bars.equals(seeded_bars(1_000, seed=2))


def test_the_example_that_is_shipped_signals_on_both_sides_and_keeps_the_laws() -> None:
    path = Path(__file__).parents[2] / "examples" / "bots" / "sweep_reversal.py"
    report = check_bot(load_file(path), bars=3_000)
    assert report.passed
    assert set(report.signals["side_hint"].to_list()) == {"LONG", "SHORT"}
