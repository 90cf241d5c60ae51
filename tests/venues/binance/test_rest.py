import asyncio
import json
from datetime import datetime, timedelta

import httpx
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import SeriesKey
from contracts.errors import DataRejected, Halt, Rejected, Retryable
from tests.venues.binance.fakes import NOW, Candles, Clock, Script, minute_row, ms, refusal, utc, with_rest
from venues.binance.errors import BadAnswer, UnknownSymbol
from venues.binance.limits import WeightBudget
from venues.binance.rest import BinanceRest, KlinesAnswer

SPOT = SeriesKey("binance_spot", "BTCUSDT", "1m")
USDM = SeriesKey("binance_usdm", "BTCUSDT", "1m")
DAY = utc(2022, 1, 1)
DAY_MS = ms(2022, 1, 1)
LATER_MS = ms(2024, 1, 1)
TIME = httpx.Response(200, json={"serverTime": LATER_MS})


def minutes(*which: int) -> list[list[object]]:
    return [minute_row(DAY_MS + minute * 60_000) for minute in which]


def at(minute: int, second: int = 0) -> datetime:
    return DAY + timedelta(minutes=minute, seconds=second)


def klines(
    venue: Candles | Script, start: datetime, end: datetime, *, key: SeriesKey = SPOT, grace: int = 2
) -> KlinesAnswer:
    async def call(rest: BinanceRest) -> KlinesAnswer:
        return await rest.klines(key, start, end, grace=timedelta(seconds=grace))

    return with_rest(venue, call, venue=key.venue)


def test_a_window_is_half_open_over_open_times() -> None:
    answer = klines(Candles(minutes(*range(10)), server_ms=LATER_MS), at(2), at(5))
    assert answer.candles["open_time"].to_list() == [at(2), at(3), at(4)]
    assert answer.closed_until == at(5)
    assert answer.server_time == utc(2024, 1, 1)
    assert answer.asked_at.timestamp() == NOW


def test_the_question_is_written_as_binance_reads_it() -> None:
    venue = Candles(minutes(*range(10)), server_ms=LATER_MS)
    klines(venue, at(2), at(5))
    assert venue.queries == [
        {
            "symbol": "BTCUSDT",
            "interval": "1m",
            "startTime": str(DAY_MS + 120_000),
            "endTime": str(DAY_MS + 299_999),
            "limit": "3",
        }
    ]


@pytest.mark.parametrize(("key", "path"), [(SPOT, "/api/v3/klines"), (USDM, "/fapi/v1/klines")], ids=["spot", "usdm"])
def test_each_market_has_its_own_endpoint(key: SeriesKey, path: str) -> None:
    script = Script({path: [httpx.Response(200, json=minutes(0))], path.replace("klines", "time"): [TIME]})
    assert klines(script, at(0), at(1), key=key).candles.height == 1


def test_bounds_between_two_bars_are_moved_up_to_the_grid() -> None:
    answer = klines(Candles(minutes(*range(10)), server_ms=LATER_MS), at(2, 1), at(4, 1))
    assert answer.candles["open_time"].to_list() == [at(3), at(4)]


@pytest.mark.parametrize(
    ("server_second", "grace", "last"),
    [(299, 0, 3), (300, 0, 4), (301, 2, 3), (302, 2, 4)],
    ids=["forming", "just closed", "closed within the grace", "closed before the grace"],
)
def test_the_forming_candle_is_dropped_by_the_exchanges_clock(server_second: int, grace: int, last: int) -> None:
    venue = Candles(minutes(*range(6)), server_ms=DAY_MS + server_second * 1000)
    answer = klines(venue, at(0), at(60), grace=grace)
    assert answer.candles["open_time"].to_list()[-1] == at(last)
    assert answer.closed_until == at(last + 1)


def test_a_window_whose_first_bar_is_forming_is_an_empty_answer_without_a_page() -> None:
    venue = Candles(minutes(0), server_ms=DAY_MS + 30_000)
    answer = klines(venue, at(0), at(5))
    assert answer.candles.is_empty()
    assert answer.closed_until == at(0)
    assert venue.queries == []


def test_pages_follow_each_other_across_holes() -> None:
    present = [*range(700), *range(2000, 2600)]
    venue = Candles(minutes(*present), server_ms=LATER_MS)
    answer = klines(venue, at(0), at(3000), key=USDM)
    assert answer.candles["open_time"].to_list() == [at(minute) for minute in present]
    assert [query["limit"] for query in venue.queries] == ["499", "499", "499", "400"]
    assert answer.closed_until == at(3000)


def test_a_symbol_without_candles_in_the_window_is_an_empty_answer() -> None:
    assert klines(Candles([], server_ms=LATER_MS), at(0), at(500)).candles.is_empty()


