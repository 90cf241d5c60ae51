"""The laws of engine-spec section 0, bit for bit, on bars that make indicators and structure stumble."""

from datetime import datetime
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import TABLES, EngineParams, SeriesEngine
from engine.spans import SPAN
from tests.engine.bits import LIVING, assert_same_bits, assert_same_tables, joined, tables_of
from tests.engine.strategies import KEY, KINDS, STEP, Stretch, bar_frames, make_bars, stretches

some_bars = settings(max_examples=60, deadline=None)

DEFAULT = EngineParams()
# Small limits and short lives, so that eviction and expiry are common.
CROWDED = EngineParams(
    pivot_n=2, max_zones=2, max_inversions=1, expiry_bars=15, fvg_min_atr=0.0, retest_window=40, eq_tol=0.5
)
ZIGZAG = EngineParams(swing_mode="zigzag", zigzag_k=1.0, ob_lookback=199, confluence_bars=0)
PARAMS = [DEFAULT, CROWDED, ZIGZAG]
every_parameter_set = pytest.mark.parametrize("params", PARAMS, ids=["default", "crowded", "zigzag"])


def with_micro_bos(bars: pl.DataFrame, seed: int = 1) -> pl.DataFrame:
    sides = np.random.default_rng(seed).integers(-1, 2, bars.height).astype(np.int8)
    return bars.with_columns(pl.Series("micro_bos", sides))


def whole(bars: pl.DataFrame, params: EngineParams = DEFAULT) -> dict[str, pl.DataFrame]:
    return tables_of(SeriesEngine(KEY, params).advance(bars))


@given(bar_frames(), st.lists(st.integers(0, 720), max_size=12), st.sampled_from(PARAMS))
@some_bars
def test_law_1_any_way_of_cutting_the_bars_gives_the_same_rows_and_the_same_state(
    drawn: pl.DataFrame, cuts: list[int], params: EngineParams
) -> None:
    bars = with_micro_bos(drawn)
    engine, at_once = SeriesEngine(KEY, params), SeriesEngine(KEY, params)
    edges = [0, *sorted(min(cut, bars.height) for cut in cuts), bars.height]
    pieces = [bars.slice(start, end - start) for start, end in pairwise(edges)]
    assert_same_tables(joined(engine.advance(piece) for piece in pieces), tables_of(at_once.advance(bars)))
    assert engine.snapshot() == at_once.snapshot()


@every_parameter_set
@pytest.mark.parametrize("kind", KINDS)
def test_law_1_one_bar_at_a_time_gives_the_rows_of_one_call(kind: str, params: EngineParams) -> None:
    # beyond every warm-up (218 bars) and into the third block of the features' kernel (256 each)
    bars = with_micro_bos(make_bars([Stretch("walk", 100, 7), Stretch(kind, 440, 8)]))
    engine = SeriesEngine(KEY, params)
    pieces = (engine.advance(bars.slice(t, 1)) for t in range(bars.height))
    assert_same_tables(joined(pieces), whole(bars, params))


@every_parameter_set
@pytest.mark.parametrize("piece", [SPAN - 1, SPAN, SPAN + 1, 2 * SPAN + 1])
def test_law_1_holds_across_the_spans_of_a_long_call(piece: int, params: EngineParams) -> None:
    length = 3 * SPAN // len(KINDS) + 100
    bars = with_micro_bos(make_bars([Stretch(kind, length, seed) for seed, kind in enumerate(KINDS)]))
    assert bars.height > 3 * SPAN
    engine, at_once = SeriesEngine(KEY, params), SeriesEngine(KEY, params)
    rows = joined(engine.advance(part) for part in bars.iter_slices(piece))
    assert_same_tables(rows, tables_of(at_once.advance(bars)))
    assert engine.snapshot() == at_once.snapshot()


@given(stretches(max_size=4), st.sampled_from([1, 7]), st.sampled_from(PARAMS))
@settings(max_examples=15, deadline=None)
def test_law_2_a_restart_at_every_bar_changes_nothing(drawn: list[Stretch], step: int, params: EngineParams) -> None:
    bars = with_micro_bos(make_bars(drawn))
    engine = SeriesEngine(KEY, params)
    outputs = [engine.advance(bars.clear())]
    for start in range(0, bars.height, step):
        engine = SeriesEngine.restore(engine.snapshot())
        outputs.append(engine.advance(bars.slice(start, step)))
    assert_same_tables(joined(outputs), whole(bars, params))


