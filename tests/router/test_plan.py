"""Decisions on the grid of the rules of now: worked by hand, and the laws of rounding."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contracts import InstrumentRules
from contracts.events import DecisionV1, RungV1
from router.plan import Bracket, PlanRefused, Rung, plan_of
from tests.contracts.instruments import rules

EXPIRES = datetime(2024, 5, 1, 12, tzinfo=UTC)


def decision(
    side: str = "BUY",
    *,
    entry: str = "100",
    stop: str = "98",
    targets: tuple[tuple[str, str], ...] = (("103", "1"), ("104", "1"), ("106", "1")),
    **changes: Any,  # noqa: ANN401 - fields of the model
) -> DecisionV1:
    """What of a decision is planned by; whether the rest agrees is the model's own business and tested there."""
    fields: dict[str, Any] = {
        "decision_id": "d" * 24,
        "bracket_id": "b" * 24,
        "venue": "binance_spot",
        "symbol": "BTCUSDT",
        "side": side,
        "entry": Decimal(entry),
        "sl": Decimal(stop),
        "tp_ladder": tuple(RungV1(price=Decimal(price), qty=Decimal(qty)) for price, qty in targets),
        "entry_expires_at": EXPIRES,
    }
    return DecisionV1.model_construct(**fields | changes)


def now(**changes: Any) -> InstrumentRules:  # noqa: ANN401 - fields of the model
    """Rules of a tick of a cent, lots of a hundredth and at least 5 of notional."""
    fields: dict[str, Any] = {
        "venue": "binance_spot",
        "tick_size": Decimal("0.01"),
        "min_price": None,
        "max_price": None,
        "step_size": Decimal("0.01"),
        "min_qty": Decimal("0.01"),
        "max_qty": None,
        "market_step_size": None,
        "market_min_qty": None,
        "market_max_qty": None,
        "min_notional": Decimal(5),
    }
    return rules(**fields | changes)


def ladder(bracket: Bracket) -> list[tuple[str, str]]:
    """Target and quantity of each rung, without zeros that say nothing."""
    return [(plain(rung.target), plain(rung.quantity)) for rung in bracket.rungs]


def plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def test_what_is_on_the_grid_is_sent_as_it_was_decided() -> None:
    found = plan_of(decision(), now())
    assert (found.entry, found.stop, found.quantity) == (Decimal(100), Decimal(98), Decimal(3))
    assert ladder(found) == [("103", "1"), ("104", "1"), ("106", "1")]
    assert (found.bracket_id, found.side, found.expires_at) == ("b" * 24, "BUY", EXPIRES)


@pytest.mark.parametrize(
    ("side", "entry", "stop", "target", "expected"),
    [
        ("BUY", "100.06", "98.04", "103.07", ("100", "98.1", "103")),
        ("SELL", "100.04", "102.06", "97.03", ("100.1", "102", "97.1")),
    ],
)
def test_a_coarser_tick_enters_no_worse_and_leaves_no_later(
    side: str, entry: str, stop: str, target: str, expected: tuple[str, str, str]
) -> None:
    asked = decision(side, entry=entry, stop=stop, targets=((target, "1"),))
    found = plan_of(asked, now(tick_size=Decimal("0.1")))
    assert (plain(found.entry), plain(found.stop), plain(found.rungs[0].target)) == expected


def test_a_coarser_lot_leaves_quantity_out_and_adds_none() -> None:
    found = plan_of(
        decision(targets=(("103", "0.57"), ("104", "0.57"), ("106", "0.66"))), now(step_size=Decimal("0.1"))
    )
    assert ladder(found) == [("103", "0.5"), ("104", "0.5"), ("106", "0.6")]


def test_a_rung_counts_in_lots_that_a_stop_at_market_takes_too() -> None:
    found = plan_of(decision(targets=(("103", "0.57"),)), now(market_step_size=Decimal("0.25")))
    assert ladder(found) == [("103", "0.5")]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        # At a stop of 98 five of notional are 0.06: 0.05 is too little.
        ((("103", "1"), ("104", "1"), ("106", "0.05")), [("103", "1"), ("104", "1.05")]),
        ((("103", "0.05"), ("104", "1"), ("106", "1")), [("103", "1.05"), ("106", "1")]),
        ((("103", "1"), ("104", "0.05"), ("106", "1")), [("103", "1.05"), ("106", "1")]),
        ((("103", "0.03"), ("104", "0.03"), ("106", "0.03")), [("103", "0.09")]),
        # The farthest goes to the middle, which is enough together.
        ((("103", "0.06"), ("104", "0.03"), ("106", "0.03")), [("103", "0.06"), ("104", "0.06")]),
    ],
)
def test_a_slice_below_the_filters_is_left_with_the_next_nearer_one(
    targets: tuple[tuple[str, str], ...], expected: list[tuple[str, str]]
) -> None:
    assert ladder(plan_of(decision(targets=targets), now())) == expected