@given(
    present=st.sets(st.integers(0, 40), max_size=41),
    start=st.integers(0, 40),
    length=st.integers(1, 41),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6),
)
def test_any_cut_of_pages_gives_the_same_candles(present: set[int], start: int, length: int, cuts: list[int]) -> None:
    calls = iter(range(10_000))
    venue = Candles(minutes(*present), server_ms=LATER_MS, cut=lambda rows: min(rows, cuts[next(calls) % len(cuts)]))
    answer = klines(venue, at(start), at(start + length))
    assert answer.candles["open_time"].to_list() == [at(m) for m in sorted(present) if start <= m < start + length]
    assert answer.quarantined.is_empty()
    assert answer.duplicates == 0


def test_a_bad_row_is_quarantined_and_the_pages_go_on() -> None:
    bad = minute_row(DAY_MS + 60_000, close="9")
    off_grid = minute_row(DAY_MS + 120_500)
    answer = klines(Candles([*minutes(0, 3), bad, off_grid], server_ms=LATER_MS), at(0), at(4))
    assert answer.candles["open_time"].to_list() == [at(0), at(3)]
    assert sorted(answer.quarantined["reason"]) == ["off_grid", "prices_contradict"]


def test_an_off_grid_row_at_the_end_of_a_page_does_not_hide_the_next_bar() -> None:
    off_grid = minute_row(DAY_MS + 120_500)
    venue = Candles([*minutes(0, 1, 3), off_grid], server_ms=LATER_MS, cut=lambda rows: min(rows, 1))
    assert klines(venue, at(0), at(4)).candles["open_time"].to_list() == [at(0), at(1), at(3)]


def test_a_doubled_row_is_dropped_and_counted() -> None:
    answer = klines(Candles([*minutes(0, 1), *minutes(1)], server_ms=LATER_MS), at(0), at(3))
    assert (answer.candles.height, answer.duplicates) == (2, 1)


@pytest.mark.parametrize("minute", [-1, 3], ids=["before", "after"])
def test_rows_that_were_not_asked_for_reject_the_answer(minute: int) -> None:
    path = "/api/v3/klines"
    script = Script({path: [httpx.Response(200, json=minutes(minute))], "/api/v3/time": [TIME]})
    with pytest.raises(DataRejected, match="rows outside the page"):
        klines(script, at(0), at(3))


def test_an_unknown_symbol_is_rejected_by_name_and_venue() -> None:
    script = Script({"/api/v3/klines": [refusal(400, -1121, "Invalid symbol.")], "/api/v3/time": [TIME]})
    with pytest.raises(UnknownSymbol, match="binance_spot:NOSUCH:1m"):
        klines(script, at(0), at(3), key=SeriesKey("binance_spot", "NOSUCH", "1m"))


def test_a_window_in_the_future_is_rejected_with_the_exchanges_clock() -> None:
    with pytest.raises(Rejected, match=r"begins in the future; the exchange's clock reads 2022-01-01T00:10:00"):
        klines(Candles([], server_ms=DAY_MS + 600_000), at(60), at(120))


def test_a_window_that_begins_with_the_next_bar_is_empty_not_in_the_future() -> None:
    answer = klines(Candles([], server_ms=DAY_MS + 599_900), at(10), at(11))
    assert answer.candles.is_empty()


@pytest.mark.parametrize("end", [0, -1])
def test_an_empty_window_is_rejected(end: int) -> None:
    with pytest.raises(Rejected, match="window is empty"):
        klines(Candles([], server_ms=LATER_MS), at(0), at(end))


def test_a_series_of_another_venue_is_rejected() -> None:
    async def call(rest: BinanceRest) -> KlinesAnswer:
        return await rest.klines(USDM, at(0), at(1))

    with pytest.raises(Rejected, match="this client speaks to binance_spot"):
        with_rest(Candles([], server_ms=LATER_MS), call, venue="binance_spot")


@pytest.mark.parametrize(
    "trouble",
    [
        refusal(429, -1003, "Too many requests.", Retry_After="3"),
        httpx.Response(503, text="Unknown error, please check your request or try again later."),
        httpx.Response(200, text="<html>Welcome to the hotel</html>"),
        httpx.Response(200, text='[[1640995200000,"46216.9'),
        httpx.ReadTimeout("slow"),
    ],
    ids=["429", "503", "a proxy's page", "half an answer", "timeout"],
)
def test_trouble_in_the_middle_of_the_pages_loses_nothing(trouble: httpx.Response | Exception) -> None:
    pages = [httpx.Response(200, json=minutes(*range(499))), trouble, httpx.Response(200, json=minutes(499, 500))]
    script = Script({"/fapi/v1/klines": pages, "/fapi/v1/time": [TIME]})
    answer = klines(script, at(0), at(501), key=USDM)
    assert answer.candles["open_time"].to_list() == [at(minute) for minute in range(501)]


