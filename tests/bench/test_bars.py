from datetime import timedelta

import polars as pl

from bench.bars import generated_bars, generated_pieces
from contracts.candles import BAR_SCHEMA


def test_generated_bars_are_bars_of_the_minute_grid() -> None:
    bars = generated_bars(1_000)
    assert bars.schema == BAR_SCHEMA
    assert bars["open_time"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=1)]
    assert bars.filter(
        (pl.col("low") > pl.min_horizontal("open", "close")) | (pl.col("high") < pl.max_horizontal("open", "close"))
    ).is_empty()


def test_pieces_continue_each_other_in_price_and_time_and_the_last_one_may_be_short() -> None:
    pieces = list(generated_pieces(250, piece=100))
    assert [piece.height for piece in pieces] == [100, 100, 50]
    bars = pl.concat(pieces)
    assert bars["open_time"].diff().drop_nulls().unique().to_list() == [timedelta(minutes=1)]
    assert bars["open"][1:].to_list() == bars["close"][:-1].to_list()


def test_a_first_piece_is_what_generated_bars_gives() -> None:
    assert next(generated_pieces(250, piece=100)).equals(generated_bars(100))
