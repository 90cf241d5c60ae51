"""The demo's folder: what keeps it apart from everything real, and from a second demo."""

from __future__ import annotations

import fcntl
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from assets.analysis_pass import engine_of
from contracts import Rejected
from engine import EngineParams
from store.analysis import claim_engine
from store.connections import connect
from store.roles import BATCH
from tests.databases import Database
from tidemark.demo import Demo, LiveDemo
from tidemark.installation import Installation
from tidemark.settings import CONFIG_VARIABLE, load_settings


def test_a_second_demo_in_one_folder_is_refused_before_it_changes_anything(tmp_path: Path) -> None:
    demo = Demo.of(tmp_path, None)
    demo.home.mkdir()
    with (demo.home / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Rejected, match=r"a demo runs in .*demo already"), demo.running(say=print):
            pytest.fail("it must not start")
    assert not demo.config.exists()


def test_what_a_demo_writes_as_its_settings_is_read_back_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = Demo.of(tmp_path, None)
    demo.home.mkdir()
    ports = demo._write_settings()
    monkeypatch.setenv(CONFIG_VARIABLE, str(demo.config))
    monkeypatch.setenv("TIDEMARK_HOME", "/real")
    monkeypatch.setenv("TIDEMARK_ADMIN_URL", "postgresql://postgres:x@real/postgres")
    settings = load_settings()
    assert yaml.safe_load(demo.config.read_text())["demo"] is True
    assert (settings.home, settings.admin_url) == (demo.home, None)
    assert dict(settings.sub_timeframes) == {"15m": "1m"}
    assert settings.binance_spot.rest == f"http://127.0.0.1:{ports['spot']}"


@pytest.mark.parametrize(
    ("months", "now", "first"),
    [
        (3, datetime(2026, 3, 31, 23, 59, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        (3, datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)),
        (2, datetime(2026, 1, 15, tzinfo=UTC), datetime(2025, 12, 1, tzinfo=UTC)),
        (1, datetime(2026, 3, 31, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (14, datetime(2026, 3, 31, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)),
    ],
)
def test_the_months_of_a_demo_end_with_the_running_one(
    tmp_path: Path, months: int, now: datetime, first: datetime
) -> None:
    demo = Demo.of(tmp_path, None) if months == 3 else Demo.of(tmp_path, None, months=months)
    assert [(request.symbols, request.start, request.end) for request in demo.requests(now)] == [
        (("BTCUSDT",), first, None),
        (("ETHUSDT",), first, None),
    ]


def test_a_demo_whose_analysis_an_earlier_release_made_is_told_from_its_own(database: Database, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, batch_url=database.dsn(BATCH))
    live = LiveDemo(Demo.of(tmp_path, None), Installation(settings))
    ours = engine_of(EngineParams())
    assert live.is_another_engines()  # nobody's
    with connect(database.dsn(BATCH)) as conn:
        claim_engine(conn, replace(ours, engine_version=ours.engine_version - 1), at=datetime(2026, 1, 1, tzinfo=UTC))
        assert live.is_another_engines()
        claim_engine(conn, ours, at=datetime(2026, 1, 2, tzinfo=UTC), recompute=True)
    assert not live.is_another_engines()
