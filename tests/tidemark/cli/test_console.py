"""What a person sees where there is no terminal: a line for each step and each finished label."""

from __future__ import annotations

import pytest

from tidemark.cli import console


def test_bars_print_one_line_a_finished_label_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.bars() as bars:
        for done in range(3):
            bars("candles", done, 3)
        bars("analysis", 1, 2)
        bars("candles", 3, 3)
        bars("analysis", 2, 2)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "candles: 3/3\nanalysis: 2/2\n")


def test_a_step_is_one_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.step("starting the database"):
        assert capsys.readouterr().err == "starting the database\n"
    assert capsys.readouterr() == ("", "")


def test_nothing_finished_is_nothing_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with console.bars() as bars:
        bars("candles", 1, 3)
    assert capsys.readouterr() == ("", "")
