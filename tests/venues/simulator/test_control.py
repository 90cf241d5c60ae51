from __future__ import annotations

import httpx
import pytest

from tests.venues.simulator.conftest import Start


def test_the_clock_can_be_read_and_moved(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T00:00:00Z")
    url = f"{simulator.archive_url}/sim/clock"
    assert http.get(url).json() == {"now": "2025-01-01T00:00:00+00:00", "now_ms": 1735689600000, "speed": 0}
    assert http.post(url, json={"advance": 90}).json()["now"] == "2025-01-01T00:01:30+00:00"
    assert http.post(url, json={"set": "2025-01-02T00:00:00Z", "speed": 5}).json()["speed"] == 5
    assert simulator.clock.speed == 5
    spot = http.get(f"{simulator.spot_url}/api/v3/time").json()["serverTime"]
    assert spot == 1735689600000 + 86_400_000


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({"set": "2024-01-01T00:00:00Z"}, "cannot be set back"),
        ({"advance": -1}, "advance: Input should be greater"),
        ({"rewind": 5}, "rewind: Extra inputs"),
    ],
)
def test_an_order_the_clock_cannot_follow_is_refused_in_words(
    start_at: Start, http: httpx.Client, order: dict[str, object], told: str
) -> None:
    simulator = start_at("2025-01-01T00:00:00Z")
    answer = http.post(f"{simulator.archive_url}/sim/clock", json=order)
    assert answer.status_code == 400
    assert told in answer.json()["error"]


def test_faults_can_be_added_listed_and_cleared(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T00:00:00Z")
    url = f"{simulator.archive_url}/sim/faults"
    number = http.post(url, json={"kind": "status", "venue": "spot", "status": 500, "times": 2}).json()["id"]
    assert http.get(f"{simulator.spot_url}/api/v3/ping").status_code == 500
    assert http.get(url).json()[str(number)]["times"] == 1
    assert http.delete(url, params={"id": number}).json() == {}
    assert http.get(f"{simulator.spot_url}/api/v3/ping").status_code == 200
    refused = http.post(url, json={"kind": "earthquake"})
    assert refused.status_code == 400
    assert refused.json()["error"].startswith("kind: ")
    assert http.delete(url, params={"id": "all"}).status_code == 400


def test_what_is_listed_is_shown_with_its_life(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T00:00:00Z")
    assert http.get(f"{simulator.archive_url}/sim/market").json() == {
        "BTCUSDT": {"first": "2024-12-31T23:55:00+00:00", "end": "2025-01-01T00:02:00+00:00"}
    }
