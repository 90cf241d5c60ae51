"""A portfolio over the same bars: in one go, in pieces, interrupted, cut off."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from backtest import BacktestConfig, BacktestRefused, BacktestResult, Session, run_backtest
from backtest.market import Stretch
from backtest.windows import Market
from contracts import SeriesKey
from tests.backtest.hand_made import Idea, asked, hand_made, traded
from tests.backtest.markets import EAGER, ONE, TWO, between, config, market, unnested, until

BARS = 600  # quarters of an hour: six days
MARKET = market(BARS)
START = datetime(2022, 1, 1, tzinfo=UTC)
END = START + BARS * timedelta(minutes=15)
MINUTE = timedelta(minutes=1)

# Targets so near that a bar often holds entry and target, and a finer one must tell what came first.
NEAR = EAGER.model_copy(update={"targets": ((0.2, 0.5), (0.5, 0.5)), "reward": 0.0})
Bars = dict[SeriesKey, pl.DataFrame]


@pytest.fixture(scope="module")
def whole() -> BacktestResult:
    """All of the market in one call."""
    return run_backtest(MARKET, config())


def fed(
    cuts: list[datetime], *, restart: bool = False, bars: Bars = MARKET, asked: BacktestConfig | None = None
) -> BacktestResult:
    """A market in pieces that end at these instants, and at its end."""
    keys, asked = list(bars), asked or config()
    session = Session(keys, asked, start=START)
    before = START
    for cut in [*cuts, Market(bars, {}).end]:
        session.advance(between(bars, before, cut), until=cut)
        before = cut
        if restart:
            session = Session.restored(session.saved(), keys, asked, start=START)
    return session.finish()


def some(count: int, *, bars: int = BARS, seed: int = 7) -> list[datetime]:
    """Minutes of a market of so many quarters of an hour, in order."""
    return [START + minute * MINUTE for minute in sorted(random.Random(seed).sample(range(1, bars * 15), count))]


def assert_same(result: BacktestResult, whole: BacktestResult) -> None:
    """Everything that can be asked of a result is the same."""
    assert_frame_equal(result.decisions, whole.decisions)
    assert_frame_equal(result.trades, whole.trades)
    assert_frame_equal(result.fills, whole.fills)
    assert_frame_equal(result.equity, whole.equity)
    assert_frame_equal(result.zones, whole.zones)
    assert result.fingerprint == whole.fingerprint


def test_the_market_is_one_in_which_much_happens(whole: BacktestResult) -> None:
    assert whole.trades.height > 50
    assert set(whole.trades["symbol"]) == {ONE.symbol, TWO.symbol}
    assert set(whole.trades["tf"]) == {"1m", "15m"}
    assert {"STOP", "TARGET", "TRAIL", "TIME"} <= set(whole.trades["exit_reason"])
    assert whole.opened > whole.trades.height  # some were never filled
    assert {"still_valid", "max_positions", "symbol_free", "vol_guard"} <= set(whole.decisions["reason"].drop_nulls())


def test_the_same_run_has_the_same_fingerprint_and_another_profile_another(whole: BacktestResult) -> None:
    assert run_backtest(MARKET, config()).fingerprint == whole.fingerprint
    other = config(profile=config().profile.model_copy(update={"risk_fraction": 0.004}))
    assert run_backtest(MARKET, other).fingerprint != whole.fingerprint


@given(st.lists(st.integers(1, BARS * 15 - 1), max_size=6, unique=True).map(sorted))
@settings(max_examples=8, deadline=None)
def test_wherever_the_bars_are_cut_everything_comes_out_the_same(whole: BacktestResult, minutes: list[int]) -> None:
    assert_same(fed([START + minute * MINUTE for minute in minutes]), whole)


@pytest.mark.parametrize(("tfs", "bars"), [(("1m", "3m", "5m"), 120), (("1h", "4h", "6h"), 10_000)])
def test_timeframes_that_do_not_nest_may_be_cut_anywhere_too(tfs: tuple[str, ...], bars: int) -> None:
    asked_for = config(sub={}, profile=NEAR)
    given = unnested(*tfs, bars=bars)
    whole = run_backtest(given, asked_for)
    assert set(whole.trades["tf"]) == set(tfs)
    assert_same(fed(some(60, bars=bars), bars=given, asked=asked_for), whole)


def unnested_walk(seed: int, tfs: tuple[str, ...]) -> list[Stretch]:
    """240 bars of a walk and the longer ones made of them, in which the longer ones have tight signals everywhere."""
    rng = random.Random(seed)
    unit = 60 if tfs[0] == "1h" else 1
    fine, price = [], 100.0
    for _ in range(240):
        path = [price]
        for _ in range(4):
            path.append(round(path[-1] + rng.gauss(0, 0.35), 2))
        fine.append((path[0], max(path), min(path), price := path[-1]))
    found = []
    for tf in tfs:
        bars = {k * unit: merged(fine[k : k + int(tf[:-1])]) for k in range(0, 240, int(tf[:-1]))}
        sides = {at: rng.choice((0, 1, -1)) if tf != tfs[0] else 0 for at in bars}
        ideas = [
            Idea(at=at, side=side, entry=bars[at][3], stop=bars[at][3] - 0.7 * side, ttl=3)
            for at, side in sides.items()
            if side
        ]
        found.append(hand_made(ONE, bars, ideas, tf=tf))
    return found


def merged(bars: list[tuple[float, float, float, float]]) -> tuple[float, float, float, float]:
    """One bar of several."""
    return bars[0][0], max(bar[1] for bar in bars), min(bar[2] for bar in bars), bars[-1][3]


@pytest.mark.parametrize("tfs", [("1m", "3m", "5m"), ("1h", "4h", "6h")])
@given(seed=st.integers(0, 10**6), cuts=st.sets(st.integers(1, 239), min_size=20, max_size=40))
@settings(max_examples=15, deadline=None)
def test_a_bar_that_asks_finer_ones_is_told_the_same_wherever_it_is_cut(
    tfs: tuple[str, ...], seed: int, cuts: set[int]
) -> None:
    given, unit = unnested_walk(seed, tfs), 60 if tfs[0] == "1h" else 1
    whole = traded(given, asked([ONE]))
    assert whole.trades.height > 5
    assert_same(traded(given, asked([ONE]), cuts=[unit * cut for cut in sorted(cuts)]), whole)


@pytest.mark.parametrize("cut", [None, 5, 7, 8, 9, 10, 11])
def test_a_bar_whose_target_came_before_its_stop_wins_although_a_longer_one_began_in_it(cut: int | None) -> None:
    # Long at 100, stop 99, targets 101.5, 102, 103. The bar of three minutes from 9 to 12 holds all of them: the
    # minute at 9 goes to 105, that at 10 to 98. A bar of five minutes begins at 10.
    minutes = dict.fromkeys(range(15), (100.0, 100.2, 99.8, 100.0)) | {
        3: (100.0, 100.2, 99.5, 100.0),
        9: (100.0, 105.0, 100.0, 104.0),
        10: (104.0, 104.0, 98.0, 98.5),
        11: (98.5, 99.0, 98.5, 99.0),
    }
    threes, fives = (
        {at: merged([minutes[k] for k in range(at, at + count)]) for at in range(0, 15, count)} for count in (3, 5)
    )
    given = [
        hand_made(ONE, minutes),
        hand_made(ONE, threes, [Idea(at=0, side=1, entry=100.0, stop=99.0)], tf="3m"),
        hand_made(ONE, fives, tf="5m"),
    ]
    result = traded(given, asked([ONE]), cuts=[] if cut is None else [cut])
    assert result.trades.select("exit_reason", "guesses").rows() == [("TARGET", 0)]
    assert result.fills["price"].to_list() == [100.0, 101.5, 102.0, 103.0]


def test_a_large_market_is_walked_in_parts_with_the_same_result(whole: BacktestResult) -> None:
    assert run_backtest(MARKET, config(), at_once=1_700).fingerprint == whole.fingerprint
    market_of = Market.read(MARKET, config().params, sub=config().sub)
    assert run_backtest(MARKET, config(), tables=market_of.tables).fingerprint == whole.fingerprint
    assert run_backtest(MARKET, config(), tables=market_of.tables, at_once=1_700).fingerprint == whole.fingerprint


def test_series_that_are_not_traded_only_answer_finer_questions() -> None:
    asked = config(trade=("15m",))
    result = run_backtest(MARKET, asked)
    assert set(result.decisions["tf"]) == {"15m"}
    read = Market.read(MARKET, asked.params, sub=asked.sub, traded=asked.trade)
    assert run_backtest(MARKET, asked, tables=read.tables).fingerprint == result.fingerprint
    plain = config(trade=("15m",), sub={})
    alone = Market.read(MARKET, plain.params, sub={}, traded=plain.trade)
    assert {str(key.tf) for key in alone.tables} == {"15m"}  # the engine did not look at minutes
    assert run_backtest(MARKET, plain, tables=alone.tables).fingerprint == run_backtest(MARKET, plain).fingerprint


def test_bar_by_bar_gives_what_one_call_gives(whole: BacktestResult) -> None:
    live = range((BARS - 20) * 15, BARS * 15)  # each call costs what a live bar costs: five hours of them do
    assert_same(fed([START + minute * MINUTE for minute in live]), whole)


def test_a_zone_that_was_made_calls_ago_is_still_told_with_its_strength(whole: BacktestResult) -> None:
    result = fed([START + at * 3 * MINUTE for at in range(1_400, 1_480)])
    assert whole.trades["zone_strength"].null_count() == 0
    assert_same(result, whole)
    assert result.written.told["zone_strength"].null_count() == 0


def test_what_is_told_of_a_signal_is_part_of_the_fingerprint(whole: BacktestResult) -> None:
    read = Market.read(MARKET, config().params, sub=config().sub)
    tables = {
        key: {**of_key, "zones": of_key["zones"].with_columns(strength=pl.col("strength") + 1)}
        for key, of_key in read.tables.items()
    }
    other = run_backtest(MARKET, config(), tables=tables)
    assert other.fills.equals(whole.fills)
    assert other.fingerprint != whole.fingerprint


def test_every_decision_is_explained_as_it_was_made_wherever_the_bars_were_cut() -> None:
    result = fed(some(80))
    recorded = result.decisions["passed"].to_list()
    explained = [
        sum(gate["passed"] << place for place, gate in enumerate(result.explain(row)["gates"]))
        for row in range(len(recorded))
    ]
    assert len(recorded) > 4_000
    assert explained == recorded


def test_a_session_that_is_saved_and_restored_between_bars_goes_on_as_if_it_had_not_been(
    whole: BacktestResult,
) -> None:
    assert_same(fed(some(12), restart=True), whole)


def test_what_is_decided_by_an_instant_does_not_depend_on_what_follows(whole: BacktestResult) -> None:
    for bars in (40, 111, 207):
        cut = START + bars * timedelta(minutes=15)
        short = run_backtest(until(MARKET, cut), config())
        assert_frame_equal(short.decisions, whole.decisions.filter(pl.col("ts") <= cut))
        ended = pl.col("exit_ts") < cut
        assert_frame_equal(short.trades.filter(ended & (pl.col("exit_reason") != "END")), whole.trades.filter(ended))
        assert_frame_equal(short.equity.filter(pl.col("ts") < cut), whole.equity.filter(pl.col("ts") < cut))


def test_a_saved_session_of_another_configuration_or_with_damaged_bytes_is_refused() -> None:
    keys = list(MARKET)
    session = Session(keys, config(), start=START)
    data = session.saved()
    with pytest.raises(BacktestRefused, match="another configuration"):
        Session.restored(data, keys, config(ambiguity="target"), start=START)
    with pytest.raises(BacktestRefused, match="other series"):
        Session.restored(data, keys[:2], config(), start=START)
    with pytest.raises(BacktestRefused, match="begin it anew"):
        Session.restored(data[: len(data) // 2], keys, config(), start=START)


def test_what_is_refused_changes_nothing(whole: BacktestResult) -> None:
    session = Session(list(MARKET), config(), start=START)
    cut = START + timedelta(hours=5)
    session.advance(until(MARKET, cut), until=cut)
    minutes = ONE.series("1m")
    late = {minutes: MARKET[minutes].filter(pl.col("open_time") == cut - 2 * MINUTE)}
    with pytest.raises(BacktestRefused, match="comes too late"):
        session.advance(late)
    with pytest.raises(BacktestRefused, match="after the instant"):
        session.advance({minutes: MARKET[minutes].filter(pl.col("open_time") == cut)}, until=cut)
    strange = SeriesKey("binance_usdm", "ZZZUSDT", "1m")
    with pytest.raises(BacktestRefused, match="none of the session's series"):
        session.advance({strange: MARKET[minutes].filter(pl.col("open_time") > cut)})
    with pytest.raises(BacktestRefused, match="time only goes on"):
        session.advance({}, until=cut - MINUTE)
    with pytest.raises(BacktestRefused, match="time only goes on"):
        session.step({}, until=START)
    session.advance(between(MARKET, cut, END), until=END)
    assert_same(session.finish(), whole)


def test_a_session_without_bars_has_no_result() -> None:
    session = Session(list(MARKET), config(), start=START)
    with pytest.raises(BacktestRefused, match="load later bars"):
        session.finish()
