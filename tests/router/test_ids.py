"""Names of orders: one for one with what they are, and such as both markets take."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ids import LONGEST, MAX_ATTEMPTS, MAX_RUNGS, NameRefused, OrderName, Role, client_id, parsed

BRACKET = "0123456789abcdef01234567"
NAMES = st.builds(
    OrderName,
    st.text("0123456789abcdef", min_size=24, max_size=24),
    st.sampled_from(Role),
    st.integers(0, MAX_RUNGS - 1),
    st.integers(0, MAX_ATTEMPTS - 1),
)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (OrderName(BRACKET, Role.ENTRY), f"td-{BRACKET}-E0-0"),
        (OrderName(BRACKET, Role.TAKE_PROFIT, rung=2), f"td-{BRACKET}-T2-0"),
        (OrderName(BRACKET, Role.STOP, attempt=35), f"td-{BRACKET}-S0-z"),
        (OrderName(BRACKET, Role.EXIT, attempt=36), f"td-{BRACKET}-X0-10"),
        (OrderName(BRACKET, Role.LIST, rung=7, attempt=MAX_ATTEMPTS - 1), f"td-{BRACKET}-L7-zzz"),
    ],
)
def test_a_name_says_what_the_order_is(name: OrderName, text: str) -> None:
    assert client_id(name) == text


@given(NAMES)
def test_a_name_is_read_back_as_what_it_was(name: OrderName) -> None:
    assert parsed(client_id(name)) == name


@given(NAMES, NAMES)
def test_two_orders_never_share_a_name(one: OrderName, other: OrderName) -> None:
    assert (client_id(one) == client_id(other)) == (one == other)


@given(NAMES)
def test_both_markets_take_every_name(name: OrderName) -> None:
    text = client_id(name)
    assert len(text) <= LONGEST
    assert re.fullmatch(r"[a-zA-Z0-9-_]{1,36}", text)  # spot
    assert re.fullmatch(r"[.A-Z:/a-z0-9_-]{1,36}", text)  # USD-M


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x-HNA2TXFJ0123456789",
        "web_abc",
        "autoclose-1234567890",
        "adl_autoclose",
        f"td-{BRACKET}-E0-00",  # written otherwise than we do: not ours
        f"td-{BRACKET}-E8-0",
        f"td-{BRACKET}-Q0-0",
        f"td-{BRACKET[:-1]}-E0-0",
        f"td-{BRACKET.upper()}-E0-0",
        f"td-{BRACKET}-E0-zzzz",
        f"td-{BRACKET}-E0-0\n",
    ],
)
def test_what_is_not_ours_is_not_read_as_ours(text: str) -> None:
    assert parsed(text) is None


@given(st.text(max_size=40))
def test_whatever_is_read_is_written_the_same(text: str) -> None:
    name = parsed(text)
    assert name is None or client_id(name) == text


@pytest.mark.parametrize(
    ("bracket", "rung", "attempt"),
    [
        ("", 0, 0),
        (BRACKET[1:], 0, 0),
        (BRACKET.replace("a", "A"), 0, 0),
        (BRACKET, -1, 0),
        (BRACKET, MAX_RUNGS, 0),
        (BRACKET, 0, -1),
        (BRACKET, 0, MAX_ATTEMPTS),
    ],
)
def test_what_cannot_be_named_is_refused_with_what_it_was(bracket: str, rung: int, attempt: int) -> None:
    with pytest.raises(NameRefused, match=f"received {bracket!r}, {rung} and {attempt}"):
        OrderName(bracket, Role.ENTRY, rung, attempt)
