"""What Binance's refusals mean for the caller of a public GET, by reaction.

Retryable      VenueUnavailable   network, timeout, 5xx, an internal error, a body that is no JSON (a proxy's page)
               RateLimited        429 or -1003: the request did not count as an answer; wait, then ask again
Rejected       UnknownSymbol      -1121, or a symbol that exchangeInfo does not list
               RequestRefused     any other 4xx: the same request will be refused again
DataRejected   BadAnswer          JSON of another shape than documented, rows that were not asked for
               ArchiveRejected    a file that contradicts its checksum, its name or its format
Halt           VenueHalted        418 or "banned until", a firewall's 403, a region's 451

A public GET executes nothing, so even "execution unknown" (5xx, -1006, -1007) may be asked again; orders need a
reading of their own (binance-api.md §10). Usage: `raise failure_of(answer, asked="klines of …", now=clock())`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from contracts.errors import DataRejected, Halt, Rejected, Retryable, TidemarkError

# Binance's shortest ban; used where an answer of 418 names no deadline (binance-api.md §9).
SHORTEST_BAN_S = 120.0
# A firewall's verdict names no deadline; asking on would prolong it.
FIREWALL_HOLD_S = 300.0

_BANNED_UNTIL = re.compile(r"banned until (\d{13})")
# "Internal", "disconnected", "unexpected response", "timeout", "overloaded", "shutting down": the exchange's trouble.
_TEMPORARY_CODES = frozenset({-1000, -1001, -1006, -1007, -1008, -1016})
_QUOTED = 200


class VenueUnavailable(Retryable):
    """The venue could not be reached or could not answer."""


class RateLimited(Retryable):
    """The venue asked to slow down."""


class UnknownSymbol(Rejected):
    """The venue has no such symbol."""


class RequestRefused(Rejected):
    """The venue refuses this request, whenever it is sent."""


class BadAnswer(DataRejected):
    """The venue's answer has not the documented shape, or does not fit the question."""


class ArchiveRejected(DataRejected):
    """A file of the archive is not what it claims to be."""


class VenueHalted(Halt):
    """The venue refuses every request from this address."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read to its end.

    Attributes:
        status: HTTP status.
        headers: Header values by lower-case name.
        body: The decoded body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def number(self, header: str) -> int | None:
        """Value of a header that holds a whole number; None when it is absent or something else."""
        text = self.headers.get(header, "").strip()
        return int(text) if text.isascii() and text.isdigit() else None


def quoted(body: bytes) -> str:
    """The beginning of a body, fit for an error message."""
    text = body[:_QUOTED].decode("utf-8", errors="replace")
    return repr(text if len(body) <= _QUOTED else text + "…")


def json_body(answer: Answer, *, asked: str) -> object:
    """The JSON value of a good answer.

    Raises:
        VenueUnavailable: The body is no JSON: not the exchange spoke but something on the way, or half an answer came.
    """
    try:
        value: object = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        msg = f"{asked}: HTTP {answer.status} with a body that is no JSON ({quoted(answer.body)}); ask again later"
        raise VenueUnavailable(msg) from error
    return value


def failure_of(answer: Answer, *, asked: str, now: float) -> TidemarkError:
    """The error that an answer other than 2xx stands for.

    Args:
        answer: What the venue sent.
        asked: What was attempted and with which key, for the message.
        now: Seconds since the epoch, against which "banned until" is read.
    """
    code, text = code_and_text(answer.body)
    received = f"HTTP {answer.status}" + (f", code {code}" if code is not None else "") + f": {text}"
    wait = _seconds(answer)
    banned = banned_for(text, now=now)
    if banned is not None:
        return _halted(asked, received, banned)
    if answer.status == 418:
        return _halted(asked, received, wait if wait is not None else SHORTEST_BAN_S)
    if answer.status in {403, 451}:
        return _halted(asked, received, FIREWALL_HOLD_S)
    if answer.status == 429 or code == -1003:
        return RateLimited(f"{asked}: {received}; wait before asking again", retry_after=wait)
    if answer.status >= 500 or answer.status == 408 or code in _TEMPORARY_CODES:
        return VenueUnavailable(f"{asked}: {received}; ask again later", retry_after=wait)
    if code == -1121:
        return UnknownSymbol(f"{asked}: the venue knows no such symbol ({received}); check its spelling and venue")
    return RequestRefused(f"{asked}: {received}; the same request would be refused again")


def banned_for(text: str, *, now: float) -> float | None:
    """Seconds that a message bans this address for ("banned until <ms>"); None = it speaks of no ban.

    Args:
        text: Binance's message.
        now: Seconds since the epoch.
    """
    until = _BANNED_UNTIL.search(text)
    return max(0.0, int(until[1]) / 1000 - now) if until else None


def code_and_text(body: bytes) -> tuple[int | None, str]:
    """Binance's code and message in a body like `{"code": -1121, "msg": "Invalid symbol."}`.

    Firewalls and proxies send pages: of those there is no code (None), and the text is how they begin.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None, quoted(body)
    if not isinstance(value, dict) or type(value.get("code")) is not int:
        return None, quoted(body)
    return value["code"], str(value.get("msg", ""))


def _halted(asked: str, received: str, left: float) -> VenueHalted:
    msg = f"{asked}: {received}; every call to this host is refused for the next {left:.0f} s"
    return VenueHalted(msg, retry_after=left)


def _seconds(answer: Answer) -> float | None:
    seconds = answer.number("retry-after")
    return None if seconds is None else float(seconds)
