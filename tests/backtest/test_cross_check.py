"""Cross-check with an independent engine, backtesting.py: the same brackets with one stop and one target in both.

Where both models mean the same, they agree trade for trade: on entry and exit (bar and price) and on the result with
commission. Random brackets are asked for at prices between those that bars can show, so that a price that was touched
was traded through. What differs on purpose has a test of its own each, and nothing else differs:

    ours                                                        theirs
 1  a limit fills when prices trade a tick through it           when they touch it
 2  a price that jumps over a target, or over an entry that     the better price of the open
    rests, fills at its own price
 3  stop and target meet the market in the bar of the entry:    from the next bar on, unless the entry was at market
    the stop, and the target where the close is beyond it
 4  a limit that is marketable is a taker at the open and is    as 3
    exposed to all of the bar
 5  an open beyond the target takes it, the low may come later  the stop comes first, whatever the open was
 6  a bar with stop and target asks finer bars, and is counted  the stop, without a word
 7  what is open when the bars end is sold at the last close    at the open of the last bar
 8  a stop that is hit slips, in whole ticks                    at its own price
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest

from bench.walks import Walk
from contracts.candles import BAR_SCHEMA
from tests.backtest.ours import FINER, KEY, done, our_run, our_trades
from tests.backtest.peer import Ask, Done, peer_trades

LENGTH = KEY.tf.duration
START = datetime(2022, 1, 1, tzinfo=UTC)
COMMISSION = 0.0004
BARS = 3_000


def assert_agree(ours: Sequence[Done], theirs: Sequence[Done]) -> None:
    """Trade for trade."""
    assert [(one.ask, one.entered, one.left) for one in ours] == [(one.ask, one.entered, one.left) for one in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.entry, mine.exit) == pytest.approx((other.entry, other.exit), rel=1e-12)
        assert mine.result == pytest.approx(other.result, rel=1e-9, abs=1e-9)


# --- random brackets -------------------------------------------------------------------------------------------------


def walked(seed: int, *, gaps: bool) -> pl.DataFrame:
    """Bars in tenths, of which the last reaches every stop; without gaps each opens where the one before closed."""
    jumps = np.random.default_rng(seed).normal(0.0, 1.0, BARS).round(1).cumsum() if gaps else 0.0
    prices = pl.col("open", "high", "low", "close")
    bars = Walk.of(seed=seed, bars=BARS).bars.with_columns((prices.round(1) + jumps).round(1))
    opened = pl.col("open") if gaps else pl.col("close").shift(1).fill_null(pl.col("open"))
    last = pl.int_range(pl.len()) == BARS - 1
    return bars.with_columns(
        opened.alias("open"),
        pl.max_horizontal("high", opened) * pl.when(last).then(1.5).otherwise(1.0),
        pl.min_horizontal("low", opened) * pl.when(last).then(0.5).otherwise(1.0),
    )


def drawn(
    bars: pl.DataFrame, seed: int, *, every: int, away: tuple[float, float], stop: tuple[float, float], **fields: int
) -> list[Ask]:
    """Brackets whose prices lie between tenths, so that no bar shows exactly one of them.

    Args:
        bars: The market.
        seed: Of what is drawn.
        every: Bars between two.
        away: Least and greatest distance of the entry from the close, quote units, toward the stop; negative =
            marketable.
        stop: The same of the stop from the entry.
        fields: Others of `Ask`.
    """
    rng = np.random.default_rng(seed)
    asks = []
    for bar in range(1, bars.height - 40, every):
        side = 1 if rng.random() < 0.5 else -1
        entry = round(bars["close"][bar] - side * (round(rng.uniform(*away), 1) + 0.05), 2)
        distance = round(rng.uniform(*stop), 1)
        asks.append(
            Ask(bar, side, entry, round(entry - side * distance, 2), round(entry + side * 2 * distance, 2), **fields)
        )
    return asks


def at_market(asks: Sequence[Ask]) -> list[Ask]:
    """The same brackets with an entry at market."""
    return [Ask(ask.bar, ask.side, None, ask.stop, ask.target, ask.ttl, ask.max_bars) for ask in asks]


@pytest.mark.parametrize("commission", [0.0, COMMISSION])
@pytest.mark.parametrize("seed", range(4))
def test_entries_at_the_open_agree_trade_for_trade_while_each_side_decides_when_it_is_free(
    seed: int, commission: float
) -> None:
    bars = walked(seed, gaps=False)
    asks = drawn(bars, seed, every=3, away=(-3.0, -2.0), stop=(4.0, 9.0))
    ours = our_trades(bars, asks, commission=commission)
    assert_agree(ours, peer_trades(bars, at_market(asks), commission=commission))
    assert 70 < len(ours) < len(asks)  # many are left out because another is open


@pytest.mark.parametrize("seed", range(4))
def test_tight_brackets_at_the_open_agree_in_the_bar_of_the_entry_too(seed: int) -> None:
    bars = walked(seed, gaps=False)
    asks = drawn(bars, seed, every=2, away=(-0.5, -0.3), stop=(1.0, 2.0))
    ours = our_trades(bars, asks, commission=COMMISSION)
    assert_agree(ours, peer_trades(bars, at_market(asks), commission=COMMISSION))
    assert sum(one.left - one.entered <= LENGTH for one in ours) > 100


@pytest.mark.parametrize("commission", [0.0, COMMISSION])
@pytest.mark.parametrize("seed", range(4))
def test_resting_entries_agree_whether_they_fill_expire_or_end_by_time(seed: int, commission: float) -> None:
    bars = walked(seed, gaps=False)
    asks = drawn(bars, seed, every=40, away=(0.1, 4.0), stop=(12.0, 14.0), ttl=5, max_bars=30)
    run = our_run(bars, asks, commission=commission)
    assert_agree(done(run), peer_trades(bars, asks, commission=commission))
    assert 20 < run.trades.height < len(asks)
    assert {"STOP", "TARGET", "TIME"} >= set(run.trades["exit_reason"]) >= {"STOP", "TIME"}


@pytest.mark.parametrize("seed", range(4))
def test_over_gaps_and_in_tight_brackets_they_differ_for_the_named_reasons_alone(seed: int) -> None:
    bars = walked(seed, gaps=True)
    asks = drawn(bars, seed, every=12, away=(0.1, 2.0), stop=(1.0, 3.0), ttl=3, max_bars=8)
    ours = {one.ask: one for one in our_trades(bars, asks, commission=COMMISSION)}
    theirs = {one.ask: one for one in peer_trades(bars, asks, commission=COMMISSION)}
    assert ours.keys() == theirs.keys()  # the same entries fill
    found: dict[str, int] = {}
    for number, mine in ours.items():
        reason, other = named_difference(bars, asks[number]), theirs[number]
        if reason == "none":
            assert_agree([mine], [other])
        elif reason == "jump":
            assert (mine.entry, mine.exit) != (other.entry, other.exit)
        found[reason] = found.get(reason, 0) + 1
    assert found["none"] > 100
    assert found["bar of the entry"] > 20
    assert found["jump"] > 10


def named_difference(bars: pl.DataFrame, ask: Ask) -> Literal["bar of the entry", "jump", "none"]:
    """Differences 2, 3 and 5, told from the bars alone: which of them could matter to this bracket."""
    assert ask.entry is not None
    opened, high, low = (bars[name].to_numpy() * ask.side for name in ("open", "high", "low"))
    top, bottom = (high, low) if ask.side > 0 else (low, high)
    entry, stop, target = ask.side * ask.entry, ask.side * ask.stop, ask.side * ask.target
    first = next(bar for bar in range(ask.bar + 1, bars.height) if bottom[bar] < entry)
    if bottom[first] < stop or top[first] > target:
        return "bar of the entry"
    last = first + (ask.max_bars or 0)  # the bar at whose open time is up; a target there is still a target of ours
    after = next((bar for bar in range(first + 1, last) if bottom[bar] < stop or top[bar] > target), last)
    rested = first > ask.bar + 1  # in the first bar a limit beyond the open is a taker to both
    jumped = (rested and opened[first] < entry) or opened[after] > target
    return "jump" if jumped else "none"


# --- the differences, one by one -------------------------------------------------------------------------------------


def hand_made(*rows: tuple[float, float, float, float]) -> pl.DataFrame:
    """Two quiet bars at 100, then these (open, high, low, close)."""
    prices = [(100.0, 100.0, 100.0, 100.0)] * 2 + list(rows)
    columns = dict(zip(("open", "high", "low", "close"), np.array(prices).T, strict=True))
    times = [START + number * LENGTH for number in range(len(prices))]
    return pl.DataFrame({"open_time": times, **columns, "volume": [1.0] * len(prices)}, schema=BAR_SCHEMA)


QUIET = (100.0, 100.5, 99.5, 100.0)
LONG = Ask(bar=1, side=1, entry=99.0, stop=98.0, target=101.0, ttl=3)
SHORT = Ask(bar=1, side=-1, entry=101.0, stop=102.0, target=99.0, ttl=3)
OPENS = LENGTH * 2  # of the first of the hand-made bars, from the start


def only(trades: Sequence[Done]) -> tuple[float, float, float, float]:
    """Of the one trade there is: when and at which price it was entered and left, times in bars from the first one."""
    (one,) = trades
    entered, left = ((instant - START - OPENS) / LENGTH for instant in (one.entered, one.left))
    return entered, one.entry, left, one.exit


def both(bars: pl.DataFrame, ask: Ask, **changes: Any) -> tuple[Any, Any]:  # noqa: ANN401 - see `our_run`
    """`only` of either engine."""
    return only(our_trades(bars, [ask], **changes)), only(peer_trades(bars, [ask]))


def test_the_plain_case_is_no_difference() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), QUIET, (100.0, 101.5, 99.8, 101.2), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == theirs == (1, 99.0, 3, 101.0)
    bars = hand_made((100.0, 101.1, 99.8, 100.5), QUIET, (100.0, 102.5, 99.8, 101.2), QUIET)
    ours, theirs = both(bars, SHORT)
    assert ours == theirs == (1, 101.0, 3, 102.0)


def test_1_an_entry_that_is_touched_fills_theirs_and_not_ours() -> None:
    bars = hand_made((100.0, 100.2, 99.0, 99.5), QUIET, QUIET, QUIET, (100.0, 101.5, 99.8, 101.2), QUIET)
    assert our_trades(bars, [LONG]) == []
    assert only(peer_trades(bars, [LONG])) == (1, 99.0, 5, 101.0)


def test_1_a_target_that_is_touched_fills_theirs_and_not_ours() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), (100.0, 101.0, 99.8, 100.0), (100.0, 101.01, 99.8, 100.0), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 3, 101.0)
    assert theirs == (1, 99.0, 2, 101.0)


def test_2_over_an_entry_that_rests_theirs_gets_the_better_open() -> None:
    bars = hand_made(QUIET, (98.5, 98.8, 98.2, 98.6), (100.0, 101.5, 99.8, 101.2), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 3, 101.0)
    assert theirs == (1, 98.5, 3, 101.0)


def test_2_over_a_target_theirs_gets_the_better_open() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), (101.7, 102.0, 101.6, 101.8), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 1, 101.0)
    assert theirs == (1, 99.0, 1, 101.7)


def test_3_a_stop_in_the_bar_of_the_entry_is_ours_at_once_and_theirs_with_the_next_bar() -> None:
    bars = hand_made((100.0, 100.2, 97.5, 97.8), (97.8, 99.8, 97.6, 99.5), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 1, 98.0)
    assert theirs == (1, 99.0, 1, 97.8)  # at the open of the bar after, which is worse
    bars = hand_made((100.0, 100.2, 97.5, 99.8), QUIET, (100.0, 101.5, 99.8, 101.2), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 1, 98.0)
    assert theirs == (1, 99.0, 3, 101.0)  # the stop was never hit, as it sees it


def test_3_a_target_in_the_bar_of_the_entry_is_ours_where_the_close_is_beyond_it() -> None:
    bars = hand_made((100.0, 101.5, 98.9, 101.2), (100.0, 100.5, 97.5, 97.8), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 1, 101.0)
    assert theirs == (1, 99.0, 2, 98.0)


def test_3_a_target_in_the_bar_of_the_entry_is_not_given_where_the_high_may_have_come_before_and_is_counted() -> None:
    bars = hand_made((100.0, 101.5, 98.9, 100.2), (100.0, 100.5, 97.5, 97.8), QUIET)
    run = our_run(bars, [LONG])
    assert only(done(run)) == only(peer_trades(bars, [LONG])) == (1, 99.0, 2, 98.0)
    assert run.guesses == 1


def test_4_a_marketable_limit_is_exposed_to_the_bar_of_its_entry_and_theirs_is_not() -> None:
    ask = Ask(bar=1, side=1, entry=101.0, stop=99.0, target=105.0)
    bars = hand_made((100.0, 100.2, 98.5, 99.5), (99.5, 105.5, 99.4, 105.2), QUIET)
    ours, theirs = both(bars, ask)
    assert ours == (0, 100.0, 1, 99.0)
    assert theirs == (0, 100.0, 2, 105.0)
    assert only(peer_trades(bars, at_market([ask]))) == ours  # that is what a market order means to both


def test_5_an_open_beyond_the_target_is_a_target_even_if_the_low_is_a_stop() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), (101.7, 102.0, 97.5, 98.0), QUIET)
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 1, 101.0)
    assert theirs == (1, 99.0, 2, 98.0)


def test_6_stop_and_target_in_one_bar_are_the_stop_in_both_and_ours_counts_it() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), (100.0, 101.5, 97.5, 98.0), QUIET)
    run = our_run(bars, [LONG])
    assert only(done(run)) == only(peer_trades(bars, [LONG])) == (1, 99.0, 2, 98.0)
    assert run.guesses == 1


def test_6_finer_bars_tell_ours_that_the_target_came_first() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), (100.0, 101.5, 97.5, 98.0), QUIET)
    opened = START + OPENS + LENGTH
    inside = [(100.0, 101.5, 99.9, 101.0), *[(101.0, 101.0, 101.0, 101.0)] * 13, (101.0, 101.0, 97.5, 98.0)]
    columns = dict(zip(("open", "high", "low", "close"), np.array(inside).T, strict=True))
    times = [opened + number * FINER.tf.duration for number in range(len(inside))]
    finer = pl.DataFrame({"open_time": times, **columns, "volume": [1.0] * len(inside)}, schema=BAR_SCHEMA)
    run = our_run(bars, [LONG], finer=finer)
    (one,) = done(run)
    assert (one.left, one.exit) == (opened + FINER.tf.duration, 101.0)
    assert run.guesses == 0
    assert only(peer_trades(bars, [LONG])) == (1, 99.0, 2, 98.0)


def test_7_what_is_open_at_the_end_is_sold_at_the_close_and_theirs_at_the_open_of_the_last_bar() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), (100.0, 100.5, 99.8, 100.3))
    ours, theirs = both(bars, LONG)
    assert ours == (1, 99.0, 2, 100.3)
    assert theirs == (1, 99.0, 1, 100.0)


def test_8_a_stop_of_ours_slips() -> None:
    bars = hand_made((100.0, 100.2, 98.9, 99.5), (100.0, 100.2, 97.5, 98.2), QUIET)
    assert_agree(our_trades(bars, [LONG]), peer_trades(bars, [LONG]))
    ours, theirs = both(bars, LONG, slippage=0.001)
    assert ours == (1, 99.0, 2, 97.9)  # 98 less 0.098, rounded against us to a cent
    assert theirs == (1, 99.0, 2, 98.0)


def test_an_entry_that_expires_with_a_bar_leaves_its_symbol_to_the_signals_of_that_instant() -> None:
    waits, comes = Ask(1, 1, 99.0, 98.0, 101.0, ttl=2), Ask(3, 1, 99.0, 98.0, 101.0, ttl=1)
    bars = hand_made(QUIET, QUIET, (100.0, 100.2, 98.9, 99.5), (100.0, 101.5, 99.8, 101.2), QUIET)
    assert our_run(bars, [waits, comes]).decisions["reason"].to_list() == [None, None]
    assert only(our_trades(bars, [waits, comes])) == (3, 99.0, 4, 101.0)
    assert only(peer_trades(bars, [waits, comes])) == (3, 99.0, 4, 101.0)
