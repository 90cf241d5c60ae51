import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Timeframe
from contracts.candles import CANDLE_SCHEMA
from contracts.errors import DataRejected
from tests.venues.binance.fakes import minute_row, utc
from venues.binance.validation import ParsedCandles
from venues.binance.wire import kline_rows, parse_csv, parse_rows

# The kline of Binance's own documentation (2017-07-03; its close time is a week later, which is not read).
DOCUMENTED = (
    '[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499644799999,'
    '"2434.19055334",308,"1756.87402397","28.46694368","0"]]'
)

# The first two minutes of January 2022, as a spot file (milliseconds, no header) and a USD-M file (header) hold them.
SPOT_CSV = (
    b"1640995200000,46216.93000000,46271.08000000,46208.37000000,46250.00000000,40.57574000,1640995259999,"
    b"1876128.17128640,1200,22.49173000,1040080.05428440,0\n"
    b"1640995260000,46250.00000000,46344.23000000,46234.39000000,46312.76000000,42.38106000,1640995319999,"
    b"1961965.61062930,1145,24.05412000,1113515.20412050,0\n"
)
USDM_CSV = (
    b"open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    b"taker_buy_volume,taker_buy_quote_volume,ignore\n"
    b"1640995200000,46210.50,46260.00,46200.10,46250.00,210.515,1640995259999,9731245.16310,2120,110.250,5096011.1,0\n"
)
SPOT_US_CSV = (
    b"1735689600000000,93576.00000000,93610.93000000,93537.50000000,93610.93000000,8.21827000,1735689659999999,"
    b"768978.00522240,2631,3.95157000,369757.32652890,0\n"
)


def parse(data: bytes, *, year: int = 2022) -> ParsedCandles:
    return parse_csv(data, Timeframe.M1, start=utc(year, 1, 1), end=utc(year, 2, 1), name="BTCUSDT-1m.csv")


def test_the_documented_rest_row_becomes_the_candle_it_states() -> None:
    rows = kline_rows(json.loads(DOCUMENTED), asked="klines")
    parsed = parse_rows(rows, Timeframe.D1, start=utc(2017, 7, 1), end=utc(2017, 8, 1))
    assert parsed.candles.rows(named=True) == [
        {
            "open_time": utc(2017, 7, 3),
            "open": "0.01634790",
            "high": "0.80000000",
            "low": "0.01575800",
            "close": "0.01577100",
            "volume": "148976.11427815",
            "trades": 308,
            "taker_buy_vol": "1756.87402397",
            "quote_vol": "2434.19055334",
        }
    ]
    assert parsed.quarantined.is_empty()
    assert parsed.duplicates == 0


def test_a_spot_file_without_header_in_milliseconds_is_read_text_for_text() -> None:
    parsed = parse(SPOT_CSV)
    assert parsed.candles.schema == CANDLE_SCHEMA
    assert parsed.candles["open_time"].to_list() == [utc(2022, 1, 1), utc(2022, 1, 1, 0, 1)]
    assert parsed.candles["open"].to_list() == ["46216.93000000", "46250.00000000"]
    assert parsed.candles["quote_vol"].to_list() == ["1876128.17128640", "1961965.61062930"]
    assert parsed.candles["taker_buy_vol"].to_list() == ["22.49173000", "24.05412000"]
    assert parsed.candles["trades"].to_list() == [1200, 1145]


def test_a_usdm_file_with_header_loses_the_header_and_nothing_else() -> None:
    parsed = parse(USDM_CSV)
    assert parsed.candles["high"].to_list() == ["46260.00"]
    assert parsed.quarantined.is_empty()


def test_a_header_behind_a_byte_order_mark_with_windows_line_ends_is_a_header_too() -> None:
    parsed = parse(b"\xef\xbb\xbf" + USDM_CSV.replace(b"\n", b"\r\n"))
    assert parsed.candles["volume"].to_list() == ["210.515"]


def test_microseconds_are_told_by_their_magnitude() -> None:
    assert parse(SPOT_US_CSV, year=2025).candles["open_time"].to_list() == [utc(2025, 1, 1)]


def test_the_unit_is_told_row_by_row() -> None:
    second = SPOT_CSV.splitlines()[1].replace(b"1640995260000", b"1640995260000000")
    assert parse(SPOT_CSV.splitlines()[0] + b"\n" + second).candles["open_time"].to_list() == [
        utc(2022, 1, 1),
        utc(2022, 1, 1, 0, 1),
    ]


