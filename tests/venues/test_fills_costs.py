"""Fees, funding, liquidation and the filters of the venue, worked for both sides where they are no mirrors."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.venues.fill_bars import BOTH, RULES, SPOT, Market, entered, long_and_mirrored, terms
from venues.fills import OrderRefused

FEES = RULES.model_copy(update={"maker_fee": Decimal("0.0002"), "taker_fee": Decimal("0.0005")})
# A third of the price is the margin, of which a twentieth of the notional has to be left.
THIRD = terms(leverage=Decimal(3), maintenance_margin=Decimal("0.05"))


def test_each_fill_pays_as_maker_or_as_taker() -> None:
    long = Market(1, rules=FEES, ladder=((103, "2"), (105, "3")))
    assert long.step(0, 101, 102, 99, 101)[0][3]
    assert long.step(1, 101, 104, 101, 101)[0][3]
    assert not long.step(2, 101, 101, 98, 99)[0][3]
    # 5·100·0.0002 + 2·103·0.0002 + 3·97·0.0005 = 0.1 + 0.0412 + 0.1455
    assert long.order.fees == Decimal("0.2867")
    # 2·3 − 3·3 − 0.2867
    assert long.order.pnl == Decimal("-3.2867")


def test_each_fill_of_a_short_position_pays_too() -> None:
    short = Market(-1, rules=FEES, ladder=((103, "2"), (105, "3")))
    for number, prices in enumerate([(101, 102, 99, 101), (101, 104, 101, 101), (101, 101, 98, 99)]):
        assert len(short.step(number, *prices)) == 1
    # Sold at 100, bought at 97 and at 103: 5·100·0.0002 + 2·97·0.0002 + 3·103·0.0005 = 0.1 + 0.0388 + 0.1545
    assert short.order.fees == Decimal("0.2933")
    assert short.order.pnl == Decimal("-3.2933")


def test_a_positive_rate_is_paid_by_the_long_and_received_by_the_short() -> None:
    long, short = entered(1, ladder=((103, "2"),)), entered(-1, ladder=((103, "2"),))
    # 0.0001 · 110 · 2
    assert long.order.fund(Decimal("0.0001"), Decimal(110), RULES) == Decimal("0.022")
    assert short.order.fund(Decimal("0.0001"), Decimal(110), RULES) == Decimal("-0.022")
    assert (long.order.funding, long.order.pnl) == (Decimal("0.022"), Decimal("-0.022"))
    assert (short.order.funding, short.order.pnl) == (Decimal("-0.022"), Decimal("0.022"))
    # A negative rate goes the other way.
    assert long.order.fund(Decimal("-0.0003"), Decimal(100), RULES) == Decimal("-0.06")
    assert short.order.fund(Decimal("-0.0003"), Decimal(100), RULES) == Decimal("0.06")


@BOTH
def test_funding_is_for_what_is_open(side: int) -> None:
    market = Market(side, ladder=((103, "1"), (110, "1")))
    assert market.order.fund(Decimal("0.01"), Decimal(100), RULES) == 0
    market.step(0, 101, 102, 99, 101)
    market.step(1, 101, 104, 101, 101)
    # One of two is left: 0.01 · 100 · 1
    assert abs(market.order.fund(Decimal("0.01"), Decimal(100), RULES)) == 1
    market.step(2, 101, 101, 98, 99)
    assert market.order.fund(Decimal("0.01"), Decimal(100), RULES) == 0


def test_a_long_position_is_liquidated_before_a_stop_that_is_too_far() -> None:
    market = Market(1, stop=60, terms=THIRD)
    market.step(0, 101, 102, 99, 101)
    # (100 − 100/3) / (1 − 0.05) = 70.18: taken over from 71 on, the next whole tick above.
    assert market.step(1, 100, 100, 72, 80) == []
    assert market.step(2, 80, 80, 71, 80) == [("EXIT", 71, "1", False)]
    assert market.order.exit_reason == "LIQUIDATION"
    # 29 lost at the price, and the 4.33 that are left of the margin too: all of 100/3.
    assert float(market.order.pnl) == pytest.approx(-100 / 3)


def test_a_short_position_is_liquidated_before_a_stop_that_is_too_far() -> None:
    market = Market(-1, stop=60, terms=THIRD)  # the stop stands at 140
    market.step(0, 101, 102, 99, 101)
    # (100 + 100/3) / (1 + 0.05) = 126.98: taken over from 126 on, which is 74 in the mirror.
    assert market.step(1, 100, 100, 75, 80) == []
    assert market.step(2, 80, 80, 74, 80) == [("EXIT", 74, "1", False)]
    # 26 lost at the price and 7.33 of margin.
    assert float(market.order.pnl) == pytest.approx(-100 / 3)


@BOTH
def test_a_gap_beyond_the_liquidation_fills_at_the_open(side: int) -> None:
    market = Market(side, stop=60, terms=THIRD)
    market.step(0, 101, 102, 99, 101)
    # 40 lost is more than the margin of 33.33; nothing of it is left to forfeit.
    assert market.step(1, 60, 70, 60, 70) == [("EXIT", 60, "1", False)]
    assert (market.order.exit_reason, market.order.pnl) == ("LIQUIDATION", Decimal(-40))


@BOTH
def test_a_stop_before_the_liquidation_is_a_stop(side: int) -> None:
    market = Market(side, stop=80, terms=THIRD)
    market.step(0, 101, 102, 99, 101)
    assert market.step(1, 100, 100, 60, 80) == [("STOP", 79, "1", False)]


def test_funding_that_was_paid_brings_the_liquidation_nearer() -> None:
    paying = Market(1, stop=60, terms=THIRD)
    paying.step(0, 101, 102, 99, 101)
    # Three times 1 of 33.33: (100 − 30.33) / 0.95 = 73.33 → 74.
    for _ in range(3):
        paying.order.fund(Decimal("0.01"), Decimal(100), RULES)
    assert paying.step(1, 100, 100, 75, 80) == []
    assert paying.step(2, 80, 80, 74, 80) == [("EXIT", 74, "1", False)]
    # All of the margin and no more: 26 at the price, 3 of funding, 4.33 left.
    assert float(paying.order.pnl) == pytest.approx(-100 / 3)


def test_funding_that_was_received_does_not_keep_a_position_alive() -> None:
    receiving = Market(1, stop=60, terms=THIRD)
    receiving.step(0, 101, 102, 99, 101)
    receiving.order.fund(Decimal("-0.10"), Decimal(100), RULES)
    assert receiving.step(1, 100, 100, 71, 80) == [("EXIT", 71, "1", False)]


def test_spot_has_no_liquidation() -> None:
    market = Market(1, stop=5, rules=SPOT)
    market.step(0, 101, 102, 99, 101)
    assert market.step(1, 100, 100, 6, 80) == []


def test_a_rung_below_the_least_notional_is_refused_with_the_filter() -> None:
    rules = SPOT.model_copy(update={"min_notional": Decimal(50)})
    # 0.6 · 103 = 61.8 and the entry are enough; 0.4 · 106 = 42.4 is not.
    with pytest.raises(OrderRefused, match=r"target 1 of 0\.4 at 106: NOTIONAL: 42\.4 is below the least of 50"):
        Market(1, rules=rules, ladder=((103, "0.6"), (106, "0.4")))
    # Enough at its target (0.48 · 106 is 50.88), not enough at the stop (0.48 · 98 is 47.04).
    fine = rules.model_copy(update={"step_size": Decimal("0.01")})
    with pytest.raises(OrderRefused, match=r"stopped of 0\.48 at 98: NOTIONAL: 47\.04 is below the least of 50"):
        Market(1, rules=fine, ladder=((103, "0.60"), (106, "0.48")))


@BOTH
def test_an_entry_below_the_least_notional_is_refused(side: int) -> None:
    rules = RULES.model_copy(update={"min_notional": Decimal(50)})
    with pytest.raises(OrderRefused, match=r"entry of 0\.4 at 100: NOTIONAL: 40 is below the least of 50"):
        Market(side, rules=rules, ladder=((103, "0.4"),))
    # What reduces a position on futures is exempt.
    assert Market(side, rules=rules, ladder=((103, "0.4"), (106, "0.2"))).order.state == "WAITING"


@BOTH
def test_a_rung_below_the_least_quantity_is_refused(side: int) -> None:
    rules = RULES.model_copy(update={"min_qty": Decimal("0.5")})
    with pytest.raises(OrderRefused, match=r"target 1 of 0\.4 at \d+: LOT_SIZE: 0\.4 is below the least of 0\.5"):
        Market(side, rules=rules, ladder=((103, "0.6"), (106, "0.4")))


@BOTH
def test_what_could_not_be_stopped_at_market_is_refused(side: int) -> None:
    rules = RULES.model_copy(update={"market_max_qty": Decimal(2)})
    with pytest.raises(OrderRefused, match=r"stop of 3 at \d+: MARKET_LOT_SIZE: 3 is above the most of 2"):
        Market(side, rules=rules, ladder=((103, "3"),))


def test_a_short_position_on_spot_is_refused() -> None:
    with pytest.raises(OrderRefused, match="binance_spot cannot open a short position"):
        Market(-1, rules=SPOT)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"stop": 101}, "stop is 101 on the wrong side of the entry 100 of a BUY"),
        ({"stop": 100}, "stop is 100 on the wrong side"),
        ({"ladder": ((99, "1"),)}, "target 0 is 99, which is not beyond 100"),
        ({"ladder": ((103, "1"), (103, "1"))}, "target 1 is 103, which is not beyond 103"),
        ({"ladder": ()}, "the ladder has 0 rungs: 1 to 8 would do"),
        ({"ladder": ((103, "0.25"),)}, "0.25 is no multiple of the step 0.1"),
        ({"asked": {"ttl_bars": 0}}, "ttl_bars is 0: 1 or more would do"),
        ({"asked": {"max_bars": -1}}, "max_bars is -1: 1 or more would do"),
        ({"asked": {"after_first": "trail"}}, "trail is None with after_first trail"),
        ({"asked": {"trail": Decimal(2)}}, "trail is 2 with after_first keep"),
        ({"asked": {"after_first": "trail", "trail": Decimal("0.5")}}, "trail is 0.5: a positive multiple of 1"),
        ({"terms": terms(leverage=Decimal(25))}, "leverage is 25: at most 20 would do"),
        ({"rules": SPOT, "terms": terms(leverage=Decimal(2))}, "leverage is 2: at most 1 would do"),
    ],
)
def test_a_bracket_that_contradicts_itself_is_refused_with_a_sentence(fields: dict[str, object], text: str) -> None:
    with pytest.raises(OrderRefused, match=text):
        Market(1, **fields)  # type: ignore[arg-type] # the fields of Market


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"slippage": Decimal(-1)}, "slippage is -1: a number from 0 to 0.5 would do"),
        ({"slippage": Decimal("NaN")}, "slippage is NaN"),
        ({"leverage": Decimal("0.5")}, "leverage is 0.5: a number from 1 to 125"),
        ({"leverage": Decimal(20), "maintenance_margin": Decimal("0.05")}, "liquidates at once"),
    ],
)
def test_terms_that_cannot_be_are_refused(fields: dict[str, Decimal], text: str) -> None:
    with pytest.raises(OrderRefused, match=text):
        terms(**fields)


def test_a_mirrored_bracket_pays_the_same_at_the_same_prices() -> None:
    long, short = long_and_mirrored(rules=FEES)
    for market in (long, short):
        assert market.step(0, 101, 102, 99, 101) == [("ENTRY", 100, "1", True)]
    # Both traded 1 at 100: the mirror of 100 is 100.
    assert long.order.fees == short.order.fees == Decimal("0.02")
