from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Timeframe, to_us
from tests.venues.binance.fakes import minute_row, ms, utc
from venues.binance.validation import FIELDS, RAW_SCHEMA, ParsedCandles, judge

START, END = utc(2022, 1, 1), utc(2022, 2, 1)
FIRST_MS = ms(2022, 1, 1)


def row(minute: int = 0, **changes: str | None) -> dict[str, str | None]:
    plain = dict(zip(FIELDS, map(str, minute_row(FIRST_MS + minute * 60_000)), strict=True))
    return {**plain, **changes}


def judged(*rows: dict[str, str | None]) -> ParsedCandles:
    return judge(pl.DataFrame(list(rows), schema=RAW_SCHEMA), Timeframe.M1, start=START, end=END)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"open_time": "soon"}, "open_time_unreadable"),
        ({"open_time": None}, "open_time_unreadable"),
        ({"open_time": "-60000"}, "open_time_unreadable"),
        ({"open_time": "1640995260000.0"}, "open_time_unreadable"),
        ({"open_time": "99999999999999999999"}, "open_time_unreadable"),
        ({"open_time": str(FIRST_MS + 60_001)}, "off_grid"),
        ({"open_time": str((FIRST_MS + 60_000) * 1000 + 1)}, "off_grid"),
        ({"open_time": str(ms(2021, 12, 31, 23, 59))}, "outside_window"),
        ({"open_time": str(ms(2022, 2, 1))}, "outside_window"),
        ({"open_time": "999999999960000"}, "outside_window"),
        ({"open": "1e0"}, "number_unreadable"),
        ({"high": "NaN"}, "number_unreadable"),
        ({"low": "-0.5"}, "number_unreadable"),
        ({"close": "1,5"}, "number_unreadable"),
        ({"close": ""}, "number_unreadable"),
        ({"close": None}, "number_unreadable"),
        ({"close": " 1.5"}, "number_unreadable"),
        ({"volume": "-1"}, "number_unreadable"),
        ({"volume": "inf"}, "number_unreadable"),
        ({"quote_vol": ".5"}, "number_unreadable"),
        ({"taker_buy_vol": "4."}, "number_unreadable"),
        ({"volume": "1" * 21}, "number_unreadable"),
        ({"trades": "-1"}, "trades_unreadable"),
        ({"trades": "3.0"}, "trades_unreadable"),
        ({"trades": None}, "trades_unreadable"),
        ({"trades": "2147483648"}, "trades_unreadable"),
        ({"open": "0", "low": "0"}, "price_not_positive"),
        ({"low": "0.00000000"}, "price_not_positive"),
        ({"high": "0.9"}, "prices_contradict"),
        ({"low": "1.2"}, "prices_contradict"),
        ({"close": "2.1"}, "prices_contradict"),
        ({"open": "0.4"}, "prices_contradict"),
        ({"taker_buy_vol": "10.1"}, "taker_above_volume"),
    ],
)
def test_a_bad_row_is_quarantined_with_its_reason_and_stops_no_other(
    changes: dict[str, str | None], reason: str
) -> None:
    bad = row(1, **changes)
    parsed = judged(row(0), bad, row(2))
    assert parsed.candles["open_time"].to_list() == [START, utc(2022, 1, 1, 0, 2)]
    assert parsed.quarantined["reason"].to_list() == [reason]
    assert parsed.quarantined["payload"].to_list() == [",".join(value or "" for value in bad.values())]
    assert parsed.duplicates == 0


def test_a_quarantined_row_keeps_its_open_time_so_that_the_hole_can_name_its_cause() -> None:
    parsed = judged(row(7, volume="-1"))
    assert parsed.quarantined["open_time"].to_list() == [utc(2022, 1, 1, 0, 7)]


def test_an_open_time_beyond_every_calendar_has_none_in_quarantine() -> None:
    parsed = judged(row(open_time="999999999960000"))
    assert parsed.quarantined["open_time"].to_list() == [None]


def test_rows_equal_in_value_are_dropped_and_counted() -> None:
    parsed = judged(row(0), row(1), row(1), row(1, open="1.00", close_time="5"))
    assert parsed.candles.height == 2
    assert parsed.candles["open"].to_list() == ["1.0", "1.0"]
    assert parsed.duplicates == 2
    assert parsed.quarantined.is_empty()


def test_rows_of_one_open_time_with_other_values_are_all_quarantined() -> None:
    parsed = judged(row(0), row(1), row(1, close="1.6"), row(1))
    assert parsed.candles["open_time"].to_list() == [START]
    assert parsed.quarantined["reason"].to_list() == ["conflict", "conflict"]
    assert {payload.split(",")[4] for payload in parsed.quarantined["payload"]} == {"1.5", "1.6"}
    assert parsed.duplicates == 1


def test_a_bad_row_does_not_contest_a_good_one() -> None:
    parsed = judged(row(0), row(0, close="0"))
    assert parsed.candles.height == 1
    assert parsed.quarantined["reason"].to_list() == ["price_not_positive"]


def test_rows_out_of_order_come_out_in_order() -> None:
    parsed = judged(row(2), row(0), row(1))
    assert parsed.candles["open_time"].to_list() == [utc(2022, 1, 1, 0, minute) for minute in range(3)]


def test_a_contradiction_smaller_than_a_double_resolves_is_still_found() -> None:
    high, open_ = "10000000000000000000.1", "10000000000000000000.2"
    assert float(high) == float(open_)
    parsed = judged(
        row(0, open=open_, high=high, low="1", close="1"),
        row(1, open=high, high=open_, low="1", close="1"),
        row(2, volume=high, taker_buy_vol=open_),
    )
    assert parsed.quarantined["reason"].to_list() == ["prices_contradict", "taker_above_volume"]
    assert parsed.candles["open_time"].to_list() == [utc(2022, 1, 1, 0, 1)]


def test_a_minute_without_trades_is_a_candle() -> None:
    parsed = judged(
        row(0, open="2", high="2", low="2", close="2", volume="0", quote_vol="0", trades="0", taker_buy_vol="0")
    )
    assert parsed.candles["volume"].to_list() == ["0"]


number = st.one_of(
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,2})?", fullmatch=True),
    st.sampled_from(["0", "1", "1.0", "2", "-1", "x", "1e3"]),
)


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.tuples(number, number, number, number), number, number), max_size=12)
)
def test_every_row_is_accounted_for_once_and_no_kept_one_contradicts_itself(
    rows: list[tuple[int, tuple[str, str, str, str], str, str]],
) -> None:
    raw = [
        row(minute, open=o, high=h, low=low, close=c, volume=volume, taker_buy_vol=taker)
        for minute, (o, h, low, c), volume, taker in rows
    ]
    parsed = judged(*raw)
    assert parsed.candles.height + parsed.quarantined.height + parsed.duplicates == len(raw)
    times = parsed.candles["open_time"].to_list()
    assert times == sorted(set(times))
    for candle in parsed.candles.iter_rows(named=True):
        o, h, low, c = (Decimal(candle[name]) for name in ("open", "high", "low", "close"))
        assert 0 < low <= min(o, c) <= max(o, c) <= h
        assert 0 <= Decimal(candle["taker_buy_vol"]) <= Decimal(candle["volume"])
        assert to_us(candle["open_time"]) % 60_000_000 == 0
