from __future__ import annotations

from venues.simulator.funding import Running, Settlement
from venues.simulator.funding_wire import funding_csv, info_row, premium_row, rate_row
from venues.simulator.market import SymbolRules

RULES = SymbolRules("BTCUSDT", "BTC", "USDT", 1, 3, 4, first_ms=0, end_ms=2**60)
AT = 1704096000000
PAID = Settlement("BTCUSDT", AT, -12_345, 423_139, 8)


def test_a_rate_has_every_documented_field_as_text_with_eight_decimals() -> None:
    row = rate_row(PAID, RULES)
    assert 0 <= row.pop("fundingTime") - AT <= 12
    assert row == {
        "symbol": "BTCUSDT",
        "fundingRate": "-0.00012345",
        "markPrice": "42313.90000000",
        "rateType": "Regular",
    }


def test_the_archive_writes_regular_rates_only() -> None:
    special = Settlement("BTCUSDT", AT + 14_400_000, 125_000, 423_139, 8, special=True)
    assert rate_row(special, RULES)["rateType"] == "Special"
    header, row, end = funding_csv([PAID, special]).decode().split("\n")
    assert header == "calc_time,funding_interval_hours,last_funding_rate"
    calc_time, rest = row.split(",", 1)
    assert 0 <= int(calc_time) - AT <= 12
    assert (rest, end) == ("8,-0.00012345", "")


def test_the_terms_of_a_symbol_have_every_documented_field() -> None:
    assert info_row("ETHUSDT", 4, updated_ms=AT) == {
        "symbol": "ETHUSDT",
        "adjustedFundingRateCap": "0.00300000",
        "adjustedFundingRateFloor": "-0.00300000",
        "fundingIntervalHours": 4,
        "disclaimer": False,
        "updateTime": AT,
    }


def test_the_running_rate_has_every_documented_field() -> None:
    assert premium_row(Running(-5, 423_139, AT), RULES, now_ms=AT - 1) == {
        "symbol": "BTCUSDT",
        "markPrice": "42313.90000000",
        "indexPrice": "42313.90000000",
        "estimatedSettlePrice": "42313.90000000",
        "lastFundingRate": "-0.00000005",
        "interestRate": "0.00010000",
        "nextFundingTime": AT,
        "time": AT - 1,
    }
