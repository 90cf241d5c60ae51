"""Paging of fundingRate, the pool of its requests, and what has no funding."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import InstrumentKey
from contracts.errors import DataRejected, Rejected, Retryable
from tests.venues.binance.fakes import NOW, USDM, Clock, Script, ms, refusal, utc, with_rest
from venues.binance.errors import UnknownSymbol
from venues.binance.funding import FundingAnswer
from venues.binance.limits import WeightBudget

KEY = InstrumentKey("binance_usdm", "BTCUSDT")
START, END = utc(2024, 1, 1), utc(2025, 1, 1)
START_MS = ms(2024, 1, 1)
HOUR_MS = 3_600_000


class Settlements:
    """A fundingRate endpoint over given rows by Binance's window rules; never more than `most` a page."""

    def __init__(self, rows: Iterable[dict[str, Any]], *, most: int = 1000) -> None:
        self._rows = sorted(rows, key=lambda row: row["fundingTime"])
        self._most = most
        self.queries: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/fapi/v1/fundingRate"
        query = dict(request.url.params)
        self.queries.append(query)
        first, last = int(query["startTime"]), int(query["endTime"])
        page = [row for row in self._rows if first <= row["fundingTime"] <= last]
        return httpx.Response(200, json=page[: min(self._most, int(query["limit"]))])


def settlement(hours: int, *, late_ms: int = 0, rate: str = "0.0001", kind: str = "Regular") -> dict[str, Any]:
    at = START_MS + hours * HOUR_MS + late_ms
    return {"symbol": "BTCUSDT", "fundingTime": at, "fundingRate": rate, "markPrice": "42000.5", "rateType": kind}


def rates(
    venue: Callable[[httpx.Request], httpx.Response],
    start: datetime = START,
    end: datetime = END,
    *,
    clock: Clock | None = None,
    budgets: dict[str, WeightBudget] | None = None,
) -> FundingAnswer:
    return with_rest(
        venue, lambda rest: rest.funding_rates(KEY, start, end), venue=KEY.venue, clock=clock, budgets=budgets
    )


def test_the_question_is_written_as_binance_reads_it_and_both_its_ends_are_inclusive() -> None:
    venue = Settlements([settlement(hours, late_ms=4) for hours in (0, 8, 16)])
    answer = rates(venue, utc(2024, 1, 1), utc(2024, 1, 1, 16))
    assert answer.rows.rows() == [
        (utc(2024, 1, 1), "0.0001", "42000.5", "Regular"),
        (utc(2024, 1, 1, 8), "0.0001", "42000.5", "Regular"),
    ]
    assert answer.asked_at.timestamp() == NOW
    # Eight in the morning is asked for again: the page might have been cut between two settlements of that instant.
    after = {"symbol": "BTCUSDT", "endTime": str(START_MS + 16 * HOUR_MS - 1), "limit": "1000"}
    assert venue.queries == [
        {**after, "startTime": str(START_MS)},
        {**after, "startTime": str(START_MS + 8 * HOUR_MS + 4)},
    ]


def test_bounds_inside_a_second_go_by_the_second_a_settlement_is_for() -> None:
    venue = Settlements([settlement(8, late_ms=400)])
    eight = utc(2024, 1, 1, 8)
    assert rates(venue, eight, eight.replace(microsecond=1)).rows.height == 1
    assert rates(venue, eight.replace(microsecond=1), END).rows.is_empty()


def test_a_window_of_more_than_a_page_is_read_to_its_end() -> None:
    venue = Settlements([settlement(8 * number) for number in range(1098)])
    answer = rates(venue)
    assert answer.rows.height == 1098
    assert answer.duplicates == 0
    assert len(venue.queries) == 3


def test_a_page_cut_between_two_settlements_of_one_instant_loses_neither() -> None:
    rows = [settlement(hours) for hours in range(1001)]
    venue = Settlements([*rows, settlement(999, kind="Special", rate="0.01")])
    answer = rates(venue)
    assert answer.rows.height == 1002
    assert answer.rows.filter(answer.rows["rate_type"] == "Special")["rate"].to_list() == ["0.01"]
    assert answer.duplicates == 0


@settings(deadline=None)
@given(
    hours=st.sets(st.integers(0, 60)),
    specials=st.sets(st.integers(0, 60)),
    most=st.integers(3, 9),
)
def test_any_length_of_pages_gives_the_same_settlements_each_once(
    hours: set[int], specials: set[int], most: int
) -> None:
    rows = [settlement(hour) for hour in hours] + [settlement(hour, kind="Special") for hour in specials]
    answer = rates(Settlements(rows, most=most))
    assert answer.rows.height == len(rows)
    assert answer.duplicates == 0
    assert answer.quarantined.is_empty()


