"""Where the bracket stands and when it is too small; how much it may lose is in test_decision."""

from collections.abc import Callable
from decimal import Decimal

import numba
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk import GATES, Decision, RiskProfile, Signal, decide
from risk.sizing import slip
from tests.contracts.instruments import rules
from tests.risk.builders import context, short, signal


def said(decision: Decision, gate: str) -> float | None:
    return decision.gates[GATES.index(gate)].value


def test_the_entry_rounds_to_the_better_price_and_the_stop_outward() -> None:
    bought = decide(signal(entry_hint=60000.06, sl_hint=59400.06), context(), RiskProfile())
    assert (bought.entry, bought.sl) == (Decimal("60000.0"), Decimal("59400.0"))
    sold = decide(short(entry_hint=60000.04, sl_hint=60600.04), context(), RiskProfile())
    assert (sold.entry, sold.sl) == (Decimal("60000.1"), Decimal("60600.1"))


def test_targets_round_toward_the_entry() -> None:
    # 1.5 · 600.1 = 900.15.
    bought = decide(signal(sl_hint=59399.9), context(), RiskProfile())
    assert bought.tp_ladder[0].price == Decimal("60900.1")
    sold = decide(short(sl_hint=60600.1), context(), RiskProfile())
    assert sold.tp_ladder[0].price == Decimal("59099.9")


@settings(deadline=None)
@given(st.floats(59_000, 61_000), st.floats(10, 3000), st.floats(20, 4000), st.sampled_from([1, -1]))
def test_rounding_is_toward_less_risk_whatever_the_prices(entry: float, away: float, atr14: float, side: int) -> None:
    fields = {"entry_hint": entry, "sl_hint": entry - side * away, "atr14": atr14}
    decision = decide((signal if side > 0 else short)(**fields), context(close=entry), RiskProfile())
    assert decision.entry is not None
    assert decision.sl is not None
    better = side * (entry - float(decision.entry))
    assert -1e-6 <= better < 0.1 + 1e-6
    moved = max(away - better, 0.5 * atr14)
    outward = side * float(decision.entry - decision.sl) - moved
    assert -1e-6 <= outward < 0.1 + 1e-6
    assert said(decision, "stop_distance") == pytest.approx(float(abs(decision.entry - decision.sl)) / atr14)


def test_a_stop_nearer_than_half_an_atr_is_moved_out_to_it() -> None:
    bought = decide(signal(sl_hint=59950.0), context(), RiskProfile())
    assert bought.sl == Decimal(59800)
    assert said(bought, "stop_distance") == 0.5
    assert bought.tp_ladder[0].price == Decimal(60300)  # 1.5 of the 200 it now is


def test_a_stop_on_the_wrong_side_is_not_moved_to_the_right_one() -> None:
    wrong = signal().model_copy(update={"sl_hint": 60100.0})  # as an unchecked loop might
    decision = decide(wrong, context(), RiskProfile())
    assert decision.reason == "stop_distance"
    assert said(decision, "stop_distance") == -0.25


def test_a_signal_without_atr14_has_no_bracket() -> None:
    decision = decide(signal(atr14=None), context(), RiskProfile())
    assert decision.side == "HOLD"
    assert not decision.gates[GATES.index("stop_distance")].passed
    assert (decision.entry, decision.sl) == (None, None)


@pytest.mark.parametrize(
    ("least_price", "most_price"), [("59400.1", None), (None, "61799.9"), ("60000", None), (None, "59000")]
)
def test_a_bracket_with_a_price_outside_the_venue_s_bounds_is_refused(
    least_price: str | None, most_price: str | None
) -> None:
    bounded = rules(
        min_price=None if least_price is None else Decimal(least_price),
        max_price=None if most_price is None else Decimal(most_price),
    )
    decision = decide(signal(), context(rules=bounded), RiskProfile())
    assert decision.reason == "size"
    assert said(decision, "size") is None


def test_a_bracket_whose_prices_are_the_venue_s_bounds_is_not_refused() -> None:
    exact = rules(min_price=Decimal(59400), max_price=Decimal(61800))
    assert decide(signal(), context(rules=exact), RiskProfile()).side == "BUY"


def test_the_target_of_a_short_that_would_lie_below_zero_is_refused() -> None:
    deep = short(entry_hint=1000.0, sl_hint=1400.0, atr14=200.0)
    decision = decide(deep, context(close=1000.0, rules=rules(min_price=None)), RiskProfile())
    assert decision.reason == "size"


@pytest.mark.parametrize(
    ("least_notional", "least", "passes"),
    [
        # Every rung must be worth it at the stop of 59,400, even if stopped: 1,400 / 59.4 = 23.6 steps, thus 24;
        # 24 / 0.33 = 72.7: 73 of 0.001.
        ("1400", 0.073, True),
        # 1,426 / 59.4 = 24.007: 25 / 0.33 = 75.8.
        ("1426", 0.076, False),
    ],
)
def test_every_rung_is_worth_the_least_notional_even_at_the_stop(
    least_notional: str, least: float, *, passes: bool
) -> None:
    decision = decide(signal(), context(rules=rules(min_notional=Decimal(least_notional))), RiskProfile())
    size = decision.gates[GATES.index("size")]
    assert (size.passed, size.value) == (passes, 0.073)
    assert size.limit == pytest.approx(least)


def test_the_rungs_of_a_short_are_worth_least_at_its_targets() -> None:
    # The third target of 58,200 has 34 %: 1,400 / 58.2 = 24.05, thus 25 / 0.34 = 73.5: 74.
    # The second of 58,800 has 33 %: 1,400 / 58.8 = 23.8, thus 24 / 0.33 = 72.7: 73.
    decision = decide(short(), context(rules=rules(min_notional=Decimal(1400))), RiskProfile())
    assert decision.gates[GATES.index("size")].limit == pytest.approx(0.074)
    assert decision.reason == "size"


