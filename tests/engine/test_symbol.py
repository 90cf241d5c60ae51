"""Several timeframes of one symbol: the shorter one's breaks become `micro_bos` of the longer one's bars."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import SeriesKey
from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine, SnapshotRefused, SymbolEngine
from tests.engine.bits import assert_same_tables, joined, tables_of
from tests.engine.strategies import Stretch, make_bars, stretches

PARAMS = EngineParams(pivot_n=2)
MINUTE = 60_000_000
DAY = 86_400_000_000


def rolled(minutes: pl.DataFrame, tf: str) -> pl.DataFrame:
    return minutes.group_by_dynamic("open_time", every=tf).agg(
        pl.col("open").first(),
        pl.col("high").max(),
        pl.col("low").min(),
        pl.col("close").last(),
        pl.col("volume").sum(),
    )


def minutes_of(drawn: list[Stretch]) -> pl.DataFrame:
    """Minutes from a full quarter on, as many whole quarters as there are."""
    bars = make_bars(drawn, start=1_640_995_200_000_000 - MINUTE, step=MINUTE)
    return bars.filter(pl.col("open_time") < pl.col("open_time").max().dt.truncate("15m"))


MINUTES = minutes_of([Stretch("walk", 900, 1), Stretch("waves", 4_000, 2), Stretch("rough", 1_500, 3)])
QUARTERS = rolled(MINUTES, "15m")


def made(sub: dict[str, str] | None = None) -> SymbolEngine:
    wiring = {"15m": "1m"} if sub is None else sub
    return SymbolEngine("binance_spot", "BTCUSDT", {"1m": PARAMS, "15m": PARAMS}, sub=wiring)


def expected_micro_bos(minutes: pl.DataFrame, quarters: pl.DataFrame) -> list[int]:
    """By the words of section 6: the sign of the last BOS/CHOCH with ts in (open_time, ts], 0 if none."""
    events = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "1m"), PARAMS).advance(minutes).smc_events
    told = [(ts, 1 if kind.endswith("UP") else -1) for ts, kind in events.select("ts", "kind").iter_rows()]
    signs = []
    for opened in quarters["open_time"]:
        until = opened + SeriesKey("binance_spot", "BTCUSDT", "15m").tf.duration
        inside = [sign for ts, sign in told if opened < ts <= until]
        signs.append(inside[-1] if inside else 0)
    return signs


def test_the_last_break_within_a_bar_is_its_micro_bos() -> None:
    signs = expected_micro_bos(MINUTES, QUARTERS)
    assert {-1, 0, 1} == set(signs)
    given_by_hand = QUARTERS.with_columns(pl.Series("micro_bos", signs, pl.Int8))
    alone = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "15m"), PARAMS).advance(given_by_hand)
    together = made().advance({"15m": QUARTERS, "1m": MINUTES})
    assert_same_tables(tables_of(together["15m"]), tables_of(alone))
    assert together["15m"].signals["features"].str.contains('"micro_bos":true').any()


def test_without_a_sub_timeframe_the_series_are_as_if_alone() -> None:
    together = made({}).advance({"1m": MINUTES, "15m": QUARTERS})
    for tf, bars in (("1m", MINUTES), ("15m", QUARTERS)):
        alone = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", tf), PARAMS).advance(bars)
        assert_same_tables(tables_of(together[tf]), tables_of(alone))


@given(stretches(min_size=3, max_size=8), st.lists(st.integers(0, 700), max_size=8))
@settings(max_examples=25, deadline=None)
def test_bars_as_they_come_give_the_rows_and_the_state_of_one_call(drawn: list[Stretch], cuts: list[int]) -> None:
    minutes = minutes_of([*drawn, Stretch("waves", 300, 4)])
    quarters = rolled(minutes, "15m")
    at_once, live = made(), made()
    whole = at_once.advance({"1m": minutes, "15m": quarters})
    edges = sorted({0, minutes.height, *(min(cut, minutes.height) for cut in cuts)})
    outputs = []
    for start, end in pairwise(edges):
        part = minutes.slice(start, end - start)
        outputs.append(live.advance({"1m": part}))
        closed = part["open_time"][-1] + SeriesKey("binance_spot", "BTCUSDT", "1m").tf.duration
        due = quarters.filter(pl.col("open_time").dt.offset_by("15m") <= closed)
        fresh = due.slice(live.engines["15m"].bars_seen)
        outputs.append(live.advance({"15m": fresh}))
    for tf in ("1m", "15m"):
        assert_same_tables(joined(rows[tf] for rows in outputs if tf in rows), tables_of(whole[tf]))
    assert live.snapshots() == at_once.snapshots()


def test_one_minute_at_a_time_with_a_restart_after_each_gives_the_same() -> None:
    minutes = MINUTES.head(600)
    quarters = rolled(minutes, "15m")
    engine = made()
    outputs = []
    for start in range(minutes.height):
        bars = {"1m": minutes.slice(start, 1)}
        if (start + 1) % 15 == 0:
            bars["15m"] = quarters.slice(start // 15, 1)
        outputs.append(engine.advance(bars))
        engine = SymbolEngine.restore(engine.snapshots(), sub={"15m": "1m"})
    whole = made().advance({"1m": minutes, "15m": quarters})
    for tf in ("1m", "15m"):
        assert_same_tables(joined(rows[tf] for rows in outputs if tf in rows), tables_of(whole[tf]))


def test_a_sub_timeframe_may_itself_have_one() -> None:
    hours = rolled(MINUTES, "1h")
    hours = hours.head(hours.height - 1)
    params = dict.fromkeys(("1m", "15m", "1h"), PARAMS)
    engine = SymbolEngine("binance_spot", "BTCUSDT", params, sub={"1h": "15m", "15m": "1m"})
    rows = engine.advance({"1h": hours, "15m": QUARTERS, "1m": MINUTES})
    pair = SymbolEngine("binance_spot", "BTCUSDT", {"15m": PARAMS, "1h": PARAMS}, sub={"1h": "15m"})
    assert_same_tables(tables_of(rows["1h"]), tables_of(pair.advance({"1h": hours, "15m": QUARTERS})["1h"]))


def test_a_refused_bar_of_one_series_leaves_every_series_as_it_was() -> None:
    engine = made()
    engine.advance({"1m": MINUTES.head(60), "15m": QUARTERS.head(4)})
    before = engine.snapshots()
    wrong = QUARTERS.slice(4, 1).with_columns(pl.lit(-1.0).alias("close"))
    with pytest.raises(ValueError, match=r"binance_spot:BTCUSDT:15m: bar 0 \(open_time .*close must be finite"):
        engine.advance({"1m": MINUTES.slice(60, 15), "15m": wrong})
    assert engine.snapshots() == before


def test_a_minute_that_comes_after_its_quarter_is_refused() -> None:
    engine = made()
    engine.advance({"1m": MINUTES.head(14), "15m": QUARTERS.head(1)})
    with pytest.raises(ValueError, match="comes too late: 15m has been advanced to 2022-01-01T00:15:00"):
        engine.advance({"1m": MINUTES.slice(14, 1)})
    engine.advance({"1m": MINUTES.slice(15, 1)})


def test_minutes_may_run_ahead_by_64_windows_and_a_quarter_for_an_older_one_is_refused() -> None:
    with_breaks = [i for i, sign in enumerate(expected_micro_bos(MINUTES, QUARTERS)) if sign]
    kept_from, runs_to = with_breaks[-64], MINUTES.height
    engine = made()
    engine.advance({"1m": MINUTES.head(runs_to)})
    with pytest.raises(ValueError, match="run more than 64 windows ahead"):
        engine.advance({"15m": QUARTERS.slice(with_breaks[-65], 1)})
    late = engine.advance({"15m": QUARTERS.slice(kept_from)})["15m"]
    assert late.indicators.height == QUARTERS.height - kept_from


def test_micro_bos_comes_from_the_sub_timeframe_alone() -> None:
    bars = QUARTERS.head(1).with_columns(pl.lit(1, pl.Int8).alias("micro_bos"))
    with pytest.raises(ValueError, match="15m: micro_bos comes from 1m: leave the column out"):
        made().advance({"15m": bars})
    made({}).advance({"15m": bars})


@pytest.mark.parametrize(
    ("sub", "reason"),
    [
        ({"15m": "5m"}, "no series of 5m here"),
        ({"1h": "1m"}, "no series of 1h here"),
        ({"1m": "15m"}, "it must be shorter and divide it"),
        ({"15m": "15m"}, "it must be shorter and divide it"),
    ],
)
def test_a_sub_timeframe_that_cannot_be_is_refused(sub: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        made(sub)


@pytest.mark.parametrize("sub", ["1h", "15m", "7m"])
def test_a_series_refuses_a_sub_timeframe_that_cannot_be(sub: str) -> None:
    with pytest.raises(ValueError, match=sub):
        SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "15m"), PARAMS, sub=sub)


def test_a_timeframe_that_is_none_of_the_symbols_is_refused() -> None:
    with pytest.raises(ValueError, match="no series of 5m here: there are 1m, 15m"):
        made().advance({"5m": MINUTES.clear()})
    with pytest.raises(ValueError, match="unknown timeframe '7m'"):
        made().advance({"7m": MINUTES.clear()})


def test_snapshots_of_two_moments_or_other_sub_timeframes_are_refused() -> None:
    engine = made()
    engine.advance({"1m": MINUTES.head(15), "15m": QUARTERS.head(1)})
    earlier = engine.snapshots()
    engine.advance({"1m": MINUTES.slice(15, 1)})
    later = engine.snapshots()
    with pytest.raises(SnapshotRefused, match="snapshots of two moments"):
        SymbolEngine.restore({"1m": later["1m"], "15m": earlier["15m"]}, sub={"15m": "1m"})
    with pytest.raises(SnapshotRefused, match="with sub-timeframe 1m, asked for None"):
        SymbolEngine.restore(later)
    other = SymbolEngine("binance_spot", "ETHUSDT", {"1m": PARAMS}).snapshots()
    with pytest.raises(SnapshotRefused, match="asked for binance_spot:BTCUSDT:15m, received binance_spot:ETHUSDT:1m"):
        SymbolEngine.restore({"1m": made({}).snapshots()["1m"], "15m": other["1m"]})
    with pytest.raises(ValueError, match="no snapshots"):
        SymbolEngine.restore({})


def test_what_bots_remember_is_carried_by_the_series_it_belongs_to() -> None:
    blobs = made().snapshots(bots={"15m": b"remembered"})
    assert b"remembered" in blobs["15m"]
    assert b"remembered" not in blobs["1m"]


def test_empty_calls_change_nothing() -> None:
    engine = made()
    before = engine.snapshots()
    rows = engine.advance({"1m": pl.DataFrame(schema=BAR_SCHEMA), "15m": pl.DataFrame(schema=BAR_SCHEMA)})
    assert engine.advance({}) == {}
    assert engine.snapshots() == before
    assert np.all([rows[tf].indicators.is_empty() for tf in rows])
