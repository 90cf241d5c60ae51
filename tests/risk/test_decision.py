import json
import math
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import DataRejected, InstrumentRules
from contracts.kernel import warm_up
from risk import GATES, CalendarWindow, Decision, RiskProfile, Target, Undecidable, decide, rendered, replay
from risk.decision import bracket_id, decision_id, loss_at_stop
from risk.evaluation import evaluate
from risk.records import VERDICT, limits_of, rules_of
from risk.situation import situation_of
from tests.contracts.instruments import rules
from tests.risk.builders import SPOT, TS, context, funding, hours, minutes, position, short, signal, trade

PROFILE = RiskProfile()
unhurried = settings(deadline=None)


def test_a_long_is_bought_with_the_quantity_the_budget_allows() -> None:
    decision = decide(signal(), context(), PROFILE)
    assert decision.side == "BUY"
    assert (decision.entry, decision.sl) == (Decimal("60000.0"), Decimal("59400.0"))
    assert decision.size == Decimal("0.073")
    # 0.33 · 73 steps = 24.09: twice 24, the last takes 25.
    assert decision.tp_ladder == (
        Target(Decimal(60900), Decimal("0.024")),
        Target(Decimal(61200), Decimal("0.024")),
        Target(Decimal(61800), Decimal("0.025")),
    )
    assert decision.risk.position_value == 4380
    assert decision.risk.risk_amount == Decimal("0.073") * Decimal("683.60005")
    # (1.5 · 24 + 2 · 24 + 3 · 25) / 73
    assert decision.risk.risk_reward == pytest.approx(159 / 73)
    assert decision.entry_expires_at == TS + 6 * minutes(15)
    assert (decision.leverage, decision.rule_id, decision.confidence) == (3, "retest", 0.7)


def test_a_short_is_sold_with_its_stop_above() -> None:
    # The entry slips to 59,988.0, the stop of 60,600 to 60,612.12, in ticks 60,612.2: 624.2 and fees of
    # 0.0005 · 120,600.2 = 60.3001: 684.5001 a unit, 50 / 684.5001 = 0.07304…
    decision = decide(short(), context(), PROFILE)
    assert decision.side == "SELL"
    assert (decision.entry, decision.sl, decision.size) == (Decimal(60000), Decimal(60600), Decimal("0.073"))
    assert [target.price for target in decision.tp_ladder] == [Decimal(59100), Decimal(58800), Decimal(58200)]
    assert decision.risk.risk_amount == Decimal("0.073") * Decimal("684.5001")


def test_a_hold_buys_nothing_and_still_shows_the_prices_it_looked_at() -> None:
    decision = decide(signal(), context(vol_state="SHOCK"), PROFILE)
    assert (decision.side, decision.reason) == ("HOLD", "vol_guard")
    assert decision.size == 0
    assert (decision.entry, decision.sl, decision.tp_ladder) == (Decimal(60000), Decimal(59400), ())
    assert decision.risk.position_value == decision.risk.risk_amount == 0


def test_names_are_those_of_the_tables() -> None:
    # printf '%s' '0123456789abcdef01234567|default|paper' | sha256sum
    decision = decide(signal(), context(), PROFILE)
    assert (
        decision.bracket_id == bracket_id("0123456789abcdef01234567", "default", "paper") == "a229d75a7a485de1327bab4a"
    )
    assert decision.decision_id == decision_id(decision.bracket_id, TS) == "ede808b64b40212a6fbb37c3"
    assert decision.param_set == PROFILE.hash


def test_a_signal_has_one_bracket_and_a_decision_for_each_bar() -> None:
    first = decide(signal(), context(), PROFILE)
    later = decide(signal(), context(ts=TS + minutes(15), now=TS + minutes(15)), PROFILE)
    assert first.bracket_id == later.bracket_id
    assert first.decision_id != later.decision_id
    assert decide(signal(), context(book="live"), PROFILE).bracket_id != first.bracket_id


