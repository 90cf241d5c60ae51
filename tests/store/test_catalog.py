from dataclasses import replace
from decimal import Decimal

import psycopg

from contracts import InstrumentKey, InstrumentRules, SeriesKey, Timeframe
from store.catalog import (
    Instrument,
    SeriesSetting,
    list_instruments,
    list_series,
    record_rules,
    rules_at,
    rules_sha256,
    upsert_instrument,
    upsert_series,
)
from tests.store.frames import SEEN, T0, minutes

BTC = InstrumentKey("binance_usdm", "BTCUSDT")
ETH = InstrumentKey("binance_spot", "ETHUSDT")


def rules(tick: str) -> InstrumentRules:
    return InstrumentRules(
        venue=BTC.venue,
        symbol=BTC.symbol,
        status="TRADING",
        contract_type="PERPETUAL",
        base="BTC",
        quote="USDT",
        tick_size=Decimal(tick),
        min_price=None,
        max_price=Decimal("4529764"),
        step_size=Decimal("0.001"),
        min_qty=Decimal("0.001"),
        max_qty=None,
        market_step_size=None,
        market_min_qty=None,
        market_max_qty=None,
        min_notional=Decimal(100),
        max_notional=None,
        order_types=("LIMIT", "MARKET"),
        filters=({"filterType": "PRICE_FILTER", "tickSize": tick},),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.0005"),
        max_leverage=Decimal(1),
        fees_source="conservative",
    )


def test_instruments_are_kept_in_their_last_description(conn: psycopg.Connection) -> None:
    btc = Instrument(BTC, "PERPETUAL", "BTC", "USDT", "TRADING", listed_at=T0)
    eth = Instrument(ETH, "SPOT", "ETH", "USDT", "TRADING")
    for instrument in (btc, eth, btc):
        upsert_instrument(conn, instrument)
    assert list_instruments(conn) == [eth, btc]
    upsert_instrument(conn, replace(btc, status="SETTLING", delisted_at=SEEN))
    assert list_instruments(conn)[1] == replace(btc, status="SETTLING", delisted_at=SEEN)


def test_an_unchanged_instrument_is_not_written_again(conn: psycopg.Connection) -> None:
    upsert_instrument(conn, Instrument(ETH, "SPOT", "ETH", "USDT", "TRADING"))
    before = conn.execute("SELECT ctid::text, xmin::text FROM market.instruments").fetchall()
    upsert_instrument(conn, Instrument(ETH, "SPOT", "ETH", "USDT", "TRADING"))
    assert conn.execute("SELECT ctid::text, xmin::text FROM market.instruments").fetchall() == before


def test_series_are_listed_in_order_of_their_keys(conn: psycopg.Connection) -> None:
    keys = [BTC.series("15m"), BTC.series("1m"), ETH.series("1h")]
    for key in keys:
        upsert_series(conn, SeriesSetting(key))
    upsert_series(conn, SeriesSetting(keys[0], sub_tf=Timeframe.M1, live=True))
    upsert_series(conn, SeriesSetting(keys[2], enabled=False))
    assert list_series(conn) == [
        SeriesSetting(SeriesKey("binance_spot", "ETHUSDT", "1h"), enabled=False),
        SeriesSetting(keys[1]),
        SeriesSetting(keys[0], sub_tf=Timeframe.M1, live=True),
    ]
    assert [setting.key for setting in list_series(conn, enabled_only=True)] == [keys[1], keys[0]]
    assert [setting.key for setting in list_series(conn, ETH)] == [keys[2]]


def test_rules_get_a_row_only_when_they_changed(conn: psycopg.Connection) -> None:
    assert record_rules(conn, rules("0.10"), sha256="1" * 64, seen_at=T0)
    assert not record_rules(conn, rules("0.10"), sha256="1" * 64, seen_at=T0 + minutes(1))
    assert record_rules(conn, rules("0.01"), sha256="2" * 64, seen_at=T0 + minutes(2))
    assert record_rules(conn, rules("0.10"), sha256="1" * 64, seen_at=T0 + minutes(3))  # back again
    assert rules_at(conn, BTC, T0 - minutes(1)) is None
    assert rules_at(conn, BTC, T0 + minutes(1)) == rules("0.10")
    assert rules_at(conn, BTC, T0 + minutes(2)) == rules("0.01")
    assert rules_at(conn, BTC, T0 + minutes(9)) == rules("0.10")
    assert rules_at(conn, ETH, T0 + minutes(9)) is None
    known = [rules_sha256(conn, BTC, T0 + minutes(count)) for count in (-1, 0, 2, 9)]
    assert known == [None, "1" * 64, "2" * 64, "1" * 64]
    assert rules_sha256(conn, ETH, T0 + minutes(9)) is None
