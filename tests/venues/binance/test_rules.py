import json
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from contracts import InstrumentRules
from contracts.errors import DataRejected
from tests.venues.binance.fakes import utc
from venues.binance.rules import ExchangeInfo, SymbolInfo, canonical_json, read_exchange_info, rules_sha256

SEEN = utc(2026, 9, 30)

# Fields and filters as binance-api.md §3.3 and §3.4 list them.
SPOT_SYMBOL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "baseAssetPrecision": 8,
    "quoteAsset": "USDT",
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT"],
    "icebergAllowed": True,
    "isSpotTradingAllowed": True,
    "filters": [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": "0.01000000",
            "maxPrice": "1000000.00000000",
            "tickSize": "0.01000000",
        },
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "120.50000000", "stepSize": "0.00000000"},
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ],
}

# The live sample of §3.4: tick 0.10, minPrice 556.80, step 0.001, market max 120, notional 50.
USDM_SYMBOL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "pricePrecision": 2,
    "quantityPrecision": 3,
    "onboardDate": 1569398400000,
    "deliveryDate": 4133404800000,
    "OrderType": ["LIMIT", "MARKET", "STOP_MARKET"],
    "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.001", "maxQty": "120", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "50"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ],
}


def info(*symbols: object, venue: str = "binance_spot") -> ExchangeInfo:
    return read_exchange_info({"symbols": list(symbols)}, venue, seen_at=SEEN, asked="exchangeInfo")


def spot(**changes: object) -> SymbolInfo:
    return info({**SPOT_SYMBOL, **changes}).symbols["BTCUSDT"]


def usdm(**changes: object) -> SymbolInfo:
    return info({**USDM_SYMBOL, **changes}, venue="binance_usdm").symbols["BTCUSDT"]


def with_filter(name: str, **changes: object) -> dict[str, object]:
    filters = [{**one, **changes} if one["filterType"] == name else one for one in SPOT_SYMBOL["filters"]]
    return {**SPOT_SYMBOL, "filters": filters}


def test_spot_rules_are_those_of_the_filters_and_a_zero_is_no_limit() -> None:
    rules = spot().rules
    assert (rules.tick_size, rules.min_price, rules.max_price) == (Decimal("0.01"), Decimal("0.01"), Decimal(1000000))
    assert (rules.step_size, rules.min_qty, rules.max_qty) == (Decimal("0.00001"), Decimal("0.00001"), Decimal(9000))
    assert (rules.market_step_size, rules.market_min_qty, rules.market_max_qty) == (None, None, Decimal("120.5"))
    assert (rules.min_notional, rules.max_notional) == (Decimal(5), Decimal(9000000))
    assert (rules.contract_type, rules.base, rules.quote, rules.status) == ("SPOT", "BTC", "USDT", "TRADING")
    assert {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200} in rules.filters


def test_usdm_rules_are_those_of_the_filters() -> None:
    rules = usdm().rules
    assert (rules.tick_size, rules.min_price) == (Decimal("0.1"), Decimal("556.8"))
    assert (rules.step_size, rules.market_max_qty) == (Decimal("0.001"), Decimal(120))
    assert (rules.min_notional, rules.max_notional) == (Decimal(50), None)
    assert rules.contract_type == "PERPETUAL"
    assert rules.order_types == ("LIMIT", "MARKET", "STOP_MARKET")


def test_the_legacy_notional_filter_of_spot_is_read_too() -> None:
    legacy = {"filterType": "MIN_NOTIONAL", "minNotional": "10.00", "applyToMarket": True, "avgPriceMins": 5}
    filters = [one for one in SPOT_SYMBOL["filters"] if one["filterType"] != "NOTIONAL"]
    assert spot(filters=[*filters, legacy]).rules.min_notional == Decimal(10)
    assert spot(filters=filters).rules.min_notional is None


def test_fees_and_leverage_are_conservative_and_say_so() -> None:
    rules = usdm().rules
    assert (rules.maker_fee, rules.taker_fee) == (Decimal("0.0002"), Decimal("0.0005"))
    assert rules.max_leverage == 1
    assert rules.fees_source == "conservative"
    assert spot().rules.taker_fee == Decimal("0.001")


def test_listing_dates_are_those_of_the_contract() -> None:
    assert usdm().listed_at == utc(2019, 9, 25, 8)
    assert usdm().delisted_at is None
    assert usdm(deliveryDate=1790755200000).delisted_at == utc(2026, 9, 30, 8)
    assert (spot().listed_at, spot().delisted_at) == (None, None)


