from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from venues.simulator import BarsRejected, SimulatorConfig

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def test_with_a_file_the_clock_begins_one_day_before_the_end_of_its_bars(bars_file: Path) -> None:
    config = SimulatorConfig(bars=bars_file)
    assert config.clock_start(config.market(), now=NOW) == datetime(2024, 12, 31, 0, 2, tzinfo=UTC)


def test_a_seeded_market_begins_now_and_with_an_end_one_day_before_it() -> None:
    endless = SimulatorConfig()
    assert endless.clock_start(endless.market(), now=NOW) == NOW
    ended = SimulatorConfig(end=datetime(2025, 3, 3, tzinfo=UTC))
    assert ended.clock_start(ended.market(), now=NOW) == datetime(2025, 3, 2, tzinfo=UTC)


def test_a_start_that_was_asked_for_is_kept(bars_file: Path) -> None:
    config = SimulatorConfig(bars=bars_file, start=NOW)
    assert config.clock_start(config.market(), now=datetime(2030, 1, 1, tzinfo=UTC)) == NOW


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"speed": -1}, "speed"),
        ({"speed": float("inf")}, "speed"),
        ({"spot_port": 70_000}, "spot_port"),
        ({"spot_port": 9000, "usdm_port": 9000}, "three ports"),
        ({"symbols": ()}, "symbols"),
        ({"symbols": ("BTCUSDT", "BTCUSDT")}, "named twice"),
        ({"symbols": ("btcusdt",)}, "upper case, received 'btcusdt'"),
        ({"symbol": "BITCOIN"}, "must end in one of"),
        ({"start": "2025-01-01T00:00:00"}, "start"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        SimulatorConfig.model_validate(wrong)


def test_an_absent_file_is_told_when_the_market_is_made(tmp_path: Path) -> None:
    with pytest.raises(BarsRejected, match="does not exist"):
        SimulatorConfig(bars=tmp_path / "nowhere.csv").market()
