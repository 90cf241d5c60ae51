"""What the loop reads of an instrument's rules, in both rooms that read them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from backtest.conditions import Conditions
from backtest.config import ALWAYS
from contracts import InstrumentKey
from tests.backtest.markets import ONE, config, rules_of

SPOT = InstrumentKey("binance_spot", "AAAUSDT")


def conditions(key: InstrumentKey, **changes: Any) -> Conditions:  # noqa: ANN401 - the model checks them
    rules = rules_of(key, **changes)
    return Conditions.of([key], config(rules={key: [(ALWAYS, rules)]}), start=datetime(2024, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("key", "changes"), [(ONE, {}), (ONE, {"contract_type": "SPOT"}), (SPOT, {"contract_type": "PERPETUAL"})]
)
def test_decisions_and_fills_agree_on_whether_a_contract_is_traded(key: InstrumentKey, changes: dict[str, Any]) -> None:
    found = conditions(key, venue=key.venue, **changes)
    assert found.rules["futures"][0] == found.costs["is_futures"][0] == (key is ONE)


def test_decisions_and_fills_agree_on_the_leverage_which_is_a_whole_number() -> None:
    found = conditions(ONE, max_leverage=Decimal("2.5"))
    assert found.rules["leverage"][0] == found.costs["leverage"][0] == 2


def test_decisions_and_fills_count_in_the_same_lots() -> None:
    found = conditions(ONE, step_size=Decimal("0.004"), market_step_size=Decimal("0.01"))
    assert found.rules["step"][0] == found.costs["step"][0] == 0.02