def test_the_texts_of_a_recorded_decision_can_be_made_again_from_its_numbers() -> None:
    decision = decide(signal(), context(vol_state=None, trades=(trade(ago=minutes(20), stopped=True),)), PROFILE)
    for said in decision.gates:
        again = json.loads(json.dumps({"passed": said.passed, "value": said.value, "limit": said.limit}))
        assert rendered(said.gate, **again) == said.text


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    """What may be different between two contexts that are both possible."""
    equity = draw(st.decimals(Decimal(100), Decimal(10**6), places=2))
    return {
        "close": draw(st.floats(59_000, 61_500)),
        "vol_state": draw(st.sampled_from(["OK", "CHOP", None])),
        "equity": equity,
        "peak_equity": equity * draw(st.integers(100, 115)) / 100,
        "positions": tuple(
            position(draw(st.integers(1, 20_000)), symbol=f"A{k}USDT", stop=draw(st.sampled_from([None, Decimal(97)])))
            for k in range(draw(st.integers(0, 3)))
        ),
        "trades": tuple(
            trade(ago=timedelta(seconds=draw(st.integers(0, 700_000))), r=draw(st.floats(-1.5, 3)), stopped=stopped)
            for stopped in draw(st.lists(st.booleans(), max_size=6))
        ),
        "funding": draw(st.none() | st.floats(-0.001, 0.001).map(lambda rate: funding(last_rate=rate))),
    }


@unhurried
@given(account=accounts(), is_short=st.booleans())
def test_replaying_the_recorded_context_gives_the_same_decision(account: dict[str, Any], *, is_short: bool) -> None:
    decision = decide(short() if is_short else signal(), context(**account), PROFILE)
    stored = json.loads(json.dumps(decision.context, allow_nan=False))
    assert replay(stored) == decision


