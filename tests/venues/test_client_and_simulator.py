"""The client against the simulator over real HTTP: two readings of the same documents, which share no code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from typing import TypeVar

import httpx
import polars as pl
import pytest

from contracts import InstrumentKey, SeriesKey
from venues.binance.archive import VerifiedFile
from venues.binance.client import MarketData, open_market_data
from venues.binance.hosts import VenueHosts
from venues.simulator import Fault, Simulator, SimulatorConfig, running

T = TypeVar("T")

BTC, ETH = InstrumentKey("binance_usdm", "BTCUSDT"), InstrumentKey("binance_usdm", "ETHUSDT")
SERIES = SeriesKey("binance_usdm", "BTCUSDT", "1h")
MONTH = date(2025, 1, 1)
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 2, 1, tzinfo=UTC)
EIGHT = datetime(2025, 1, 1, 8, tzinfo=UTC)
EIGHT_MS = 1735718400000


class Wire(httpx.AsyncHTTPTransport):
    """The network, remembering what passed over it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.received = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url.path.rsplit('/', 1)[1]}")
        answer = await super().handle_async_request(request)
        body = 0 if request.method == "HEAD" else int(answer.headers.get("content-length", 0))
        self.received += body
        return answer


@pytest.fixture
def exchange() -> Iterator[Simulator]:
    config = SimulatorConfig(
        speed=0, start=datetime(2025, 2, 10, tzinfo=UTC), listed_at=datetime(2024, 12, 30, tzinfo=UTC)
    )
    with running(config) as simulator:
        yield simulator


def ask(exchange: Simulator, call: Callable[[MarketData], Awaitable[T]], *, wire: Wire | None = None) -> T:
    async def scene() -> T:
        hosts = {
            "binance_spot": VenueHosts(exchange.spot_url, exchange.archive_url),
            "binance_usdm": VenueHosts(exchange.usdm_url, exchange.archive_url),
        }
        async with open_market_data(hosts, inner=wire or Wire()) as data:
            return await call(data)

    return asyncio.run(scene())


def funding_of_month(exchange: Simulator, instrument: InstrumentKey) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The settlements of January by the archive and by REST."""
    file = ask(exchange, lambda data: data.archive(instrument.venue).funding_month(instrument, MONTH))
    answer = ask(exchange, lambda data: data.rest(instrument.venue).funding_rates(instrument, START, END))
    assert file is not None
    assert file.parsed.quarantined.is_empty()
    assert answer.quarantined.is_empty()
    return file.parsed.rates, answer.rows


def candles_of_month(exchange: Simulator) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The candles of January by the archive and by REST."""
    file = ask(exchange, lambda data: data.archive(SERIES.venue).month(SERIES, MONTH))
    answer = ask(exchange, lambda data: data.rest(SERIES.venue).klines(SERIES, START, END))
    assert file is not None
    return file.parsed.candles, answer.candles


@pytest.mark.parametrize(("instrument", "hours"), [(BTC, 8), (ETH, 4)], ids=["8h", "4h"])
def test_archive_and_rest_agree_about_every_regular_settlement(
    exchange: Simulator, instrument: InstrumentKey, hours: int
) -> None:
    archive, rest = funding_of_month(exchange, instrument)
    regular, special = (rest.filter(rest["rate_type"] == kind) for kind in ("Regular", "Special"))
    columns = ["funding_time", "rate", "rate_type"]
    assert archive.select(columns).equals(regular.select(columns))
    assert archive.height == 31 * 24 // hours
    assert archive["mark_price"].null_count() == archive.height
    assert rest["mark_price"].null_count() == 0
    assert special["funding_time"].to_list() == [datetime(2025, 1, 20, 12, tzinfo=UTC)]


def test_the_terms_of_each_symbol_are_read_with_the_usual_ones_for_what_is_not_listed(exchange: Simulator) -> None:
    info = ask(exchange, lambda data: data.rest("binance_usdm").funding_info())
    assert {key.symbol: info.interval_hours(key.symbol) for key in (BTC, ETH)} == {"BTCUSDT": 8, "ETHUSDT": 4}
    assert not info.unreadable


def test_a_page_with_a_repeated_time_is_read_as_if_it_were_clean(exchange: Simulator) -> None:
    _, clean = funding_of_month(exchange, BTC)
    exchange.faults.add(Fault(kind="duplicate_rows", open_times=(EIGHT_MS,)))
    answer = ask(exchange, lambda data: data.rest(BTC.venue).funding_rates(BTC, START, END))
    assert answer.rows.equals(clean)
    assert answer.duplicates == 1
    file = ask(exchange, lambda data: data.archive(BTC.venue).funding_month(BTC, MONTH))
    assert file is not None
    assert (file.parsed.duplicates, file.parsed.rates.height, file.rows) == (1, 93, 94)


