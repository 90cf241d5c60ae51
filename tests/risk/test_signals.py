from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.events import SignalRawV1
from risk import Signal
from tests.risk.builders import TS, signal


@pytest.mark.parametrize(
    ("side", "stop", "where"), [("LONG", 60600.0, "below"), ("SHORT", 59400.0, "above"), ("LONG", 60000.0, "below")]
)
def test_a_stop_on_the_wrong_side_names_the_signal_and_its_agent(side: str, stop: float, where: str) -> None:
    reason = f"the stop of a {side} lies {where} its entry, received entry 60000.0 and stop {stop} of signal 0123"
    with pytest.raises(ValidationError, match=reason) as refused:
        signal(side_hint=side, sl_hint=stop)
    assert "correct the agent retest" in str(refused.value)


def test_a_time_of_another_zone_is_refused() -> None:
    there = TS.astimezone(datetime.fromisoformat("2026-03-02T10:00:00+02:00").tzinfo)
    with pytest.raises(ValidationError, match="a UTC instant is needed"):
        signal(ts=there)


@pytest.mark.parametrize("change", [{"signal_id": "x"}, {"tf": "7m"}, {"ttl_bars": 0}, {"symbol": "btcusdt"}])
def test_a_signal_that_can_be_none_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        signal(**change)


@pytest.mark.parametrize(
    ("side", "names"),
    [
        ("LONG", {"ema200_up": True, "macd_hist_up": False, "rsi_mid_rebound": True, "micro_bos": True}),
        ("SHORT", {"ema200_down": True, "macd_hist_down": False, "rsi_mid_rebound": True, "ema200_up": False}),
    ],
)
def test_a_signal_is_read_from_the_event_that_tells_of_it(side: str, names: dict[str, bool]) -> None:
    raw = SignalRawV1.model_validate(
        {
            "venue": "binance_usdm",
            "symbol": "BTCUSDT",
            "tf": "15m",
            "signal_id": "0" * 24,
            "agent": "retest",
            "ts": datetime(2026, 3, 2, tzinfo=UTC),
            "side_hint": side,
            "entry_hint": 100.0,
            "sl_hint": 99.0 if side == "LONG" else 101.0,
            "tpR": [1.5, 2, 3],
            "features": names,
            "score": 0.6,
            "ttl_bars": 6,
            "retest_ok": True,
            "structure_ok": True,
        }
    )
    read = Signal.from_event(raw, atr14=0.7)
    assert (read.ema200, read.macd, read.rsi) == (True, False, True)
    assert (read.signal_id, read.entry_hint, read.atr14, read.zone_kind) == ("0" * 24, 100.0, 0.7, None)
