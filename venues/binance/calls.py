"""What is asked of a private endpoint, and what can become of it.

Invariant: an outcome tells what is known. `Refused` is surely not executed, `Unknown` may have been; nothing between.

    Call("DELETE", "/api/v3/order", {"symbol": "BTCUSDT", "origClientOrderId": "tm-5f…"}, priority=Priority.EXIT,
         asked="cancel of the entry of bracket 5f…")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from venues.binance.actions import Refusal, Verdict
from venues.binance.budget import Priority
from venues.binance.signing import SIGNATURE, Params, encoded

Method = Literal["GET", "POST", "PUT", "DELETE"]

_ADDED: Final = frozenset({"timestamp", "recvWindow", SIGNATURE})


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        method: HTTP method; what is no GET writes.
        path: Path from the host's root on.
        params: Parameters in the order in which they are sent, without timestamp, window and signature.
        weight: Request weight it costs.
        orders: Orders it places, for the account's order counts.
        priority: Whom a shortage of budget hits first.
        asked: What is attempted and with which key, for messages and logs.
        deadline: Instant by the server's clock after which it is not sent; None = it waits for 10 s at most.
        signed: False for the few endpoints that take the key alone (listen keys).

    Raises:
        ValueError: The path holds a query, or a parameter is none that Binance reads or is added when sending, or
            the deadline names no time zone.
    """

    method: Method
    path: str
    params: Params = field(default_factory=dict)
    _: KW_ONLY
    priority: Priority
    asked: str
    weight: int = 1
    orders: int = 0
    deadline: datetime | None = None
    signed: bool = True

    def __post_init__(self) -> None:
        if not self.path.startswith("/") or not self.path.isascii() or any(mark in self.path for mark in "?# %"):
            msg = f"{self.asked}: {self.path!r} is no path: begin with a slash and hand parameters over as such"
            raise ValueError(msg)
        if not _ADDED.isdisjoint(self.params):
            msg = f"{self.asked}: {', '.join(sorted(_ADDED & self.params.keys()))} is added when sending; leave it out"
            raise ValueError(msg)
        if self.deadline is not None and self.deadline.tzinfo is None:
            msg = f"{self.asked}: its deadline {self.deadline} names no time zone"
            raise ValueError(msg)
        encoded(self.params)

    @property
    def writes(self) -> bool:
        """Whether it may change something at the venue."""
        return self.method != "GET"


@dataclass(frozen=True, slots=True)
class Answered:
    """It was executed, or read.

    Attributes:
        json: The answer; numbers with a point are Decimal.
        headers: Headers by lower-case name.
    """

    json: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Refused:
    """It was surely not executed; or what it asked for holds already (`Action.DONE`).

    Attributes:
        verdict: What to do now, and why.
        refusal: Binance's words; None = there are none: it was not sent, or a read found no answer.
        retry_after: Seconds before which asking again is of no use; None = the caller's own back-off.
    """

    verdict: Verdict
    refusal: Refusal | None = None
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been executed: look it up by its client id before anything else is sent in its place.

    Attributes:
        why: What happened, for people.
        until: Instant by the server's clock from which it can no longer be admitted; None = it had no window.
        refusal: Binance's words; None = no answer.
    """

    why: str
    until: datetime | None
    refusal: Refusal | None = None


Outcome: TypeAlias = Answered | Refused | Unknown
