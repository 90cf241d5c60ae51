"""Every expectation of indicators is green on what the engine writes and red on the one defect it is there for."""

import polars as pl
import pytest

from assets.checks.indicator_suite import FIRST_DEFINED, FLOATS, INDICATOR_SUITE
from contracts.candles import BAR_SCHEMA
from engine import EngineParams, SeriesEngine
from store.frames import SCHEMAS
from tests.assets.checks.filled import SHORT, answers, plant, red
from tests.assets.fakes import T0, tape
from tests.databases import Database

_AT = "tf = '1h' AND ts = '2022-01-20 12:00+00'"
_SET = "UPDATE analysis.indicators SET"
DEFECTS = {
    "one_row_a_bar": (f"DELETE FROM analysis.indicators WHERE {_AT}",),  # noqa: S608 - constants
    "null_only_in_warm_up": (f"{_SET} ema200 = NULL WHERE {_AT}",),
    "finite": (f"{_SET} macd = 'NaN' WHERE {_AT}",),
    "in_bounds": (f"{_SET} rsi14 = 100.5 WHERE {_AT}",),
    "atr_positive": (f"{_SET} atr14 = 0 WHERE {_AT}",),
}
MORE = {
    "one_row_a_bar": f"{_SET} ts = ts + interval '1 minute' WHERE {_AT}",
    "null_only_in_warm_up": f"{_SET} adx14 = 20 WHERE tf = '1h' AND ts = '2022-01-01 01:00+00'",
    "finite": f"{_SET} range_pos = '-Infinity' WHERE {_AT}",
    "in_bounds": f"{_SET} bb_lower = bb_mid + 1 WHERE {_AT}",
}


def test_every_expectation_has_a_defect_to_find() -> None:
    assert set(DEFECTS) == set(INDICATOR_SUITE.expectations)


def test_what_the_engine_writes_is_green(sound: Database) -> None:
    found = answers(sound, INDICATOR_SUITE)
    assert set(found) == set(INDICATOR_SUITE.expectations)
    assert {answer.error for answer in found.values()} == {None}
    assert red(found) == set()


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_turns_its_check_red_and_no_other(sound: Database, check: str) -> None:
    plant(sound, DEFECTS[check])
    found = answers(sound, INDICATOR_SUITE)
    assert found[check].error is None
    assert found[check].count == 1, found[check]
    assert red(found) == {check}


@pytest.mark.parametrize("check", MORE)
def test_a_defect_of_another_kind_is_found_too(sound: Database, check: str) -> None:
    plant(sound, [MORE[check]])
    assert red(answers(sound, INDICATOR_SUITE, [check])) == {check}


def test_the_first_defined_bar_of_every_column_is_the_engines() -> None:
    candles = tape(SHORT, T0, 260)
    bars = candles.select(BAR_SCHEMA.names()).cast(BAR_SCHEMA)
    rows = SeriesEngine(SHORT, EngineParams()).advance(bars).indicators
    first = {name: rows[name].is_not_null().arg_true()[0] for name in FIRST_DEFINED}
    assert first == FIRST_DEFINED


def test_no_column_of_the_table_is_left_out() -> None:
    columns = {
        name: kind for name, kind in SCHEMAS["indicators"].items() if name not in {"venue", "symbol", "tf", "ts"}
    }
    assert {name for name, kind in columns.items() if kind == pl.Float64()} == set(FLOATS)
    assert set(columns) - set(FIRST_DEFINED) == {"range_pos"}


_LATE = "ts > '2022-01-20 12:00+00'"
_FORGOTTEN = f"DELETE FROM analysis.indicators WHERE tf = '1h' AND {_LATE}"  # noqa: S608 - constants
_EVERY = "DELETE FROM analysis.indicators"
_PENDING = (
    "INSERT INTO market.candle_gaps VALUES ('binance_spot', 'BTCUSDT', '{tf}', '2022-01-20 12:00+00', "
    "'2022-01-20 13:00+00', {bars}, 'pending', '2022-03-10 00:00+00', NULL)"
)
_SUB = "UPDATE market.series SET sub_tf = '15m' WHERE tf = '1h'"
_CHANGED = "UPDATE market.candle_digests SET chain = repeat('c', 64) WHERE tf = '1h'"


@pytest.mark.parametrize(
    ("planted", "missing"),
    [
        ((_FORGOTTEN,), 11 * 24 + 12),  # from the bar that closes at 13:00 to the end of the 31st
        ((_EVERY,), 744 + 2974),
        ((_EVERY, _PENDING.format(tf="1h", bars=1)), 19 * 24 + 12 + 2974),
        ((_FORGOTTEN, _PENDING.format(tf="1h", bars=1)), 0),
        ((_FORGOTTEN, _PENDING.format(tf="15m", bars=4)), 11 * 24 + 12),
        ((_FORGOTTEN, _SUB, _PENDING.format(tf="15m", bars=4)), 0),
        ((_FORGOTTEN, _SUB), 11 * 24 + 12),
        ((f"{_EVERY} WHERE {_LATE}", _SUB), 4 * (11 * 24 + 12)),  # what the 15m misses the 1h waits for
        ((_FORGOTTEN, _CHANGED), 0),
    ],
)
def test_candles_that_the_analysis_reaches_and_left_are_missing_also_where_it_has_no_row_at_all(
    sound: Database, planted: tuple[str, ...], missing: int
) -> None:
    plant(sound, planted)
    [answer] = answers(sound, INDICATOR_SUITE, ["one_row_a_bar"]).values()
    assert (answer.error, answer.count) == (None, missing)
