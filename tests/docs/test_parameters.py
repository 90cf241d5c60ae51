"""docs/parameters.md: its commands run, with the output that it shows, and so does its Python."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from backtest import BacktestConfig
from engine import ENGINE_VERSION
from store.connections import connect
from store.param_sets import param_sets
from store.walk_forwards import write_folds
from tests.backtest.markets import config, market
from tests.databases import Database
from tests.e2e.commands import run
from tests.store.results import WALK, fold

PAGE = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


def told(text: str) -> list[str]:
    """Lines with a word in the place of fingerprints and times."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "TIME", re.sub(r"\b[0-9a-f]{12,64}\b", "HASH", text))
    return [line.rstrip() for line in text.splitlines()]


def test_every_command_gives_what_the_page_shows(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    [profile] = blocks("yaml")
    (tmp_path / "calm.yaml").write_text(profile)
    variables = {"TIDEMARK_BATCH_URL": database.dsn("tidemark_batch")}
    steps = [step.split("\n", 1) for block in blocks("console") for step in block.split("$ tidemark ")[1:]]
    assert len(steps) == 9
    for command, shown in steps:
        if shown.startswith("main@2 is live"):
            with connect(variables["TIDEMARK_BATCH_URL"], application_name="test") as conn:
                [chosen] = (one for one in param_sets(conn) if (one.name, one.version) == ("main", 2))
                write_folds(
                    conn,
                    replace(WALK, run_id="0" * 24, profile_hash=chosen.hash, engine_version=ENGINE_VERSION),
                    [fold(0)],
                )
        ended = run(*shlex.split(command), variables=variables)
        assert told(ended.out + ended.err) == told(shown), command
        assert ended.code == int(shown.startswith("error: "))


def test_the_python_writes_the_two_files_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [block] = blocks("python")
    first = config()
    second: BacktestConfig = replace(first, profile=first.profile.model_copy(update={"after_first": "keep"}))
    exec(block, {"bars": market(200), "first": first, "second": second})  # noqa: S102 - our own page
    assert sorted(path.name for path in (tmp_path / "main-1-2").iterdir()) == ["comparison.html", "comparison.json"]