def test_an_empty_field_that_is_not_read_is_no_missing_column() -> None:
    assert parse(SPOT_CSV.replace(b",0\n", b",\n")).candles.height == 2


def test_an_odd_close_time_is_tolerated() -> None:
    parsed = parse(SPOT_CSV.replace(b"1640995259999", b"1640995258123"))
    assert parsed.candles.height == 2


def test_a_first_row_with_a_damaged_open_time_is_quarantined_not_taken_for_a_header() -> None:
    parsed = parse(b"x" + SPOT_CSV)
    assert parsed.candles.height == 1
    assert parsed.quarantined.rows() == [(None, "x" + SPOT_CSV.splitlines()[0].decode(), "open_time_unreadable")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no row"),
        (b"\n\n", "holds no row"),
        (USDM_CSV.splitlines()[0], "holds no row"),
        (b"<html><body>Bad Gateway</body></html>\n", "neither a row nor the known header"),
        (b"time,o,h,l,c,v,ct,qv,n,tb,tq,i\n" + SPOT_CSV, "neither a row nor the known header"),
        (SPOT_CSV[:-30], "fewer than 12 columns"),
        (SPOT_CSV.replace(b",0\n", b"\n"), "of 12 columns"),
        (SPOT_CSV + b"1,2,3,4,5,6,7,8,9,10,11,12,13\n", "no UTF-8 text of 12 columns"),
        (SPOT_CSV.replace(b"46271", b"\xff6271"), "no UTF-8 text of 12 columns"),
        (SPOT_CSV.replace(b"\n", b"\n\n"), "fewer than 12 columns"),
        (b"0123456789", "of 12 columns"),
    ],
)
def test_a_file_of_another_shape_is_rejected_by_name(content: bytes, says: str) -> None:
    with pytest.raises(DataRejected, match=says) as caught:
        parse(content)
    assert "BTCUSDT-1m.csv" in str(caught.value)


def test_a_trailing_short_row_and_a_long_one_do_not_make_up_for_each_other() -> None:
    short, long = b"1,2,3,4,5,6,7,8,9,10,11\n", b"1,2,3,4,5,6,7,8,9,10,11,12,13\n"
    with pytest.raises(DataRejected, match="no UTF-8 text of 12 columns"):
        parse(SPOT_CSV + short + long)


@pytest.mark.parametrize(
    "body",
    [
        {"code": -1121, "msg": "Invalid symbol."},
        "klines",
        None,
        [1, 2],
        [minute_row(0)[:11]],
        [[*minute_row(0), "0"]],
        [[*minute_row(0)[:1], 1.0, *minute_row(0)[2:]]],
        [[*minute_row(0)[:1], 1, *minute_row(0)[2:]]],
        [["0", *minute_row(0)[1:]]],
        [[*minute_row(0)[:8], True, *minute_row(0)[9:]]],
        [[*minute_row(0)[:4], None, *minute_row(0)[5:]]],
    ],
)
def test_a_rest_body_of_another_shape_is_rejected(body: object) -> None:
    with pytest.raises(DataRejected, match="expected, received") as caught:
        kline_rows(body, asked="klines of binance_spot:BTCUSDT:1m")
    assert "klines of binance_spot:BTCUSDT:1m" in str(caught.value)


def test_no_rows_are_no_candles() -> None:
    parsed = parse_rows(kline_rows([], asked="klines"), Timeframe.M1, start=utc(2022, 1, 1), end=utc(2022, 2, 1))
    assert parsed.candles.schema == CANDLE_SCHEMA
    assert (parsed.candles.height, parsed.quarantined.height, parsed.duplicates) == (0, 0, 0)


digits = st.from_regex(r"[1-9][0-9]{0,18}(\.[0-9]{1,20})?", fullmatch=True)


@given(prices=st.lists(st.tuples(digits, digits, digits, digits, digits), min_size=1, max_size=5))
def test_text_in_is_text_out(prices: list[tuple[str, ...]]) -> None:
    lines = []
    expected = []
    for n, (a, b, c, d, volume) in enumerate(prices):
        low, one, other, high = sorted((a, b, c, d), key=Decimal)
        lines.append(f"{1640995200000 + n * 60000},{one},{high},{low},{other},{volume},0,{a},{n},{volume},{b},0")
        expected.append((one, high, low, other, volume, volume, a))
    parsed = parse("\n".join(lines).encode())
    assert (
        parsed.candles.select("open", "high", "low", "close", "volume", "taker_buy_vol", "quote_vol").rows() == expected
    )
