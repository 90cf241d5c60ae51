"""What the README must not forget, and its Python, which must run."""

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine
from tests.engine.strategies import KEY, START, Stretch, make_bars
from tidemark.settings import Settings

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ROOMS = [path.parent.name for path in Path(__file__).parents[2].glob("*/__init__.py")]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_stands_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README or f"`{name}." in README


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_stands_on_the_map(room: str) -> None:
    assert f"`{room}/`" in README


def test_the_python_of_the_readme_runs_and_gives_the_rows_it_names() -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    bars = make_bars([Stretch("waves", 600, seed=5)])
    minutes = make_bars([Stretch("waves", 9_000, seed=5)], start=START - 60_000_000, step=60_000_000)
    quarters = minutes.group_by_dynamic("open_time", every="15m").agg(
        pl.first("open"), pl.max("high"), pl.min("low"), pl.last("close"), pl.sum("volume")
    )
    names: dict[str, Any] = {
        "history": bars.head(400),
        "live": bars.tail(200),
        "minutes": minutes,
        "quarters": quarters.select(BAR_SCHEMA.names()),
    }
    exec(block, names)  # noqa: S102 - our own page
    assert names["zones"].height > 0
    assert names["confirmed"].height > 0
    later = pl.concat(names["later"])
    assert later.height > 0
    whole = SeriesEngine(KEY, EngineParams()).advance(bars)
    assert_frame_equal(pl.concat([names["signals"], later]), whole.signals)
