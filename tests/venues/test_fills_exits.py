"""Stops, targets, and what the stop does after the first of them. Worked for the long side; the short is the mirror.

`entered` is a bracket that bar 0 has filled at 100, with no more than that: stop 98, target 103.
"""

from __future__ import annotations

from decimal import Decimal

from tests.venues.fill_bars import BOTH, SINCE, TF, Market, entered, terms

LADDER = ((102, "1"), (104, "1"), (106, "2"))


@BOTH
def test_a_stop_fills_at_its_price_less_slippage(side: int) -> None:
    market = entered(side)
    # Touched at 98: sold a tick below, though the bar goes no lower.
    assert market.step(1, 100, 101, 98, 100) == [("STOP", 97, "1", False)]
    assert market.order.pnl == -3
    # 3 lost of 2 put at risk.
    assert (market.order.r, market.order.exit_reason) == (-1.5, "STOP")


@BOTH
def test_a_gap_through_the_stop_fills_at_the_open_less_slippage(side: int) -> None:
    market = entered(side)
    # It opens at 94; the 99 of later is nothing to a stop that is gone.
    assert market.step(1, 94, 99, 92, 99) == [("STOP", 93, "1", False)]
    assert market.order.pnl == -7
    assert market.order.mae_r == -3.5


@BOTH
def test_an_open_at_the_very_stop_is_hit_there_whatever_comes_after(side: int) -> None:
    market = entered(side)
    # It opens at 98: out before the target can be reached, no doubt about it.
    (fill,) = market.order.advance(market.bar(1, (98, 104, 98, 104)), (), market.rules)
    assert market.told(fill) == ("STOP", 97, "1", False)
    assert fill.at == SINCE + TF.duration
    assert market.order.guesses == 0


@BOTH
def test_a_target_that_is_only_touched_is_not_filled(side: int) -> None:
    market = entered(side)
    assert market.step(1, 100, 103, 100, 100) == []
    assert market.step(2, 100, 104, 100, 100) == [("TAKE_PROFIT", 103, "1", True)]
    assert (market.order.exit_reason, market.order.pnl, market.order.r) == ("TARGET", Decimal(3), 1.5)


@BOTH
def test_a_gap_over_the_target_gives_its_own_price_and_nothing_better(side: int) -> None:
    market = entered(side)
    # It opens at 110. Whoever bought up to there met our offer of 103 on the way.
    assert market.step(1, 110, 112, 97, 111) == [("TAKE_PROFIT", 103, "1", True)]
    # It was out at the open: the fall to 97 is not its own.
    assert (market.order.mfe_r, market.order.mae_r, market.order.guesses) == (5.0, -0.5, 0)


@BOTH
def test_stop_and_target_in_one_bar_is_the_stop_and_counted(side: int) -> None:
    market = entered(side)
    assert market.step(1, 100, 104, 97, 102) == [("STOP", 97, "1", False)]
    assert market.order.guesses == 1
    # 104 may have come after it was out.
    assert market.order.mfe_r == 0.0


@BOTH
def test_the_other_policy_gives_the_target_of_a_bar_with_both(side: int) -> None:
    market = entered(side, terms=terms(ambiguity="target"))
    assert market.step(1, 100, 104, 97, 102) == [("TAKE_PROFIT", 103, "1", True)]
    assert market.order.guesses == 1


@BOTH
def test_finer_bars_tell_that_the_target_came_first(side: int) -> None:
    market = entered(side)
    finer = ((100, 104, 100, 103), (103, 103, 97, 98), (98, 102, 98, 102))
    assert market.step(1, 100, 104, 97, 102, finer=finer) == [("TAKE_PROFIT", 103, "1", True)]
    assert market.order.guesses == 0


@BOTH
def test_finer_bars_tell_that_the_stop_came_first(side: int) -> None:
    market = entered(side)
    finer = ((100, 102, 99, 99), (99, 99, 97, 98), (98, 104, 98, 102))
    assert market.step(1, 100, 104, 97, 102, finer=finer) == [("STOP", 97, "1", False)]
    assert market.order.guesses == 0


@BOTH
def test_a_finer_bar_with_both_is_the_stop_and_counted(side: int) -> None:
    market = entered(side)
    finer = ((100, 102, 99, 99), (99, 104, 97, 98), (98, 102, 98, 102))
    assert market.step(1, 100, 104, 97, 102, finer=finer) == [("STOP", 97, "1", False)]
    assert market.order.guesses == 1


@BOTH
def test_finer_bars_with_a_hole_are_not_believed(side: int) -> None:
    market = entered(side)
    # One of three is missing. The others hold the target first and the stop after it; in the hole it may have been
    # the other way round.
    finer = ((100, 104, 100, 103), (103, 103, 97, 102))
    assert market.step(1, 100, 104, 97, 102, finer=finer) == [("STOP", 97, "1", False)]
    assert market.order.guesses == 1