@every_parameter_set
def test_law_2_holds_past_every_warm_up(params: EngineParams) -> None:
    bars = with_micro_bos(make_bars([Stretch("walk", 260, 3), Stretch("waves", 240, 4), Stretch("rough", 240, 5)]))
    engine = SeriesEngine(KEY, params)
    outputs = []
    for start in range(bars.height):
        engine = SeriesEngine.restore(engine.snapshot())
        outputs.append(engine.advance(bars.slice(start, 1)))
    tables = joined(outputs)
    assert_same_tables(tables, whole(bars, params))
    assert all(tables[table].height for table in TABLES), {table: tables[table].height for table in TABLES}


def known_at(tables: dict[str, pl.DataFrame], until: datetime) -> dict[str, pl.DataFrame]:
    """The rows that carry a `ts` up to `until`; of zones what never changes."""
    fixed = {"touches", "first_touch_ts", "status", "ended_ts"}
    return {
        table: frame.filter(pl.col("created_ts" if table in LIVING else "ts") <= until).drop(
            [name for name in frame.columns if table in LIVING and name in fixed]
        )
        for table, frame in tables.items()
    }


@given(stretches(), stretches(), st.integers(0, 720), st.sampled_from(PARAMS))
@some_bars
def test_law_3_rows_are_the_same_whatever_bars_follow(
    drawn: list[Stretch], other: list[Stretch], at: int, params: EngineParams
) -> None:
    known = make_bars(drawn).head(at)
    if known.is_empty():
        return
    futures = [make_bars([*drawn, *other]).slice(known.height)]
    last = int(known["open_time"].to_physical()[-1])
    futures.append(make_bars(other, scale=64.0, start=last))
    expected = whole(known, params)
    until = expected["indicators"]["ts"][-1]
    for future in futures:
        found = whole(pl.concat([known, future]), params)
        assert_same_tables(known_at(found, until), known_at(expected, until))