def test_a_target_that_the_venue_takes_no_order_at_is_left_with_the_next_nearer_one() -> None:
    assert ladder(plan_of(decision(), now(max_price=Decimal(105)))) == [("103", "1"), ("104", "2")]


def test_targets_that_come_to_one_tick_are_one_rung() -> None:
    found = plan_of(decision(targets=(("103.4", "1"), ("103.6", "1"), ("105", "1"))), now(tick_size=Decimal(1)))
    assert ladder(found) == [("103", "2"), ("105", "1")]


@pytest.mark.parametrize(
    ("asked", "by", "told"),
    [
        (decision("HOLD"), now(), "is a HOLD: there is nothing to send"),
        (decision(), now(symbol="ETHUSDT"), "was given the rules of binance_spot:ETHUSDT"),
        (decision(entry="100.2", stop="99.8"), now(tick_size=Decimal(1)), "entry 100.2 and stop 99.8 are one"),
        (decision(targets=(("100.9", "1"),)), now(tick_size=Decimal(1)), "its target 100 is not beyond its entry 100"),
        (decision(targets=(("103", "0.004"),)), now(), "its quantity rounds to nothing"),
        (decision(targets=(("103", "0.04"),)), now(), "NOTIONAL: 4 is below the least of 5"),
        (
            decision(targets=(("103", "9"),)),
            now(market_max_qty=Decimal(8)),
            "MARKET_LOT_SIZE: 9 is above the most of 8",
        ),
        (decision(), now(max_price=Decimal(99)), "PRICE_FILTER: 100 is above the most of 99"),
        (
            decision(targets=tuple((str(103 + k), "1") for k in range(9))),
            now(),
            "it has 9 targets, of which 8 can be named",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(asked: DecisionV1, by: InstrumentRules, told: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        plan_of(asked, by)
    assert told in str(refused.value)
    assert str(refused.value).startswith(f"decision {'d' * 24} of binance_spot:BTCUSDT")


@given(
    st.booleans(),
    st.integers(100, 10_000),
    st.integers(1, 90),
    st.lists(st.tuples(st.integers(1, 200), st.integers(1, 500)), min_size=1, max_size=4, unique_by=lambda one: one[0]),
    st.sampled_from([Decimal(text) for text in ("0.01", "0.05", "0.1", "1", "5")]),
    st.sampled_from([Decimal(text) for text in ("0.001", "0.01", "0.02", "0.1", "1")]),
    st.sampled_from([None, Decimal("0.001"), Decimal("0.015"), Decimal("0.1")]),
    st.sampled_from([None, Decimal(5), Decimal(100)]),
)
def test_what_is_sent_risks_no_more_than_was_decided_and_every_filter_takes_it(
    long: bool,  # noqa: FBT001 - drawn
    entry: int,
    distance: int,
    rungs: list[tuple[int, int]],
    tick: Decimal,
    step: Decimal,
    market_step: Decimal | None,
    notional: Decimal | None,
) -> None:
    way = 1 if long else -1
    at = Decimal(entry) / 10 + 20
    stop = at - way * Decimal(distance) / 10
    targets = [(at + way * Decimal(far) / 20, Decimal(size) / 1000) for far, size in sorted(rungs)]
    assume(all(price > 0 for price, _ in targets))
    asked = decision(
        "BUY" if long else "SELL",
        entry=str(at),
        stop=str(stop),
        targets=tuple((str(price), str(size)) for price, size in targets),
    )
    by = now(tick_size=tick, step_size=step, min_qty=step, market_step_size=market_step, min_notional=notional)
    try:
        found = plan_of(asked, by)
    except PlanRefused:
        return
    assert found.quantity <= sum(size for _, size in targets)
    assert way * (at - found.entry) >= 0
    assert way * (found.stop - stop) >= 0
    assert 0 < way * (found.entry - found.stop) <= way * (at - stop)
    prices = [found.stop, found.entry, *(rung.target for rung in found.rungs)]
    assert sorted(prices, key=lambda price: way * price) == prices
    assert len(set(prices)) == len(prices)
    for rung in found.rungs:
        assert any(way * (price - rung.target) >= 0 for price, _ in targets)
        for price, market in ((found.entry, False), (rung.target, False), (found.stop, False), (found.stop, True)):
            assert by.refusal(rung.quantity, price, market=market) is None


def test_merging_keeps_the_whole_quantity() -> None:
    found = plan_of(decision(targets=(("103", "0.02"), ("104", "0.02"), ("106", "0.02"))), now())
    assert found.rungs == (Rung(Decimal("103.00"), Decimal("0.06")),)