@BOTH
def test_finer_bars_that_say_something_else_than_the_bar_are_not_believed(side: int) -> None:
    # Each lacks one of the four prices of the bar: the high, the low, the open, the close.
    for finer in (
        ((100, 104, 100, 103), (103, 103, 97, 102), (102, 103, 102, 102)),
        ((100, 105, 100, 103), (103, 103, 98, 102), (102, 103, 102, 102)),
        ((101, 105, 100, 103), (103, 103, 97, 102), (102, 103, 102, 102)),
        ((100, 105, 100, 103), (103, 103, 97, 102), (102, 103, 102, 103)),
    ):
        market = entered(side)
        assert market.step(1, 100, 105, 97, 102, finer=finer) == [("STOP", 97, "1", False)]
        assert market.order.guesses == 1


@BOTH
def test_finer_bars_are_not_asked_where_the_bar_is_certain(side: int) -> None:
    market = entered(side)
    # Nonsense inside a bar that leaves no question.
    assert market.step(1, 100, 102, 99, 102, finer=((100, 104, 97, 102),)) == []


@BOTH
def test_a_ladder_that_fills_in_part_and_is_stopped(side: int) -> None:
    market = entered(side, ladder=LADDER)
    assert market.step(1, 100, 103, 99, 102) == [("TAKE_PROFIT", 102, "1", True)]
    assert market.order.open_quantity == 3
    # 105 is a tick beyond 104, and not beyond 106.
    assert market.step(2, 102, 105, 101, 103) == [("TAKE_PROFIT", 104, "1", True)]
    assert market.step(3, 103, 103, 98, 99) == [("STOP", 97, "2", False)]
    # 1·2 + 1·4 − 2·3 = 0
    assert (market.order.pnl, market.order.exit_reason) == (Decimal(0), "STOP")
    assert (market.order.mfe_r, market.order.mae_r) == (2.5, -1.5)


@BOTH
def test_a_whole_ladder_in_one_bar(side: int) -> None:
    market = entered(side, ladder=LADDER)
    assert market.step(1, 100, 107, 99, 101) == [
        ("TAKE_PROFIT", 102, "1", True),
        ("TAKE_PROFIT", 104, "1", True),
        ("TAKE_PROFIT", 106, "2", True),
    ]
    # 2 + 4 + 12 = 18 on 4 · 2 of risk
    assert (market.order.pnl, market.order.r, market.order.state) == (Decimal(18), 2.25, "DONE")


@BOTH
def test_a_rung_passed_at_the_open_is_certain_where_a_later_one_shares_the_bar_with_the_stop(side: int) -> None:
    market = entered(side, ladder=LADDER)
    # It opens at 103, beyond 102; then 104 and the stop, in whichever order: the stop.
    assert market.step(1, 103, 105, 97, 100) == [("TAKE_PROFIT", 102, "1", True), ("STOP", 97, "3", False)]
    assert market.order.guesses == 1


@BOTH
def test_the_other_policy_gives_every_rung_before_the_stop(side: int) -> None:
    market = entered(side, ladder=LADDER, terms=terms(ambiguity="target"))
    assert market.step(1, 100, 105, 97, 100) == [
        ("TAKE_PROFIT", 102, "1", True),
        ("TAKE_PROFIT", 104, "1", True),
        ("STOP", 97, "2", False),
    ]


@BOTH
def test_breakeven_moves_the_stop_to_the_entry_after_the_bar_of_the_first_target(side: int) -> None:
    market = entered(side, ladder=LADDER, asked={"after_first": "breakeven"})
    # In the bar itself the stop stays at 98: 99 is no exit.
    assert market.step(1, 100, 103, 99, 101) == [("TAKE_PROFIT", 102, "1", True)]
    assert market.step(2, 101, 102, 100, 101) == [("STOP", 99, "3", False)]
    # 2 − 3·1: the entry's price less slippage is no win.
    assert (market.order.exit_reason, market.order.pnl) == ("BREAKEVEN", Decimal(-1))


@BOTH
def test_a_stop_that_has_moved_beyond_the_next_open_fills_there(side: int) -> None:
    market = entered(side, ladder=LADDER, asked={"after_first": "breakeven"})
    assert market.step(1, 100, 103, 99, 99) == [("TAKE_PROFIT", 102, "1", True)]
    assert market.step(2, 99, 103, 99, 103) == [("STOP", 98, "3", False)]
    assert market.order.exit_reason == "BREAKEVEN"


@BOTH
def test_a_stop_does_not_move_inside_a_bar_that_finer_bars_were_asked_about(side: int) -> None:
    market = entered(side, ladder=LADDER, asked={"after_first": "breakeven"})
    # The first 5m bar fills the first target; in the others 99 is below the entry and above the stop, then 97 is not.
    finer = ((100, 103, 100, 101), (101, 101, 99, 99), (99, 99, 97, 99))
    assert market.step(1, 100, 103, 97, 99, finer=finer) == [
        ("TAKE_PROFIT", 102, "1", True),
        ("STOP", 97, "3", False),
    ]
    assert market.order.exit_reason == "STOP"


