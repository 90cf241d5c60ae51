"""The code of docs/bots.md, run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from bots.check import check_bot, seeded_bars
from bots.discovery import load_file
from bots.exchange import Limits
from engine.plugins import INPUT_TABLES
from tidemark.settings import BotSettings

PAGE = (Path(__file__).parents[2] / "docs" / "bots.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_bot_of_the_page_has_15_lines_passes_the_check_and_signals_as_often_as_the_page_says(
    tmp_path: Path,
) -> None:
    path = tmp_path / "breakout.py"
    path.write_text(BLOCKS[0])
    assert sum(bool(line.strip()) for line in BLOCKS[0].splitlines()) <= 15
    report = check_bot(load_file(path))
    assert report.passed
    told = re.search(r"breakout: (\d+) signals in 3,000 bars", PAGE)
    assert told is not None
    assert report.signals.height == int(told[1]) > 10
    assert report.signals["ts"].is_sorted()
    for law in report.laws:
        assert f"  {law.name}: the same signals and the same state" in PAGE


def test_the_research_code_of_the_page_runs() -> None:
    scope: dict[str, object] = {"bars": seeded_bars(300)}
    exec(compile(BLOCKS[1], "docs/bots.md", "exec"), scope)  # noqa: S102 - it is our own page
    assert "more" in scope


def test_the_page_names_every_table_and_the_default_limits() -> None:
    assert [name for name in INPUT_TABLES if f"`{name}`" not in PAGE] == []
    assert Limits().deadline_ms == BotSettings().deadline_ms == 250
    assert Limits().startup_ms == 20_000
    assert "`bots.deadline_ms` (250)" in PAGE
    assert "have 20 s" in PAGE
