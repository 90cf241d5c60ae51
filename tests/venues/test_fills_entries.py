"""Entries, and what may happen in the bar of the entry. Worked for the long side; the short one is the mirror."""

from __future__ import annotations

from decimal import Decimal

from tests.venues.fill_bars import BOTH, SINCE, TF, Market, terms


@BOTH
def test_a_limit_that_is_only_touched_is_not_filled(side: int) -> None:
    market = Market(side)
    # Limit 100. It opens at 101 and trades down to 100: others stand before us in the queue.
    assert market.step(0, 101, 102, 100, 101) == []
    assert market.order.state == "WAITING"


@BOTH
def test_a_limit_that_is_traded_through_by_a_tick_fills_at_its_price_as_maker(side: int) -> None:
    market = Market(side)
    # Limit 100, low 99 = 100 − 1 tick.
    assert market.step(0, 101, 102, 99, 101) == [("ENTRY", 100, "1", True)]
    assert market.order.state == "OPEN"


@BOTH
def test_a_limit_marketable_at_the_next_open_fills_there_as_taker(side: int) -> None:
    market = Market(side, entry=103, ladder=((106, "1"),))
    # It opens at 99, below the limit of 103: bought at 99 + 1 tick of slippage, at the open.
    assert market.step(0, 99, 101, 99, 101) == [("ENTRY", 100, "1", False)]


@BOTH
def test_slippage_never_carries_a_marketable_limit_beyond_its_price(side: int) -> None:
    market = Market(side, terms=terms(slippage=Decimal("0.05")))
    # It opens at 99. 99 + 5 % = 103.95 → 104 is above the limit of 100: 100, and still as taker.
    # In the mirror: 101 − 5.05 → 95 is below the limit of 100.
    assert market.step(0, 99, 101, 99, 101) == [("ENTRY", 100, "1", False)]


@BOTH
def test_a_limit_at_the_price_of_the_next_open_rests(side: int) -> None:
    market = Market(side)
    # The first trade is at 100, our price; the next seller need not come down to us.
    assert market.step(0, 100, 102, 100, 101) == []
    # Later it is traded through: maker.
    assert market.step(1, 101, 101, 99, 100) == [("ENTRY", 100, "1", True)]


@BOTH
def test_a_resting_entry_that_prices_jump_over_gets_its_own_price_and_nothing_better(side: int) -> None:
    market = Market(side, stop=90)
    assert market.step(0, 101, 102, 101, 101) == []
    # It opens at 95. Whoever sold down to there met our bid of 100 on the way.
    assert market.step(1, 95, 97, 94, 96) == [("ENTRY", 100, "1", True)]
    # 100 → 94 at worst, of 10 at risk.
    assert market.order.mae_r == -0.6


@BOTH
def test_an_order_that_waited_through_a_hole_has_rested(side: int) -> None:
    market = Market(side, stop=90)
    # Bar 0 does not exist. At the open of bar 1 (95) the order is a quarter of an hour old: no bargain at 96.
    assert market.step(1, 95, 97, 94, 96) == [("ENTRY", 100, "1", True)]


@BOTH
def test_a_jump_over_entry_and_stop_enters_at_the_limit_and_leaves_at_the_open(side: int) -> None:
    market = Market(side)
    assert market.step(0, 101, 102, 101, 101) == []
    # It opens at 95, below the stop of 98: in at 100, out at 95 − 1.
    assert market.step(1, 95, 99, 94, 99) == [("ENTRY", 100, "1", True), ("STOP", 94, "1", False)]
    assert market.order.pnl == -6
    assert market.order.r == -3.0


@BOTH
def test_a_market_entry_pays_the_next_open_and_slippage(side: int) -> None:
    market = Market(side, asked={"kind": "MARKET"})
    assert market.step(0, 101, 102, 100, 102) == [("ENTRY", 102, "1", False)]


@BOTH
def test_a_market_entry_below_its_stop_is_stopped_at_the_same_open(side: int) -> None:
    market = Market(side, asked={"kind": "MARKET"})
    # Decided at 100, stop 98. It opens at 97: bought at 98, sold at 96, whatever comes after.
    assert market.step(0, 97, 110, 97, 110) == [("ENTRY", 98, "1", False), ("STOP", 96, "1", False)]
    # R is what was put at risk as it was asked, 2: −2 is −1 R.
    assert market.order.r == -1.0


@BOTH
def test_a_rung_the_entry_finds_the_market_beyond_fills_as_taker(side: int) -> None:
    market = Market(side, ladder=((103, "1"), (110, "1")), asked={"kind": "MARKET"})
    # It opens at 105: bought at 106. The sale at 103 is marketable: 105 − 1 = 104, as taker.
    assert market.step(0, 105, 106, 104, 105) == [("ENTRY", 106, "2", False), ("TAKE_PROFIT", 104, "1", False)]
    # At 104 the slippage would carry the sale below its limit: 103.
    late = Market(
        side, ladder=((103, "1"), (110, "1")), asked={"kind": "MARKET"}, terms=terms(slippage=Decimal("0.02"))
    )
    assert late.step(0, 104, 106, 104, 105)[1] == ("TAKE_PROFIT", 103, "1", False)


@BOTH
def test_an_entry_expires_after_its_bars(side: int) -> None:
    market = Market(side, asked={"ttl_bars": 2})
    assert market.step(0, 101, 102, 101, 101) == []
    assert market.step(1, 101, 102, 100, 101) == []
    # The third bar would have filled it.
    assert market.step(2, 101, 102, 95, 101) == []
    assert (market.order.state, market.order.exit_reason) == ("DONE", "EXPIRED")
    assert (market.order.pnl, market.order.fees, market.order.r, market.order.mfe_r) == (
        Decimal(0),
        Decimal(0),
        0.0,
        0.0,
    )


