import json
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from contracts import InstrumentRules
from contracts.events import DecisionV1
from risk import Decision, RiskProfile, decide, event_of, replay
from tests.contracts.instruments import rules
from tests.risk.builders import SPOT, TS, context, minutes, short, signal
from tests.risk.test_decision import brackets

SOON = TS + timedelta(seconds=60)


def event(decision: Decision, *, valid_until: datetime = SOON, dataset_id: str | None = None) -> DecisionV1:
    return event_of(decision, valid_until=valid_until, trace_id="4bf92f3577b34da6", dataset_id=dataset_id)


def test_a_decision_is_published_with_the_names_of_its_table_and_decimals_as_text() -> None:
    decision = decide(signal(), context(), RiskProfile())
    written = json.loads(event(decision, dataset_id="d1").model_dump_json())
    assert written.pop("context") == decision.context
    gates = written.pop("gates")
    assert [said["gate"] for said in gates] == [said.gate for said in decision.gates]
    assert gates[1] == {"gate": "tradable", "passed": True, "value": 0, "limit": 0}
    assert written == {
        "event": "decision.v1",
        "decision_id": "ede808b64b40212a6fbb37c3",
        "bracket_id": "a229d75a7a485de1327bab4a",
        "ts": "2026-03-02T10:00:00Z",
        "evaluated_at": "2026-03-02T10:00:02Z",
        "valid_until": "2026-03-02T10:01:00Z",
        "book": "paper",
        "account": "main",
        "profile": "default",
        "param_set": RiskProfile().hash,
        "signal_id": "0123456789abcdef01234567",
        "venue": "binance_usdm",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "size": "0.073",
        "entry_type": "LIMIT",
        "entry": "60000.0",
        "entry_expires_at": "2026-03-02T11:30:00Z",
        "sl": "59400.0",
        "tp_ladder": [
            {"price": "60900.0", "qty": "0.024"},
            {"price": "61200.0", "qty": "0.024"},
            {"price": "61800.0", "qty": "0.025"},
        ],
        "leverage": 3,
        "margin_mode": "ISOLATED",
        "risk": {"position_value": "4380.0000", "risk_amount": "49.90280365", "risk_reward": 159 / 73},
        "reason": None,
        "rule_id": "retest",
        "confidence": 0.7,
        "dataset_id": "d1",
        "trace_id": "4bf92f3577b34da6",
    }


def test_spot_has_no_margin_mode() -> None:
    decision = decide(signal(venue="binance_spot"), context(rules=rules(**SPOT), funding=None), RiskProfile())
    told = event(decision)
    assert (told.side, told.margin_mode, told.leverage) == ("BUY", None, 1)


def test_a_hold_without_prices_is_published_too() -> None:
    told = event(decide(signal(atr14=None), context(), RiskProfile()))
    assert (told.side, told.reason, told.entry) == ("HOLD", "still_valid", None)
    assert told.size == len(told.tp_ladder) == 0


@settings(deadline=None, max_examples=100)
@given(brackets())
def test_what_was_published_can_be_read_and_replayed(
    drawn: tuple[Decision, RiskProfile, InstrumentRules, Decimal],
) -> None:
    decision = drawn[0]
    read = DecisionV1.model_validate_json(event(decision).model_dump_json())
    assert read == event(decision)
    assert replay(read.context) == decision


@pytest.mark.parametrize("until", [TS - timedelta(seconds=1), TS + 6 * minutes(15) + timedelta(seconds=1)])
def test_a_decision_is_valid_within_its_life(until: datetime) -> None:
    with pytest.raises(ValidationError, match="it is valid no longer than its entry may wait"):
        event(decide(signal(), context(), RiskProfile()), valid_until=until)


def test_decisions_of_a_backtest_are_not_published() -> None:
    with pytest.raises(ValidationError, match="book"):
        event(decide(signal(), context(book="backtest"), RiskProfile()))


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"size": Decimal("0.072")}, "the targets share the whole size"),
        ({"sl": Decimal(60600)}, "stop, entry and targets stand in this order"),
        ({"entry": None}, "stop, entry and targets stand in this order"),
        ({"side": "SELL"}, "stop, entry and targets stand in this order"),
        ({"side": "HOLD"}, "what passed every gate is acted on, and nothing else"),
        ({"side": "HOLD", "size": Decimal(0), "tp_ladder": ()}, "what passed every gate is acted on"),
        ({"size": Decimal(0), "tp_ladder": ()}, "a HOLD has no size, anything else has one"),
        ({"reason": "size"}, "the reason is the first gate that failed"),
    ],
)
def test_a_decision_that_contradicts_itself_is_refused(change: dict[str, Any], rule: str) -> None:
    wrong = replace(decide(signal(), context(), RiskProfile()), **change)
    with pytest.raises(ValidationError, match=rule):
        event(wrong)


def test_a_short_is_published_with_its_prices_the_other_way_round() -> None:
    told = event(decide(short(), context(), RiskProfile()))
    assert told.sl is not None
    assert told.entry is not None
    assert told.sl > told.entry > told.tp_ladder[0].price > told.tp_ladder[-1].price
