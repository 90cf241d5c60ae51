"""Every gate of the table fails alone and names itself, with numbers worked by hand from the case of `builders`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.kernel import warm_up
from risk import GATES, RiskProfile, decide
from risk.context import CalendarWindow
from risk.evaluation import evaluate
from risk.gates import holds
from risk.records import LIMITS, RULES, SITUATION, VERDICT, limits_of, rules_of
from risk.situation import situation_of
from tests.contracts.instruments import rules
from tests.risk.builders import SPOT, TS, bracket, context, funding, hours, minutes, position, short, signal, trade

PROFILE = RiskProfile()


@dataclass(frozen=True)
class Case:
    """One change and what the gate then says; a limit or a value of None is a number that does not exist."""

    gate: str
    value: float | None
    limit: float
    text: str
    signal: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)


def event(*, start: float, end: float | None = None, severity: str = "HIGH", currency: str = "USD") -> CalendarWindow:
    """An event so many minutes after the bar."""
    return CalendarWindow.model_validate(
        {
            "ts_start": TS + minutes(start),
            "ts_end": TS + minutes(start if end is None else end),
            "severity": severity,
            "currency": currency,
            "known_from": TS - hours(48),
        }
    )


CASES = [
    Case("trading_state", 1, 0, "trading is REDUCING: no entries", context={"trading_state": "REDUCING"}),
    Case("trading_state", 2, 0, "trading is HALTED: no entries", context={"trading_state": "HALTED"}),
    Case("tradable", 1, 0, "the symbol's status is not TRADING", context={"rules": rules(status="BREAK")}),
    Case("fresh", 61, 60, "the bar is 61.000 s old, 60 s would be allowed", context={"now": TS + minutes(61 / 60)}),
    # Half of 1m is 30 s; the stop of a 1m signal may be as far as that of any other.
    Case(
        "fresh",
        31,
        30,
        "the bar is 31.000 s old, 30 s would be allowed",
        signal={"tf": "1m"},
        context={"now": TS + minutes(31 / 60)},
    ),
    Case(
        "still_valid",
        None,
        1,
        "the zone is no longer ACTIVE, or the signal has expired",
        context={"zone_status": "MITIGATED"},
    ),
    # The first target is 60,000 + 1.5 · 600 = 60,900: the way from the stop is 1,500.
    Case(
        "still_valid",
        0,
        1,
        "the close stands at 0.0% of the way from stop to first target: not between them",
        context={"close": 59400.0},
    ),
    Case(
        "still_valid",
        1,
        1,
        "the close stands at 100.0% of the way from stop to first target: not between them",
        context={"close": 60900.0},
    ),
    Case(
        "news_guard",
        -20,
        30,
        "20 min before an event of the calendar, 30 min must be kept clear",
        context={"calendar": (event(start=20),)},
    ),
    Case(
        "news_guard",
        10,
        10,
        "10 min after an event of the calendar, 10 min must be kept clear",
        context={"calendar": (event(start=-40, end=-10, severity="MED"),)},
    ),
    Case(
        "news_guard",
        0,
        30,
        "in the midst of an event of the calendar, 30 min must be kept clear",
        context={"calendar": (event(start=-60, end=60, currency="ALL"),)},
    ),
    Case(
        "funding_guard",
        -10,
        10,
        "10 min before funding, 10 min must be kept clear",
        context={"funding": funding(next_time=TS + minutes(10))},
    ),
    Case(
        "funding_guard",
        4,
        10,
        "4 min after funding, 10 min must be kept clear",
        context={"funding": funding(last_time=TS - minutes(4))},
    ),
    Case(
        "funding_guard",
        0.0005,
        0.0005,
        "the last settled funding rate against this side is 0.0500%, the limit is 0.0500%",
        context={"funding": funding(last_rate=0.0005)},
    ),
    Case("funding_guard", None, 0.0005, "no settled funding rate is known", context={"funding": None}),
    Case("vol_guard", 1, 0, "volatility is CHOP", context={"vol_state": "CHOP"}),
    Case("vol_guard", 2, 0, "volatility is SHOCK", context={"vol_state": "SHOCK"}),
    Case("vol_guard", None, 0, "there is no regime yet", context={"vol_state": None}),
    Case("structure", 0, 1, "the structure does not support this side", signal={"structure_ok": False}),
    Case("trigger", 1, 2, "1 of ema200, macd and rsi agree, 2 are needed", signal={"macd": False}),
    # Stopped 59 minutes ago: three whole bars of 15 minutes.
    Case(
        "cooldown",
        3,
        4,
        "3 bars since the symbol's last stop, 4 are needed",
        context={"trades": (trade(ago=minutes(59), stopped=True),)},
    ),
    Case(
        "stoploss_guard",
        6,
        12,
        "6.00 h since too many stops came together, 12 h are needed",
        context={"trades": tuple(trade(ago=hours(h), stopped=True, symbol="ETHUSDT") for h in (29.5, 20, 6))},
    ),
    Case(
        "low_profit",
        10,
        24,
        "10.00 h since the symbol's losses locked it, 24 h are needed",
        context={"trades": (trade(ago=hours(100), r=-0.75), trade(ago=hours(10), r=-1.25))},
    ),
    # (10,400 − 10,000) / 10,400; 300 / 10,000 is the limit itself.
    Case(
        "daily_drawdown",
        400 / 10400,
        0.03,
        "equity is 3.85% below the day's start, entries end at 3.00%",
        context={"day_start_equity": Decimal(10_400), "peak_equity": Decimal(10_400)},
    ),
    Case(
        "total_drawdown",
        0.2,
        0.10,
        "equity is 20.00% below its peak, entries end at 10.00%",
        context={"peak_equity": Decimal(12_500)},
    ),
    Case(
        "max_positions",
        4,
        4,
        "4 positions or unfilled brackets of at most 4 there may be",
        context={
            "positions": tuple(position(100, symbol=f"A{k}USDT") for k in range(3)),
            "brackets": (bracket(symbol="A9USDT", unfilled=Decimal("0.01")),),
        },
    ),
    Case(
        "symbol_free",
        1,
        0,
        "1 bracket(s) open on the symbol already",
        context={"brackets": (bracket(profile="another"),)},
    ),
    # The distance stays 600.
    Case(
        "stop_distance",
        4,
        3,
        "the stop is 4 atr14 from the entry, at most 3 are allowed",
        signal={"atr14": 150.0},
    ),
    # The least order is 0.004 (0.001 ÷ 0.33, in steps): 240 of notional, 2.7344002 lost at the stop.
    Case(
        "symbol_exposure",
        1.02,
        1,
        "the symbol's exposure would be, with the least order the venue takes, 102.00% of equity, at most 100.00%",
        context={"positions": (position(9960, symbol="BTCUSDT"),)},
    ),
    Case(
        "direction_exposure",
        2.004,
        2,
        "the direction's exposure would be, with the least order the venue takes, 200.40% of equity, at most 200.00%",
        context={"positions": (position(19_800),)},
    ),
    # 99 units of 100 with the stop 2 below: 198 at risk.
    Case(
        "portfolio_heat",
        0.02007344002,
        0.02,
        "the loss at all stops would be, with the least order the venue takes, 2.01% of equity, at most 2.00%",
        context={"positions": (position(9900, stop=Decimal(98)),)},
    ),
    Case(
        "leverage",
        3.004,
        3,
        "notional ÷ equity would be, with the least order the venue takes, 3.004, at most 3",
        context={"positions": (position(29_800, side="SHORT"),)},
    ),
    # Every rung of 33 % needs 0.03: the whole 0.0909…, in steps 0.091.
    Case(
        "size",
        0.073,
        0.091,
        "the risk buys 0.073, the venue needs 0.091 or more",
        context={"rules": rules(min_qty=Decimal("0.03"))},
    ),
    # 0.5 atr14 = 100 away: the first target is 60,150. It makes 1,500 ticks; fees cost 0.0005 · (600,000 + 601,500)
    # = 600.75 ticks, slippage 120 and 120.3, in whole ticks 121: 1,500 / 841.75.
    Case(
        "reward",
        1500 / 841.75,
        3,
        "the first target is 1.78 times fees and slippage, 3 times are needed",
        signal={"sl_hint": 59900.0, "atr14": 200.0},
    ),
]


def test_the_case_they_all_differ_from_passes_every_gate() -> None:
    decision = decide(signal(), context(), PROFILE)
    assert [result.gate for result in decision.gates] == list(GATES)
    assert all(result.passed for result in decision.gates)
    assert decision.reason is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.gate}-{case.value}")
def test_a_gate_that_fails_alone_names_itself_its_value_and_its_limit(case: Case) -> None:
    decision = decide(signal(**case.signal), context(**case.context), PROFILE)
    assert [result.gate for result in decision.gates if not result.passed] == [case.gate]
    assert decision.reason == case.gate
    assert decision.side == "HOLD"
    said = decision.gates[GATES.index(case.gate)]
    assert said.value == (None if case.value is None else pytest.approx(case.value, rel=1e-12))
    assert said.limit == pytest.approx(case.limit, rel=1e-12)
    assert said.text == case.text


def test_there_is_such_a_case_for_every_gate() -> None:
    assert {case.gate for case in CASES} == set(GATES)


def test_spot_cannot_be_sold_short() -> None:
    decision = decide(short(venue="binance_spot"), context(rules=rules(**SPOT), funding=None), PROFILE)
    assert decision.reason == "tradable"
    assert decision.gates[1].text == "spot cannot be sold short"


def test_spot_pays_no_funding_and_borrows_nothing() -> None:
    decision = decide(signal(venue="binance_spot"), context(rules=rules(**SPOT), funding=None), PROFILE)
    said = {result.gate: result for result in decision.gates}
    assert decision.side == "BUY"
    assert said["funding_guard"].text == "spot pays no funding"
    assert said["leverage"].limit == 1
    assert decision.leverage == 1


def test_a_venue_that_lends_less_than_the_profile_would_take_sets_the_limit() -> None:
    decision = decide(signal(), context(rules=rules(max_leverage=Decimal(2))), PROFILE)
    assert decision.gates[GATES.index("leverage")].limit == 2
    assert decision.leverage == 2


def test_the_leverage_of_the_gate_is_the_whole_number_that_is_set_at_the_venue() -> None:
    held = position(24_900, side="SHORT")
    decision = decide(signal(), context(rules=rules(max_leverage=Decimal("2.5")), positions=(held,)), PROFILE)
    assert decision.leverage == 2
    # What is held is 2.49 times the equity; the venue would lend 2.5 times, had it been asked.
    assert (decision.reason, decision.gates[GATES.index("leverage")].limit) == ("leverage", 2)


def test_the_first_of_several_failing_gates_in_the_order_of_the_table_is_the_reason() -> None:
    decision = decide(signal(structure_ok=False), context(vol_state="CHOP", peak_equity=Decimal(20_000)), PROFILE)
    failing = [result.gate for result in decision.gates if not result.passed]
    assert failing == ["vol_guard", "structure", "total_drawdown"]
    assert decision.reason == "vol_guard"


@pytest.mark.parametrize(
    ("change", "passes"),
    [
        ({"now": TS + minutes(1)}, True),  # exactly 60 s old
        ({"calendar": (event(start=31),)}, True),
        ({"calendar": (event(start=30),)}, False),
        ({"calendar": (event(start=-60, end=-31),)}, True),
        ({"calendar": (event(start=-60, end=-30),)}, False),
        ({"calendar": (event(start=11, severity="MED"),)}, True),
        ({"calendar": (event(start=5, currency="EUR"),)}, True),
        ({"calendar": (event(start=5, currency="BTC"),)}, False),
        ({"funding": funding(next_time=TS + minutes(11))}, True),
        ({"funding": funding(last_time=TS - minutes(11))}, True),
        ({"funding": funding(last_time=TS - minutes(10))}, False),
        ({"funding": funding(last_rate=-0.01)}, True),  # paid to a long
        ({"trades": (trade(ago=minutes(60), stopped=True),)}, True),  # four whole bars
        ({"trades": (trade(ago=minutes(5), stopped=True, symbol="ETHUSDT"),)}, True),  # of another symbol
        ({"trades": (trade(ago=minutes(5), r=-1.9),)}, True),  # no stop, and not −2R
        ({"trades": tuple(trade(ago=hours(h), stopped=True) for h in (30, 20, 6))}, True),  # 24 h apart: not within
        ({"trades": tuple(trade(ago=hours(h), stopped=True) for h in (30, 20, 12))}, True),  # locked for 12 h: over
        ({"trades": (trade(ago=hours(24), r=-5.0),)}, True),
        ({"trades": (trade(ago=hours(23), r=-5.0),)}, False),
        ({"trades": (trade(ago=hours(10), r=-3.0, symbol="ETHUSDT"),)}, True),
        ({"day_start_equity": Decimal(10_300), "peak_equity": Decimal(10_300)}, True),  # 2.9 %
        ({"brackets": (bracket(venue="binance_spot"),)}, True),
        ({"positions": tuple(position(100, symbol=f"A{k}USDT") for k in range(3))}, True),
        ({"positions": tuple(position(100, symbol=f"A{k}USDT", profile="other") for k in range(9))}, True),
    ],
)
def test_a_step_on_either_side_of_a_limit_decides(change: dict[str, Any], *, passes: bool) -> None:
    assert (decide(signal(), context(**change), PROFILE).reason is None) == passes


def test_a_short_is_charged_what_a_long_is_paid() -> None:
    charged = decide(short(), context(funding=funding(last_rate=-0.0005)), PROFILE)
    assert charged.reason == "funding_guard"
    assert decide(short(), context(funding=funding(last_rate=0.01)), PROFILE).reason is None


numbers = st.one_of(st.floats(0.01, 1e6), st.sampled_from([0.0, -1.0, float("nan"), float("inf")]))


# Counts of places, what is divided by, and windows of whole minutes: models keep nonsense from these.
_KEPT = {"targets", "tf", "tick", "step", "funding_before", "funding_after"}


@st.composite
def records(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Situations, profiles and rules of which hardly anything is sensible."""
    situation = situation_of(signal(), context(), PROFILE)
    limits, venue = limits_of(PROFILE), rules_of(rules())
    for record, dtype in ((situation, SITUATION), (limits, LIMITS), (venue, RULES)):
        for name in draw(st.lists(st.sampled_from(sorted(set(dtype.names or ()) - _KEPT)), max_size=4)):
            if dtype[name] == np.float64:
                record[name] = draw(numbers)
            elif dtype[name] == np.int64:
                record[name] = draw(st.sampled_from([0, 1, -1, 2, 10_000_000]))
    return situation, limits, venue


