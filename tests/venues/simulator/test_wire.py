from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from contracts import Timeframe
from venues.simulator.bars import Bars, Matrix
from venues.simulator.market import SymbolRules
from venues.simulator.profiles import SPOT, USDM
from venues.simulator.wire import archive_csv, kline_event, klines_json, place, table

RULES = SymbolRules("BNBBTC", "BNB", "BTC", 4, 1, 4, first_ms=0, end_ms=2**60)
# The values of the exchange's documented kline event: o 0.0010, c 0.0020, h 0.0025, l 0.0015, v 1000, q 1.0000.
BAR = np.array([1672515780000, 10, 25, 15, 20, 10_000, 10_000, 100, 5_000, 5_000], dtype=np.int64)


def test_a_kline_event_has_every_documented_field_in_order() -> None:
    event = kline_event(BAR, RULES, USDM, Timeframe.M1, event_ms=1672515782136, closed=False)
    first = event["k"].pop("f")
    assert event["k"].pop("L") == first + 99
    assert event == {
        "e": "kline",
        "E": 1672515782136,
        "s": "BNBBTC",
        "k": {
            "t": 1672515780000,
            "T": 1672515839999,
            "s": "BNBBTC",
            "i": "1m",
            "o": "0.0010",
            "c": "0.0020",
            "h": "0.0025",
            "l": "0.0015",
            "v": "1000.0",
            "n": 100,
            "x": False,
            "q": "1.0000",
            "V": "500.0",
            "Q": "0.5000",
            "B": "0",
        },
    }


def test_a_spot_event_pads_to_eight_decimals_and_can_count_microseconds() -> None:
    event = kline_event(BAR, RULES, SPOT, Timeframe.M1, event_ms=1672515840000, closed=True, microseconds=True)
    assert event["E"] == 1672515840000000
    assert (event["k"]["t"], event["k"]["T"]) == (1672515780000000, 1672515839999999)
    assert (event["k"]["o"], event["k"]["v"], event["k"]["x"]) == ("0.00100000", "1000.00000000", True)


def test_a_bar_without_trades_has_no_trade_ids() -> None:
    silent = BAR.copy()
    silent[7] = 0
    event = kline_event(silent, RULES, SPOT, Timeframe.M1, event_ms=0, closed=True)
    assert (event["k"]["f"], event["k"]["L"], event["k"]["n"]) == (-1, -1, 0)


def test_a_klines_row_is_twelve_values_with_numbers_as_text() -> None:
    body = klines_json(Bars(BAR[:, None]), RULES, SPOT, Timeframe.M1)
    assert json.loads(body) == [
        [
            1672515780000,
            "0.00100000",
            "0.00250000",
            "0.00150000",
            "0.00200000",
            "1000.00000000",
            1672515839999,
            "1.00000000",
            100,
            "500.00000000",
            "0.50000000",
            "0",
        ]
    ]


def test_the_archive_writes_spot_bare_and_usdm_with_a_header() -> None:
    bars = Bars(BAR[:, None])
    spot = archive_csv(bars, RULES, SPOT, Timeframe.M1, microseconds=True)
    usdm = archive_csv(bars, RULES, USDM, Timeframe.M1, microseconds=False)
    assert spot == (
        b"1672515780000000,0.00100000,0.00250000,0.00150000,0.00200000,1000.00000000,1672515839999999,"
        b"1.00000000,100,500.00000000,0.50000000,0\n"
    )
    assert usdm == (
        b"open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        b"taker_buy_volume,taker_buy_quote_volume,ignore\n"
        b"1672515780000,0.0010,0.0025,0.0015,0.0020,1000.0,1672515839999,1.0000,100,500.0,0.5000,0\n"
    )


@given(value=st.integers(0, 2**70), decimals=st.integers(0, 14), more=st.integers(0, 8))
def test_placing_the_point_keeps_the_value_exactly(value: int, decimals: int, more: int) -> None:
    text = place(value, decimals, decimals + more)
    assert Decimal(text) == Decimal(value).scaleb(-decimals)
    assert len(text.partition(".")[2]) == decimals + more


@given(
    values=st.lists(st.integers(0, 2**62), min_size=10, max_size=10),
    cell=st.sampled_from([object, np.int64]),
    decimals=st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(0, 11)),
)
def test_a_column_is_written_like_its_single_values(
    values: list[int], cell: type, decimals: tuple[int, int, int]
) -> None:
    values[0] %= 2**41
    values[7] %= 2**31
    rules = SymbolRules("BNBBTC", "BNB", "BTC", *decimals, first_ms=0, end_ms=2**60)
    cells: Matrix = np.array([[value] for value in values], dtype=cell)
    row = table(Bars(cells), rules, SPOT, Timeframe.H1).row(0)
    kinds = (*[decimals[0]] * 4, decimals[1], decimals[2], decimals[1], decimals[2])
    numbers = [value for at, value in enumerate(values) if at not in {0, 7}]
    expected = [place(value, places, max(places, 8)) for value, places in zip(numbers, kinds, strict=True)]
    assert [row[at] for at in (1, 2, 3, 4, 5, 7, 9, 10)] == expected