def test_a_page_that_contradicts_itself_loses_that_settlement_alone(exchange: Simulator) -> None:
    _, clean = funding_of_month(exchange, BTC)
    exchange.faults.add(Fault(kind="contradicting_rows", venue="usdm", open_times=(EIGHT_MS,)))
    answer = ask(exchange, lambda data: data.rest(BTC.venue).funding_rates(BTC, START, END))
    assert answer.rows.equals(clean.filter(clean["funding_time"] != EIGHT))
    assert answer.quarantined.select("open_time", "reason").rows() == [(EIGHT, "conflict")] * 2
    assert all('"symbol":"BTCUSDT"' in payload for payload in answer.quarantined["payload"])


def test_rest_can_disagree_with_the_archive_about_one_settlement(exchange: Simulator) -> None:
    exchange.faults.add(Fault(kind="disagreeing_rows", prefix="/fapi/v1/fundingRate", open_times=(EIGHT_MS,)))
    archive, rest = funding_of_month(exchange, BTC)
    both = archive.join(rest, on=["funding_time", "rate_type"], suffix="_rest")
    assert both.filter(both["rate"] != both["rate_rest"])["funding_time"].to_list() == [EIGHT]


def test_rest_can_disagree_with_the_archive_about_one_candle(exchange: Simulator) -> None:
    archive, rest = candles_of_month(exchange)
    assert archive.equals(rest)
    exchange.faults.add(Fault(kind="disagreeing_rows", prefix="/fapi/v1/klines", open_times=(EIGHT_MS,)))
    again, differing = candles_of_month(exchange)
    assert again.equals(archive)
    both = archive.join(differing, on="open_time", suffix="_rest")
    assert both.height == archive.height
    changed = both.filter((both["high"] != both["high_rest"]) | (both["volume"] != both["volume_rest"]))
    assert changed["open_time"].to_list() == [EIGHT]


def test_a_candle_with_its_high_below_its_low_is_quarantined_by_both_ways_and_the_others_stay(
    exchange: Simulator,
) -> None:
    clean, _ = candles_of_month(exchange)
    exchange.faults.add(Fault(kind="crossed_rows", contains="BTCUSDT", open_times=(EIGHT_MS,)))
    file = ask(exchange, lambda data: data.archive(SERIES.venue).month(SERIES, MONTH))
    answer = ask(exchange, lambda data: data.rest(SERIES.venue).klines(SERIES, START, END))
    assert file is not None
    for candles, quarantined in (
        (file.parsed.candles, file.parsed.quarantined),
        (answer.candles, answer.quarantined),
    ):
        assert candles.equals(clean.filter(clean["open_time"] != EIGHT))
        assert quarantined.select("open_time", "reason").rows() == [(EIGHT, "prices_contradict")]


Read = Callable[[MarketData], Awaitable[VerifiedFile | None]]
FILES: dict[str, Read] = {
    "month": lambda data: data.archive("binance_usdm").month(SERIES, MONTH),
    "day": lambda data: data.archive("binance_usdm").day(SERIES, MONTH),
    "funding": lambda data: data.archive("binance_usdm").funding_month(BTC, MONTH),
}


@pytest.mark.parametrize("read", FILES.values(), ids=FILES)
def test_a_file_is_known_to_be_unchanged_for_one_head_until_it_is_published_anew(
    exchange: Simulator, read: Read
) -> None:
    file = ask(exchange, read)
    assert file is not None
    known, wire = file.known, Wire()
    assert ask(exchange, lambda data: data.archive("binance_usdm").unchanged(known), wire=wire)
    assert wire.asked == [f"HEAD {known.url.rsplit('/', 1)[1]}"]
    assert wire.received == 0
    exchange.faults.add(Fault(kind="republished", venue="archive"))
    assert not ask(exchange, lambda data: data.archive("binance_usdm").unchanged(known))
    anew = ask(exchange, read)
    assert anew is not None
    assert anew.url == known.url
    assert anew.etag != known.etag
    assert anew.sha256 != known.sha256
    assert ask(exchange, lambda data: data.archive("binance_usdm").unchanged(anew.known))


@pytest.mark.parametrize("read", FILES.values(), ids=FILES)
def test_a_file_remembered_without_an_etag_is_compared_by_its_stated_hash(exchange: Simulator, read: Read) -> None:
    file = ask(exchange, read)
    assert file is not None
    known, wire = type(file.known)(file.url, None, file.sha256), Wire()
    assert ask(exchange, lambda data: data.archive("binance_usdm").unchanged(known), wire=wire)
    assert wire.asked == [f"GET {known.url.rsplit('/', 1)[1]}.CHECKSUM"]
    assert wire.received < 200
    exchange.faults.add(Fault(kind="absent", venue="archive", times=None))
    assert not ask(exchange, lambda data: data.archive("binance_usdm").unchanged(known))
