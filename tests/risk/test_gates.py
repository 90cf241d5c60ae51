import math

import pytest

from risk.gates import GATES, holds

# Engine-spec section 7, the first column of the table, read from top to bottom.
TABLE = """
trading_state tradable fresh still_valid news_guard funding_guard vol_guard structure trigger
cooldown stoploss_guard low_profit daily_drawdown total_drawdown max_positions symbol_free stop_distance
symbol_exposure direction_exposure portfolio_heat leverage size reward
"""


def test_the_gates_are_those_of_the_table_in_its_order() -> None:
    assert " ".join(GATES) == " ".join(TABLE.split())


@pytest.mark.parametrize(
    ("gate", "value", "limit", "passed"),
    [
        ("fresh", 60.0, 60.0, True),
        ("fresh", 60.1, 60.0, False),
        ("fresh", -0.001, 60.0, False),
        ("still_valid", 0.0, 1.0, False),
        ("still_valid", 1.0, 1.0, False),
        ("still_valid", 0.5, 1.0, True),
        ("news_guard", -30.0, 30.0, False),
        ("news_guard", 30.1, 30.0, True),
        ("news_guard", math.nan, 0.0, True),
        ("funding_guard", 0.0005, 0.0005, False),
        ("funding_guard", -0.01, 0.0005, True),
        ("funding_guard", -5.0, 10.0, False),
        ("funding_guard", 0.0, 0.0, False),
        ("cooldown", math.inf, 4.0, True),
        ("cooldown", 4.0, 4.0, True),
        ("daily_drawdown", 0.03, 0.03, False),
        ("max_positions", 4.0, 4.0, False),
        ("stop_distance", 3.0, 3.0, True),
        ("stop_distance", -0.5, 3.0, False),
        ("symbol_exposure", 1.0, 1.0, True),
        ("size", math.nan, 1.0, False),
        ("reward", 3.0, 3.0, True),
        ("vol_guard", math.nan, 0.0, False),
    ],
)
def test_a_gate_holds_as_the_table_says(gate: str, value: float, limit: float, *, passed: bool) -> None:
    assert holds(gate, value, limit) == passed
