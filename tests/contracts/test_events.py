import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from pydantic import ValidationError

from contracts.events import EVENTS, SCHEMA_FOLDER, CandleV1, FeaturesV1, schema_text

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


def test_a_feature_in_warm_up_is_null() -> None:
    event = FeaturesV1(venue="binance_spot", symbol="BTCUSDT", tf="1m", ts=datetime(2022, 1, 1, tzinfo=UTC), ema20=1.5)
    written = json.loads(event.model_dump_json())
    assert written["ema20"] == 1.5
    assert written["ema200"] is None
