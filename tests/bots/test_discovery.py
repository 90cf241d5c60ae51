from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bots.discovery import BotRejected, Discovery, discover, load_file
from bots.exchange import Limits
from tests.bots.fakes import answering, write_bot

NOTHING = "return []"


def found_in(folder: Path, *, entry_points: Sequence[EntryPoint] = (), limits: Limits | None = None) -> Discovery:
    return discover(folder, entry_points=entry_points, limits=limits or Limits())


def message_of(discovery: Discovery, name: str) -> str:
    return next(one.message for one in discovery.failures if Path(one.place).name == name)


def test_every_python_file_but_the_hidden_ones_is_a_bot(tmp_path: Path) -> None:
    write_bot(tmp_path, "beta", NOTHING, inputs='("swings", "ema20")')
    alpha = write_bot(tmp_path, "alpha", NOTHING)
    write_bot(tmp_path, "_part", NOTHING).rename(tmp_path / "_part.py")
    (tmp_path / "notes.txt").write_text("no bot")
    discovery = found_in(tmp_path)
    assert discovery.failures == ()
    assert [(bot.name, bot.inputs) for bot in discovery.bots] == [("alpha", ("atr14",)), ("beta", ("swings", "ema20"))]
    assert discovery.bots[0].source.place == str(alpha)


def test_the_version_of_a_file_is_its_sha256_and_changes_with_what_it_may_import(tmp_path: Path) -> None:
    path = write_bot(tmp_path, "alpha", NOTHING)
    alone = load_file(path).version
    assert alone == hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "_part.py").write_text("X = 1\n")
    with_part = load_file(path).version
    (tmp_path / "_part.py").write_text("X = 2\n")
    assert len({alone, with_part, load_file(path).version}) == 3


def test_what_is_wrong_with_a_file_is_told_with_its_place_and_the_rest_is_found(tmp_path: Path) -> None:
    write_bot(tmp_path, "good", NOTHING)
    (tmp_path / "syntax.py").write_text("x = 1\ny = (\n")
    (tmp_path / "raises.py").write_text("def f():\n    return 1 / 0\n\n\nf()\n")
    (tmp_path / "leaves.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "dies.py").write_text("import os\nprint('so long', flush=True)\nos._exit(7)\n")
    (tmp_path / "hangs.py").write_text("while True:\n    pass\n")
    (tmp_path / "empty.py").write_text("")
    (tmp_path / "nobar.py").write_text("class A:\n    name, inputs = 'a', ()\n\n\nbot = A()\n")
    (tmp_path / "badname.py").write_text("class A:\n    name, inputs, on_bar = 'A b', (), print\n\n\nbot = A()\n")
    (tmp_path / "retest.py").write_text("class A:\n    name, inputs, on_bar = 'retest', (), print\n\n\nbot = A()\n")
    (tmp_path / "badinput.py").write_text("class A:\n    name, inputs, on_bar = 'a', 'atr14', print\n\n\nbot = A()\n")
    write_bot(tmp_path, "unknown", NOTHING, inputs='("atr41",)')
    (tmp_path / "folder.py").mkdir()
    discovery = found_in(tmp_path, limits=Limits(startup_ms=5_000))
    assert [bot.name for bot in discovery.bots] == ["good"]
    assert len(discovery.failures) == 12
    for name, *parts in (
        ("syntax.py", 'syntax.py", line 2', "SyntaxError: '(' was never closed"),
        (
            "raises.py",
            'raises.py", line 5, in <module>',
            'raises.py", line 2, in f',
            "return 1 / 0",
            "ZeroDivisionError",
        ),
        ("leaves.py", 'leaves.py", line 1', "SystemExit: 3"),
        ("dies.py", "dies.py: its process ended with exit code 7", "so long"),
        ("hangs.py", "hangs.py: not loaded within 5000 ms; it was at", 'hangs.py", line '),
        ("empty.py", "empty.py: there is no `bot`; end the file with"),
        ("nobar.py", "nobar.py: A has no `on_bar`"),
        ("badname.py", "badname.py: `name` must be lower case", "'A b'"),
        ("retest.py", "retest.py: the name 'retest' belongs to the engine"),
        ("badinput.py", "badinput.py: `inputs` must be a tuple of names", "'atr14'"),
        ("unknown.py", "unknown.py: there is no input 'atr41': did you mean atr14"),
        ("folder.py", "folder.py: cannot be read: Is a directory"),
    ):
        for part in parts:
            assert part in message_of(discovery, name), name


def test_two_bots_of_one_name_are_both_refused_naming_both_places(tmp_path: Path) -> None:
    one = write_bot(tmp_path, "alpha", NOTHING)
    two = tmp_path / "again.py"
    two.write_text(one.read_text())
    write_bot(tmp_path, "other", NOTHING)
    discovery = found_in(tmp_path)
    assert [bot.name for bot in discovery.bots] == ["other"]
    assert [failure.place for failure in discovery.failures] == [str(two), str(one)]
    for failure in discovery.failures:
        assert str(one) in failure.message
        assert str(two) in failure.message


def test_a_folder_that_does_not_exist_is_a_failure_and_nothing_else(tmp_path: Path) -> None:
    discovery = found_in(tmp_path / "nowhere")
    assert discovery.bots == ()
    assert "there is no such folder" in discovery.failures[0].message


def test_no_folder_and_no_entry_points_are_no_bots() -> None:
    assert discover(None, entry_points=()) == Discovery((), ())


def test_a_bots_code_is_never_run_in_this_process(tmp_path: Path) -> None:
    path = write_bot(tmp_path, "alpha", NOTHING, head="import os, sys\nsys.tidemark_was_here = os.getpid()")
    load_file(path)
    assert not hasattr(sys, "tidemark_was_here")
    assert "tidemark_bot_alpha" not in sys.modules


def test_a_bot_may_import_the_hidden_files_of_its_folder_but_they_never_stand_in_for_a_library(tmp_path: Path) -> None:
    (tmp_path / "_part.py").write_text("INPUTS = ('ema50',)\n")
    (tmp_path / "decimal.py").write_text("raise RuntimeError('not the library')\n")
    path = write_bot(tmp_path, "alpha", NOTHING, inputs="INPUTS", head="import decimal\nfrom _part import INPUTS")
    assert load_file(path).inputs == ("ema50",)


def test_a_file_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BotRejected, match=r"nowhere\.py: cannot be read: No such file"):
        load_file(tmp_path / "nowhere.py")


