import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from pydantic import ValidationError

from contracts.events import EVENTS, SCHEMA_FOLDER, CandleV1, FeaturesV1, SignalRawV1, SwingV1, ZoneV1, schema_text

CANDLE = {
    "venue": "binance_spot",
    "symbol": "BTCUSDT",
    "tf": "1m",
    "open_time": datetime(2022, 1, 1, tzinfo=UTC),
    "close_time": datetime(2022, 1, 1, 0, 0, 59, 999_000, tzinfo=UTC),
    "open": Decimal("0.00000001"),
    "high": "46385.50",
    "low": "1",
    "close": "2",
    "volume": "3",
    "trades": 4,
    "taker_buy_vol": "1",
    "quote_vol": "2",
    "source": "archive",
}


@pytest.mark.parametrize("name", EVENTS)
def test_the_exported_schema_of_every_event_is_current(name: str) -> None:
    stored = (SCHEMA_FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert stored == schema_text(name), "run: python -m contracts.events"


def test_no_schema_file_is_left_over() -> None:
    assert {path.stem for path in SCHEMA_FOLDER.glob("*.json")} == set(EVENTS)


def test_a_candle_event_writes_exact_decimals_and_utc_times() -> None:
    written = json.loads(CandleV1.model_validate(CANDLE).model_dump_json())
    assert written["event"] == "candles.v1"
    assert written["open"] == "0.00000001"
    assert written["high"] == "46385.50"
    assert written["open_time"] == "2022-01-01T00:00:00Z"
    assert CandleV1.model_validate(written) == CandleV1.model_validate(CANDLE)


@pytest.mark.parametrize(
    "change",
    [
        {"open_time": datetime(2022, 1, 1)},  # noqa: DTZ001 - the naive instant is the defect
        {"open_time": datetime(2022, 1, 1, tzinfo=timezone(timedelta(hours=9)))},
        {"high": "NaN"},
        {"volume": "-1"},
        {"source": "guess"},
        {"surprise": 1},
    ],
)
def test_a_candle_event_with_a_wrong_value_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CandleV1.model_validate(CANDLE | change)


KEY = {"venue": "binance_spot", "symbol": "BTCUSDT", "tf": "15m"}


def at(minute: int) -> datetime:
    return datetime(2022, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


ORDER_BLOCK = {
    **KEY,
    "kind": "OB",
    "side": "DEMAND",
    "price_lo": 46100.1,
    "price_hi": 46200.0,
    "created_ts": at(60),
    "origin_ts": at(30),
    "origin_event": "BOS_UP",
    "strength": 7,
    "expiry_bars": 200,
    "touches": 0,
    "status": "ACTIVE",
}
BREAKER = {
    **ORDER_BLOCK,
    "kind": "BREAKER",
    "side": "SUPPLY",
    "created_ts": at(90),
    "parent_created_ts": at(60),
    "origin_ts": None,
    "origin_event": None,
}
SIGNAL = {
    **KEY,
    "signal_id": "0123456789abcdef01234567",
    "agent": "retest",
    "ts": at(90),
    "side_hint": "LONG",
    "entry_hint": 46150.25,
    "sl_hint": 46000.0,
    "tpR": [1.5, 2.0, 3.0],
    "features": {"ema200_up": True, "in_direction": False},
    "score": 0.85,
    "ttl_bars": 6,
    "zone_kind": "OB",
    "zone_created_ts": at(60),
    "retest_ok": True,
    "structure_ok": False,
}


def test_a_feature_in_warm_up_is_null() -> None:
    event = FeaturesV1.model_validate({**KEY, "ts": at(0), "ema20": 1.5, "trend": -1})
    written = json.loads(event.model_dump_json())
    assert written["ema20"] == 1.5
    assert written["ema200"] is None
    assert (written["trend"], written["range_pos"]) == (-1, None)


def test_the_trend_of_a_bar_is_always_said() -> None:
    with pytest.raises(ValidationError, match="trend"):
        FeaturesV1.model_validate({**KEY, "ts": at(0)})
    with pytest.raises(ValidationError, match="trend"):
        FeaturesV1.model_validate({**KEY, "ts": at(0), "trend": 2})


def test_the_price_of_a_swing_is_its_decimal() -> None:
    swing = {**KEY, "ts": at(45), "pivot_ts": at(0), "kind": "HIGH", "price": 0.1, "label": None}
    written = json.loads(SwingV1.model_validate(swing).model_dump_json())
    assert written["price"] == "0.1"
    assert (written["pivot_ts"], written["label"], written["left_n"]) == ("2022-01-01T00:00:00Z", None, None)


@pytest.mark.parametrize("zone", [ORDER_BLOCK, BREAKER], ids=["zone", "inversion"])
def test_a_zone_event_comes_back_as_it_was_written(zone: dict[str, object]) -> None:
    event = ZoneV1.model_validate(zone)
    written = json.loads(event.model_dump_json())
    assert (written["price_lo"], written["price_hi"]) == ("46100.1", "46200.0")
    assert ZoneV1.model_validate(written) == event


@pytest.mark.parametrize(
    ("zone", "rule"),
    [
        (ORDER_BLOCK | {"price_hi": 46100.1}, "price_lo lies below price_hi"),
        (ORDER_BLOCK | {"parent_created_ts": at(0)}, "an inversion, and nothing else, has a parent"),
        (BREAKER | {"parent_created_ts": None}, "an inversion, and nothing else, has a parent"),
        (BREAKER | {"origin_ts": at(0)}, "a zone, and nothing else, has an origin"),
        (ORDER_BLOCK | {"kind": "FVG"}, "an order block, and nothing else, has an origin_event"),
        (ORDER_BLOCK | {"status": "EXPIRED"}, "a zone that is not active has an end"),
        (ORDER_BLOCK | {"ended_ts": at(75)}, "a zone that is not active has an end"),
        (ORDER_BLOCK | {"touches": 1}, "a touched zone has a first touch"),
        (ORDER_BLOCK | {"strength": 11}, "strength"),
        (ORDER_BLOCK | {"price_lo": 0}, "price_lo"),
    ],
)
def test_a_zone_event_that_contradicts_itself_is_refused(zone: dict[str, object], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        ZoneV1.model_validate(zone)


def test_a_signal_writes_its_targets_as_tpr_and_is_read_under_either_name() -> None:
    event = SignalRawV1.model_validate(SIGNAL)
    written = json.loads(event.model_dump_json())
    assert written["tpR"] == [1.5, 2.0, 3.0]
    assert "tp_r" not in written
    assert written["features"] == {"ema200_up": True, "in_direction": False}
    assert SignalRawV1.model_validate(written) == event
    row = {name: value for name, value in SIGNAL.items() if name != "tpR"} | {"tp_r": [1.5, 2.0, 3.0]}
    assert SignalRawV1.model_validate(row) == event
    assert "tpR" in json.loads(schema_text("signals_raw.v1"))["required"]


@pytest.mark.parametrize(
    "change", [{"signal_id": "0123"}, {"agent": ""}, {"side_hint": "BUY"}, {"sl_hint": float("nan")}, {"ttl_bars": 0}]
)
def test_a_signal_with_a_wrong_value_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        SignalRawV1.model_validate(SIGNAL | change)
