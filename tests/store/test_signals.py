import json
import math

import polars as pl
import psycopg
import pytest
from polars.testing import assert_frame_equal

from store.errors import FrameRejected
from store.signals import read_signals, replace_signals
from tests.store.frames import KEY, T0, minutes, signals, ts


def write(
    conn: psycopg.Connection,
    frame: pl.DataFrame,
    *,
    agents: tuple[str, ...] = ("retest",),
    start: int = 0,
    end: int = 9,
) -> int:
    return replace_signals(conn, KEY, agents=agents, start=T0 + minutes(start), end=T0 + minutes(end), frame=frame)


def read(conn: psycopg.Connection) -> pl.DataFrame:
    return read_signals(conn, KEY, T0, T0 + minutes(9))


def test_signals_come_back_as_the_engine_gave_them(conn: psycopg.Connection) -> None:
    frame = pl.concat([signals([0, 3]), signals([5], zone_kind=None, zone_created_ts=None, tp_r=[0.1, 1e-7, 1e16])])
    write(conn, frame)
    assert_frame_equal(read(conn), frame, check_exact=True)
    assert read_signals(conn, KEY, T0 + minutes(6), T0 + minutes(9)).schema == frame.schema


def test_only_the_named_agents_signals_are_replaced(conn: psycopg.Connection) -> None:
    write(conn, signals([1, 4]))
    write(conn, signals([1, 4], agent="sweeper"), agents=("sweeper", "other"))
    assert write(conn, signals([2], agent="sweeper"), agents=("sweeper",)) == 2
    assert read(conn).select("ts", "agent").rows() == [(ts(1), "retest"), (ts(2), "sweeper"), (ts(4), "retest")]
    assert write(conn, signals([]), agents=()) == 0
    assert write(conn, signals([]), start=4, end=5) == 1
    assert read(conn)["agent"].to_list() == ["retest", "sweeper"]


@pytest.mark.parametrize(
    "features",
    [
        {},
        {"text": 'tab \t, newline \n, backslash \\, quote "', "none": None, "space": " ", "null": "\\N"},
        {"été": "купец", "z": [1, 2.5, -3e-07, 10**29, True], "a": {"b": 1, "aa": 2}},
    ],
)
def test_features_of_a_bot_come_back_as_the_same_canonical_text(conn: psycopg.Connection, features: object) -> None:
    # as engine.plugins.canonical_json writes it, which this room may not import
    text = json.dumps(features, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    write(conn, signals([0], features=text))
    assert read(conn)["features"].to_list() == [text]


def test_agents_may_be_named_in_any_alphabet(conn: psycopg.Connection) -> None:
    write(conn, signals([0], agent="купец\t\\N"), agents=("купец\t\\N",))
    assert read(conn)["agent"].to_list() == ["купец\t\\N"]


def test_signals_that_cannot_stand_are_refused_and_the_old_ones_stay(conn: psycopg.Connection) -> None:
    write(conn, signals([7]))
    cases = [
        (signals([0], agent="sweeper"), "came from \\['sweeper'\\].*name every agent"),
        (signals([9]), "outside the window"),
        (signals([0, 0]), "duplicate key"),
        (signals([0], sl_hint=math.nan), "'sl_hint' of analysis.signals_raw holds nan"),
        (signals([0], tp_r=[1.5, math.inf]), "'tp_r' of analysis.signals_raw holds"),
        (signals([0], features="[1]"), "features_is_object"),
        (signals([0], features="{"), "invalid input syntax for type json"),
        (signals([0], zone_created_ts=None), "zone_is_named_whole"),
        (signals([0], signal_id="ABC"), "signal_id_is_hex"),
        (signals([0], ttl_bars=0), "lives"),
        (signals([0], score=None), "null value in column"),
        (
            signals([0]).with_columns(symbol=pl.lit("ETHUSDT")),
            "rows of another series, the first of binance_usdm:ETHUSDT:1m",
        ),
        (signals([0]).drop("score"), "came with the columns"),
    ]
    for frame, story in cases:
        with pytest.raises(FrameRejected, match=story):
            write(conn, frame)
    assert read(conn)["ts"].to_list() == [ts(7)]
