from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from risk import CalendarWindow, RiskContext, Signal
from tests.contracts.instruments import rules
from tests.risk.builders import TS, bracket, context, funding, hours, minutes, position, signal, trade


@pytest.mark.parametrize("name", ["equity", "day_start_equity", "peak_equity"])
@pytest.mark.parametrize("value", [Decimal(0), Decimal(-5), Decimal("NaN"), Decimal("Infinity")])
def test_without_equity_there_is_nothing_to_decide(name: str, value: Decimal) -> None:
    with pytest.raises(ValidationError, match=name):
        context(**{name: value})


def test_zero_equity_is_told_as_that() -> None:
    with pytest.raises(ValidationError, match="equity must be above 0 to be risked, received 0: fund the account"):
        context(equity=Decimal(0))


@pytest.mark.parametrize("name", ["now", "ts"])
def test_a_time_without_zone_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="timezone"):
        context(**{name: datetime(2026, 3, 2, 10, 0)})  # noqa: DTZ001 - that is the point


def test_an_instrument_whose_rules_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="no trading rules of the instrument are known as of the bar"):
        context(rules=None)


def test_rules_that_cannot_be_traded_by_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"rules of nowhere:BTCUSDT with tick 0.1 and step 0.001"):
        context(rules=rules(venue="nowhere"))
    with pytest.raises(ValidationError, match="with tick 0 and step"):
        context(rules=rules(tick_size=Decimal(0)))


@pytest.mark.parametrize(
    "change",
    [
        {"close": 0.0},
        {"close": float("nan")},
        {"vol_state": "CALM"},
        {"zone_status": "OPEN"},
        {"trading_state": "ON"},
        {"book": "demo"},
        {"equity_total": Decimal(1)},
    ],
)
def test_what_means_nothing_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        context(**change)


def event(currency: str, *, start: timedelta = timedelta(0), known: timedelta = timedelta(0)) -> CalendarWindow:
    return CalendarWindow(
        ts_start=TS + start, ts_end=TS + start, severity="HIGH", currency=currency, known_from=TS + known
    )


@pytest.mark.parametrize(
    ("currency", "concerned"),
    [("USD", True), ("USDT", True), ("BTC", True), ("ALL", True), ("EUR", False), ("usd", False)],
)
def test_an_event_concerns_the_coins_of_the_instrument_and_dollars_by_any_name(
    currency: str, *, concerned: bool
) -> None:
    assert event(currency).concerns(rules()) == concerned


def test_news_of_the_dollar_do_not_concern_a_pair_without_one() -> None:
    assert not event("USD").concerns(rules(base="ETH", quote="BTC"))
    assert event("EUR").concerns(rules(quote="EUR"))


def test_the_calendar_is_seen_as_it_was_known_by_start() -> None:
    soon, later, unknown = (
        event("USD", start=minutes(5)),
        event("USD", start=hours(2), known=-hours(9)),
        event("USD", known=timedelta(microseconds=1)),
    )
    assert context(calendar=(later, unknown, soon, event("EUR"))).seen_at(TS) == (soon, later)


def test_an_event_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"ends at .*, before its start .*: exchange them"):
        CalendarWindow(ts_start=TS, ts_end=TS - minutes(1), severity="MED", currency="USD", known_from=TS)


def test_a_context_reads_back_equal_from_its_json() -> None:
    given = context(
        positions=(position(1234, stop=None),),
        brackets=(bracket(unfilled=Decimal("0.010")),),
        trades=(trade(ago=minutes(3), r=-1.0371, stopped=True),),
        calendar=(event("USD"),),
        funding=funding(last_rate=None),
        close=60000.1,
    )
    assert RiskContext.model_validate_json(given.model_dump_json()) == given
    assert Signal.model_validate_json(signal().model_dump_json()) == signal()