def test_a_contract_on_something_else_than_crypto_keeps_its_type() -> None:
    assert usdm(contractType="TRADIFI_PERPETUAL").rules.contract_type == "TRADIFI_PERPETUAL"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({**SPOT_SYMBOL, "filters": SPOT_SYMBOL["filters"][1:]}, "'PRICE_FILTER' is missing"),
        ({**SPOT_SYMBOL, "status": None, "baseAsset": None, "filters": None}, "not iterable"),
        (with_filter("PRICE_FILTER", tickSize="0.00"), "PRICE_FILTER states no tickSize"),
        (with_filter("LOT_SIZE", stepSize=0.001), "a decimal as text was expected, received 0.001"),
        (with_filter("LOT_SIZE", minQty="-1"), "is no limit"),
        (with_filter("LOT_SIZE", maxQty="NaN"), "is no limit"),
        (with_filter("LOT_SIZE", maxQty="many"), "is no decimal"),
        ({**SPOT_SYMBOL, "symbol": "BTC:USDT"}, "is no symbol"),
        ("BTCUSDT", "string indices"),
    ],
)
def test_a_symbol_that_cannot_be_read_is_listed_with_its_reason_and_hides_no_other(entry: object, reason: str) -> None:
    found = info(entry, {**SPOT_SYMBOL, "symbol": "ETHUSDT"})
    assert found.symbols.keys() == {"ETHUSDT"}
    assert [reason in text for text in found.unreadable.values()] == [True]


@pytest.mark.parametrize("body", [None, [], "x", {}, {"symbols": {}}])
def test_a_body_without_symbols_is_rejected(body: object) -> None:
    with pytest.raises(DataRejected, match="list of symbols"):
        read_exchange_info(body, "binance_spot", seen_at=SEEN, asked="exchangeInfo of binance_spot")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ([{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400}], 2400),
        ([{"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200}], None),
        ([{"rateLimitType": "REQUEST_WEIGHT", "interval": "DAY", "intervalNum": 1, "limit": 9}], None),
        (None, None),
        (["x"], None),
    ],
)
def test_the_weight_limit_is_the_one_of_a_minute(limits: object, expected: int | None) -> None:
    found = read_exchange_info({"symbols": [], "rateLimits": limits}, "binance_usdm", seen_at=SEEN, asked="x")
    assert found.weight_limit == expected


def test_equal_rules_in_another_order_and_with_other_zeros_have_one_hash() -> None:
    shuffled = random.Random(7)
    for _ in range(20):
        filters = [dict(shuffled.sample(sorted(one.items()), len(one))) for one in SPOT_SYMBOL["filters"]]
        shuffled.shuffle(filters)
        types = shuffled.sample(SPOT_SYMBOL["orderTypes"], len(SPOT_SYMBOL["orderTypes"]))
        assert rules_sha256(spot(filters=filters, orderTypes=types).rules) == rules_sha256(spot().rules)
    rewritten = json.loads(json.dumps(SPOT_SYMBOL).replace("0.01000000", "0.0100"))
    assert rules_sha256(info(rewritten).symbols["BTCUSDT"].rules) == rules_sha256(spot().rules)


@pytest.mark.parametrize(
    "changed",
    [
        with_filter("PRICE_FILTER", tickSize="0.1"),
        with_filter("MAX_NUM_ORDERS", maxNumOrders=100),
        with_filter("NOTIONAL", applyMinToMarket=False),
        {**SPOT_SYMBOL, "status": "HALT"},
    ],
)
def test_a_changed_rule_has_another_hash(changed: dict[str, object]) -> None:
    assert rules_sha256(info(changed).symbols["BTCUSDT"].rules) != rules_sha256(spot().rules)


def test_the_canonical_text_reads_back_as_the_rules_it_was_made_from() -> None:
    rules = usdm().rules
    text = canonical_json(rules)
    again = InstrumentRules.model_validate_json(text)
    assert again.model_dump(exclude={"filters"}) == rules.model_dump(exclude={"filters"})
    assert canonical_json(again) == text
    assert '"tick_size":"0.1"' in text
    assert '"max_qty":"1000"' in text


def test_seen_at_is_kept() -> None:
    assert info().seen_at - SEEN == timedelta(0)
