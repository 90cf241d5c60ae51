"""What the README must not forget."""

from pathlib import Path

import pytest

from tidemark.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ROOMS = [path.parent.name for path in Path(__file__).parents[2].glob("*/__init__.py")]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README or f"`{name}." in README


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_stands_on_the_map(room: str) -> None:
    assert f"`{room}/`" in README
