"""Funding over real HTTP: window rules, refusals, weights, the pool of its requests, and faults."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.venues.simulator.conftest import Start
from tests.venues.simulator.ticks import Ticks
from venues.simulator import Fault, Simulator, SimulatorConfig, running

HOUR_MS = 3_600_000
MARCH_20_MS = 1742428800000  # 2025-03-20T00:00:00Z; the clock of `seeded` reads 10:00:30


def rates(simulator: Simulator, http: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = http.get(f"{simulator.usdm_url}/fapi/v1/fundingRate?{query}")
    assert answer.status_code == 200
    rows: list[dict[str, Any]] = answer.json()
    return rows


def hours(rows: list[dict[str, Any]]) -> list[int]:
    return [(row["fundingTime"] - MARCH_20_MS) // HOUR_MS for row in rows]


def test_the_newest_hundred_come_in_ascending_order_and_only_what_was_settled(
    seeded: Simulator, http: httpx.Client
) -> None:
    rows = rates(seeded, http, "symbol=BTCUSDT")
    assert hours(rows) == list(range(8 - 99 * 8, 9, 8))
    assert {row["rateType"] for row in rows} == {"Regular"}
    assert hours(rates(seeded, http, "symbol=BTCUSDT&limit=2")) == [0, 8]


def test_a_settlement_is_there_from_the_instant_it_states(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T00:00:00.020Z")
    (row,) = rates(simulator, http, "symbol=BTCUSDT")
    assert 0 <= row["fundingTime"] - 1735689600000 <= 12
    assert row["markPrice"] == "99.00000000"
    earlier = start_at("2024-12-31T23:59:59.999Z")
    assert rates(earlier, http, "symbol=BTCUSDT") == []


def test_bounds_are_inclusive_and_a_start_gives_the_oldest(seeded: Simulator, http: httpx.Client) -> None:
    midnight, eight = rates(seeded, http, "symbol=BTCUSDT&limit=2")
    first, last = midnight["fundingTime"], eight["fundingTime"]
    assert rates(seeded, http, f"symbol=BTCUSDT&startTime={first}&endTime={last}") == [midnight, eight]
    assert rates(seeded, http, f"symbol=BTCUSDT&startTime={first + 1}&endTime={last}") == [eight]
    assert rates(seeded, http, f"symbol=BTCUSDT&startTime={first}&endTime={last - 1}") == [midnight]
    assert rates(seeded, http, f"symbol=BTCUSDT&startTime={first}&limit=1") == [midnight]
    assert hours(rates(seeded, http, f"symbol=BTCUSDT&endTime={first - 1}&limit=1")) == [-8]


def test_a_year_pages_by_the_next_start_without_a_gap(seeded: Simulator, http: httpx.Client) -> None:
    start, rows = MARCH_20_MS - 365 * 24 * HOUR_MS, list[dict[str, Any]]()
    while page := rates(seeded, http, f"symbol=ETHUSDT&startTime={start}&limit=1000"):
        rows += page
        start = page[-1]["fundingTime"] + 1
    regular = [row for row in rows if row["rateType"] == "Regular"]
    assert hours(regular) == list(range(-365 * 24, 9, 4))
    assert len(rows) == len(regular) + 1


def test_without_a_symbol_all_are_answered_in_order_of_time(seeded: Simulator, http: httpx.Client) -> None:
    rows = rates(seeded, http, f"startTime={MARCH_20_MS + 8 * HOUR_MS}")
    assert {row["symbol"] for row in rows} == {"BTCUSDT", "ETHUSDT"}
    assert [row["fundingTime"] for row in rows] == sorted(row["fundingTime"] for row in rows)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("symbol=NOPEUSDT", -1121),
        ("symbol=BTCUSDT&limit=1001", -1130),
        ("symbol=BTCUSDT&limit=0", -1130),
        ("symbol=BTCUSDT&startTime=2&endTime=1", -1023),
        ("symbol=BTCUSDT&startTime=soon", -1100),
    ],
)
def test_a_wrong_question_is_refused_with_the_exchanges_code(
    seeded: Simulator, http: httpx.Client, query: str, code: int
) -> None:
    answer = http.get(f"{seeded.usdm_url}/fapi/v1/fundingRate?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_only_symbols_with_other_terms_are_in_funding_info(seeded: Simulator, http: httpx.Client) -> None:
    (terms,) = http.get(f"{seeded.usdm_url}/fapi/v1/fundingInfo").json()
    assert (terms["symbol"], terms["fundingIntervalHours"]) == ("ETHUSDT", 4)


def test_the_running_rate_is_answered_for_one_symbol_or_for_all(seeded: Simulator, http: httpx.Client) -> None:
    url = f"{seeded.usdm_url}/fapi/v1/premiumIndex"
    one, every = http.get(f"{url}?symbol=BTCUSDT"), http.get(url)
    assert one.json()["nextFundingTime"] == MARCH_20_MS + 16 * HOUR_MS
    assert every.json()[0] == one.json()
    assert every.json()[1]["nextFundingTime"] == MARCH_20_MS + 12 * HOUR_MS
    used = [int(answer.headers["X-MBX-USED-WEIGHT-1M"]) for answer in (one, every)]
    assert used[1] - used[0] == 10
    assert http.get(f"{url}?symbol=NOPEUSDT").json()["code"] == -1121


def test_spot_has_no_funding(seeded: Simulator, http: httpx.Client) -> None:
    assert http.get(f"{seeded.spot_url}/api/v3/fundingRate?symbol=BTCUSDT").status_code == 404


def test_funding_weighs_nothing_and_its_pool_refuses_on_its_own(ticks: Ticks, http: httpx.Client) -> None:
    with running(SimulatorConfig(speed=0, usdm_funding_limit=2), ticks=ticks) as simulator:
        url = f"{simulator.usdm_url}/fapi/v1"
        answers = [http.get(f"{url}/{path}") for path in ("fundingInfo", "fundingRate?limit=1", "fundingInfo")]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["X-MBX-USED-WEIGHT-1M"] for answer in answers] == ["0", "0", "0"]
        assert answers[2].json()["code"] == -1003
        assert "2 requests per 5 MINUTE" in answers[2].json()["msg"]
        assert answers[2].headers["Retry-After"] == "300"
        assert http.get(f"{url}/time").status_code == 200
        ticks.now += 300
        assert http.get(f"{url}/fundingInfo").status_code == 200


def test_a_page_can_repeat_a_time_contradict_itself_or_disagree_with_the_archive(
    start_at: Start, http: httpx.Client
) -> None:
    simulator = start_at("2025-01-02T00:00:00Z")
    midnight = (1735689600000,)
    clean = rates(simulator, http, "symbol=BTCUSDT")
    other = clean[0] | {"fundingRate": units(clean[0], plus=1)}
    seen = {}
    for kind in ("duplicate_rows", "contradicting_rows", "disagreeing_rows"):
        number = simulator.faults.add(Fault.model_validate({"kind": kind, "venue": "usdm", "open_times": midnight}))
        seen[kind] = rates(simulator, http, "symbol=BTCUSDT")
        simulator.faults.clear(number)
    assert len(clean) == 2
    assert seen["duplicate_rows"] == [clean[0], *clean]
    assert seen["contradicting_rows"] == [clean[0], other, clean[1]]
    assert seen["disagreeing_rows"] == [other, clean[1]]


def test_a_settlement_can_be_missing_from_so_many_answers(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-02T00:00:00Z")
    clean = rates(simulator, http, "symbol=BTCUSDT")
    simulator.faults.add(Fault(kind="hide_rows", venue="usdm", open_times=(1735689600000,), times=2))
    seen = [rates(simulator, http, "symbol=BTCUSDT") for _ in range(3)]
    assert seen == [clean[1:], clean[1:], clean]


def units(row: dict[str, Any], *, plus: int) -> str:
    """The rate of a row so many hundred-millionths higher; this one is negative by its market's fall of 1 %."""
    text = row["fundingRate"]
    assert text.startswith("-0.000")
    return f"-0.{int(text[3:]) - plus:08d}"


def test_klines_can_disagree_with_the_archive_or_cross_their_range_until_cleared(
    start_at: Start, http: httpx.Client
) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    url = f"{simulator.spot_url}/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=6"
    first, second = 1735689300000, 1735689360000
    before = http.get(url).json()
    simulator.faults.add(Fault(kind="disagreeing_rows", venue="spot", open_times=(first,)))
    simulator.faults.add(Fault(kind="crossed_rows", venue="spot", contains="symbol=BTCUSDT", open_times=(second,)))
    for _ in range(2):
        rows = http.get(url).json()
        assert rows[0][2:6] == ["104.60000000", "99.00000000", "102.00000000", "10.50100000"]
        assert rows[1][2:4] == ["101.50000000", "103.10000000"]
        assert rows[2:] == before[2:]
    simulator.faults.clear()
    assert http.get(url).json() == before