@BOTH
def test_keep_leaves_the_stop(side: int) -> None:
    market = entered(side, ladder=LADDER)
    assert market.step(1, 100, 103, 99, 101) == [("TAKE_PROFIT", 102, "1", True)]
    assert market.step(2, 101, 102, 99, 101) == []
    assert market.stop_now() == 98


@BOTH
def test_a_trailing_stop_follows_the_best_price_of_closed_bars(side: int) -> None:
    market = entered(side, ladder=LADDER, asked={"after_first": "trail", "trail": Decimal(3)})
    assert market.step(1, 100, 104, 99, 103) == [("TAKE_PROFIT", 102, "1", True)]
    # Best 104 after bar 1: 101. In bar 2, 105 comes too late for 102 to hold in the bar itself.
    assert market.step(2, 103, 105, 102, 104) == [("TAKE_PROFIT", 104, "1", True)]
    assert market.stop_now() == 101
    # Best 105 after bar 2: 102. Touched: 101.
    assert market.step(3, 104, 104, 102, 103) == [("STOP", 101, "2", False)]
    # 2 + 4 + 2·1 = 8
    assert (market.order.exit_reason, market.order.pnl) == ("TRAIL", Decimal(8))


@BOTH
def test_a_trailing_stop_never_moves_back(side: int) -> None:
    market = entered(side, ladder=((102, "1"), (120, "1")), asked={"after_first": "trail", "trail": Decimal(8)})
    assert market.step(1, 100, 104, 99, 103) == [("TAKE_PROFIT", 102, "1", True)]
    # 104 − 8 = 96 is worse than 98.
    assert market.step(2, 103, 109, 99, 108) == []
    assert market.stop_now() == 98
    assert market.step(3, 108, 108, 103, 104) == []
    assert market.stop_now() == 101
    assert market.step(4, 104, 104, 101, 102) == [("STOP", 100, "1", False)]
    assert market.order.exit_reason == "TRAIL"


@BOTH
def test_a_trailing_stop_that_would_move_back_is_still_where_it_was(side: int) -> None:
    market = entered(side, ladder=((102, "1"), (120, "1")), asked={"after_first": "trail", "trail": Decimal(8)})
    assert market.step(1, 100, 104, 99, 103) == [("TAKE_PROFIT", 102, "1", True)]
    # 104 − 8 = 96: the stop of 98 is hit, as the stop it is.
    assert market.step(2, 103, 103, 98, 99) == [("STOP", 97, "1", False)]
    assert market.order.exit_reason == "STOP"


@BOTH
def test_a_trail_counts_no_price_from_before_the_entry(side: int) -> None:
    market = Market(side, ladder=((102, "1"), (120, "1")), asked={"after_first": "trail", "trail": Decimal(3)})
    # It was at 115 before it came down to us; it closes at 103, which fills the first target.
    assert market.step(0, 115, 115, 99, 103)[1:] == [("TAKE_PROFIT", 102, "1", True)]
    # 103 − 3 = 100, not 112.
    assert market.step(1, 103, 103, 101, 102) == []
    assert market.stop_now() == 100


@BOTH
def test_a_time_stop_sells_at_the_next_open(side: int) -> None:
    market = entered(side, asked={"max_bars": 2})
    assert market.step(1, 100, 102, 99, 101) == []
    # Held in bars 0 and 1; bar 2 opens at 101: 100.
    assert market.step(2, 101, 110, 90, 100) == [("EXIT", 100, "1", False)]
    assert (market.order.exit_reason, market.order.pnl, market.order.guesses) == ("TIME", Decimal(0), 0)
    # The range of bar 2 is not its own: −1 was seen in bar 1 or at the entry, 102 in bar 1.
    assert (market.order.mfe_r, market.order.mae_r) == (1.0, -0.5)


@BOTH
def test_a_stop_the_open_has_passed_comes_before_the_time_stop(side: int) -> None:
    market = entered(side, asked={"max_bars": 1})
    assert market.step(1, 97, 110, 90, 100) == [("STOP", 96, "1", False)]
    assert market.order.exit_reason == "STOP"


@BOTH
def test_a_target_the_open_has_passed_comes_before_the_time_stop(side: int) -> None:
    market = entered(side, ladder=LADDER, asked={"max_bars": 1})
    assert market.step(1, 103, 110, 90, 100) == [("TAKE_PROFIT", 102, "1", True), ("EXIT", 102, "3", False)]
    assert market.order.exit_reason == "TIME"


@BOTH
def test_the_end_of_the_data_sells_what_is_open_and_cancels_what_waits(side: int) -> None:
    market = entered(side)
    (fill,) = market.order.close_out(market.price(101), SINCE + TF.duration, market.rules)
    assert market.told(fill) == ("EXIT", 100, "1", False)
    assert (market.order.exit_reason, market.order.pnl) == ("END", Decimal(0))
    waiting = Market(side)
    assert waiting.order.close_out(waiting.price(101), SINCE + TF.duration, waiting.rules) == []
    assert waiting.order.exit_reason == "END"
    # Nothing is left to happen.
    assert waiting.order.close_out(waiting.price(90), SINCE + TF.duration, waiting.rules) == []
    assert market.step(1, 50, 50, 50, 50) == []
