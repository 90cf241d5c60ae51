"""An account that begins later than its bars: what came before warms the engine up, and nothing of it is traded."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from backtest import BacktestRefused, BacktestResult, Session, run_backtest
from backtest.run import run_prepared
from backtest.surrogates import surrogate
from backtest.trials import MemorySink
from backtest.walk_forward import Scheme, walk_forward
from backtest.windows import Market
from backtest.workers import Workers
from contracts import to_us
from risk.gates import GATES
from tests.backtest.hand_made import Idea, asked, hand_made, level, traded, verdicts
from tests.backtest.markets import ONE, between, config, market, until

BARS = 600  # quarters of an hour: six days and a quarter
MARKET = market(BARS)
FIRST = datetime(2022, 1, 1, tzinfo=UTC)
END = FIRST + BARS * timedelta(minutes=15)
# In the middle of a day, of an hour and of a quarter.
BEGIN = FIRST + timedelta(days=2, hours=7, minutes=20)
WARM = config(start=BEGIN)

# Gates that look at the signal, its zone and its bar alone.
_OF_SIGNAL = ("still_valid", "vol_guard", "structure", "trigger", "stop_distance")


@pytest.fixture(scope="module")
def earlier() -> BacktestResult:
    """An account that began with the first bar."""
    return run_backtest(MARKET, config())


@pytest.fixture(scope="module")
def begun() -> BacktestResult:
    """The one that began later."""
    return run_backtest(MARKET, WARM)


def test_its_signals_are_those_that_an_account_that_began_earlier_has_from_then_on(
    earlier: BacktestResult, begun: BacktestResult
) -> None:
    later = earlier.written.signals["ts"] >= to_us(BEGIN)
    assert 0 < later.sum() < later.size
    assert_frame_equal(begun.written.told, earlier.written.told.filter(pl.Series(later)))
    for name in ("ts", "side", "entry", "stop", "atr14", "ttl_bars", "structure", "triggers", "zone_ends"):
        assert np.array_equal(begun.written.signals[name], earlier.written.signals[name][later]), name


def test_what_gates_see_of_a_signal_its_zone_and_its_bar_is_the_same(
    earlier: BacktestResult, begun: BacktestResult
) -> None:
    both = begun.decisions.join(earlier.decisions, on=("ts", "signal_id"), suffix="_earlier")
    assert both.height > 1_000
    assert both["close"].equals(both["close_earlier"], check_names=False)
    for gate in _OF_SIGNAL:
        bit = 1 << GATES.index(gate)
        assert (both["passed"] & bit).equals(both["passed_earlier"] & bit, check_names=False), gate


def test_bars_that_begin_with_the_account_know_less(begun: BacktestResult) -> None:
    cold = run_backtest({key: frame.filter(pl.col("open_time") >= BEGIN) for key, frame in MARKET.items()}, config())
    first: timedelta = cold.decisions["ts"].min() - begun.decisions["ts"].min()  # type: ignore[operator, assignment] # instants
    assert first > timedelta(hours=3)
    assert cold.trades["signal_id"][0] != begun.trades["signal_id"][0]


def test_the_account_its_days_and_its_curve_begin_then(begun: BacktestResult) -> None:
    assert begun.start == BEGIN
    assert begun.decisions["ts"].min() >= BEGIN  # type: ignore[operator] # instants
    assert begun.trades["placed_ts"].min() >= BEGIN  # type: ignore[operator] # instants
    # At every full hour from 8 o'clock on, and at the end, which is one: 6 h of the seventh day are the last.
    hours = pl.datetime_range(FIRST + timedelta(days=2, hours=8), END, "1h", time_zone="UTC", eager=True)
    assert begun.equity["ts"].equals(hours, check_names=False)
    account = begun.written.rows("accounts")[0]
    assert (account["equity"], account["day_start"], account["peak"]) == (10_000, 10_000, 10_000)
    returns = begun.daily_returns
    assert returns.size == begun.metrics.days == 5  # the 3rd to the 7th of January
    assert 10_000 * np.prod(1 + returns) == pytest.approx(begun.equity["equity"][-1], rel=1e-12)


def test_the_share_of_the_time_with_a_position_counts_from_then(begun: BacktestResult) -> None:
    minutes = int((END - BEGIN) / timedelta(minutes=1))
    held = np.zeros(minutes, bool)  # entries and exits stand at ends of minutes
    for entered, left in begun.trades.select("entry_ts", "exit_ts").iter_rows():
        held[int((entered - BEGIN) / timedelta(minutes=1)) : int((left - BEGIN) / timedelta(minutes=1))] = True
    assert begun.metrics.exposure == pytest.approx(held.mean(), abs=1e-12)


def test_a_signal_from_before_that_still_lives_is_not_traded_and_one_of_that_very_instant_is() -> None:
    bars = level(100.0, minutes=range(8))
    begins = asked([ONE], start=FIRST + timedelta(minutes=3))
    before, then = Idea(at=1, side=1, entry=100.0, stop=99.0), Idea(at=2, side=1, entry=100.0, stop=99.0)
    assert verdicts(traded([hand_made(ONE, bars, [before])], begins), ONE) == []
    assert verdicts(traded([hand_made(ONE, bars, [before, then])], begins), ONE)[0] == (3, None)
    assert verdicts(traded([hand_made(ONE, bars, [before])], asked([ONE])), ONE)[0] == (2, None)


def test_wherever_the_bars_are_cut_and_the_session_restarted_everything_comes_out_the_same(
    begun: BacktestResult,
) -> None:
    keys, rng = list(MARKET), random.Random(3)
    for restart in (False, True):
        session, before = Session(keys, WARM, start=FIRST), FIRST
        cuts = [FIRST + timedelta(minutes=minute) for minute in sorted(rng.sample(range(1, BARS * 15), 12))]
        for cut in sorted([*cuts, BEGIN, END]):
            session.advance(between(MARKET, before, cut), until=cut)
            before = cut
            if restart:
                session = Session.restored(session.saved(), keys, WARM, start=FIRST)
        result = session.finish()
        assert_frame_equal(result.trades, begun.trades)
        assert result.fingerprint == begun.fingerprint


def test_tables_parts_prepared_stretches_and_workers_give_the_same(begun: BacktestResult) -> None:
    read = Market.read(MARKET, WARM.params, sub=WARM.sub)
    assert run_backtest(MARKET, WARM, at_once=1_700).fingerprint == begun.fingerprint
    assert run_backtest(MARKET, WARM, tables=read.tables).fingerprint == begun.fingerprint
    assert run_backtest(MARKET, WARM, tables=read.tables, at_once=1_700).fingerprint == begun.fingerprint
    stretches = read.stretches(traded=None)
    assert run_prepared(stretches, WARM).fingerprint == begun.fingerprint
    assert run_prepared(stretches, config()).start == FIRST  # nothing was taken off what was prepared
    with Workers(MARKET, WARM, processes=1) as workers:
        (trials,) = workers.trials([{}])
        assert trials[0].fingerprint == begun.fingerprint
        assert trials[0].start == BEGIN
        made = run_backtest(surrogate(MARKET, seed=4), WARM)
        assert made.decisions["ts"].min() >= BEGIN  # type: ignore[operator] # instants
        assert list(workers.surrogates([4], measure="net_pnl")) == [made.metrics.net_pnl]


def test_what_is_decided_by_an_instant_does_not_depend_on_what_follows(begun: BacktestResult) -> None:
    cut = BEGIN + timedelta(days=2)
    short = run_backtest(until(MARKET, cut), WARM)
    assert_frame_equal(short.decisions, begun.decisions.filter(pl.col("ts") <= cut))


def test_a_part_of_the_market_begins_with_the_part_or_at_the_start_whichever_is_later() -> None:
    read = Market.read(MARKET, WARM.params, sub=WARM.sub)
    behind = read.between(BEGIN + timedelta(days=1), END)
    without = run_backtest(behind.bars, config(), tables=behind.tables)
    result = run_backtest(behind.bars, WARM, tables=behind.tables)
    assert result.start == without.start == behind.start
    assert_frame_equal(result.decisions, without.decisions)
    across = read.between(BEGIN - timedelta(days=1), BEGIN + timedelta(days=2))
    assert run_backtest(across.bars, WARM, tables=across.tables).start == BEGIN
    before = read.between(FIRST, BEGIN - timedelta(minutes=20))
    with pytest.raises(BacktestRefused, match="load later bars, or begin sooner"):
        run_backtest(before.bars, WARM, tables=before.tables)


def test_the_windows_of_a_walk_forward_begin_then() -> None:
    scheme = Scheme(train=timedelta(days=1), test=timedelta(days=1))
    found = walk_forward(
        MARKET, WARM, {"profile.reward": [0.5]}, scheme=scheme, study="warm", sink=MemorySink(), told=lambda *_: None
    )
    assert found.start == BEGIN
    assert found.folds[0].window.train_from == BEGIN
    assert found.folds[0].window.test_from == BEGIN + timedelta(days=1)


@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=400)])
def test_bars_that_end_by_the_start_are_refused(late: timedelta) -> None:
    with pytest.raises(BacktestRefused, match=f"traded from .* on, and the bars end at {END:%Y-%m-%d %H:%M}"):
        run_backtest(MARKET, config(start=END + late))


def test_a_start_before_the_first_bar_changes_nothing_but_the_name(earlier: BacktestResult) -> None:
    result = run_backtest(MARKET, config(start=FIRST - timedelta(days=30)))
    assert result.start == FIRST
    assert_frame_equal(result.trades, earlier.trades)
    assert_frame_equal(result.equity, earlier.equity)
    assert result.fingerprint != earlier.fingerprint


def test_a_start_is_part_of_what_was_asked_only_where_there_is_one() -> None:
    assert '"start"' not in config().canonical
    assert '"start":"2022-01-03T07:20:00+00:00"' in WARM.canonical
    elsewhere = BEGIN.astimezone(timezone(timedelta(hours=9)))
    assert config(start=elsewhere).hash == WARM.hash != config().hash


@pytest.mark.parametrize("start", [BEGIN.replace(tzinfo=None), "2024-01-01"])
def test_a_start_that_is_no_instant_is_refused(start: object) -> None:
    with pytest.raises(BacktestRefused, match=r"datetime\(2024, 1, 1, tzinfo=UTC\)"):
        config(start=start)
