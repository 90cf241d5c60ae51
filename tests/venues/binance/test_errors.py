import pytest

from contracts.errors import Halt, Rejected, Retryable, TidemarkError
from tests.venues.binance.fakes import NOW
from venues.binance.errors import (
    Answer,
    RateLimited,
    RequestRefused,
    UnknownSymbol,
    VenueHalted,
    VenueUnavailable,
    failure_of,
    json_body,
    quoted,
)

ASKED = "klines of binance_spot:BTCUSDT:1m"
PAGE = "<html><title>502 Bad Gateway</title></html>"


def failure(status: int, body: str, headers: dict[str, str] | None = None) -> TidemarkError:
    return failure_of(Answer(status, headers or {}, body.encode()), asked=ASKED, now=NOW)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, '{"code":-1121,"msg":"Invalid symbol."}', UnknownSymbol),
        (400, '{"code":-1120,"msg":"Invalid interval."}', RequestRefused),
        (400, '{"code":-1130,"msg":"Data sent for parameter \'limit\' is not valid."}', RequestRefused),
        (400, '{"code":-1102,"msg":"Mandatory parameter \'symbol\' was not sent."}', RequestRefused),
        (404, PAGE, RequestRefused),
        (302, "", RequestRefused),
        (400, '{"code":-1000,"msg":"An unknown error occurred while processing the request."}', VenueUnavailable),
        (
            400,
            '{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}',
            VenueUnavailable,
        ),
        (408, '{"code":-1007,"msg":"Timeout waiting for response from backend server."}', VenueUnavailable),
        (408, PAGE, VenueUnavailable),
        (500, PAGE, VenueUnavailable),
        (503, "Unknown error, please check your request or try again later.", VenueUnavailable),
        (503, '{"code":0,"msg":"Service Unavailable."}', VenueUnavailable),
        (503, "Internal error; unable to process your request. Please try again.", VenueUnavailable),
        (
            503,
            '{"code":-1008,"msg":"Request throttled by system-level protection. Reduce-only/close-position orders are '
            'exempt. Please try again."}',
            VenueUnavailable,
        ),
        (429, '{"code":-1003,"msg":"Too many requests; current limit is 2400 requests per minute."}', RateLimited),
        (400, '{"code":-1003,"msg":"Too much request weight used."}', RateLimited),
        (418, '{"code":-1003,"msg":"Way too many requests."}', VenueHalted),
        (403, PAGE, VenueHalted),
        (451, '{"code":0,"msg":"Service unavailable from a restricted location."}', VenueHalted),
    ],
)
def test_each_refusal_has_its_reaction(status: int, body: str, kind: type[TidemarkError]) -> None:
    found = failure(status, body)
    assert type(found) is kind
    assert ASKED in str(found)
    assert f"HTTP {status}" in str(found)


def test_reactions_are_those_of_the_contract() -> None:
    assert issubclass(UnknownSymbol, Rejected)
    assert issubclass(RequestRefused, Rejected)
    assert issubclass(VenueUnavailable, Retryable)
    assert issubclass(RateLimited, Retryable)
    assert issubclass(VenueHalted, Halt)


def test_retry_after_is_passed_on() -> None:
    found = failure(429, '{"code":-1003,"msg":"Too many requests."}', {"retry-after": "17"})
    assert isinstance(found, RateLimited)
    assert found.retry_after == 17.0


@pytest.mark.parametrize("value", ["", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", "²"])
def test_a_retry_after_that_is_no_number_of_seconds_is_not_stated(value: str) -> None:
    found = failure(429, "{}", {"retry-after": value})
    assert isinstance(found, RateLimited)
    assert found.retry_after is None


@pytest.mark.parametrize("status", [418, 429, 403])
def test_banned_until_is_read_against_the_clock(status: int) -> None:
    until = int((NOW + 90) * 1000)
    found = failure(status, f'{{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until {until}. "}}')
    assert isinstance(found, VenueHalted)
    assert found.retry_after == 90.0


def test_a_ban_without_deadline_lasts_as_long_as_the_shortest_one() -> None:
    found = failure(418, "I'm a teapot")
    assert isinstance(found, VenueHalted)
    assert found.retry_after == 120.0


def test_a_ban_with_retry_after_lasts_that_long() -> None:
    found = failure(418, "{}", {"retry-after": "300"})
    assert isinstance(found, VenueHalted)
    assert found.retry_after == 300.0


@pytest.mark.parametrize("body", ["", PAGE, '[[1499040000000,"0.01', "\xff", "[" * 100_000])
def test_a_good_status_with_a_body_that_is_no_json_may_be_asked_again(body: str) -> None:
    with pytest.raises(Retryable, match=ASKED):
        json_body(Answer(200, {}, body.encode("latin-1")), asked=ASKED)


def test_json_is_json() -> None:
    assert json_body(Answer(200, {}, b'{"serverTime":1}'), asked=ASKED) == {"serverTime": 1}


def test_a_long_body_is_quoted_by_its_beginning() -> None:
    assert len(quoted(b"x" * 10_000)) < 250
