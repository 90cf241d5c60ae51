from datetime import date

import httpx
import pytest

from contracts import InstrumentKey, SeriesKey
from contracts.errors import DataRejected, Halt, Retryable
from tests.venues.binance.fakes import ARCHIVE, Clock, Script, checksum_line, utc, with_archive, zipped
from tests.venues.binance.test_funding_wire import CSV as FUNDING_CSV
from tests.venues.binance.test_wire import SPOT_CSV
from venues.binance.archive import ArchiveFile, ArchiveReader, FundingFile, KnownFile

KEY = SeriesKey("binance_spot", "BTCUSDT", "1m")
STEM = "BTCUSDT-1m-2022-01"
PATH = f"/data/spot/monthly/klines/BTCUSDT/1m/{STEM}.zip"
GOOD = zipped(SPOT_CSV, name=f"{STEM}.csv")
STATED = checksum_line(GOOD, f"{STEM}.zip")
ETAG = {"ETag": '"1f0a-5"'}


async def january(reader: ArchiveReader) -> ArchiveFile | None:
    return await reader.month(KEY, date(2022, 1, 1))


def served(content: bytes) -> httpx.Response:
    return httpx.Response(200, content=content, headers=ETAG)


def test_a_month_is_read_verified_and_can_be_remembered() -> None:
    archive = Script({PATH: [served(GOOD)], f"{PATH}.CHECKSUM": [STATED]})
    file = with_archive(archive, january)
    assert file is not None
    assert file.known == KnownFile(f"{ARCHIVE}{PATH}", '"1f0a-5"', STATED.text.split()[0])
    assert file.rows == 2
    assert file.parsed.candles["open_time"].to_list() == [utc(2022, 1, 1), utc(2022, 1, 1, 0, 1)]
    assert archive.asked == [f"GET {PATH}.CHECKSUM", f"GET {PATH}"]


def test_a_day_is_read_from_the_daily_tree_and_holds_that_day_only() -> None:
    name = "BTCUSDT-1m-2022-01-01"
    path = f"/data/spot/daily/klines/BTCUSDT/1m/{name}.zip"
    next_day = SPOT_CSV.splitlines()[0].replace(b"1640995200000", b"1641081600000")
    content = zipped(SPOT_CSV + next_day, name=f"{name}.csv")
    archive = Script({path: [served(content)], f"{path}.CHECKSUM": [checksum_line(content, f"{name}.zip")]})
    file = with_archive(archive, lambda reader: reader.day(KEY, date(2022, 1, 1)))
    assert file is not None
    assert file.parsed.candles.height == 2
    assert file.parsed.quarantined["reason"].to_list() == ["outside_window"]
    assert file.rows == 3


def test_a_month_that_is_not_published_is_none() -> None:
    archive = Script({})
    assert with_archive(archive, january) is None
    assert archive.asked == [f"GET {PATH}.CHECKSUM", f"HEAD {PATH}"]


def test_a_checksum_whose_zip_is_not_there_yet_counts_as_not_published() -> None:
    assert with_archive(Script({f"{PATH}.CHECKSUM": [STATED]}), january) is None


def test_a_zip_without_checksum_is_rejected_because_it_cannot_be_verified() -> None:
    with pytest.raises(DataRejected, match="without its CHECKSUM"):
        with_archive(Script({PATH: [served(GOOD)]}), january)


def test_a_month_with_a_wrong_checksum_is_fetched_once_more_past_caches() -> None:
    archive = Script({PATH: [served(GOOD[:-9]), served(GOOD)], f"{PATH}.CHECKSUM": [STATED]})
    file = with_archive(archive, january)
    assert file is not None
    assert file.rows == 2
    assert archive.asked == [f"GET {PATH}.CHECKSUM", f"GET {PATH}"] * 2
    assert [request.headers.get("cache-control") for request in archive.requests] == [
        None,
        None,
        "no-cache",
        "no-cache",
    ]


def test_a_month_with_a_wrong_checksum_twice_is_rejected_and_names_the_file_and_both_hashes() -> None:
    other = zipped(SPOT_CSV[:-1], name=f"{STEM}.csv")
    archive = Script({PATH: [served(other)], f"{PATH}.CHECKSUM": [STATED]})
    with pytest.raises(DataRejected) as caught:
        with_archive(archive, january)
    stated, found = STATED.text.split()[0], checksum_line(other, "").text.split()[0]
    assert all(part in str(caught.value) for part in (f"{STEM}.zip", stated, found, str(KEY)))
    assert len(archive.requests) == 4


def test_a_published_but_truncated_zip_is_rejected_without_fetching_it_again() -> None:
    broken = GOOD[:-30]
    archive = Script({PATH: [served(broken)], f"{PATH}.CHECKSUM": [checksum_line(broken, f"{STEM}.zip")]})
    with pytest.raises(DataRejected, match="cannot be unpacked"):
        with_archive(archive, january)
    assert len(archive.requests) == 2