def test_a_time_repeated_on_a_page_is_one_settlement() -> None:
    answer = rates(Settlements([settlement(0), settlement(8), settlement(8, late_ms=3), settlement(16)]))
    assert answer.rows["funding_time"].to_list() == [utc(2024, 1, 1, hour) for hour in (0, 8, 16)]
    assert answer.duplicates == 1


@pytest.mark.parametrize("hour", [8, 16], ids=["inside", "last"])
def test_a_time_repeated_with_another_rate_is_quarantined_and_the_others_stay(hour: int) -> None:
    answer = rates(Settlements([*map(settlement, (0, 8, 16)), settlement(hour, rate="0.0002")]))
    assert answer.rows.height == 2
    assert answer.quarantined["reason"].to_list() == ["conflict", "conflict"]
    assert answer.quarantined["open_time"].unique().to_list() == [utc(2024, 1, 1, hour)]


def test_no_settlements_are_an_empty_answer() -> None:
    assert rates(Settlements([])).rows.is_empty()


def test_rows_that_were_not_asked_for_are_a_bad_answer() -> None:
    stray = httpx.Response(200, json=[settlement(-1)])
    with pytest.raises(DataRejected, match="rows outside the page"):
        rates(Script({"/fapi/v1/fundingRate": [stray]}))


def test_an_unknown_symbol_is_named() -> None:
    with pytest.raises(UnknownSymbol, match="binance_usdm:BTCUSDT"):
        rates(Script({"/fapi/v1/fundingRate": [refusal(400, -1121, "Invalid symbol.")]}))


def test_an_empty_window_is_refused_without_a_request() -> None:
    venue = Settlements([])
    with pytest.raises(Rejected, match="half-open"):
        rates(venue, START, START)
    assert venue.queries == []


def test_spot_has_no_funding_and_is_not_asked() -> None:
    script = Script({})
    spot = InstrumentKey("binance_spot", "BTCUSDT")
    with pytest.raises(Rejected, match="binance_spot has no funding"):
        with_rest(script, lambda rest: rest.funding_rates(spot, START, END))
    with pytest.raises(Rejected, match="binance_spot has no funding"):
        with_rest(script, lambda rest: rest.funding_info())
    with pytest.raises(Rejected, match="speaks to binance_usdm"):
        with_rest(script, lambda rest: rest.funding_rates(spot, START, END), venue="binance_usdm")
    assert script.asked == []


def test_funding_info_is_asked_without_parameters() -> None:
    terms = {
        "symbol": "ETHUSDT",
        "fundingIntervalHours": 4,
        "adjustedFundingRateCap": "0.02",
        "adjustedFundingRateFloor": "-0.02",
    }
    script = Script({"/fapi/v1/fundingInfo": [httpx.Response(200, json=[terms])]})
    info = with_rest(script, lambda rest: rest.funding_info(), venue="binance_usdm")
    assert (info.interval_hours("ETHUSDT"), info.interval_hours("BTCUSDT")) == (4, 8)
    assert str(script.requests[0].url) == f"{USDM}/fapi/v1/fundingInfo"


def test_funding_weighs_nothing_and_takes_from_a_pool_of_its_own() -> None:
    clock, budgets = Clock(), dict[str, WeightBudget]()
    venue = Settlements([])
    for _ in range(400):
        rates(venue, clock=clock, budgets=budgets)
    assert budgets[USDM].left == 1920
    clock.now += 250
    rates(venue, clock=clock, budgets=budgets)
    # 80 % of 500 in five minutes are used up; the first of them leaves the window after another 50 seconds.
    assert clock.slept == [50.0]


def test_an_exhausted_pool_far_from_relief_is_a_retryable_failure_and_leaves_klines_alone() -> None:
    clock, budgets = Clock(), dict[str, WeightBudget]()
    venue = Settlements([])
    for _ in range(400):
        rates(venue, clock=clock, budgets=budgets)
    with pytest.raises(Retryable, match="pool of 400 requests in 300 s") as caught:
        rates(venue, clock=clock, budgets=budgets)
    assert caught.value.retry_after == 300
    script = Script({"/fapi/v1/time": [httpx.Response(200, json={"serverTime": START_MS})]})
    with_rest(script, lambda rest: rest.server_time(), venue=KEY.venue, clock=clock, budgets=budgets)
    assert clock.slept == []


def test_a_429_of_funding_rests_pool_and_host_for_as_long_as_it_says() -> None:
    clock, budgets = Clock(), dict[str, WeightBudget]()
    script = Script(
        {
            "/fapi/v1/fundingRate": [
                refusal(429, -1003, "Too many requests.", Retry_After="30"),
                httpx.Response(200, json=[]),
            ]
        }
    )
    assert rates(script, clock=clock, budgets=budgets).rows.is_empty()
    assert clock.now == NOW + 30
