"""What each refusal calls for; the law that nothing which may have been executed is sent again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venues.binance.actions import Action, MarketName, Refusal, verdict_of

MARKETS: tuple[MarketName, ...] = ("spot", "usdm")
# The texts of binance-api.md §10 that say for sure that nothing was executed.
SURE = ("service unavailable", "internal error; unable to process")


def action(market: MarketName, code: int | None, text: str = "", *, status: int = 400, writes: bool = True) -> Action:
    return verdict_of(Refusal(market, status, code, text), writes=writes).action


@pytest.mark.parametrize(
    ("market", "status", "code", "text", "expected"),
    [
        ("spot", 503, None, "", Action.UNKNOWN),
        ("spot", 500, -1000, "", Action.UNKNOWN),
        ("spot", 504, None, "<html>", Action.UNKNOWN),
        ("usdm", 503, -1000, "Unknown error, please check your request or try again later.", Action.UNKNOWN),
        ("usdm", 503, None, "Service Unavailable.", Action.RETRY),
        ("usdm", 503, None, "Internal error; unable to process your request. Please try again.", Action.RETRY),
        ("usdm", 503, -1008, "Request throttled by system-level protection.", Action.RETRY),
        ("spot", 503, -1008, "Server is currently overloaded with other requests.", Action.RETRY),
        ("usdm", 408, None, "", Action.UNKNOWN),
        ("spot", 403, None, "<html>", Action.HALT),
        ("spot", 409, None, "", Action.RECONCILE),
        ("spot", 418, -1003, "banned until 1700000000000", Action.WAIT),
        ("usdm", 429, -1003, "", Action.WAIT),
        ("spot", 400, -1001, "", Action.UNKNOWN),
        ("spot", 400, -1006, "", Action.UNKNOWN),
        ("usdm", 400, -1007, "Timeout waiting for response from backend server.", Action.UNKNOWN),
        ("spot", 400, -2010, "Account has insufficient balance for requested action.", Action.REJECT),
        ("spot", 400, -2010, "Duplicate order sent.", Action.UNKNOWN),
        ("spot", 400, -2010, "Order would trigger immediately.", Action.LEAVE),
        ("spot", 400, -1013, "Filter failure: LOT_SIZE", Action.REJECT),
        ("usdm", 429, -1015, "Too many new orders.", Action.WAIT),
        ("spot", 400, -1021, "", Action.RESYNC),
        ("usdm", 400, -5028, "", Action.RESYNC),
        ("spot", 400, -1022, "", Action.HALT),
        ("spot", 400, -1111, "", Action.REJECT),
        ("usdm", 400, -1125, "", Action.RENEW),
        ("spot", 400, -2011, "Unknown order sent.", Action.RECONCILE),
        ("usdm", 400, -2013, "Order does not exist.", Action.RECONCILE),
        ("spot", 401, -2015, "", Action.HALT),
        ("usdm", 400, -2019, "Margin is insufficient.", Action.REJECT),
        ("spot", 400, -2021, "", Action.RECONCILE),
        ("usdm", 400, -2021, "Order would immediately trigger.", Action.LEAVE),
        ("usdm", 400, -4142, "", Action.LEAVE),
        ("spot", 400, -2022, "", Action.REJECT),
        ("usdm", 400, -2022, "ReduceOnly Order is rejected.", Action.RECONCILE),
        ("usdm", 400, -4046, "No need to change margin type.", Action.DONE),
        ("usdm", 400, -4059, "", Action.DONE),
        ("usdm", 400, -4061, "", Action.HALT),
        ("usdm", 400, -4116, "ClientOrderId is duplicated.", Action.UNKNOWN),
        ("usdm", 400, -4120, "", Action.REJECT),
        ("usdm", 400, -4164, "", Action.REJECT),
        ("usdm", 400, -4509, "", Action.RECONCILE),
        ("usdm", 400, -4130, "", Action.RECONCILE),
        ("usdm", 400, -4400, "", Action.REDUCE),
        ("usdm", 400, -4045, "", Action.REJECT),
        ("usdm", 400, -5022, "", Action.REJECT),
        ("usdm", 400, -5027, "", Action.DONE),
    ],
)
def test_what_a_refused_order_calls_for(
    market: MarketName, status: int, code: int | None, text: str, expected: Action
) -> None:
    assert action(market, code, text, status=status) is expected


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize(("status", "code"), [(500, None), (503, -1000), (400, -1001), (400, -1007), (408, None)])
def test_a_request_that_changes_nothing_is_simply_asked_again(
    market: MarketName, status: int, code: int | None
) -> None:
    assert action(market, code, status=status, writes=False) is Action.RETRY


@pytest.mark.parametrize("market", MARKETS)
def test_what_binance_did_not_write_may_hide_an_execution(market: MarketName) -> None:
    assert action(market, None, "<html>bad gateway of somebody's proxy</html>", status=400) is Action.UNKNOWN
    assert action(market, None, "<html>", status=404, writes=False) is Action.REJECT


@given(
    st.sampled_from(MARKETS),
    st.integers(500, 599) | st.just(408),
    st.none() | st.integers(-9999, -1),
    st.text(max_size=40),
)
def test_without_the_venue_s_word_that_nothing_happened_an_order_is_never_sent_again(
    market: MarketName, status: int, code: int | None, text: str
) -> None:
    if code not in (-1008, -1016, -5043) and not any(words in text.lower() for words in SURE):
        assert action(market, code, text, status=status) is not Action.RETRY


@given(st.sampled_from(MARKETS), st.integers(400, 599), st.none() | st.integers(-9999, -1), st.booleans())
def test_every_verdict_says_why(market: MarketName, status: int, code: int | None, writes: bool) -> None:  # noqa: FBT001
    assert verdict_of(Refusal(market, status, code, ""), writes=writes).why