@pytest.mark.parametrize(
    "stored", [{}, {"signal": {}, "context": {}, "profile": {}}, {"signal": object(), "context": 1, "profile": 1}]
)
def test_what_is_no_recorded_context_is_not_replayed(stored: dict[str, Any]) -> None:
    with pytest.raises(DataRejected, match="a recorded context holds signal, context and profile"):
        replay(stored)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Targets of a profile: multiples in steps of a tenth, shares in hundredths."""
    count = draw(st.integers(1, 5))
    multiples = sorted(draw(st.lists(st.integers(1, 50), min_size=count, max_size=count, unique=True)))
    cuts = sorted(draw(st.lists(st.integers(1, 99), min_size=count - 1, max_size=count - 1, unique=True)))
    shares = [after - before for before, after in pairwise([0, *cuts, 100])]
    return tuple((multiple / 10, share / 100) for multiple, share in zip(multiples, shares, strict=True))


@st.composite
def brackets(draw: st.DrawFn) -> tuple[Decision, RiskProfile, InstrumentRules, Decimal]:
    """Decisions on all kinds of instruments, prices, fees and profiles; gates about the moment pass."""
    tick = draw(st.sampled_from([Decimal(t) for t in ("0.00000001", "0.0001", "0.01", "0.1", "0.25", "5")]))
    step = draw(st.sampled_from([Decimal(t) for t in ("0.00001", "0.001", "1", "1000")]))
    entry = draw(st.integers(200, 2_000_000))
    distance = draw(st.integers(1, draw(st.sampled_from([5, max(1, entry // 20)]))))
    spot = draw(st.booleans())
    side = 1 if spot else draw(st.sampled_from([1, -1]))
    fee, taker = (Decimal(draw(st.integers(0, 1000))) / 10**6 for _ in range(2))
    venue = rules(
        **SPOT if spot else {"max_leverage": draw(st.sampled_from([Decimal(1), Decimal("2.5"), Decimal(20)]))},
        tick_size=tick,
        step_size=step,
        min_qty=step * draw(st.sampled_from([1, 7])),
        market_min_qty=draw(st.sampled_from([None, step * 5])),
        market_step_size=draw(st.sampled_from([None, step, step * 10, step * Decimal("1.5")])),
        max_qty=draw(st.sampled_from([None, step * 500_000])),
        market_max_qty=draw(st.sampled_from([None, step * 300_001])),
        min_price=None,
        max_price=None,
        min_notional=draw(st.sampled_from([None, Decimal(5)])),
        maker_fee=fee,
        taker_fee=taker,
    )
    profile = RiskProfile(
        risk_fraction=draw(st.floats(0.0001, 0.02)),
        capital_share=draw(st.sampled_from([1.0, 0.5, 0.333])),
        slippage=draw(st.integers(0, 2000)) / 1e6,
        symbol_exposure=draw(st.sampled_from([1.0, 0.05, 50.0])),
        direction_exposure=50.0,
        portfolio_heat=draw(st.sampled_from([0.02, 0.03])),
        reward=0.0,
        targets=draw(ladders()),
        stop_atr=(draw(st.sampled_from([0.001, 0.5])), 3.0),
    )
    offset = draw(st.floats(-0.4, 0.4))
    made = signal(
        venue=venue.venue,
        side_hint="LONG" if side > 0 else "SHORT",
        entry_hint=float(entry * tick) + offset * float(tick),
        sl_hint=float((entry - side * distance) * tick),
        atr14=float(distance * tick) * draw(st.floats(0.4, 1.9)),
    )
    equity = round(Decimal(10) + entry * tick * venue.lot_size * draw(st.integers(1, 10**6)), 2)
    account = dict.fromkeys(("equity", "day_start_equity", "peak_equity"), equity)
    close = float((entry - side * distance * Decimal("0.1")) * tick)
    decision = decide(made, context(**account, close=close, rules=venue), profile)
    return decision, profile, venue, equity


def slipped_loss(decision: Decision, venue: InstrumentRules, slippage: Decimal) -> Decimal:
    """What the whole bracket loses if its entry and its stop slip to the tick and both pay the dearer fee."""
    assert decision.entry is not None
    assert decision.sl is not None
    fee = max(venue.maker_fee, venue.taker_fee)
    side = 1 if decision.side == "BUY" else -1
    fills = []
    for price, direction in ((decision.entry, side), (decision.sl, -side)):
        worse = price * (1 + direction * slippage) / venue.tick_size
        fills.append(worse.to_integral_value("ROUND_CEILING" if direction > 0 else "ROUND_FLOOR") * venue.tick_size)
    return decision.size * (side * (fills[0] - fills[1]) + fee * (fills[0] + fills[1]))


@settings(deadline=None, max_examples=400)
@given(brackets())
def test_the_loss_at_the_stop_is_never_above_the_budget(
    drawn: tuple[Decision, RiskProfile, InstrumentRules, Decimal],
) -> None:
    decision, profile, venue, equity = drawn
    assume(decision.side != "HOLD")
    capital = equity * Decimal(str(profile.capital_share))
    budget = capital * Decimal(str(profile.risk_fraction))
    loss = slipped_loss(decision, venue, Decimal(str(profile.slippage)))
    assert loss == decision.risk.risk_amount
    assert loss <= budget
    assert decision.risk.position_value <= capital * Decimal(str(profile.symbol_exposure))
    leverage = 1 if venue.venue == "binance_spot" else min(3, int(venue.max_leverage))
    assert decision.risk.position_value <= capital * leverage
    # Nor is it needlessly small: two steps more (and what float64 cannot tell) would break the budget or a limit.
    two_more = (decision.size + 2 * venue.lot_size) / decision.size * (1 + Decimal("1e-12"))
    most = [limit for limit in (venue.max_qty, venue.market_max_qty) if limit is not None]
    assert (
        loss * two_more > budget
        or loss * two_more > capital * Decimal(str(profile.portfolio_heat))
        or decision.risk.position_value * two_more > capital * Decimal(str(min(profile.symbol_exposure, leverage)))
        or (most and decision.size * two_more > min(most))
        or decision.size == 2**53 * venue.lot_size  # beyond which float64 counts no more
    )


@settings(deadline=None, max_examples=200)
@given(brackets())
def test_a_bracket_survives_the_venue_and_shares_its_whole_quantity(
    drawn: tuple[Decision, RiskProfile, InstrumentRules, Decimal],
) -> None:
    decision, profile, venue, _ = drawn
    assume(decision.side != "HOLD" and decision.entry is not None and decision.sl is not None)
    assert decision.entry is not None
    assert decision.sl is not None
    side = 1 if decision.side == "BUY" else -1
    assert venue.refusal(decision.size, decision.entry) is None
    assert side * (decision.entry - decision.sl) > 0
    assert sum(target.qty for target in decision.tp_ladder) == decision.size
    assert venue.refusal(decision.size, decision.sl, market=True) is None
    for target in decision.tp_ladder:
        assert venue.refusal(target.qty, target.price) is None
        assert venue.refusal(target.qty, decision.sl, market=True) is None
    # Every target rounds inward, by less than a tick, and those that meet there are one rung.
    r = abs(decision.entry - decision.sl)
    ticks = [int(Decimal(str(multiple)) * r / venue.tick_size) for multiple, _ in profile.targets]
    prices = [decision.entry + side * count * venue.tick_size for count in sorted(set(ticks))]
    assert [target.price for target in decision.tp_ladder] == prices
    # A rung has its shares of the whole but for what rounding down left to the last one.
    steps = decision.size / venue.lot_size
    for target, count in zip(decision.tp_ladder[:-1], sorted(set(ticks)), strict=False):
        share = sum(Decimal(str(one)) for tick, (_, one) in zip(ticks, profile.targets, strict=True) if tick == count)
        assert target.qty == math.floor(steps * share) * venue.lot_size or steps > 10**6


def mirrored(records: Any, *, around: float) -> Any:  # noqa: ANN401 - a record
    """The situation whose prices are reflected, and everything about direction with them."""
    other = records.copy()
    other["side"] = -records["side"]
    other["funding_rate"] = -records["funding_rate"]
    for name in ("entry", "stop", "close"):
        other[name] = around - records[name]
    other["long_notional"], other["short_notional"] = records["short_notional"], records["long_notional"]
    return other


@settings(deadline=None, max_examples=300)
@given(
    st.integers(590_000, 610_000),
    st.integers(-2_000, 12_000),
    st.integers(1, 6_000),
    st.integers(590_000, 612_000),
    st.floats(-0.001, 0.001),
    st.floats(0, 30_000),
)
def test_a_mirrored_market_gives_the_mirrored_decision(
    entry: int, distance: int, atr14: int, close: int, rate: float, held: float
) -> None:
    """Fees, slippage and notional are shares of the price, which has no mirror image: they are left out."""
    assume(distance != 0)
    warm_up()
    situation = situation_of(signal(), context(), PROFILE)
    limits, venue = limits_of(PROFILE), rules_of(rules())
    venue["tick"], venue["fee"], venue["least_notional"] = 1.0, 0.0, 0.0
    limits["slippage_ppm"] = 0
    for name in ("symbol_exposure", "direction_exposure", "leverage"):
        limits[name] = np.inf
    venue["leverage"] = np.inf
    situation["entry"], situation["stop"], situation["atr14"] = entry, entry - distance, atr14
    situation["close"], situation["funding_rate"], situation["equity"] = close, rate, 1e7
    situation["day_start"] = situation["peak"] = 1e7
    situation["long_notional"] = held
    one, other = np.zeros(1, VERDICT), np.zeros(1, VERDICT)
    evaluate(situation[0], limits[0], venue[0], one[0])
    evaluate(mirrored(situation, around=1_200_000.0)[0], limits[0], venue[0], other[0])
    assert one["passed"] == other["passed"]
    assert one["first"] == other["first"]
    assert one["steps"] == other["steps"]
    assert (one["rung"] == other["rung"]).all()
    assert one["loss"] == other["loss"]
    for name in ("entry", "stop"):
        assert (one[name] == 0) == (other[name] == 0)
        assert one[name][0] == 0 or one[name][0] + other[name][0] == 1_200_000
    for place, gate in enumerate(GATES):
        if gate not in ("symbol_exposure", "direction_exposure", "leverage"):
            assert one["value"][0][place] == pytest.approx(other["value"][0][place], rel=1e-9, abs=1e-12, nan_ok=True)


def test_the_exact_loss_counts_both_slips_and_both_fees() -> None:
    loss = loss_at_stop(
        rules(), entry=Decimal(60000), stop=Decimal(59400), quantity=Decimal("0.073"), slippage=PROFILE.slippage
    )
    assert loss == Decimal("49.90280365")


def test_rules_of_another_instrument_are_refused() -> None:
    with pytest.raises(Undecidable, match=r"binance_usdm:BTCUSDT:15m .* was given the rules of binance_usdm:ETHUSDT"):
        decide(signal(), context(rules=rules(symbol="ETHUSDT")), PROFILE)


def test_a_signal_that_has_lived_is_not_decided_on() -> None:
    last = TS + 5 * minutes(15)
    assert decide(signal(), context(ts=last, now=last), PROFILE).side == "BUY"
    ended = TS + 6 * minutes(15)
    with pytest.raises(Undecidable, match=r"lives until 2026-03-02T11:30:00\+00:00 and was given the bar of"):
        decide(signal(), context(ts=ended, now=ended), PROFILE)


def test_the_status_of_a_zone_is_told_where_there_is_a_zone_and_nowhere_else() -> None:
    with pytest.raises(Undecidable, match="has the zone OB, the context tells the status None"):
        decide(signal(), context(zone_status=None), PROFILE)
    without = signal(zone_kind=None, zone_created_ts=None)
    with pytest.raises(Undecidable, match="has the zone None, the context tells the status ACTIVE"):
        decide(without, context(), PROFILE)
    assert decide(without, context(zone_status=None), PROFILE).side == "BUY"


# What a decision path that looks one bar ahead would do, and what stops it.

BAR = minutes(15)


def test_the_bar_after_the_clock_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"the bar is of 2026-03-02T10:15:00.* a decision sees nothing from"):
        context(ts=TS + BAR)


def test_a_signal_of_the_next_bar_is_refused_at_this_one() -> None:
    with pytest.raises(Undecidable, match="drop one of them"):
        decide(signal(ts=TS + BAR), context(), PROFILE)


def test_an_exit_or_a_settled_rate_after_the_clock_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"an exit of BTCUSDT is of .*, after the clock"):
        context(trades=(trade(ago=-BAR),))
    with pytest.raises(ValidationError, match=r"the settled funding rate is of .*, after the clock"):
        context(funding=funding(last_time=TS + BAR))


def test_an_event_that_becomes_known_one_bar_later_is_not_seen() -> None:
    def at(known_from: timedelta) -> Decision:
        event = CalendarWindow(
            ts_start=TS + minutes(20),
            ts_end=TS + minutes(20),
            severity="HIGH",
            currency="USD",
            known_from=TS + known_from,
        )
        return decide(signal(), context(calendar=(event,)), PROFILE)

    assert at(minutes(0)).reason == "news_guard"
    assert at(BAR).reason is None
    # Known to the clock, which is two seconds on, and not yet at the bar: a backtest would not have seen it.
    assert at(timedelta(seconds=1)).reason is None


@pytest.mark.parametrize("name", ["ts", "signal_ts"])
def test_a_compiled_loop_that_runs_one_bar_ahead_is_refused_by_a_gate(name: str) -> None:
    warm_up()
    situation, verdict = situation_of(signal(), context(), PROFILE), np.zeros(1, VERDICT)
    situation[name] += BAR // timedelta(microseconds=1)
    evaluate(situation[0], limits_of(PROFILE)[0], rules_of(rules())[0], verdict[0])
    assert GATES[verdict["first"][0]] == {"ts": "fresh", "signal_ts": "still_valid"}[name]


def test_every_clock_of_the_gates_is_the_bar_and_none_is_a_bar_ahead() -> None:
    """Each of these would turn from no to yes, or back, if its gate looked one bar further."""
    for failing, change in (
        ("cooldown", {"trades": (trade(ago=3 * BAR, stopped=True),)}),
        ("low_profit", {"trades": (trade(ago=hours(24) - BAR, r=-2.0),)}),
        ("stoploss_guard", {"trades": tuple(trade(ago=hours(h), stopped=True) for h in (13, 12, 11.75))}),
        ("funding_guard", {"funding": funding(last_time=TS - minutes(10))}),
        (None, {"funding": funding(next_time=TS + minutes(20))}),
    ):
        assert decide(signal(), context(**change), PROFILE).reason == failing


def test_a_profile_of_another_name_decides_alike_under_another_bracket() -> None:
    one, other = (decide(signal(), context(), RiskProfile(name=name)) for name in ("default", "twin"))
    assert one.bracket_id != other.bracket_id
    same = {"bracket_id": "", "decision_id": "", "profile": "", "context": {}}
    assert replace(one, **same) == replace(other, **same)  # type: ignore[arg-type] # of four types
