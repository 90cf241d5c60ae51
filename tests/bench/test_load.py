from datetime import timedelta

from bench.load import generated_month, run
from contracts.candles import CANDLE_SCHEMA


def test_a_generated_month_is_a_candle_frame_of_the_minute_grid() -> None:
    month = generated_month(1_000)
    assert month.schema == CANDLE_SCHEMA
    assert month["open_time"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=1)]
    assert month.height == 1_000


def test_the_load_is_measured_against_bare_copy_and_the_second_load_touches_nothing() -> None:
    measured = {one.name: one for one in run(smoke=True, read_month=lambda: generated_month(2_000), rounds=1)}
    assert list(measured) == [
        "archive month, empty window, against bare COPY",
        "archive month, staged merge, against bare COPY",
        "the same month again, against its merge",
        "rows touched by the same month again",
    ]
    assert all(one.value > 0 for one in list(measured.values())[:3])
    assert measured["rows touched by the same month again"].value == 0
    assert measured["rows touched by the same month again"].passed
