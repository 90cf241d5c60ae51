from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.feed import Feed, UnknownInput, check_inputs
from contracts import to_us
from engine import EngineParams, SeriesEngine
from engine.plugins import INPUT_TABLES
from tests.bots.fakes import KEY, OTHER, known, opened, rows_of, some_bars, table
from tests.engine.strategies import KEY as MARKET_KEY
from tests.engine.strategies import Stretch, make_bars

EVERYTHING = ("atr14", "trend", "range_pos", *INPUT_TABLES)


def us(place: int) -> int:
    return to_us(known(place))


def dealt(feed: Feed, name: str, *, start: int = 0, end: int) -> list[list[dict[str, Any]]]:
    return [values[-1].get(name, []) for values in feed.bars((name,), start=start, end=end)]


def test_a_bar_comes_with_its_times_prices_and_columns_in_the_order_asked_for() -> None:
    bars = some_bars(3)
    values = Feed(KEY, bars, rows_of(bars).frame).bars(("trend", "atr14"), start=1, end=3)
    assert values == [
        [to_us(opened(1)), us(1), 101.0, 103.0, 99.0, 101.0, 1.0, (1, 1.0), {}],
        [to_us(opened(2)), us(2), 102.0, 104.0, 100.0, 102.0, 1.0, (0, 2.0), {}],
    ]


def test_a_column_that_is_not_yet_defined_is_none() -> None:
    bars = some_bars(1)
    assert Feed(KEY, bars, rows_of(bars).frame).bars(("atr14",), start=0, end=1)[0][-2] == (None,)


def test_a_row_is_given_at_the_bar_that_made_it_known_without_the_series_key() -> None:
    bars = some_bars(4)
    event = {"kind": "SWEEP_LOW", "ref_ts": known(0), "level": 99.5}
    rows = rows_of(bars, liquidity_events=table("liquidity_events", {"ts": known(2)} | event))
    plain = {"ts": us(2), "kind": "SWEEP_LOW", "ref_ts": us(0), "level": 99.5}
    assert dealt(Feed(KEY, bars, rows.frame), "liquidity_events", end=4) == [[], [], [plain], []]


def test_only_tables_that_are_asked_for_are_built() -> None:
    bars = some_bars(2)
    rows = rows_of(bars)
    Feed(KEY, bars, rows.frame).bars(("swings",), start=0, end=2)
    assert rows.asked == ["swings"]


def test_signals_of_the_engine_come_with_their_features_read() -> None:
    bars = some_bars(1)
    signal = {
        "signal_id": "0" * 24,
        "agent": "retest",
        "ts": known(0),
        "side_hint": "LONG",
        "tp_r": [1.5, 2.0],
        "features": '{"ema200_up":true}',
    }
    rows = rows_of(bars, signals_raw=table("signals_raw", signal))
    (found,) = dealt(Feed(KEY, bars, rows.frame), "signals", end=1)[0]
    assert (found["agent"], found["tp_r"], found["features"]) == ("retest", [1.5, 2.0], {"ema200_up": True})


def a_zone(**life: object) -> dict[str, object]:
    made = {"kind": "FVG", "side": "DEMAND", "price_lo": 99.0, "price_hi": 100.0, "created_ts": known(0)}
    return made | {"origin_ts": known(0), "strength": 4, "expiry_bars": 200} | life


def test_a_zone_is_given_as_it_was_at_each_of_its_events_not_as_the_call_left_it() -> None:
    bars = some_bars(6)
    last = a_zone(touches=3, first_touch_ts=known(2), status="MITIGATED", ended_ts=known(4))
    events = [
        {"kind": "FVG", "created_ts": known(0), "ts": known(at), "event": event, "touches": touches}
        for at, event, touches in ((0, "CREATED", 0), (2, "TOUCHED", 1), (4, "MITIGATED", 3))
    ]
    rows = rows_of(bars, zones=table("zones", last), zone_events=table("zone_events", *events))
    given_at = dealt(Feed(KEY, bars, rows.frame), "zones", end=6)
    assert [len(rows) for rows in given_at] == [1, 0, 1, 0, 1, 0]
    life = [
        tuple(given_at[at][0][name] for name in ("touches", "first_touch_ts", "status", "ended_ts")) for at in (0, 2, 4)
    ]
    assert life == [(0, None, "ACTIVE", None), (1, us(2), "ACTIVE", None), (3, us(2), "MITIGATED", us(4))]
    assert given_at[0][0]["price_hi"] == 100.0


