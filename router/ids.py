"""The names of a bracket's orders at a venue: pure functions of what each is for.

A name holds the bracket, the role, the rung and the attempt, so that whoever finds an order at the venue knows whose it
is, and whoever sends one again after a crash sends the same name. `attempt` grows only after a known rejection or
cancel; an order whose fate is unknown keeps its name.

Invariant: at most 36 characters of [A-Za-z0-9_-], which both markets take (binance-api.md §4.1, §6.1), and
`parsed(client_id(x)) == x`; equal names are equal orders.

    client_id(OrderName("3f…24 hex…", Role.STOP, rung=0, attempt=1))        # "td-3f…-S0-1"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from contracts import Rejected

PREFIX: Final = "td"
LONGEST: Final = 36
MAX_RUNGS: Final = 8
MAX_ATTEMPTS: Final = 36**3

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_BRACKET: Final = re.compile(r"[0-9a-f]{24}")
_NAME: Final = re.compile(
    rf"{PREFIX}-(?P<bracket>[0-9a-f]{{24}})-(?P<role>[ESTXL])(?P<rung>[0-7])-(?P<attempt>0|[1-9a-z][0-9a-z]{{0,2}})"
)


class Role(Enum):
    """What an order is for; the value is its letter in a name."""

    ENTRY = "E"
    STOP = "S"
    TAKE_PROFIT = "T"
    EXIT = "X"  # leaves at market: by hand, by time, because a stop could not stand
    LIST = "L"  # the list that holds the orders of a rung together; spot alone


class NameRefused(Rejected):
    """No order can have that name."""


@dataclass(frozen=True, slots=True)
class OrderName:
    """What an order is.

    Attributes:
        bracket: `bracket_id` of its decision, 24 hex characters.
        role: What it is for.
        rung: Of the ladder, from 0; 0 for what belongs to the whole position.
        attempt: Counted from 0.

    Raises:
        NameRefused: A part is none.
    """

    bracket: str
    role: Role
    rung: int = 0
    attempt: int = 0

    def __post_init__(self) -> None:
        if not (_BRACKET.fullmatch(self.bracket) and 0 <= self.rung < MAX_RUNGS and 0 <= self.attempt < MAX_ATTEMPTS):
            msg = (
                f"an order is named by a bracket of 24 hex characters, a rung below {MAX_RUNGS} and an attempt below "
                f"{MAX_ATTEMPTS}, received {self.bracket!r}, {self.rung} and {self.attempt}"
            )
            raise NameRefused(msg)


def client_id(name: OrderName) -> str:
    """The client order id of an order; as `clientAlgoId` and `listClientOrderId`, too."""
    return f"{PREFIX}-{name.bracket}-{name.role.value}{name.rung}-{_written(name.attempt)}"


def parsed(text: str) -> OrderName | None:
    """The order that a client id names; None = it is none of ours."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    return OrderName(found["bracket"], Role(found["role"]), int(found["rung"]), int(found["attempt"], 36))


def _written(attempt: int) -> str:
    """A count to the base of 36, without leading zeros."""
    digits = ""
    while attempt or not digits:
        attempt, digit = divmod(attempt, len(_DIGITS))
        digits = _DIGITS[digit] + digits
    return digits
