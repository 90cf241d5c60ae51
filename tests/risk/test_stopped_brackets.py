"""What a decision puts at risk, held against the fill model: two rooms that know nothing of each other."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contracts import InstrumentRules, Timeframe
from risk import Decision, RiskProfile
from tests.risk.test_decision import brackets
from venues.fills import Bar, Bracket, BracketOrder, FillTerms, step

TF = Timeframe("15m")
SINCE = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def bar(number: int, first: Decimal, last: Decimal) -> Bar:
    """A bar that goes straight from one price to another."""
    begin = SINCE + number * TF.duration
    return Bar(begin, begin + TF.duration, first, max(first, last), min(first, last), last)


@settings(deadline=None, max_examples=300)
@given(brackets(), st.sampled_from([-1, 1]), st.integers(0, 50))
def test_a_bracket_that_is_stopped_without_a_gap_loses_no_more_than_was_decided(
    drawn: tuple[Decision, RiskProfile, InstrumentRules, Decimal], opens: int, beyond: int
) -> None:
    decision, profile, venue, _ = drawn
    assume(decision.side != "HOLD")
    entry, stop, tick = decision.entry, decision.sl, venue.tick_size
    assert entry is not None
    assert stop is not None
    side = 1 if decision.side == "BUY" else -1
    assume(side * (entry - stop) > 2 * tick)
    ask = Bracket(
        "BUY" if side > 0 else "SELL",
        entry,
        stop,
        tuple((target.price, target.qty) for target in decision.tp_ladder),
        since=SINCE,
        tf=TF,
        ttl_bars=6,
    )
    order = BracketOrder(ask, venue, FillTerms(Decimal(str(profile.slippage))))
    # It opens at the limit's better side and takes, or falls through the limit, which rests: then down to the stop.
    begins = entry + side * opens * tick
    assume(stop - side * beyond * tick > 0)
    for path in (bar(0, begins, entry - side * tick), bar(1, entry - side * tick, stop - side * beyond * tick)):
        step(order, path, (), venue)
    assert (order.state, order.exit_reason) == ("DONE", "STOP")
    assert 0 < -order.pnl <= decision.risk.risk_amount
