import json
from typing import Any

import pytest

from contracts.errors import DataRejected
from tests.venues.binance.fakes import utc
from venues.binance.errors import ArchiveRejected, BadAnswer
from venues.binance.funding import FundingTerms, ParsedFunding
from venues.binance.funding_wire import funding_rows, parse_funding_csv, read_funding_info

# binance-api.md §11: the columns of a monthly fundingRate file. 1704067200000 is 2024-01-01T00:00:00Z.
CSV = b"""\
calc_time,funding_interval_hours,last_funding_rate
1704067200000,8,0.00037409
1704096000003,8,-0.00010000
1704124800000,8,0.00030163
"""
# binance-api.md §12: the fields of a fundingRate row.
REST: list[dict[str, Any]] = [
    {
        "symbol": "BTCUSDT",
        "fundingTime": 1704067200001,
        "fundingRate": "0.00037409",
        "markPrice": "42313.90000000",
        "rateType": "Regular",
    },
    {"symbol": "BTCUSDT", "fundingTime": 1704096000000, "fundingRate": "-0.00010000", "markPrice": ""},
]


def parsed(data: bytes) -> ParsedFunding:
    return parse_funding_csv(data, start=utc(2024, 1, 1), end=utc(2024, 2, 1), name="BTCUSDT-fundingRate-2024-01.csv")


@pytest.mark.parametrize(
    "data",
    [CSV, CSV.split(b"\n", 1)[1], CSV.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + CSV, CSV.rstrip()],
    ids=["header", "no header", "CRLF", "byte order mark", "no last line end"],
)
def test_a_file_is_read_with_its_exact_rates(data: bytes) -> None:
    assert parsed(data).rates.rows() == [
        (utc(2024, 1, 1), "0.00037409", None, "Regular"),
        (utc(2024, 1, 1, 8), "-0.00010000", None, "Regular"),
        (utc(2024, 1, 1, 16), "0.00030163", None, "Regular"),
    ]


def test_a_refused_row_of_a_file_keeps_its_line_as_payload() -> None:
    table = parsed(CSV + b"1706745600000,8,0.00010000\n17041536?,8,0.1\n")
    assert table.quarantined.rows() == [
        (utc(2024, 2, 1), "1706745600000,8,0.00010000", "outside_window"),
        (None, "17041536?,8,0.1", "funding_time_unreadable"),
    ]
    assert table.rows == 5


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "holds no row"),
        (CSV.split(b"\n")[0] + b"\n", "holds no row"),
        (b"<html></html>\n", "neither a row nor the known header"),
        (b"calc_time,last_funding_rate,funding_interval_hours\n1704067200000,0.1,8\n", "neither a row nor the known"),
        (CSV[:-8] + b"\n1704153600000,8", "3 columns wide"),
        (b"\xff\xfe\x00", "no UTF-8"),
    ],
)
def test_a_file_of_another_shape_is_refused_whole_by_name(data: bytes, why: str) -> None:
    with pytest.raises(ArchiveRejected, match=f"BTCUSDT-fundingRate-2024-01.csv.*{why}"):
        parsed(data)


def test_rest_rows_are_read_with_what_they_state_and_old_ones_without_type_or_price() -> None:
    first, second = funding_rows(json.loads(json.dumps(REST)), symbol="BTCUSDT", asked="rates")
    assert first[0] == 1704067200001
    assert (first[1].rate, first[1].mark_price, first[1].rate_type) == ("0.00037409", "42313.90000000", "Regular")
    assert (second[1].mark_price, second[1].rate_type) == ("", "Regular")
    assert json.loads(first[1].payload) == REST[0]


@pytest.mark.parametrize(
    "value",
    [
        {},
        ["row"],
        [REST[0] | {"fundingRate": 0.00037409}],
        [REST[0] | {"fundingTime": "1704067200001"}],
        [REST[0] | {"fundingTime": True}],
        [REST[0] | {"markPrice": 42313.9}],
        [REST[0] | {"symbol": "ETHUSDT"}],
        [{"fundingTime": 1704067200001, "fundingRate": "0.1"}],
    ],
    ids=["object", "text", "rate as number", "time as text", "time as true", "mark as number", "other symbol", "none"],
)
def test_json_of_another_shape_is_refused_and_quoted(value: object) -> None:
    with pytest.raises(BadAnswer, match=r"rates of BTCUSDT in January.*received"):
        funding_rows(value, symbol="BTCUSDT", asked="rates of BTCUSDT in January")


def test_funding_info_is_read_by_symbol_and_one_odd_row_stops_no_other() -> None:
    rows = [
        {
            "symbol": "ETHUSDT",
            "adjustedFundingRateCap": "0.02000000",
            "adjustedFundingRateFloor": "-0.02000000",
            "fundingIntervalHours": 4,
            "disclaimer": False,
            "updateTime": 1704067200000,
        },
        {"symbol": "ODDUSDT", "fundingIntervalHours": "4"},
    ]
    info = read_funding_info(rows, asked_at=utc(2024, 1, 1), asked="fundingInfo")
    assert info.terms == {"ETHUSDT": FundingTerms(4, "0.02000000", "-0.02000000")}
    assert info.unreadable.keys() == {"ODDUSDT"}


@pytest.mark.parametrize("value", [{}, [1], [{"fundingIntervalHours": 4}]])
def test_funding_info_without_symbols_is_refused(value: object) -> None:
    with pytest.raises(DataRejected, match="funding terms by symbol"):
        read_funding_info(value, asked_at=utc(2024, 1, 1), asked="fundingInfo")
