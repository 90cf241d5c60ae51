"""What a decision puts at risk, held against the fill model: two rooms that know nothing of each other."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from contracts import InstrumentRules, Timeframe
from risk import Decision, RiskContext, RiskProfile, Signal
from risk.evaluation import evaluate
from risk.records import VERDICT, limits_of, rules_of
from risk.situation import situation_of
from tests.risk.test_decision import brackets
from venues.fills import Bar, Bracket, BracketOrder, FillTerms, step
from venues.fills.asked import refused
from venues.fills.conversion import costs_of
from venues.fills.records import ACCEPTED, BRACKET
from venues.fills.values import Side

TF = Timeframe("15m")
SINCE = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def bar(number: int, first: Decimal, last: Decimal) -> Bar:
    """A bar that goes straight from one price to another."""
    begin = SINCE + number * TF.duration
    return Bar(begin, begin + TF.duration, first, max(first, last), min(first, last), last)


def ask_of(decision: Decision) -> Bracket:
    assert decision.entry is not None
    assert decision.sl is not None
    ladder = tuple((target.price, target.qty) for target in decision.tp_ladder)
    side: Side = "BUY" if decision.side == "BUY" else "SELL"
    return Bracket(side, decision.entry, decision.sl, ladder, since=SINCE, tf=TF, ttl_bars=6)


@settings(deadline=None, max_examples=500)
@given(brackets())
def test_a_bracket_that_passes_every_gate_is_taken_by_the_fill_model(
    drawn: tuple[Decision, RiskProfile, InstrumentRules, Decimal],
) -> None:
    decision, profile, venue, _ = drawn
    event(f"{decision.reason} {len(profile.targets) - len(decision.tp_ladder)} merged")
    assume(decision.side != "HOLD")
    terms = FillTerms(Decimal(str(profile.slippage)), leverage=Decimal(decision.leverage))
    record = BracketOrder(ask_of(decision), venue, terms)._records[0]
    # What the loop of a backtest places is the verdict itself, never turned into money.
    given_context = RiskContext.model_validate(decision.context["context"])
    made = Signal.model_validate(decision.context["signal"])
    verdict = np.zeros(1, VERDICT)
    evaluate(situation_of(made, given_context, profile)[0], limits_of(profile)[0], rules_of(venue)[0], verdict[0])
    placed, row = np.zeros(1, BRACKET), verdict[0]
    placed["side"], placed["rungs"] = 1 if decision.side == "BUY" else -1, row["targets"]
    for name in ("entry", "stop", "steps"):
        placed[name] = row[name]
        assert row[name] == record[name]
    count = int(row["targets"])
    placed["targets"][0][:count], placed["shares"][0][:count] = row["target"][:count], row["rung"][:count]
    assert (placed["targets"] == record["targets"]).all()
    assert (placed["shares"] == record["shares"]).all()
    assert refused(placed[0], costs_of(venue, terms)[0]) == ACCEPTED


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
    order = BracketOrder(ask_of(decision), venue, FillTerms(Decimal(str(profile.slippage))))
    # It opens at the limit's better side and takes, or falls through the limit, which rests: then down to the stop.
    begins = entry + side * opens * tick
    assume(stop - side * beyond * tick > 0)
    for path in (bar(0, begins, entry - side * tick), bar(1, entry - side * tick, stop - side * beyond * tick)):
        step(order, path, (), venue)
    assert (order.state, order.exit_reason) == ("DONE", "STOP")
    assert 0 < -order.pnl <= decision.risk.risk_amount