@pytest.mark.parametrize(
    ("trouble", "reaction"),
    [
        (httpx.Response(200, text="<html>Welcome to the hotel</html>"), Retryable),
        (httpx.Response(503), Retryable),
        (httpx.Response(200, json={"rows": []}), DataRejected),
        (httpx.Response(418, text="I'm a teapot"), Halt),
    ],
)
def test_lasting_trouble_has_its_reaction_and_names_the_series(
    trouble: httpx.Response, reaction: type[Exception]
) -> None:
    script = Script({"/api/v3/klines": [trouble], "/api/v3/time": [TIME]})
    with pytest.raises(reaction, match="binance_spot:BTCUSDT:1m"):
        klines(script, at(0), at(3))


@pytest.mark.parametrize(
    "body", [{}, [], {"serverTime": "1640995200000"}, {"serverTime": True}, {"serverTime": 10**18}, {"serverTime": -1}]
)
def test_a_time_that_is_none_is_rejected(body: object) -> None:
    script = Script({"/api/v3/time": [httpx.Response(200, json=body)]})
    with pytest.raises(BadAnswer, match="time of binance_spot"):
        with_rest(script, lambda rest: rest.server_time())


def test_the_oldest_candle_tells_when_a_symbol_was_listed() -> None:
    venue = Candles(minutes(7, 8, 9), server_ms=LATER_MS)
    assert with_rest(venue, lambda rest: rest.first_open_time(SPOT)) == at(7)
    assert venue.queries == [{"symbol": "BTCUSDT", "interval": "1m", "startTime": "0", "limit": "1"}]
    assert with_rest(Candles([], server_ms=LATER_MS), lambda rest: rest.first_open_time(SPOT)) is None


INFO = {
    "rateLimits": [
        {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 300000},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1000},
    ],
    "symbols": [
        {
            "symbol": "BTCUSDT",
            "status": "TRADING",
            "baseAsset": "BTC",
            "quoteAsset": "USDT",
            "orderTypes": ["MARKET", "LIMIT"],
            "filters": [
                {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
                {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000.0", "stepSize": "0.00001"},
            ],
        },
        {"symbol": "ODDUSDT", "status": "TRADING", "baseAsset": "ODD", "quoteAsset": "USDT", "filters": []},
    ],
}


def test_exchange_info_of_some_spot_symbols_asks_for_these_only() -> None:
    script = Script({"/api/v3/exchangeInfo": [httpx.Response(200, json=INFO)]})
    info = with_rest(script, lambda rest: rest.exchange_info(["BTCUSDT"]))
    assert info.symbols.keys() == {"BTCUSDT"}
    assert info.unreadable == {"ODDUSDT": "'PRICE_FILTER' is missing"}
    query = script.requests[0].url.params
    assert json.loads(query["symbols"]) == ["BTCUSDT"]
    assert query["showPermissionSets"] == "false"


def test_exchange_info_of_usdm_has_no_parameters() -> None:
    script = Script({"/fapi/v1/exchangeInfo": [httpx.Response(200, json=INFO)]})
    with_rest(script, lambda rest: rest.exchange_info(["BTCUSDT"]), venue="binance_usdm")
    assert dict(script.requests[0].url.params) == {}


def test_the_stated_weight_limit_becomes_the_budget() -> None:
    clock = Clock()
    budget = WeightBudget("spot", 6000, clock=clock, sleep=clock.sleep)
    script = Script({"/api/v3/exchangeInfo": [httpx.Response(200, json=INFO)]})
    with_rest(script, lambda rest: rest.exchange_info(), clock=clock, budgets={"https://spot.test": budget})
    assert budget.left == 800 - 20


def test_a_symbol_that_is_not_listed_is_rejected_by_name() -> None:
    script = Script({"/fapi/v1/exchangeInfo": [httpx.Response(200, json=INFO)]})
    with pytest.raises(UnknownSymbol, match="binance_usdm lists no symbol 'NOSUCH'"):
        with_rest(script, lambda rest: rest.exchange_info(["NOSUCH"]), venue="binance_usdm")


def test_an_asked_symbol_whose_rules_cannot_be_read_is_rejected_with_the_reason() -> None:
    script = Script({"/api/v3/exchangeInfo": [httpx.Response(200, json=INFO)]})
    with pytest.raises(BadAnswer, match="ODDUSDT cannot be read: 'PRICE_FILTER' is missing"):
        with_rest(script, lambda rest: rest.exchange_info(["ODDUSDT"]))


def test_calls_side_by_side_share_one_budget() -> None:
    clock = Clock()
    budget = WeightBudget("usdm", 20, share=0.5, clock=clock, sleep=clock.sleep, jitter=lambda: 0.0)
    venue = Candles(minutes(*range(10)), server_ms=LATER_MS)

    async def call(rest: BinanceRest) -> list[pl.DataFrame]:
        answers = await asyncio.gather(*(rest.klines(USDM, at(0), at(10)) for _ in range(8)))
        return [answer.candles for answer in answers]

    frames = with_rest(venue, call, venue="binance_usdm", clock=clock, budgets={"https://usdm.test": budget})
    assert all(frame.height == 10 for frame in frames)
    # Eight times a weight of 1 for the time and 1 for the page, ten a minute: one minute had to be waited for.
    assert 50.0 <= clock.now - NOW < 110.0
