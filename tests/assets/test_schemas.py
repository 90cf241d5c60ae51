"""What the engine makes is what the store takes: two rooms that may not import each other state the same schemas."""

import pytest

from contracts import SeriesKey
from engine import TABLES, EngineParams, SeriesEngine
from store.frames import SCHEMAS
from tests.engine.strategies import Stretch, make_bars

EMPTY = SeriesEngine(SeriesKey("binance_spot", "BTCUSDT", "15m"), EngineParams()).advance(
    make_bars([Stretch("walk", 3, 1)]).clear()
)


def test_both_know_the_same_tables() -> None:
    assert set(SCHEMAS) == set(TABLES)


@pytest.mark.parametrize("table", SCHEMAS)
def test_a_table_has_the_same_columns_of_the_same_types_in_the_same_order(table: str) -> None:
    [stated] = [schema for name, schema in SCHEMAS.items() if name == table]
    assert list(EMPTY.frame(table).schema.items()) == list(stated.items())
