import hashlib
import struct
import zipfile
from datetime import date

import pytest

from contracts import InstrumentKey, SeriesKey
from contracts.errors import DataRejected, Rejected
from tests.venues.binance.fakes import utc, zipped
from venues.binance import archive_files
from venues.binance.archive_files import ArchiveName, FundingName, csv_of, stated_sha256, verify

SPOT_1M = SeriesKey("binance_spot", "BTCUSDT", "1m")
USDM_15M = SeriesKey("binance_usdm", "ETHUSDT", "15m")
STEM = "BTCUSDT-1m-2022-01"


def test_addresses_follow_the_archives_layout() -> None:
    base = "https://data.binance.vision"
    assert f"{base}/{ArchiveName.of_month(SPOT_1M, date(2022, 1, 31)).path}" == (
        "https://data.binance.vision/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2022-01.zip"
    )
    assert f"{base}/{ArchiveName.of_day(USDM_15M, date(2024, 2, 9)).path}" == (
        "https://data.binance.vision/data/futures/um/daily/klines/ETHUSDT/15m/ETHUSDT-15m-2024-02-09.zip"
    )


def test_a_months_funding_has_a_file_of_its_own_on_usdm_and_none_on_spot() -> None:
    name = FundingName.of_month(InstrumentKey("binance_usdm", "BTCUSDT"), date(2023, 12, 31))
    assert name.path == "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2023-12.zip"
    assert name.zip_name == "BTCUSDT-fundingRate-2023-12.zip"
    assert (name.start, name.end) == (utc(2023, 12, 1), utc(2024, 1, 1))
    with pytest.raises(Rejected, match="binance_spot:BTCUSDT for 2023-12: binance_spot has no funding"):
        FundingName.of_month(InstrumentKey("binance_spot", "BTCUSDT"), date(2023, 12, 1))


def test_periods_are_half_open_and_december_ends_in_the_next_year() -> None:
    december = ArchiveName.of_month(SPOT_1M, date(2021, 12, 15))
    assert (december.start, december.end) == (utc(2021, 12, 1), utc(2022, 1, 1))
    leap_day = ArchiveName.of_day(SPOT_1M, date(2024, 2, 29))
    assert (leap_day.start, leap_day.end) == (utc(2024, 2, 29), utc(2024, 3, 1))


def test_a_symbol_outside_ascii_is_percent_encoded_in_the_path_only() -> None:
    name = ArchiveName.of_month(SeriesKey("binance_spot", "币安人生USDT", "1m"), date(2026, 1, 1))
    assert name.zip_name == "币安人生USDT-1m-2026-01.zip"
    assert name.path.isascii()


@pytest.mark.parametrize("separator", ["  ", " *", "\t"])
def test_a_checksum_line_states_the_hash_of_its_file(separator: str) -> None:
    line = f"{'AB' * 32}{separator}{STEM}.zip\n".encode()
    assert stated_sha256(line, zip_name=f"{STEM}.zip") == "ab" * 32


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no sha256sum line"),
        (b"<html>Not Found</html>", "no sha256sum line"),
        (b"ab" * 31 + b"  BTCUSDT-1m-2022-01.zip", "no sha256sum line"),
        (b"ab" * 32 + b"  BTCUSDT-1m-2022-02.zip", "speaks of another file"),
    ],
)
def test_another_checksum_content_is_rejected(content: bytes, says: str) -> None:
    with pytest.raises(DataRejected, match=says):
        stated_sha256(content, zip_name=f"{STEM}.zip")


def test_a_wrong_hash_is_rejected_naming_the_file_and_both_hashes() -> None:
    found = hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(DataRejected) as caught:
        verify(b"abc", stated="0" * 64, zip_name=f"{STEM}.zip")
    assert all(part in str(caught.value) for part in (f"{STEM}.zip", "0" * 64, found))


def test_the_right_hash_passes() -> None:
    # The sha256 of "abc" as FIPS 180-2 states it.
    verify(b"abc", stated="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", zip_name="abc.zip")


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_the_one_member_is_unpacked(compression: int) -> None:
    assert csv_of(zipped("1,2\n", name=f"{STEM}.csv", compression=compression), stem=STEM) == b"1,2\n"


def test_a_zip_with_another_member_is_rejected_naming_it() -> None:
    with pytest.raises(DataRejected, match=r"'BTCUSDT-1m-2022-02\.csv'"):
        csv_of(zipped("1,2\n", name="BTCUSDT-1m-2022-02.csv"), stem=STEM)


@pytest.mark.parametrize("cut", [0, 4, 30, -1, -30])
def test_a_truncated_zip_is_rejected(cut: int) -> None:
    whole = zipped("1,2\n" * 100, name=f"{STEM}.csv")
    with pytest.raises(DataRejected, match="cannot be unpacked"):
        csv_of(whole[:cut], stem=STEM)


def test_a_damaged_member_is_rejected_by_its_crc() -> None:
    whole = bytearray(zipped("1,2\n" * 100, name=f"{STEM}.csv", compression=zipfile.ZIP_STORED))
    whole[whole.index(b"1,2\n")] ^= 1
    with pytest.raises(DataRejected, match="cannot be unpacked"):
        csv_of(bytes(whole), stem=STEM)


def test_a_zip_that_states_an_enormous_size_is_rejected_before_it_is_unpacked() -> None:
    bomb = zipped(b"\0" * 1000, name=f"{STEM}.csv")
    stated = struct.pack("<L", 1000)
    assert bomb.count(stated) == 2
    lying = bomb.replace(stated, struct.pack("<L", archive_files.MAX_CSV_BYTES + 1))
    with pytest.raises(DataRejected, match="above the limit"):
        csv_of(lying, stem=STEM)


def test_a_zip_that_understates_its_size_yields_no_more_than_stated() -> None:
    bomb = zipped(b"\0" * 1_000_000, name=f"{STEM}.csv")
    lying = bomb.replace(struct.pack("<L", 1_000_000), struct.pack("<L", 10))
    with pytest.raises(DataRejected, match="cannot be unpacked"):
        csv_of(lying, stem=STEM)