@BOTH
def test_an_entry_may_fill_in_the_last_of_its_bars(side: int) -> None:
    market = Market(side, asked={"ttl_bars": 2})
    assert market.step(0, 101, 102, 101, 101) == []
    assert market.step(1, 101, 102, 99, 101) == [("ENTRY", 100, "1", True)]


@BOTH
def test_a_hole_counts_toward_the_time_to_live(side: int) -> None:
    market = Market(side, asked={"ttl_bars": 2})
    assert market.step(0, 101, 102, 101, 101) == []
    # Bar 1 does not exist; an order at the exchange is cancelled by the clock.
    assert market.step(2, 101, 102, 95, 101) == []
    assert market.order.exit_reason == "EXPIRED"


@BOTH
def test_entry_and_stop_in_one_bar_is_a_loss_without_a_doubt(side: int) -> None:
    market = Market(side)
    # Down from 101 through 100 to 97: the low comes after the fill, since it made it. Stop 98 − 1.
    assert market.step(0, 101, 102, 97, 101) == [("ENTRY", 100, "1", True), ("STOP", 97, "1", False)]
    assert (market.order.exit_reason, market.order.guesses) == ("STOP", 0)
    # Nothing good is known of the time it was open; bad is what it left at.
    assert (market.order.mfe_r, market.order.mae_r) == (0.0, -1.5)


@BOTH
def test_entry_and_target_in_one_bar_that_closes_beyond_the_target_is_a_win(side: int) -> None:
    market = Market(side)
    # Through 100 at 99, and the close of 104 is a tick beyond 103: that way led through the target.
    assert market.step(0, 101, 105, 99, 104) == [("ENTRY", 100, "1", True), ("TAKE_PROFIT", 103, "1", True)]
    assert (market.order.exit_reason, market.order.guesses) == ("TARGET", 0)
    # At 103 it was out; 99 may have come before.
    assert (market.order.mfe_r, market.order.mae_r) == (1.5, -0.5)


@BOTH
def test_entry_and_target_in_one_bar_that_closes_below_the_target_is_no_win(side: int) -> None:
    market = Market(side)
    # 104 may have come before the fill: the target is not given, and the doubt is counted.
    assert market.step(0, 101, 104, 99, 102) == [("ENTRY", 100, "1", True)]
    assert (market.order.state, market.order.guesses) == ("OPEN", 1)
    # Of the bar, 102 surely came after the fill, 104 did not.
    assert (market.order.mfe_r, market.order.mae_r) == (1.0, -0.5)


@BOTH
def test_a_close_that_only_touches_the_target_leaves_it_in_doubt(side: int) -> None:
    market = Market(side)
    assert market.step(0, 101, 104, 99, 103) == [("ENTRY", 100, "1", True)]
    assert market.order.guesses == 1


@BOTH
def test_the_other_policy_gives_the_target_in_doubt(side: int) -> None:
    market = Market(side, terms=terms(ambiguity="target"))
    assert market.step(0, 101, 104, 99, 102) == [("ENTRY", 100, "1", True), ("TAKE_PROFIT", 103, "1", True)]
    assert market.order.guesses == 1


@BOTH
def test_finer_bars_show_a_target_that_came_before_the_entry(side: int) -> None:
    market = Market(side)
    finer = ((101, 104, 101, 101), (101, 101, 99, 100), (100, 102, 100, 102))
    assert market.step(0, 101, 104, 99, 102, finer=finer) == [("ENTRY", 100, "1", True)]
    assert market.order.guesses == 0


@BOTH
def test_finer_bars_show_a_target_that_came_after_the_entry(side: int) -> None:
    market = Market(side)
    finer = ((101, 101, 99, 100), (100, 104, 100, 103), (103, 103, 102, 102))
    assert market.step(0, 101, 104, 99, 102, finer=finer) == [
        ("ENTRY", 100, "1", True),
        ("TAKE_PROFIT", 103, "1", True),
    ]
    assert market.order.guesses == 0


@BOTH
def test_entry_stop_and_target_in_one_bar_is_a_loss_in_doubt(side: int) -> None:
    market = Market(side)
    # It closes beyond the target, and on the way it was at 97: in, then stop or target first.
    assert market.step(0, 101, 105, 97, 105) == [("ENTRY", 100, "1", True), ("STOP", 97, "1", False)]
    assert market.order.guesses == 1


@BOTH
def test_of_two_rungs_the_close_vouches_for_the_first_alone(side: int) -> None:
    market = Market(side, ladder=((102, "1"), (104, "1")))
    # It closes at 103, beyond 102. The high of 105 may have come before the fill.
    assert market.step(0, 101, 105, 99, 103) == [("ENTRY", 100, "2", True), ("TAKE_PROFIT", 102, "1", True)]
    assert market.order.guesses == 1


@BOTH
def test_fills_are_dated_to_the_open_or_to_the_end_of_their_bar(side: int) -> None:
    market = Market(side)
    bars = [market.bar(0, (99, 101, 99, 101)), market.bar(1, (101, 104, 100, 102))]
    (entry,) = market.order.advance(bars[0], (), market.rules)
    (target,) = market.order.advance(bars[1], (), market.rules)
    assert (entry.at, target.at) == (SINCE, SINCE + 2 * TF.duration)