@given(stretches(), st.sampled_from(PARAMS))
@some_bars
def test_law_3_the_life_of_a_zone_up_to_an_instant_is_in_its_events(drawn: list[Stretch], params: EngineParams) -> None:
    """`zones` may be rewritten; what it said at any bar can be told from the events known then."""
    bars = make_bars(drawn)
    known = bars.head(bars.height // 2)
    events = whole(bars, params)["zone_events"]
    if known.is_empty():
        return
    until = known["open_time"][-1] + KEY.tf.duration
    then = whole(known, params)
    zones = pl.concat(
        [
            then["zones"].select(pl.col("kind").cast(pl.String), "created_ts", "touches", "first_touch_ts", "status"),
            then["inversions"].select(
                pl.col("kind").cast(pl.String), "created_ts", "touches", "first_touch_ts", "status"
            ),
        ]
    )
    derived = (
        events.filter(pl.col("ts") <= until)
        .group_by("kind", "created_ts", "parent_created_ts", maintain_order=True)
        .agg(
            pl.col("touches").last(),
            pl.col("ts").filter(pl.col("touches") > 0).first().alias("first_touch_ts"),
            pl.col("event").cast(pl.String).last().alias("status"),
        )
        .with_columns(pl.col("status").replace(["CREATED", "TOUCHED"], "ACTIVE"))
    )
    columns = ["kind", "created_ts", "touches", "first_touch_ts", "status"]
    assert sorted(derived.select(columns).with_columns(pl.col("kind").cast(pl.String)).rows(), key=str) == sorted(
        zones.rows(), key=str
    )


@given(stretches(), st.sampled_from(PARAMS))
@some_bars
def test_law_4_the_state_has_one_size_from_the_first_bar_on(drawn: list[Stretch], params: EngineParams) -> None:
    engine = SeriesEngine(KEY, params)
    sizes = {len(engine.snapshot())}
    for piece in make_bars(drawn).iter_slices(97):
        engine.advance(piece)
        sizes.add(len(engine.snapshot()))
    assert len(sizes) == 1


def test_law_4_a_million_zones_take_no_more_room_than_one() -> None:
    params = EngineParams(max_zones=256, max_inversions=256, fvg_min_atr=0.0, expiry_bars=100_000)
    engine = SeriesEngine(KEY, params)
    size = len(engine.snapshot())
    for seed in range(4):
        start = engine.last_open_time
        bars = make_bars([Stretch("ramp", 4_000, seed)], **({} if start is None else {"start": start}))
        rows = engine.advance(bars)
        assert rows.zones.height > 256
        assert len(engine.snapshot()) == size


@given(stretches(), st.integers(0, 2**16), st.sampled_from(PARAMS))
@some_bars
def test_law_5_a_bar_after_a_hole_is_simply_the_next_bar(drawn: list[Stretch], seed: int, params: EngineParams) -> None:
    bars = make_bars(drawn)
    skipped = np.random.default_rng(seed).choice([0, 0, 0, 1, 500], bars.height).cumsum()
    apart = bars.with_columns(
        (pl.col("open_time").to_physical() + pl.Series(skipped, dtype=pl.Int64) * STEP).cast(bars.schema["open_time"])
    )
    dense, holed = whole(bars, params), whole(apart, params)
    # vwap alone asks what day it is
    assert_same_bits(holed["indicators"].drop("vwap", "ts"), dense["indicators"].drop("vwap", "ts"))
    for table in ("regimes", "swings", "smc_events", "liquidity_events"):
        instants = [name for name in dense[table].columns if name.endswith("ts")]
        assert_same_bits(holed[table].drop(instants), dense[table].drop(instants))
    assert holed["indicators"]["ts"].to_list() == (apart["open_time"] + KEY.tf.duration).to_list()
    # a fair value gap alone asks for neighbours
    gaps = holed["zones"].filter(pl.col("kind") == "FVG")
    opened = set(apart["open_time"].to_physical().to_list())
    for created in gaps["created_ts"].to_physical().to_list():
        assert {created - k * STEP for k in (1, 2, 3)} <= opened


@given(bar_frames(), st.sampled_from(PARAMS))
@some_bars
def test_the_life_of_every_zone_is_lawful(drawn: pl.DataFrame, params: EngineParams) -> None:
    rows = SeriesEngine(KEY, params).advance(drawn)
    for table, limit in (("zones", params.max_zones), ("inversions", params.max_inversions)):
        frame = rows.frame(table)
        assert frame.select(LIVING[table]).is_duplicated().sum() == 0
        assert (frame["price_lo"] <= frame["price_hi"]).all()
        assert frame["strength"].is_between(0, 10).all()
        assert (frame["status"] == "ACTIVE").sum() <= limit
        assert frame.filter((pl.col("status") == "ACTIVE") != pl.col("ended_ts").is_null()).is_empty()
        assert frame.filter((pl.col("touches") == 0) != pl.col("first_touch_ts").is_null()).is_empty()
        assert frame.filter(pl.col("first_touch_ts") <= pl.col("created_ts")).is_empty()
        assert frame.filter(pl.col("ended_ts") < pl.col("first_touch_ts")).is_empty()
        assert frame.filter((pl.col("status") == "MITIGATED") & (pl.col("touches") == 0)).is_empty()
        lived = frame.filter(pl.col("ended_ts") <= pl.col("created_ts"))
        assert lived.is_empty() or (limit == 1 and set(lived["status"]) == {"EVICTED"})
    events = rows.zone_events
    key = ["kind", "created_ts", "parent_created_ts"]
    assert events.select(*key, "ts").is_duplicated().sum() == 0
    for _, life in events.group_by(key):
        names, touches = life["event"].to_list(), life["touches"].to_list()
        assert life["ts"].is_sorted()
        assert touches == sorted(touches)
        assert names[0] == "CREATED" or names == ["EVICTED"]
        assert all(name == "TOUCHED" for name in names[1:-1])
        assert names.count("TOUCHED") <= 1
    mitigated = rows.zones.filter(pl.col("status") == "MITIGATED")
    born = rows.inversions.select("created_ts", "parent_created_ts", "price_lo", "price_hi", "strength")
    made = mitigated.select(
        pl.col("ended_ts").alias("created_ts"),
        pl.col("created_ts").alias("parent_created_ts"),
        "price_lo",
        "price_hi",
        "strength",
    )
    assert sorted(born.rows()) == sorted(made.rows())


@given(bar_frames(), st.sampled_from(PARAMS))
@some_bars
def test_a_signal_stands_on_a_zone_that_was_active_and_older_than_its_bar(
    drawn: pl.DataFrame, params: EngineParams
) -> None:
    rows = SeriesEngine(KEY, params).advance(with_micro_bos(drawn))
    signals = rows.signals
    assert signals["signal_id"].is_unique().all()
    assert signals["ts"].is_unique().all()
    stood = signals.join(rows.zones, left_on=["zone_kind", "zone_created_ts"], right_on=["kind", "created_ts"])
    assert stood.height == signals.height
    assert (stood["zone_created_ts"] < stood["ts"]).all()
    assert stood.filter(pl.col("ended_ts") <= pl.col("ts")).is_empty()
    long = stood["side_hint"] == "LONG"
    assert (long == (stood["side"] == "DEMAND")).all()
    assert signals["score"].is_between(0.30, 1.0 + 1e-12).all()