def ladder(decision: Decision) -> list[tuple[str, str]]:
    return [(str(rung.price), str(rung.qty)) for rung in decision.tp_ladder]


# A stop one tick away: fees would never be worth it, and what stands in the market is bounded by the equity alone:
# 10,000 / 60,000 = 0.1666…: 0.166.
TIGHT = {"sl_hint": 59999.9, "atr14": 0.2}


def tight(*targets: tuple[float, float]) -> RiskProfile:
    return RiskProfile(targets=targets, reward=0.0)


@pytest.mark.parametrize(
    ("targets", "rungs"),
    [
        # 1.5, 2.0 and 2.5 ticks are 1, 2 and 2: 0.33 · 166 = 54.78, the rest is the last rung's.
        (((1.5, 0.33), (2.0, 0.33), (2.5, 0.34)), [("60000.1", "0.054"), ("60000.2", "0.112")]),
        # 1.0, 1.9 and 3.0 are 1, 1 and 3: 0.66 · 166 = 109.56.
        (((1.0, 0.33), (1.9, 0.33), (3.0, 0.34)), [("60000.1", "0.109"), ("60000.3", "0.057")]),
        (((1.0, 0.5), (1.1, 0.25), (1.9, 0.25)), [("60000.1", "0.166")]),
    ],
)
def test_targets_that_come_to_the_same_tick_are_one_rung_with_the_shares_of_all(
    targets: tuple[tuple[float, float], ...], rungs: list[tuple[str, str]]
) -> None:
    decision = decide(signal(**TIGHT), context(), tight(*targets))
    assert (decision.side, ladder(decision)) == ("BUY", rungs)
    mirrored = decide(short(sl_hint=60000.1, atr14=0.2), context(), tight(*targets))
    assert mirrored.side == "SELL"
    assert [(2 * Decimal(60000) - rung.price, rung.qty) for rung in mirrored.tp_ladder] == [
        (Decimal(price), Decimal(qty)) for price, qty in rungs
    ]


def test_rungs_that_are_one_need_the_least_quantity_once() -> None:
    # 0.06 in rungs of 66 % and 34 %: 60 / 0.34 = 176.47 steps: 177. Rungs of 33 % would need 60 / 0.33 = 181.8.
    least = context(rules=rules(min_qty=Decimal("0.06")))
    decision = decide(signal(**TIGHT), least, tight((1.0, 0.33), (1.9, 0.33), (3.0, 0.34)))
    assert decision.gates[GATES.index("size")].limit == pytest.approx(0.177)


@pytest.mark.parametrize("make", [signal, short])
def test_a_first_target_that_is_no_tick_from_the_entry_is_refused(make: Callable[..., Signal]) -> None:
    stop, close = (59999.9, 59999.95) if make is signal else (60000.1, 60000.05)
    decision = decide(make(sl_hint=stop, atr14=0.2), context(close=close), tight((0.5, 0.5), (2.0, 0.5)))
    assert (decision.side, decision.reason) == ("HOLD", "size")
    assert said(decision, "size") is None


def test_quantities_are_multiples_of_what_a_market_order_may_close() -> None:
    # The budget buys 0.073; stops and time stops are market orders in hundredths: 7 of them, 0.33 · 7 = 2.31.
    decision = decide(signal(), context(rules=rules(market_step_size=Decimal("0.01"))), RiskProfile())
    assert decision.size == Decimal("0.07")
    assert [rung.qty for rung in decision.tp_ladder] == [Decimal("0.02"), Decimal("0.02"), Decimal("0.03")]


def test_a_lot_is_a_multiple_of_both_steps() -> None:
    # 0.004 and 0.01 have 0.02 in common: three of these are 0.06, of which the half rounds down to one.
    stated = rules(step_size=Decimal("0.004"), market_step_size=Decimal("0.01"))
    decision = decide(signal(), context(rules=stated), RiskProfile(targets=((1.5, 0.5), (2.0, 0.5))))
    assert decision.size == Decimal("0.06")
    assert [rung.qty for rung in decision.tp_ladder] == [Decimal("0.02"), Decimal("0.04")]


def test_one_target_takes_the_whole_quantity() -> None:
    decision = decide(signal(), context(), RiskProfile(targets=((2.0, 1.0),)))
    assert [(target.price, target.qty) for target in decision.tp_ladder] == [(Decimal(61200), Decimal("0.073"))]
    assert decision.risk.risk_reward == 2.0


def test_without_fees_and_slippage_any_first_target_is_worth_it() -> None:
    free = rules(maker_fee=Decimal(0), taker_fee=Decimal(0))
    decision = decide(signal(), context(rules=free), RiskProfile(slippage=0.0))
    # 50 / 600 = 0.0833…
    assert decision.size == Decimal("0.083")
    assert said(decision, "reward") is None
    assert decision.gates[-1].text == "there are no fees and no slippage"


@numba.njit(error_model="numpy")
def _slip(ticks: int, ppm: int) -> int:
    return slip(ticks, ppm)


@pytest.mark.parametrize(
    ("ticks", "ppm", "slipped"), [(600_000, 200, 120), (600_001, 200, 121), (594_000, 200, 119), (1, 1, 1), (7, 0, 0)]
)
def test_slippage_is_whole_ticks_rounded_up(ticks: int, ppm: int, slipped: int) -> None:
    assert _slip(ticks, ppm) == slipped
