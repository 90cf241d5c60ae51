"""The real bars beside the repository, where they are: what comes back over the wire is the file, value by value."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from venues.simulator import SimulatorConfig, running

BARS = Path(__file__).parents[4] / "shared" / "data" / "btc_perp_1m_2022-01.csv.gz"
MONTH = "monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2022-01.zip"

pytestmark = pytest.mark.skipif(not BARS.is_file(), reason=f"the real bars are not at {BARS}")


def expected(prefix: str) -> list[tuple[str, ...]]:
    with gzip.open(BARS, "rt", encoding="utf-8") as lines:
        return [tuple(row.values()) for row in csv.DictReader(lines) if row["open_time"].startswith(prefix)]


def test_a_month_of_the_archive_and_pages_of_rest_hold_the_files_values() -> None:
    config = SimulatorConfig.model_validate({"bars": BARS, "speed": 0, "start": "2022-02-10T00:00:00Z"})
    wanted = [[Decimal(text) for text in row[1:]] for row in expected("2022-01")]
    assert len(wanted) == 44_640
    with running(config) as simulator, httpx.Client(timeout=30) as http:
        for market, header in (("spot", 0), ("futures/um", 1)):
            body = http.get(f"{simulator.archive_url}/data/{market}/{MONTH}").content
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                rows = archive.read("BTCUSDT-1m-2022-01.csv").decode().splitlines()[header:]
            assert [[Decimal(text) for text in row.split(",")[1:6]] for row in rows] == wanted
        page = http.get(
            f"{simulator.spot_url}/api/v3/klines",
            params={"symbol": "BTCUSDT", "interval": "1m", "startTime": 1640995200000, "limit": 1000},
        ).json()
    assert [[Decimal(text) for text in row[1:6]] for row in page] == wanted[:1000]


def test_by_default_the_clock_begins_one_day_before_the_last_bar_ends() -> None:
    with running(SimulatorConfig(bars=BARS, speed=0)) as simulator:
        assert simulator.clock.now().isoformat() == "2022-01-31T05:31:00+00:00"