def test_a_published_zip_of_something_else_is_rejected() -> None:
    page = zipped("<html></html>", name=f"{STEM}.csv")
    archive = Script({PATH: [served(page)], f"{PATH}.CHECKSUM": [checksum_line(page, f"{STEM}.zip")]})
    with pytest.raises(DataRejected, match="neither a row nor the known header"):
        with_archive(archive, january)


def test_an_archive_that_recovers_is_asked_again_after_growing_waits() -> None:
    clock = Clock()
    down = httpx.Response(503, text="Slow Down")
    archive = Script({PATH: [served(GOOD)], f"{PATH}.CHECKSUM": [down, httpx.ReadTimeout("slow"), STATED]})
    assert with_archive(archive, january, clock=clock) is not None
    assert clock.slept == [0.5, 1.0]


def test_an_archive_that_stays_down_is_a_retryable_failure_naming_the_file() -> None:
    archive = Script({f"{PATH}.CHECKSUM": [httpx.ConnectError("refused")]})
    with pytest.raises(Retryable, match=r"BTCUSDT-1m-2022-01\.zip\.CHECKSUM.*given up after 3 tries"):
        with_archive(archive, january)


def test_an_archive_that_forbids_access_halts() -> None:
    with pytest.raises(Halt, match="HTTP 403"):
        with_archive(Script({f"{PATH}.CHECKSUM": [httpx.Response(403, text="Forbidden")]}), january)


FUNDING = "BTCUSDT-fundingRate-2024-01"
FUNDING_PATH = f"/data/futures/um/monthly/fundingRate/BTCUSDT/{FUNDING}.zip"
PERPETUAL = InstrumentKey("binance_usdm", "BTCUSDT")


async def january_funding(reader: ArchiveReader) -> FundingFile | None:
    return await reader.funding_month(PERPETUAL, date(2024, 1, 31))


def test_a_month_of_funding_is_read_verified_and_can_be_remembered() -> None:
    content = zipped(FUNDING_CSV, name=f"{FUNDING}.csv")
    stated = checksum_line(content, f"{FUNDING}.zip")
    archive = Script({FUNDING_PATH: [served(content)], f"{FUNDING_PATH}.CHECKSUM": [stated]})
    file = with_archive(archive, january_funding)
    assert file is not None
    assert file.known == KnownFile(f"{ARCHIVE}{FUNDING_PATH}", '"1f0a-5"', stated.text.split()[0])
    assert file.rows == 3
    assert file.parsed.rates["rate"].to_list() == ["0.00037409", "-0.00010000", "0.00030163"]
    assert archive.asked == [f"GET {FUNDING_PATH}.CHECKSUM", f"GET {FUNDING_PATH}"]


def test_a_month_of_funding_that_is_not_published_is_none() -> None:
    assert with_archive(Script({}), january_funding) is None


def test_a_month_of_funding_with_a_wrong_checksum_is_rejected_by_name() -> None:
    content = zipped(FUNDING_CSV, name=f"{FUNDING}.csv")
    wrong = checksum_line(b"something else", f"{FUNDING}.zip")
    archive = Script({FUNDING_PATH: [served(content)], f"{FUNDING_PATH}.CHECKSUM": [wrong]})
    with pytest.raises(DataRejected, match=f"{PERPETUAL} .*{FUNDING}.zip was fetched 2 times"):
        with_archive(archive, january_funding)


KNOWN = KnownFile(f"{ARCHIVE}{PATH}", '"1f0a-5"', STATED.text.split()[0])


def test_an_equal_etag_says_unchanged_in_one_request() -> None:
    archive = Script({PATH: [served(GOOD)]})
    assert with_archive(archive, lambda reader: reader.unchanged(KNOWN))
    assert archive.asked == [f"HEAD {PATH}"]


def test_another_etag_says_changed() -> None:
    archive = Script({PATH: [httpx.Response(200, headers={"ETag": '"other"'})], f"{PATH}.CHECKSUM": [STATED]})
    assert not with_archive(archive, lambda reader: reader.unchanged(KNOWN))


def test_a_file_that_is_gone_is_not_unchanged() -> None:
    assert not with_archive(Script({}), lambda reader: reader.unchanged(KNOWN))


@pytest.mark.parametrize("etag", [None, '"1f0a-5"'])
@pytest.mark.parametrize(("stated", "unchanged"), [(KNOWN.sha256, True), ("0" * 64, False)])
def test_without_an_etag_on_both_sides_the_stated_hash_decides(
    etag: str | None, stated: str, *, unchanged: bool
) -> None:
    archive = Script(
        {PATH: [httpx.Response(200)], f"{PATH}.CHECKSUM": [httpx.Response(200, text=f"{stated}  {STEM}.zip")]}
    )
    known = KnownFile(KNOWN.url, etag, KNOWN.sha256)
    assert with_archive(archive, lambda reader: reader.unchanged(known)) is unchanged
