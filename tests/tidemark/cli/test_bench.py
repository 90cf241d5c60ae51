"""`tidemark bench`: which benches there are, what it prints, and when it fails. The benches here are fakes."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from bench.measurement import Measurement, at_least
from tests.e2e.commands import run
from tidemark.cli import bench


def reaching(smoke: bool) -> list[Measurement]:  # noqa: FBT001 - as every bench is called
    return [at_least("throughput", 12e6, unit="bars/s", target=6e6, smoke=smoke, detail={"bars": 1_000_000})]


def missing(smoke: bool) -> list[Measurement]:  # noqa: FBT001 - as every bench is called
    return [at_least("ratio to COPY", 0.5, unit="×", target=0.6, smoke=smoke)]


def informing(smoke: bool) -> list[Measurement]:  # noqa: FBT001 - as every bench is called
    return [at_least("everything against a library", 0.06, unit="×", target=None, smoke=smoke)]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_BENCHES", {"fast": reaching, "slow": missing})


def test_a_bench_that_does_not_exist_is_told_with_those_that_do() -> None:
    ended = run("bench", "engin", variables={})
    assert ended.code == 2
    assert "there is no bench 'engin': use one of engine, load, null, backtest, year, history, demo or all" in ended.err


def test_a_bench_is_named() -> None:
    assert run("bench", variables={}).code == 2


@pytest.mark.usefixtures("fakes")
def test_a_reached_figure_is_exit_code_0_and_a_table() -> None:
    ended = run("bench", "fast", variables={})
    assert ended.code == 0
    assert "throughput" in ended.out
    assert "12,000,000 bars/s" in ended.out
    assert "reached" in ended.out
    assert "bars 1,000,000" in ended.out


@pytest.mark.usefixtures("fakes")
def test_a_missed_figure_is_exit_code_1_and_named(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ended = run("bench", "all", "--json", str(file), variables={})
    assert ended.code == 1
    assert "ratio to COPY" in ended.out
    assert "missed" in ended.out
    figures = json.loads(file.read_text())
    assert [(one["name"], one["passed"]) for one in figures] == [("throughput", True), ("ratio to COPY", False)]


@pytest.mark.usefixtures("fakes")
def test_a_smoke_run_has_twice_the_tolerance() -> None:
    assert run("bench", "slow", "--smoke", variables={}).code == 0


def test_a_run_of_which_nothing_is_stated_claims_nothing_and_says_what_its_ratio_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench, "_BENCHES", {"told": informing})
    ended = run("bench", "told", variables={})
    assert ended.code == 0
    assert "bench told (full sizes): for information; no figure is stated at this size" in ended.out
    assert "our rate as a multiple of its own; below 1, it is faster" in ended.out
    assert "reached" not in ended.out


@pytest.mark.parametrize(
    ("name", "library"),
    [
        *(("engine", library) for library in ("pandas", "pandas_ta_classic", "smartmoneyconcepts", "talib")),
        ("null", "pandas"),
        ("null", "smartmoneyconcepts"),
        *(("backtest", library) for library in ("backtesting", "backtrader", "pandas")),
    ],
)
def test_a_bench_without_the_development_tools_ends_in_one_line_before_it_measures(
    name: str, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)  # how Python marks a module that cannot be imported
    ended = run("bench", name, "--smoke", variables={})
    assert ended.code == 1
    assert ended.err == f"error: bench {name} needs the development tools ({library}): run `make dev`\n"
    assert ended.out == ""


def test_no_bench_imports_a_library_of_the_development_tools_that_is_not_asked_for() -> None:
    folder = Path(__file__).parents[3]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (folder / "bench").glob("*.py"))
    imported = set(re.findall(r"^\s*(?:import|from) (\w+)", sources, re.MULTILINE))
    tools = {"ccxt", "hypothesis", "pandas", "pandas_ta_classic", "pytest", "smartmoneyconcepts", "talib", "tests"}
    tools |= {"backtesting", "backtrader"}
    assert imported & tools == {library for peers in bench._PEERS.values() for library in peers}
