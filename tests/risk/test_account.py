from decimal import Decimal

import pytest
from pydantic import ValidationError

from risk import Position
from tests.risk.builders import bracket, position


def test_what_a_position_may_lose_is_told_from_its_entry() -> None:
    held = position(1000, stop=Decimal(97), costs=Decimal("0.5"))  # 10 units of 100
    assert held.notional == 1000
    assert held.loss_at_stop == Decimal("30.5")
    assert position(1000, stop=Decimal(103)).loss_at_stop == 0
    assert position(1000, side="SHORT", stop=Decimal(103)).loss_at_stop == 30
    assert position(1000, mark_price=Decimal(110), stop=Decimal(97)).loss_at_stop == 30


def test_a_position_without_a_stop_may_lose_all_of_it() -> None:
    assert position(1000, stop=None, mark_price=Decimal(110)).loss_at_stop == 1100


def test_of_a_bracket_what_is_not_filled_may_still_be_lost() -> None:
    waiting = bracket(unfilled=Decimal(2), costs=Decimal("0.25"))  # of 100 with the stop at 90
    assert (waiting.notional, waiting.loss_at_stop) == (Decimal(200), Decimal("20.25"))
    assert bracket().loss_at_stop == 0


def test_quantities_and_prices_of_a_position_are_above_zero() -> None:
    with pytest.raises(ValidationError, match="quantity"):
        Position.model_validate(position(100).model_dump() | {"quantity": Decimal(0)})