def test_an_inversion_is_found_by_its_parent() -> None:
    bars = some_bars(3)
    made = {"kind": "IFVG", "side": "SUPPLY", "price_lo": 99.0, "price_hi": 100.0, "created_ts": known(1)}
    parents = [known(0), known(1)]
    inversions = [made | {"parent_created_ts": at, "touches": 0, "status": "ACTIVE"} for at in parents]
    events = [
        {
            "kind": "IFVG",
            "created_ts": known(1),
            "parent_created_ts": at,
            "ts": known(1),
            "event": "CREATED",
            "touches": 0,
        }
        for at in parents
    ]
    rows = rows_of(bars, inversions=table("inversions", *inversions), zone_events=table("zone_events", *events))
    given_at = dealt(Feed(KEY, bars, rows.frame), "inversions", end=3)
    assert [[row["parent_created_ts"] for row in rows] for rows in given_at] == [[], [us(0), us(1)], []]


@given(cuts=st.lists(st.integers(1, 699), max_size=6, unique=True))
@settings(max_examples=25, deadline=None)
def test_what_a_bar_is_given_depends_neither_on_cuts_nor_on_later_bars(cuts: list[int]) -> None:
    whole = MARKET.bars(EVERYTHING, start=0, end=700)
    engine = SeriesEngine(MARKET_KEY, EngineParams())
    pieces: list[list[Any]] = []
    edges = [0, *sorted(cuts), 700]
    for start, end in pairwise(edges):
        bars = MARKET_BARS[start:end]
        pieces += Feed(MARKET_KEY, bars, engine.advance(bars).frame).bars(EVERYTHING, start=0, end=end - start)
    assert pieces == whole


MARKET_BARS = make_bars([Stretch("rough", 700, 11)])
MARKET = Feed(MARKET_KEY, MARKET_BARS, SeriesEngine(MARKET_KEY, EngineParams()).advance(MARKET_BARS).frame)


def test_the_market_of_the_test_before_fills_every_table() -> None:
    given_rows = MARKET.bars(INPUT_TABLES, start=0, end=700)
    assert {name for values in given_rows for name in values[-1]} == set(INPUT_TABLES)


def test_rows_of_other_bars_are_refused() -> None:
    bars = some_bars(3)
    event = {"kind": "SWEEP_LOW", "ref_ts": known(0), "level": 99.5}
    for place in (-1, 3):
        rows = rows_of(bars, liquidity_events=table("liquidity_events", {"ts": known(place)} | event))
        with pytest.raises(ValueError, match=r"the rows of 'liquidity_events' are not those of these bars"):
            dealt(Feed(KEY, bars, rows.frame), "liquidity_events", end=3)


def test_indicators_of_other_bars_are_refused() -> None:
    bars = some_bars(3)
    for others in (some_bars(3, first=1), some_bars(2)):
        with pytest.raises(ValueError, match="'indicators' are not those of these bars"):
            Feed(KEY, bars, rows_of(others).frame).bars(("atr14",), start=0, end=2)


def test_a_call_without_bars_has_nothing_to_give() -> None:
    bars = some_bars(0)
    assert Feed(OTHER, bars, rows_of(bars).frame).bars(EVERYTHING, start=0, end=0) == []
    assert isinstance(bars, pl.DataFrame)


def test_a_table_without_rows_is_shared_with_no_other_feed() -> None:
    bars = some_bars(2)
    one, two = (Feed(KEY, bars, rows_of(bars).frame) for _ in range(2))
    one._rows("swings").frame.insert_column(0, pl.Series("stray", [], pl.Float64))
    assert two._rows("swings").frame.columns == []


def test_an_unknown_input_is_told_with_near_matches() -> None:
    check_inputs(EVERYTHING)
    with pytest.raises(UnknownInput, match=r"there is no input 'atr': did you mean .*atr14"):
        check_inputs(("ema20", "atr"))
    with pytest.raises(UnknownInput, match="there is no input 'open'"):  # the bar has it
        check_inputs(("open",))
