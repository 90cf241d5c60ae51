from datetime import timedelta
from decimal import Decimal

import numpy as np

from contracts import to_us
from risk import RiskProfile
from risk.records import NEVER
from risk.situation import situation_of
from tests.risk.builders import TS, bracket, context, funding, hours, minutes, position, short, signal, trade

PROFILE = RiskProfile()


def test_a_situation_tells_the_signal_and_the_bar() -> None:
    later = TS + minutes(30)
    row = situation_of(short(), context(ts=later, now=later + timedelta(seconds=1), vol_state="SHOCK"), PROFILE)[0]
    assert (row["now"], row["ts"], row["tf"]) == (to_us(later) + 1_000_000, to_us(later), 900_000_000)
    assert (row["side"], row["signal_ts"], row["ttl_bars"]) == (-1, to_us(TS), 6)
    assert (row["entry"], row["stop"], row["atr14"], row["close"]) == (60000, 60600, 400, 60000)
    assert (row["vol_state"], row["trading_state"], row["zone_active"]) == (2, 0, 1)
    assert (row["structure"], row["triggers"]) == (1, 2)


def test_what_there_is_not_is_never_or_no_number() -> None:
    row = situation_of(signal(atr14=None), context(vol_state=None, funding=None), PROFILE)[0]
    assert row["vol_state"] == -1
    assert np.isnan(row["atr14"])
    assert np.isnan(row["funding_rate"])
    for name in ("news", "funding_last", "funding_next", "last_stop", "stops_tripped", "losses_tripped"):
        assert row[name] == NEVER, name


def test_funding_is_the_last_settled_rate() -> None:
    row = situation_of(signal(), context(funding=funding(last_rate=-0.0003)), PROFILE)[0]
    assert (row["funding_last"], row["funding_next"]) == (to_us(TS - hours(2)), to_us(TS + hours(6)))
    assert row["funding_rate"] == -0.0003


def test_exits_are_put_in_order_and_only_those_of_the_symbol_lock_it() -> None:
    trades = (
        trade(ago=minutes(10), r=-1.5, symbol="ETHUSDT", stopped=True),
        trade(ago=minutes(50), r=-1.0, stopped=True),
        trade(ago=minutes(90), r=-1.0, stopped=True),
        trade(ago=minutes(20), r=-1.5, venue="binance_spot"),
    )
    row = situation_of(signal(), context(trades=trades), PROFILE)[0]
    assert row["last_stop"] == to_us(TS - minutes(50))
    assert row["losses_tripped"] == to_us(TS - minutes(50))  # −1 and −1
    assert row["stops_tripped"] == to_us(TS - minutes(10))  # the third of the whole profile


def test_exposures_are_those_of_the_profile_and_what_waits_counts_as_held() -> None:
    account = context(
        positions=(
            position(1000, symbol="BTCUSDT", stop=Decimal(98)),  # 20 at risk
            position(500, side="SHORT", stop=Decimal(103), costs=Decimal(1)),  # 15 and 1
            position(9999, profile="another"),
        ),
        brackets=(
            bracket(unfilled=Decimal(3)),  # 300, 30 at risk, of the symbol that is held already
            bracket(symbol="SOLUSDT", side="SHORT", unfilled=Decimal(1), stop=Decimal(105)),  # 100 and 5
            bracket(symbol="XRPUSDT"),  # filled: its position tells
            bracket(profile="another", unfilled=Decimal(7)),
        ),
    )
    row = situation_of(signal(), account, PROFILE)[0]
    assert (row["symbol_notional"], row["long_notional"], row["short_notional"]) == (1300, 1300, 600)
    assert row["heat"] == 71
    assert row["positions"] == 3  # BTC, ETH, SOL
    assert row["brackets"] == 2  # on the symbol, whoever owns them


def test_a_zone_that_has_ended_is_told() -> None:
    for status in ("MITIGATED", "EXPIRED", "EVICTED"):
        assert situation_of(signal(), context(zone_status=status), PROFILE)["zone_active"][0] == 0


def test_equal_contexts_give_equal_bytes() -> None:
    one, other = (situation_of(signal(), context(), RiskProfile()) for _ in range(2))
    assert one.tobytes() == other.tobytes()
