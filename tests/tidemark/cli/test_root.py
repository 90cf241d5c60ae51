"""What every command shares: help, settings, and errors that are one message."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import clean, run

COMMANDS = [
    [],
    ["db"],
    *(["db", name] for name in ("up", "down", "upgrade", "url", "psql")),
    *(["params", name] for name in ("list", "add", "diff", "promote")),
    *([name] for name in ("sim", "backfill", "status", "demo", "bench", "doctor")),
]


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_is_there_for(command: list[str]) -> None:
    ended = run(*command, "--help", variables={})
    assert (ended.code, ended.err) == (0, "")
    assert " ".join(["Usage: tidemark", *command]) in ended.out


def test_no_command_shows_the_help() -> None:
    ended = run(variables={})
    assert "Usage: tidemark" in ended.out + ended.err


def test_the_command_line_answers_without_importing_heavy_libraries() -> None:
    program = (
        "import sys, tidemark.cli; print(*{'dagster', 'numba', 'uvicorn', 'httpx'} & set(sys.modules) - {'httpx'})"
    )
    done = subprocess.run([sys.executable, "-c", program], env=clean({}), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_an_unknown_command_is_exit_code_2() -> None:
    ended = run("bakcfill", variables={})
    assert (ended.code, "bakcfill" in ended.err) == (2, True)


def test_the_named_settings_file_is_used(empty_folder: Path) -> None:
    (empty_folder / "mine.yaml").write_text(f"home: {empty_folder / 'elsewhere'}\n")
    ended = run("--config", "mine.yaml", "db", "url", variables={})
    assert ended.code == 1
    assert f"the embedded server of {empty_folder / 'elsewhere'} does not run" in ended.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("dagster_prot: 3100\n", "dagster_prot"),
        ("log_level: LOUD\n", "'LOUD'"),
        ("binance_spot: {rest: ftp://x}\n", "'ftp://x'"),
        ("admin_url: postgresql://postgres:hunter2@db/postgres\n", "TIDEMARK_ADMIN_URL_FILE"),
    ],
    ids=["unknown key", "wrong value", "no address", "a secret"],
)
def test_settings_that_cannot_be_used_are_one_line_and_exit_code_1(empty_folder: Path, text: str, told: str) -> None:
    (empty_folder / "tidemark.yaml").write_text(text)
    ended = run("status", variables={})
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    assert told in ended.err
    assert "hunter2" not in ended.err


def test_text_in_square_brackets_is_shown_as_it_came() -> None:
    ended = run("status", variables={"TIDEMARK_LOG_LEVEL": "[/bold] [red]"})
    assert ended.code == 1
    assert "received '[/bold] [red]'" in ended.err


def test_a_settings_file_that_does_not_exist_is_named() -> None:
    ended = run("--config", "nowhere.yaml", "status", variables={})
    assert ended.code == 2
    assert "nowhere.yaml" in ended.err


def test_the_demos_data_are_asked_for_where_there_is_no_demo() -> None:
    ended = run("--demo", "status", variables={})
    assert ended.code == 1
    assert ended.err.endswith(".tidemark/demo yet: run `tidemark demo` first\n")


def test_the_demos_data_are_found_where_there_is_one(empty_folder: Path) -> None:
    home = empty_folder / ".tidemark" / "demo"
    home.mkdir(parents=True)
    (home / "tidemark.yaml").write_text(f"home: {home}\n")
    ended = run("--demo", "db", "url", variables={})
    assert f"the embedded server of {home} does not run" in ended.err


def test_bars_that_cannot_be_read_end_the_demo_before_it_starts_anything(empty_folder: Path) -> None:
    ended = run("demo", "--once", "--bars", "nowhere.csv", variables={})
    assert (ended.code, "bars file nowhere.csv does not exist" in ended.err) == (1, True)
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("--months", "0"), "greater than or equal to 1"), (("--months", "2", "--bars", "mine.csv"), "leave one")],
)
def test_a_demo_of_no_month_or_of_months_of_a_file_is_refused(arguments: tuple[str, ...], told: str) -> None:
    ended = run("demo", *arguments, variables={})
    assert ended.code == 2
    assert told in ended.err
    assert list(Path.cwd().iterdir()) == []
