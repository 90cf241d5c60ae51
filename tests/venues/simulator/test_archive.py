"""The archive over real HTTP: names, availability, checksums, content, and what can go wrong with a file."""

from __future__ import annotations

import hashlib
import io
import zipfile
from datetime import UTC, datetime

import httpx
import pytest

from tests.venues.simulator.conftest import Start
from venues.simulator import Fault, Simulator
from venues.simulator.archive import first_monday, next_month, parse

SPOT_MONTH = "/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12.zip"
SPOT_DAY = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12-31.zip"
SPOT_NEW_YEAR = "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2025-01-01.zip"
USDM_MONTH = "/data/futures/um/monthly/klines/BTCUSDT/5m/BTCUSDT-5m-2024-12.zip"
FUNDING_MONTH = "/data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2025-01.zip"
LATER = "2025-02-10T00:00:00Z"
FIRST_MS = 1735689300000  # 2024-12-31T23:55:00Z


def unzipped(body: bytes) -> tuple[str, str]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        (name,) = archive.namelist()
        return name, archive.read(name).decode()


def fetch(simulator: Simulator, http: httpx.Client, path: str) -> str:
    answer = http.get(simulator.archive_url + path)
    assert answer.status_code == 200
    checksum = http.get(f"{simulator.archive_url}{path}.CHECKSUM").text
    assert checksum == f"{hashlib.sha256(answer.content).hexdigest()}  {path.rsplit('/', 1)[1]}\n"
    return unzipped(answer.content)[1]


def test_a_spot_month_is_one_bare_csv_in_milliseconds_before_2025(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    assert unzipped(http.get(simulator.archive_url + SPOT_MONTH).content)[0] == "BTCUSDT-1m-2024-12.csv"
    lines = fetch(simulator, http, SPOT_MONTH).splitlines()
    assert lines[0] == (
        "1735689300000,100.00000000,104.50000000,99.00000000,102.00000000,10.50000000,1735689359999,"
        "1071.00000000,21,4.25000000,433.50000000,0"
    )
    assert [int(line.split(",")[0]) - FIRST_MS for line in lines] == [0, 60_000, 180_000, 240_000]


def test_spot_counts_microseconds_from_2025_on(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    lines = fetch(simulator, http, SPOT_NEW_YEAR).splitlines()
    assert [line.split(",")[0] for line in lines] == ["1735689600000000", "1735689660000000"]
    assert lines[0].split(",")[6] == "1735689659999999"


def test_usdm_has_a_header_and_stays_in_milliseconds(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    header, row = fetch(simulator, http, USDM_MONTH).splitlines()
    assert header == (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore"
    )
    # The four minutes of the hand-made file that open in 23:55–23:59, as one bar.
    assert row == "1735689300000,100.0,106.0,98.5,99.0,20.000,1735689599999,2038.5,41,5.375,548.5,0"


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        (SPOT_DAY, "2025-01-01T01:59:59Z", "2025-01-01T02:00:00Z"),
        (SPOT_MONTH, "2025-01-06T01:59:59Z", "2025-01-06T02:00:00Z"),
        (USDM_MONTH, "2025-01-06T01:59:59Z", "2025-01-06T02:00:00Z"),
        (FUNDING_MONTH, "2025-02-03T01:59:59Z", "2025-02-03T02:00:00Z"),
    ],
)
def test_a_days_file_appears_the_next_day_and_a_months_on_the_first_monday(
    start_at: Start, http: httpx.Client, path: str, before: str, after: str
) -> None:
    simulator = start_at(before)
    assert http.get(simulator.archive_url + path).status_code == 404
    assert http.get(f"{simulator.archive_url}{path}.CHECKSUM").status_code == 404
    simulator.clock.set(datetime.fromisoformat(after))
    assert http.get(simulator.archive_url + path).status_code == 200


def test_the_first_monday_may_be_the_first_of_the_month() -> None:
    assert first_monday(datetime(2025, 9, 1, tzinfo=UTC)) == datetime(2025, 9, 1, tzinfo=UTC)
    assert first_monday(datetime(2025, 1, 1, tzinfo=UTC)) == datetime(2025, 1, 6, tzinfo=UTC)
    assert first_monday(datetime(2024, 12, 1, tzinfo=UTC)) == datetime(2024, 12, 2, tzinfo=UTC)
    assert next_month(datetime(2024, 12, 1, tzinfo=UTC)) == datetime(2025, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "path",
    [
        "/data/spot/monthly/klines/ETHUSDT/1m/ETHUSDT-1m-2024-12.zip",
        "/data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-11.zip",
        "/data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12-30.zip",
        "/data/spot/monthly/klines/BTCUSDT/1m/nothing.txt",
    ],
)
def test_what_does_not_exist_is_the_object_stores_404(start_at: Start, http: httpx.Client, path: str) -> None:
    simulator = start_at(LATER)
    answer = http.get(simulator.archive_url + path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/xml")
    assert "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message>" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "data/spot/daily/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12.zip",
        "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12-31.zip",
        "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-5m-2024-12.zip",
        "data/spot/monthly/klines/BTCUSDT/7m/BTCUSDT-7m-2024-12.zip",
        "data/spot/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-13.zip",
        "data/futures/cm/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2024-12.zip",
        "data/futures/um/daily/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-12-31.zip",
        "data/futures/um/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-13.zip",
        "data/spot/monthly/fundingRate/BTCUSDT/BTCUSDT-fundingRate-2024-12.zip",
    ],
)
def test_a_name_the_archive_cannot_have_is_no_file(path: str) -> None:
    assert parse(path) is None