@settings(deadline=None, max_examples=300)
@given(records())
def test_every_verdict_follows_from_its_value_and_limit(given_records: tuple[Any, Any, Any]) -> None:
    warm_up()
    situation, limits, venue = given_records
    verdict = np.zeros(1, VERDICT)
    evaluate(situation[0], limits[0], venue[0], verdict[0])
    row = verdict[0]
    spot = venue["futures"][0] == 0
    for place, gate in enumerate(GATES):
        if gate == "funding_guard" and (spot or not 0 < limits["funding_rate"][0] < 1):
            continue
        passed = bool(int(row["passed"]) >> place & 1)
        assert passed == holds(gate, float(row["value"][place]), float(row["limit"][place])), gate
    failing = [place for place in range(len(GATES)) if not int(row["passed"]) >> place & 1]
    assert row["first"] == (failing[0] if failing else -1)


@numba.njit(error_model="numpy")
def _evaluate_all(situations: Any, limits: Any, venue: Any, verdicts: Any) -> None:  # noqa: ANN401 - records
    for k in range(situations.size):
        evaluate(situations[k], limits[0], venue[0], verdicts[k])


def test_the_loop_of_a_backtest_makes_the_decision_that_one_live_bar_makes() -> None:
    warm_up()
    changes = [case for case in CASES if "rules" not in case.context]
    situations = np.concatenate(
        [situation_of(signal(**case.signal), context(**case.context), PROFILE) for case in changes]
    )
    verdicts, one = np.zeros(situations.size, VERDICT), np.zeros(1, VERDICT)
    limits, venue = limits_of(PROFILE), rules_of(rules())
    _evaluate_all(situations, limits, venue, verdicts)
    for k in range(situations.size):
        evaluate(situations[k], limits[0], venue[0], one[0])
        assert verdicts[k].tobytes() == one[0].tobytes()