def test_a_bot_sees_no_setting_of_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_BATCH_URL", "postgresql://secret")
    monkeypatch.setenv("PGPASSWORD", "secret")
    head = "import os\nassert 'secret' not in str(os.environ), 'it knows'"
    assert load_file(write_bot(tmp_path, "alpha", NOTHING, head=head)).name == "alpha"


@pytest.mark.parametrize("value", ["foo:", "", ":x", "not a module!"])
def test_a_malformed_entry_point_is_told_by_name_and_the_rest_is_found(tmp_path: Path, value: str) -> None:
    write_bot(tmp_path, "good", NOTHING)
    discovery = found_in(tmp_path, entry_points=[EntryPoint("crooked", value, "tidemark.bots")])
    assert [bot.name for bot in discovery.bots] == ["good"]
    (failure,) = discovery.failures
    assert failure.place == (value or "crooked")
    assert "entry point 'crooked' of unknown package" in failure.message
    assert f"it must be package.module:attribute, received {value!r}" in failure.message


@pytest.mark.parametrize(
    "reply",
    [
        {"loaded": 5},
        {"loaded": {}},
        {"loaded": {"name": 5, "inputs": []}},
        {"loaded": {"name": "good", "inputs": "atr14"}},
        {"loaded": {"name": "good", "inputs": [5]}},
        {"something": "else"},
        {"error": 5},
    ],
)
def test_a_worker_that_answers_in_a_wrong_shape_is_a_failure_and_the_rest_is_found(
    tmp_path: Path, reply: dict[str, object]
) -> None:
    write_bot(tmp_path, "good", NOTHING)
    write_bot(tmp_path, "liar", NOTHING, head=answering(reply))
    discovery = found_in(tmp_path)
    assert [bot.name for bot in discovery.bots] == ["good"]
    assert "liar.py: its answer cannot be used" in message_of(discovery, "liar.py")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `tidemark_test_bots` that is installed as far as Python can tell."""
    home = tmp_path / "site"
    (home / "tidemark_test_bots").mkdir(parents=True)
    (home / "tidemark_test_bots" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    write_bot(home / "tidemark_test_bots", "inner", NOTHING)
    write_bot(home, "tidemark_test_bot", NOTHING)
    info = home / "tidemark_test_bots-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tidemark-test-bots\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[tidemark.bots]\n"
        "one = tidemark_test_bot:bot\n"
        "inner = tidemark_test_bots.inner:bot\n"
        "gone = tidemark_test_gone:bot\n"
        "lacking = tidemark_test_bot:robot\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(home))
    monkeypatch.syspath_prepend(home)
    return home


def test_packages_bring_bots_by_entry_points(package: Path) -> None:
    discovery = discover(None)
    (bot,) = (bot for bot in discovery.bots if bot.source.place.startswith("tidemark_test"))
    digest = hashlib.sha256((package / "tidemark_test_bot.py").read_bytes()).hexdigest()
    assert (bot.name, bot.version) == ("tidemark_test_bot", f"tidemark-test-bots 1.2 {digest}")
    told = {failure.place: failure.message for failure in discovery.failures}
    assert "RuntimeError: imported" in told["tidemark_test_bots.inner:bot"]
    assert "there is no module 'tidemark_test_gone'" in told["tidemark_test_gone:bot"]
    assert "has no attribute 'robot'" in told["tidemark_test_bot:robot"]
    assert "tidemark_test_bot" not in sys.modules
