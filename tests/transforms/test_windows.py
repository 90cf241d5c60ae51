"""A run with a window leaves the marts as building them whole would, and touches nothing that it was not asked for."""

from datetime import datetime

import pytest

from tests.transforms.hand_made import BARS, KEY, MARTS, OTHER, Built, at, bar, insert, of, signal

SECOND_DAY = at(24)


def go_on(built: Built, *, until: int) -> None:
    """The market goes on behind its last bar: more bars, analysed, and another end for what was open."""
    with built.connect() as conn:
        conn.execute("UPDATE market.candle_gaps SET from_time = %s WHERE cause = 'exchange'", [at(until)])
        insert(conn, "market.candles", *(bar(n) for n in range(BARS, until)))
        insert(conn, "analysis.indicators", *(of(KEY, ts=at(n + 1), atr14=2.0) for n in range(BARS, until)))
        insert(conn, "analysis.signals_raw", signal(at(until - 1), "LONG", 98.0, "c"))
        conn.execute("DELETE FROM analysis.zones WHERE created_ts = %s", [at(20)])


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(at(BARS), id="bar", marks=pytest.mark.slow),
        pytest.param(SECOND_DAY, id="day"),
        pytest.param(at(-400), id="before", marks=pytest.mark.slow),
        pytest.param(at(800), id="behind"),
    ],
)
def test_a_window_gives_what_building_everything_gives(own: Built, start: datetime) -> None:
    own.build()
    go_on(own, until=40)
    own.build(start)
    windowed = own.everything()
    own.build(full_refresh=True)
    whole = own.everything()
    assert [mart for mart in MARTS if windowed[mart] != whole[mart]] == []
    # Ten bars were missing to the twenty of the second signal; they are not its window's, but in its reach.
    short = next(row for row in windowed["fct_signals"] if row["side"] == "SHORT")
    assert (short["bars_after"], short["mfe_r_20"], short["mae_r_20"], short["outcome"]) == (20, 1.25, 0.5, "OPEN")
    assert at(20) not in {row["created_ts"] for row in windowed["fct_zone_outcomes"]}


def test_a_window_leaves_other_instruments_alone(own: Built) -> None:
    own.build()
    before = own.rows("marts.fct_candles_daily", key=OTHER[:2])
    with own.connect() as conn:
        conn.execute("UPDATE market.candles SET volume = 77 WHERE symbol = 'ETHUSDT'")
        conn.execute("UPDATE market.candles SET volume = 77 WHERE symbol = 'BTCUSDT' AND open_time = %s", [at(24)])
    own.build(SECOND_DAY)
    assert own.rows("marts.fct_candles_daily", key=OTHER[:2]) == before
    assert [row["volume"] for row in own.rows("marts.fct_candles_daily")] == [240, 87]


def test_what_lies_before_the_window_is_not_written_again(own: Built) -> None:
    own.build()
    with own.connect("tidemark_batch") as conn:
        conn.execute("UPDATE marts.fct_candles_daily SET trades = -1")
    own.build(SECOND_DAY)
    assert [row["trades"] for row in own.rows("marts.fct_candles_daily")] == [-1, 10]


def test_a_series_that_a_mart_does_not_have_is_written_from_its_beginning(own: Built) -> None:
    own.build()
    with own.connect("tidemark_batch") as conn:
        conn.execute("DELETE FROM marts.fct_signals")
        conn.execute("DELETE FROM marts.fct_candles_daily WHERE symbol = 'BTCUSDT'")
    own.build(at(800))
    assert len(own.rows("marts.fct_signals")) == 2
    assert [row["bars"] for row in own.rows("marts.fct_candles_daily")] == [24, 2]


def test_a_mart_whose_columns_an_upgrade_changed_is_built_again_whole(own: Built) -> None:
    own.build()
    with own.connect("tidemark_batch") as conn:
        conn.execute("ALTER TABLE marts.fct_signals DROP COLUMN mfe_r_5")
    own.build(at(800))
    assert [row["mfe_r_5"] for row in own.rows("marts.fct_signals")] == [1.0, 1.25]


def test_a_view_whose_columns_an_upgrade_changed_is_made_again_with_its_readers(own: Built) -> None:
    own.build()
    with own.connect("tidemark_batch") as conn:
        conn.execute("DROP VIEW staging.stg_candles CASCADE")
        conn.execute("CREATE VIEW staging.stg_candles AS SELECT symbol AS other, venue FROM market.candles")
    own.build(SECOND_DAY)
    assert len(own.rows("staging.int_bars")) == BARS
