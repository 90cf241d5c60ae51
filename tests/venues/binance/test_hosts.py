import pytest

from venues.binance.hosts import DEFAULT_HOSTS, MARKETS, market


@pytest.mark.parametrize(
    ("venue", "rows", "weight"),
    [
        ("binance_spot", 1, 2),
        ("binance_spot", 1000, 2),
        ("binance_usdm", 1, 1),
        ("binance_usdm", 99, 1),
        ("binance_usdm", 100, 2),
        ("binance_usdm", 499, 2),
        ("binance_usdm", 500, 5),
        ("binance_usdm", 1000, 5),
        ("binance_usdm", 1001, 10),
        ("binance_usdm", 1500, 10),
    ],
)
def test_klines_weigh_what_the_exchange_states(venue: str, rows: int, weight: int) -> None:
    assert market(venue).klines_weight(rows) == weight


@pytest.mark.parametrize(("venue", "maximum"), [("binance_spot", 1000), ("binance_usdm", 1500)])
def test_the_page_size_is_the_cheapest_a_row(venue: str, maximum: int) -> None:
    one = market(venue)
    cheapest = max(range(1, maximum + 1), key=lambda rows: rows / one.klines_weight(rows))
    assert one.page_limit == cheapest


def test_the_defaults_are_the_real_exchange() -> None:
    assert DEFAULT_HOSTS["binance_spot"].rest == "https://data-api.binance.vision"
    assert DEFAULT_HOSTS["binance_usdm"].rest == "https://fapi.binance.com"
    assert {hosts.archive for hosts in DEFAULT_HOSTS.values()} == {"https://data.binance.vision"}
    assert DEFAULT_HOSTS.keys() == MARKETS.keys()


def test_an_unknown_venue_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="unknown venue 'kraken'"):
        market("kraken")
