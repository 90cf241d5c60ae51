"""What the REST addresses answer over real HTTP, against the exchange's own texts and shapes."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from tests.venues.simulator.conftest import Start
from tests.venues.simulator.ticks import Ticks
from venues.simulator import Fault, Simulator
from venues.simulator.faults import INTERNAL, OVERLOADED, UNAVAILABLE, UNKNOWN, Answer

SPOT_KLINES = "/api/v3/klines?symbol=BTCUSDT&interval=1m"
USDM_KLINES = "/fapi/v1/klines?symbol=BTCUSDT&interval=1m"
MIDNIGHT_MS = 1735689600000  # 2025-01-01T00:00:00Z


def test_ping_is_an_empty_object_and_time_is_the_clock(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T00:00:30.123456Z")
    for base in (f"{simulator.spot_url}/api/v3", f"{simulator.usdm_url}/fapi/v1"):
        assert http.get(f"{base}/ping").text == "{}"
        assert http.get(f"{base}/time").json() == {"serverTime": MIDNIGHT_MS + 30_123}
    micro = http.get(f"{simulator.spot_url}/api/v3/time", headers={"X-MBX-TIME-UNIT": "MICROSECOND"})
    assert micro.json() == {"serverTime": MIDNIGHT_MS * 1000 + 30_123_456}


def test_spot_klines_are_rows_of_text_padded_to_eight_decimals_without_the_hole(
    start_at: Start, http: httpx.Client
) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    answer = http.get(f"{simulator.spot_url}{SPOT_KLINES}&endTime={MIDNIGHT_MS - 1}")
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    rows = answer.json()
    assert [row[0] - MIDNIGHT_MS for row in rows] == [-300_000, -240_000, -120_000, -60_000]
    assert rows[0] == [
        MIDNIGHT_MS - 300_000,
        "100.00000000",
        "104.50000000",
        "99.00000000",
        "102.00000000",
        "10.50000000",
        MIDNIGHT_MS - 240_001,
        "1071.00000000",
        21,
        "4.25000000",
        "433.50000000",
        "0",
    ]


def test_usdm_klines_are_written_with_the_decimals_of_tick_and_step(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    rows = http.get(f"{simulator.usdm_url}{USDM_KLINES}&limit=6").json()
    assert rows[2][1:6] == ["101.5", "106.0", "101.5", "105.0", "0.125"]


def test_the_last_row_is_the_forming_candle_and_grows_with_the_clock(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T00:00:30Z")
    url = f"{simulator.spot_url}{SPOT_KLINES}&limit=1"
    (forming,) = http.get(url).json()
    assert forming[0] == MIDNIGHT_MS
    assert forming[6] > simulator.clock.now_ms()
    assert forming[5] == "3.00000000"
    simulator.clock.advance(seconds=29.999)
    (later,) = http.get(url).json()
    assert later[0] == MIDNIGHT_MS
    assert float(later[5]) == pytest.approx(5.999)
    simulator.clock.advance(seconds=0.001)
    closed, forming = http.get(f"{simulator.spot_url}{SPOT_KLINES}&limit=2").json()
    assert closed[1:6] == ["99.00000000", "120.00000000", "60.00000000", "90.00000000", "6.00000000"]
    assert forming[0] == MIDNIGHT_MS + 60_000


def test_spot_counts_in_microseconds_when_asked_and_takes_them_as_bounds(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    url = f"{simulator.spot_url}{SPOT_KLINES}&startTime={MIDNIGHT_MS * 1000}&limit=1"
    (row,) = http.get(url, headers={"X-MBX-TIME-UNIT": "MICROSECOND"}).json()
    assert (row[0], row[6]) == (MIDNIGHT_MS * 1000, MIDNIGHT_MS * 1000 + 59_999_999)
    assert http.get(url).json()[0][0] == MIDNIGHT_MS


ILLEGAL_TIME = "Illegal characters found in parameter 'startTime'; legal range is '^[0-9]{1,20}$'."
MISSING = "Mandatory parameter '{}' was not sent, was empty/null, or malformed."


@pytest.mark.parametrize(
    ("venue", "query", "code", "msg"),
    [
        ("both", "interval=1m", -1102, MISSING.format("symbol")),
        ("both", "symbol=&interval=1m", -1102, MISSING.format("symbol")),
        ("both", "symbol=BTCUSDT", -1102, MISSING.format("interval")),
        ("both", "symbol=BTCUSDT&interval=7m", -1120, "Invalid interval."),
        ("both", "symbol=BTCUSDT&interval=1M", -1120, "Invalid interval."),
        ("both", "symbol=NOPEUSDT&interval=1m", -1121, "Invalid symbol."),
        ("both", "symbol=BTCUSDT&interval=1m&startTime=soon", -1100, ILLEGAL_TIME),
        ("both", "symbol=BTCUSDT&interval=1m&startTime=-5", -1100, ILLEGAL_TIME),
        ("both", "symbol=BTCUSDT&interval=1m&limit=", -1105, "Parameter 'limit' was empty."),
        ("both", "symbol=BTCUSDT&interval=1m&limit=0", -1130, "Data sent for parameter 'limit' is not valid."),
        ("both", "symbol=BTCUSDT&symbol=X&interval=1m", -1101, "Duplicate values for a parameter detected."),
        (
            "spot",
            "symbol=BTCUSDT&interval=1m&colour=red",
            -1104,
            "Not all sent parameters were read; read '2' parameter(s) but was sent '3'.",
        ),
        (
            "spot",
            "symbol=btcusdt&interval=1m",
            -1100,
            r"Illegal characters found in parameter 'symbol'; legal range is '^[\w\-._&&[^a-z]]{1,50}$'.",
        ),
        ("spot", "symbol=BTCUSDT&interval=1m&timeZone=8", -1130, "Data sent for parameter 'timeZone' is not valid."),
        ("usdm", "symbol=BTCUSDT&interval=1m&limit=1501", -1130, "Data sent for parameter 'limit' is not valid."),
        ("usdm", "symbol=BTCUSDT&interval=1m&startTime=2&endTime=1", -1023, "Start time is greater than end time."),
    ],
)
def test_bad_parameters_are_refused_with_the_exchanges_code_and_text(
    seeded: Simulator, http: httpx.Client, venue: str, query: str, code: int, msg: str
) -> None:
    urls = {"spot": f"{seeded.spot_url}/api/v3/klines", "usdm": f"{seeded.usdm_url}/fapi/v1/klines"}
    for name, url in urls.items():
        if venue in {"both", name}:
            answer = http.get(f"{url}?{query}")
            assert (answer.status_code, answer.json()) == (400, {"code": code, "msg": msg})


@pytest.mark.parametrize(
    ("asked", "spot", "usdm"),
    [("", 500, 500), ("&limit=7", 7, 7), ("&limit=1000", 1000, 1000), ("&limit=1500", 1000, 1500)],
)
def test_limits_default_to_500_and_end_at_1000_on_spot_and_1500_on_usdm(
    seeded: Simulator, http: httpx.Client, asked: str, spot: int, usdm: int
) -> None:
    assert len(http.get(f"{seeded.spot_url}{SPOT_KLINES}{asked}").json()) == spot
    assert len(http.get(f"{seeded.usdm_url}{USDM_KLINES}{asked}").json()) == usdm


@pytest.mark.parametrize(
    ("limit", "weight"), [(1, 1), (99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10), (1500, 10)]
)
def test_usdm_klines_weigh_by_their_limit(start_at: Start, http: httpx.Client, limit: int, weight: int) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    answer = http.get(f"{simulator.usdm_url}{USDM_KLINES}&limit={limit}")
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_used_weight_adds_up_by_address_and_refused_requests_count_too(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    base = f"{simulator.spot_url}/api/v3"
    header = "X-MBX-USED-WEIGHT-1M"
    used = [http.get(f"{base}/{path}").headers[header] for path in ("ping", "klines", "exchangeInfo", "time")]
    assert used == ["1", "3", "23", "24"]
    other = http.get(f"{base}/ping", headers={"X-Forwarded-For": "10.0.0.2"})
    assert other.headers[header] == "1"


def test_beyond_the_limit_429_names_the_wait_and_ignoring_it_ends_in_418(
    start_at: Start, http: httpx.Client, ticks: Ticks
) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    url = f"{simulator.usdm_url}/fapi/v1/klines?symbol=BTCUSDT&interval=1m&limit=1500"
    assert {http.get(url).status_code for _ in range(240)} == {200}
    refused = http.get(url)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert refused.json() == {
        "code": -1003,
        "msg": "Too much request weight used; current limit is 2400 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    }
    banned = [http.get(url) for _ in range(10)][-1]
    assert (banned.status_code, banned.headers["Retry-After"]) == (418, "120")
    until = simulator.clock.now_ms() + 120_000
    assert f"IP banned until {until}." in banned.json()["msg"]
    ticks.now += 120
    assert http.get(url).status_code == 200


def test_the_retired_user_data_stream_is_gone(seeded: Simulator, http: httpx.Client) -> None:
    answer = http.post(f"{seeded.spot_url}/api/v3/userDataStream")
    assert answer.status_code == 410


def test_an_unknown_path_is_404_as_json(seeded: Simulator, http: httpx.Client) -> None:
    answer = http.get(f"{seeded.usdm_url}/fapi/v1/nothing")
    assert answer.status_code == 404
    assert answer.json()["code"] < 0


def filters(info: dict[str, Any], symbol: str) -> dict[str, dict[str, Any]]:
    (found,) = [entry for entry in info["symbols"] if entry["symbol"] == symbol]
    return {item["filterType"]: item for item in found["filters"]}


def test_spot_exchange_info_states_limits_and_filters(seeded: Simulator, http: httpx.Client) -> None:
    info = http.get(f"{seeded.spot_url}/api/v3/exchangeInfo").json()
    assert info["serverTime"] == seeded.clock.now_ms()
    assert {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300_000} in info[
        "rateLimits"
    ]
    assert [entry["symbol"] for entry in info["symbols"]] == ["BTCUSDT", "ETHUSDT"]
    found = filters(info, "ETHUSDT")
    assert found["PRICE_FILTER"]["tickSize"] == "0.01000000"
    assert found["LOT_SIZE"]["stepSize"] == "0.00100000"
    assert {"NOTIONAL", "MARKET_LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "MAX_NUM_ALGO_ORDERS"} <= set(found)


def test_usdm_exchange_info_lists_perpetuals(seeded: Simulator, http: httpx.Client) -> None:
    info = http.get(f"{seeded.usdm_url}/fapi/v1/exchangeInfo").json()
    assert {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400} in info[
        "rateLimits"
    ]
    entry = info["symbols"][0]
    assert (entry["contractType"], entry["marginAsset"], entry["status"]) == ("PERPETUAL", "USDT", "TRADING")
    assert entry["onboardDate"] == 1577836800000  # 2020-01-01
    found = filters(info, "BTCUSDT")
    assert found["PRICE_FILTER"]["tickSize"] == "0.1"
    assert found["MIN_NOTIONAL"]["notional"] == "50"


def test_spot_exchange_info_can_be_asked_for_some_symbols(seeded: Simulator, http: httpx.Client) -> None:
    url = f"{seeded.spot_url}/api/v3/exchangeInfo"
    one = http.get(url, params={"symbol": "ETHUSDT"}).json()
    assert [entry["symbol"] for entry in one["symbols"]] == ["ETHUSDT"]
    both = http.get(url, params={"symbols": '["ETHUSDT","BTCUSDT"]'}).json()
    assert [entry["symbol"] for entry in both["symbols"]] == ["ETHUSDT", "BTCUSDT"]
    assert http.get(url, params={"symbol": "NOPE"}).json() == {"code": -1121, "msg": "Invalid symbol."}


@pytest.mark.parametrize("answer", [UNKNOWN, UNAVAILABLE, INTERNAL, OVERLOADED])
def test_each_503_of_the_exchange_can_be_had_for_a_number_of_requests(
    start_at: Start, http: httpx.Client, answer: Answer
) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    simulator.faults.add(Fault(kind="status", venue="usdm", prefix="/fapi/v1/klines", times=2, **answer))
    url = f"{simulator.usdm_url}{USDM_KLINES}"
    got = [http.get(url) for _ in range(3)]
    assert [response.status_code for response in got] == [503, 503, 200]
    assert got[0].text == answer["body"]
    assert http.get(f"{simulator.spot_url}{SPOT_KLINES}").status_code == 200


def test_the_503_texts_are_those_of_the_documentation() -> None:
    assert json.loads(UNKNOWN["body"])["msg"] == "Unknown error, please check your request or try again later."
    assert UNAVAILABLE["body"] == "Service Unavailable."
    assert json.loads(INTERNAL["body"])["msg"] == "Internal error; unable to process your request. Please try again."
    assert json.loads(OVERLOADED["body"]) == {
        "code": -1008,
        "msg": "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. "
        "Please try again.",
    }


def test_429_and_418_can_be_asked_for_with_their_wait(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    for status in (429, 418):
        simulator.faults.add(Fault(kind="status", venue="spot", status=status, retry_after=7))
        answer = http.get(f"{simulator.spot_url}/api/v3/ping")
        assert (answer.status_code, answer.headers["Retry-After"], answer.json()["code"]) == (status, "7", -1003)


def test_garbage_is_200_and_no_json(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    simulator.faults.add(Fault(kind="garbage", venue="spot"))
    answer = http.get(f"{simulator.spot_url}{SPOT_KLINES}")
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()


def test_a_slow_answer_arrives_after_its_seconds(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    simulator.faults.add(Fault(kind="slow", venue="spot", seconds=0.2))
    begun = time.monotonic()
    assert http.get(f"{simulator.spot_url}/api/v3/ping").status_code == 200
    assert time.monotonic() - begun >= 0.2


def test_rest_can_miss_a_bar_for_a_number_of_answers(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at("2025-01-01T12:00:00Z")
    hidden = (MIDNIGHT_MS - 60_000,)
    simulator.faults.add(Fault(kind="hide_rows", venue="spot", contains="interval=1m", open_times=hidden, times=1))
    url = f"{simulator.spot_url}{SPOT_KLINES}"
    first, second = ([row[0] for row in http.get(url).json()] for _ in range(2))
    assert [at for at in second if at not in first] == [MIDNIGHT_MS - 60_000]
