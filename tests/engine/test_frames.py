import hashlib
import json
import math
from datetime import timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from contracts.timeframe import EPOCH
from engine import TABLES, EngineParams, SeriesEngine, frames
from engine.features import COLUMNS
from tests.engine.bits import assert_same_bits
from tests.engine.hand_bars import hand_bars, rows_of
from tests.engine.strategies import KEY, Stretch, make_bars

BARS = make_bars([Stretch("walk", 300, 3)])


def test_rows_carry_their_series_and_the_instant_they_became_known() -> None:
    rows = rows_of(BARS)
    for name in ("indicators", "regimes", "swings", "smc_events", "liquidity_events"):
        table = rows.frame(name)
        assert table.columns[:4] == ["venue", "symbol", "tf", "ts"]
        assert table.schema["ts"] == pl.Datetime("us", "UTC")
        assert table.select("venue", "symbol", "tf").unique().rows() == [("binance_spot", "BTCUSDT", "15m")]
    assert rows.indicators["ts"].to_list() == (BARS["open_time"] + KEY.tf.duration).to_list()


def test_the_columns_are_those_of_the_tables() -> None:
    rows = rows_of(BARS)
    assert rows.indicators.columns[4:] == [*COLUMNS, "trend", "range_pos"]
    assert rows.regimes.columns[4:] == ["regime", "vol_state"]
    assert {table: dict(rows.frame(table).schema) for table in TABLES} == {
        table: dict(schema)
        for table, schema in zip(
            TABLES,
            (
                frames.INDICATOR_SCHEMA,
                frames.REGIME_SCHEMA,
                frames.SWING_SCHEMA,
                frames.BREAK_SCHEMA,
                frames.LIQUIDITY_SCHEMA,
                frames.ZONE_EVENT_SCHEMA,
                frames.ZONE_SCHEMA,
                frames.INVERSION_SCHEMA,
                frames.SIGNAL_SCHEMA,
            ),
            strict=True,
        )
    }


def test_the_names_of_a_signal_are_those_of_its_side_and_its_id_is_the_hash_of_what_it_is() -> None:
    params = EngineParams()
    rows = SeriesEngine(KEY, params).advance(make_bars([Stretch("walk", 240, 1), Stretch("waves", 2_000, 2)]))
    assert set(rows.signals["side_hint"]) == {"LONG", "SHORT"}
    for signal in rows.signals.iter_rows(named=True):
        direction = "up" if signal["side_hint"] == "LONG" else "down"
        values = json.loads(signal["features"])
        assert set(values) == {
            *(f"ema200_{direction}", f"macd_hist_{direction}"),
            *("rsi_mid_rebound", "micro_bos", "in_direction"),
        }
        assert signal["features"] == json.dumps(values, sort_keys=True, separators=(",", ":"))
        assert signal["retest_ok"] == (values[f"macd_hist_{direction}"] and values["rsi_mid_rebound"])
        ts = (signal["ts"] - EPOCH) // timedelta(microseconds=1)
        text = f"binance_spot:BTCUSDT:15m|{ts}|retest|{signal['side_hint']}|{params.hash}"
        assert signal["signal_id"] == hashlib.sha256(text.encode()).hexdigest()[:24]
        assert signal["tp_r"] == [1.5, 2.0, 3.0]


def test_the_rows_of_an_unknown_table_cannot_be_asked_for() -> None:
    with pytest.raises(AttributeError, match="trades"):
        rows_of(BARS.head(5)).frame("trades")


def test_a_table_is_built_once_and_kept() -> None:
    rows = rows_of(BARS)
    assert rows.indicators is rows.indicators
    assert rows.regimes is rows.regimes


def test_what_a_caller_does_to_a_table_without_rows_no_other_sees() -> None:
    full = rows_of(BARS)
    for table in TABLES:
        empty = rows_of(BARS.clear()).frame(table)
        assert empty.is_empty()
        empty.extend(full.frame(table))
        assert rows_of(BARS.clear()).frame(table).is_empty()


def test_tables_without_rows_have_the_columns_of_those_with_rows() -> None:
    one = rows_of(BARS.head(5))
    assert one.regimes.schema == rows_of(BARS).regimes.schema
    assert rows_of(BARS.clear()).indicators.schema == one.indicators.schema


@pytest.mark.parametrize("size", [1, 7, 8, 9, 63, 64, 65])
@pytest.mark.parametrize("undefined", [0, 1, 7, 8, 9, 63, 64, 65])
def test_nulls_stand_exactly_where_values_are_undefined(size: int, undefined: int) -> None:
    count = min(undefined, size)
    values = np.tile(np.arange(size, dtype=float), (len(COLUMNS) + 1, 1))
    values[:, :count] = np.nan
    names = (*COLUMNS, "range_pos")
    frame = frames.indicator_frame(
        KEY,
        np.arange(size),
        values=values,
        undefined=np.full(len(names), count),
        trend=np.zeros(size, np.int16),
    )
    for name in names:
        assert frame[name].to_list() == [None] * count + [float(i) for i in range(count, size)]
        assert frame[name].null_count() == count


def test_a_value_lost_to_an_overflow_is_null_and_not_nan() -> None:
    # closes of 1e308 overflow the sums of bar 19 on; inf − inf is no number
    rows = rows_of(hand_bars([1e308 if t % 2 else 1.0 for t in range(260)]))
    for name in COLUMNS:
        column = rows.indicators[name]
        assert not column.is_nan().any()
    assert rows.indicators["bb_upper"].null_count() > 19


def test_one_bar_lost_in_the_middle_of_the_regimes_has_no_row() -> None:
    # the overflow of bar 240 leaves adx14 undefined from there on; the ranks come back, the regime does not
    closes = [100.0 + t % 3 for t in range(240)] + [1.7e308] + [100.0 + t % 3 for t in range(30)]
    rows = rows_of(hand_bars(closes))
    known = rows.indicators.filter(
        pl.col("adx14").is_not_null() & pl.col("natr_rank").is_not_null() & pl.col("bbw_rank").is_not_null()
    )
    assert rows.regimes["ts"].to_list() == known["ts"].to_list()
    assert 22 <= rows.regimes.height < len(closes) - 218


def test_a_column_outlives_the_call_it_came_from() -> None:
    kept = rows_of(BARS).indicators["bb_mid"].slice(100, 5)
    engine = SeriesEngine(KEY, EngineParams())
    for piece in BARS.iter_slices(50):
        engine.advance(piece)
    again = rows_of(BARS).indicators["bb_mid"].slice(100, 5)
    assert_same_bits(kept.to_frame(), again.to_frame())
    assert all(math.isfinite(value) for value in kept)


def test_what_happens_to_the_bars_memory_after_a_call_changes_no_table() -> None:
    columns = [
        BARS["open_time"].to_physical().to_numpy().copy(),
        *(BARS[name].to_numpy().copy() for name in BARS.columns[1:]),
    ]
    arrays = [pa.array(columns[0]).cast(pa.timestamp("us", "UTC")), *map(pa.array, columns[1:])]
    lent = pl.DataFrame(pa.RecordBatch.from_arrays(arrays, BARS.columns))
    rows, same = rows_of(lent), rows_of(BARS)
    for column in columns:
        column[:] = 0
    for table in TABLES:
        assert rows.frame(table).equals(same.frame(table)), table