def test_etag_head_and_a_conditional_request(start_at: Start, http: httpx.Client) -> None:
    url = start_at(LATER).archive_url + SPOT_MONTH
    full, head = http.get(url), http.head(url)
    assert head.headers["ETag"] == full.headers["ETag"] == f'"{hashlib.md5(full.content).hexdigest()}"'  # noqa: S324 - an ETag
    assert head.headers["Content-Length"] == str(len(full.content))
    same = http.get(url, headers={"If-None-Match": full.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert http.get(url, headers={"If-None-Match": '"another"'}).status_code == 200


def test_two_simulators_give_the_same_bytes(start_at: Start, http: httpx.Client) -> None:
    one, other = (http.get(start_at(LATER).archive_url + SPOT_MONTH).content for _ in range(2))
    assert one == other


def test_a_checksum_can_be_wrong_once_or_always(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    url = simulator.archive_url + SPOT_MONTH
    right = f"{hashlib.sha256(http.get(url).content).hexdigest()}  BTCUSDT-1m-2024-12.zip\n"
    simulator.faults.add(Fault(kind="wrong_checksum", prefix=SPOT_MONTH))
    assert http.get(f"{url}.CHECKSUM").text != right
    assert http.get(f"{url}.CHECKSUM").text == right
    always = simulator.faults.add(Fault(kind="wrong_checksum", prefix=SPOT_MONTH, times=None))
    assert {http.get(f"{url}.CHECKSUM").text == right for _ in range(3)} == {False}
    simulator.faults.clear(always)
    assert http.get(f"{url}.CHECKSUM").text == right


def test_a_truncated_zip_has_a_checksum_of_its_own_and_cannot_be_opened(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    simulator.faults.add(Fault(kind="truncated", prefix=SPOT_MONTH))
    body = http.get(simulator.archive_url + SPOT_MONTH).content
    checksum = http.get(f"{simulator.archive_url}{SPOT_MONTH}.CHECKSUM").text
    assert checksum.startswith(hashlib.sha256(body).hexdigest())
    with pytest.raises(zipfile.BadZipFile):
        unzipped(body)


def test_a_zip_can_hold_something_that_is_no_table(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    simulator.faults.add(Fault(kind="not_csv", prefix=SPOT_MONTH))
    assert fetch(simulator, http, SPOT_MONTH).startswith("<html>")


def test_rows_can_be_missing_or_doubled_with_a_checksum_that_agrees(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    chosen = (FIRST_MS + 60_000,)
    hidden = simulator.faults.add(Fault(kind="hide_rows", venue="archive", prefix=SPOT_MONTH, open_times=chosen))
    assert len(fetch(simulator, http, SPOT_MONTH).splitlines()) == 3
    assert len(fetch(simulator, http, SPOT_DAY).splitlines()) == 4
    simulator.faults.clear(hidden)
    simulator.faults.add(Fault(kind="duplicate_rows", prefix=SPOT_MONTH, open_times=chosen))
    lines = fetch(simulator, http, SPOT_MONTH).splitlines()
    assert len(lines) == 5
    assert lines[1] == lines[2]


def test_a_republished_file_has_other_values_and_another_etag(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    url = simulator.archive_url + SPOT_MONTH
    before, etag = fetch(simulator, http, SPOT_MONTH).splitlines(), http.head(url).headers["ETag"]
    simulator.faults.add(Fault(kind="republished", prefix=SPOT_MONTH, open_times=(FIRST_MS,)))
    after = fetch(simulator, http, SPOT_MONTH).splitlines()
    assert http.head(url).headers["ETag"] != etag
    assert after[1:] == before[1:]
    assert after[0].split(",")[2] == "104.60000000"
    assert after[0].split(",")[5] == "10.50100000"


def test_a_month_can_be_absent_while_its_days_are_there(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    simulator.faults.add(Fault(kind="absent", venue="archive", prefix=SPOT_MONTH, times=None))
    assert http.get(simulator.archive_url + SPOT_MONTH).status_code == 404
    assert http.get(simulator.archive_url + SPOT_DAY).status_code == 200


def test_a_server_error_of_the_archive_passes(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    simulator.faults.add(Fault(kind="status", venue="archive", status=503, times=1))
    assert [http.get(simulator.archive_url + SPOT_DAY).status_code for _ in range(2)] == [503, 200]


def test_a_month_of_funding_is_one_csv_with_the_documented_header(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    header, midnight, eight = fetch(simulator, http, FUNDING_MONTH).splitlines()
    assert header == "calc_time,funding_interval_hours,last_funding_rate"
    # The bars end two minutes into the new year: an interval before midnight, and one after it.
    for line, at in ((midnight, 1735689600000), (eight, 1735718400000)):
        calc_time, hours, rate = line.split(",")
        assert 0 <= int(calc_time) - at <= 12
        assert hours == "8"
        assert len(rate.removeprefix("-")) == len("0.00010000")
    december = FUNDING_MONTH.replace("2025-01", "2024-12")
    assert http.get(simulator.archive_url + december).status_code == 404


def test_rows_of_funding_can_be_missing_doubled_or_changed_with_a_checksum_that_agrees(
    start_at: Start, http: httpx.Client
) -> None:
    simulator = start_at(LATER)
    midnight = (1735689600000,)
    clean = fetch(simulator, http, FUNDING_MONTH).splitlines()
    seen = {}
    for kind in ("hide_rows", "duplicate_rows", "contradicting_rows", "republished"):
        fault = Fault.model_validate({"kind": kind, "venue": "archive", "open_times": midnight})
        number = simulator.faults.add(fault)
        seen[kind] = fetch(simulator, http, FUNDING_MONTH).splitlines()
        simulator.faults.clear(number)
    assert seen["hide_rows"] == [clean[0], clean[2]]
    assert seen["duplicate_rows"] == [clean[0], clean[1], clean[1], clean[2]]
    other = seen["republished"][1]
    assert int(other.rsplit(".", 1)[1]) - int(clean[1].rsplit(".", 1)[1]) in {1, -1}
    assert seen["contradicting_rows"] == [clean[0], clean[1], other, clean[2]]


def test_a_bar_can_have_its_high_below_its_low_and_another_can_contradict_itself(
    start_at: Start, http: httpx.Client
) -> None:
    simulator = start_at(LATER)
    simulator.faults.add(Fault(kind="crossed_rows", open_times=(FIRST_MS,)))
    simulator.faults.add(Fault(kind="contradicting_rows", venue="archive", open_times=(FIRST_MS + 60_000,)))
    lines = [line.split(",") for line in fetch(simulator, http, SPOT_MONTH).splitlines()]
    assert lines[0][2:4] == ["99.00000000", "104.60000000"]
    assert [line[2] for line in lines[1:3]] == ["103.00000000", "103.10000000"]
    assert lines[1][0] == lines[2][0]


def test_what_rest_alone_says_differently_is_not_in_the_archive(start_at: Start, http: httpx.Client) -> None:
    simulator = start_at(LATER)
    before = fetch(simulator, http, SPOT_MONTH)
    simulator.faults.add(Fault(kind="disagreeing_rows", open_times=(FIRST_MS,)))
    assert fetch(simulator, http, SPOT_MONTH) == before
