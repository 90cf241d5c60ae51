"""What a refusal of a signed request calls for, as a table (binance-api.md §10).

Each row names what it matches (market, HTTP status, Binance's code, words of its text) and the one thing to do then.
The first row that matches decides; what no row knows is UNKNOWN when something may have been executed, else REJECT.

Invariant: nothing that may have been executed is ever RETRY. Without an answer (a timeout, a dropped connection) there
is nothing to look up: that is UNKNOWN, always.

    verdict = verdict_of(Refusal("usdm", status=400, code=-4116, text="ClientOrderId is duplicated."), writes=True)
    verdict.action, verdict.why            # Action.UNKNOWN, "our own earlier attempt lives: ask for it"
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

MarketName = Literal["spot", "usdm"]


class Action(Enum):
    """What to do about a refusal."""

    DONE = "DONE"  # what was asked for holds already
    RETRY = "RETRY"  # nothing was executed: the same again, after a pause that grows
    WAIT = "WAIT"  # nothing was executed: nothing more from this address or account before the pause has ended
    RESYNC = "RESYNC"  # nothing was executed: read the server's clock, sign anew, once
    RENEW = "RENEW"  # the listen key is gone: make another and connect anew
    UNKNOWN = "UNKNOWN"  # it may have been executed: ask for it by its client id before anything is sent again
    RECONCILE = "RECONCILE"  # what is believed of the account does not hold: read orders, positions and trades
    LEAVE = "LEAVE"  # a stop would trigger at once: what it was to protect leaves at market
    REDUCE = "REDUCE"  # only what reduces exposure is taken from this account or symbol
    REJECT = "REJECT"  # refused, and will be again: tell whoever asked
    HALT = "HALT"  # the key, the account or the address is of no use until a person has looked


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success.

    Attributes:
        market: Whose answer.
        status: HTTP status; of the WebSocket API the `status` of the reply.
        code: Binance's code; None = the body had none.
        text: Its message, or the begin of a body that is no JSON.
    """

    market: MarketName
    status: int
    code: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, and why, for people."""

    action: Action
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    action: Action
    why: str
    codes: Collection[int] = ()
    statuses: Collection[int] = ()
    market: MarketName | None = None
    words: str = ""
    reads: bool | None = None  # only requests that change nothing (True), or only those that do (False)

    def matches(self, refusal: Refusal, *, writes: bool) -> bool:
        return (
            (self.market is None or self.market == refusal.market)
            and (not self.codes or refusal.code in self.codes)
            and (not self.statuses or refusal.status in self.statuses)
            and self.words.lower() in refusal.text.lower()
            and (self.reads is None or self.reads is not writes)
        )


_ANY_5XX: Final = range(500, 600)

_ROWS: Final[Sequence[_Row]] = (
    # The address and the account as a whole.
    _Row(action=Action.WAIT, statuses=(418, 429), why="the address is limited or banned until the pause has ended"),
    _Row(action=Action.WAIT, codes=(-1003,), why="too much request weight: the address has to wait"),
    _Row(action=Action.WAIT, codes=(-1015,), why="too many orders in this window: the account has to wait"),
    _Row(action=Action.HALT, statuses=(403,), why="a firewall refuses this address, or words of the request"),
    _Row(action=Action.HALT, statuses=(451,), why="the venue does not serve this region"),
    _Row(action=Action.HALT, codes=(-1022,), why="the signature is wrong: the secret does not belong to the key"),
    _Row(action=Action.HALT, codes=(-2014, -2015), why="the key is malformed, revoked, or may not do this from here"),
    _Row(action=Action.HALT, codes=(-4061,), why="the account is in another position mode than the settings say"),
    _Row(action=Action.RESYNC, codes=(-1021, -5028), why="the clock of this machine is off"),
    # 503 of USD-M: the text tells whether anything can have happened.
    _Row(action=Action.RETRY, codes=(-1008,), why="overloaded, surely not executed"),
    _Row(action=Action.RETRY, market="usdm", statuses=(503,), words="Service Unavailable", why="surely not executed"),
    _Row(
        action=Action.RETRY,
        market="usdm",
        statuses=(503,),
        words="Internal error; unable to process",
        why="surely not executed",
    ),
    # Nobody knows whether it was executed.
    _Row(
        action=Action.UNKNOWN, codes=(-1000, -1006, -1007), reads=False, why="the venue does not know what became of it"
    ),
    _Row(
        action=Action.UNKNOWN, codes=(-1001,), reads=False, why="the venue lost it on the way, perhaps after executing"
    ),
    _Row(action=Action.RETRY, codes=(-1000, -1001, -1006, -1007), reads=True, why="it changes nothing: ask again"),
    _Row(action=Action.RETRY, codes=(-1016,), why="the service is shutting down"),
    _Row(action=Action.UNKNOWN, statuses=(408, *_ANY_5XX), reads=False, why="no answer of the matching engine"),
    _Row(action=Action.RETRY, statuses=(408, *_ANY_5XX), reads=True, why="it changes nothing: ask again"),
    # Our own earlier attempt.
    _Row(
        action=Action.UNKNOWN,
        market="spot",
        codes=(-2010, -1010),
        words="Duplicate order sent",
        why="our own earlier attempt lives: ask for it",
    ),
    _Row(action=Action.UNKNOWN, market="usdm", codes=(-4116,), why="our own earlier attempt lives: ask for it"),
    # What was asked for holds.
    _Row(action=Action.DONE, market="usdm", codes=(-4046, -4059, -5027), why="it is so already"),
    # Orders that are not where they were believed to be.
    _Row(action=Action.RECONCILE, codes=(-2011, -2013), why="filled, gone, or not to be seen yet: look again"),
    _Row(action=Action.RECONCILE, market="spot", codes=(-2021,), why="half of a cancel-and-replace was done"),
    _Row(action=Action.REJECT, market="spot", codes=(-2022,), why="neither half of a cancel-and-replace was done"),
    _Row(action=Action.RECONCILE, market="spot", codes=(-2026,), why="the order is archived, it ended long ago"),
    _Row(
        action=Action.RECONCILE, market="spot", statuses=(409,), why="only a part was done: read what the answer says"
    ),
    _Row(action=Action.RECONCILE, market="usdm", codes=(-2022,), why="nothing to reduce: the position is flat already"),
    _Row(action=Action.RECONCILE, market="usdm", codes=(-4117,), why="the stop is triggering: wait for its fill"),
    _Row(action=Action.RECONCILE, market="usdm", codes=(-4118,), why="an open order on the same side is in the way"),
    _Row(action=Action.RECONCILE, market="usdm", codes=(-4130,), why="another stop that closes the position is open"),
    _Row(action=Action.RECONCILE, market="usdm", codes=(-4129, -4509), why="there is no position yet to be closed"),
    _Row(action=Action.RETRY, market="usdm", codes=(-5043,), why="another change of this order is under way"),
    _Row(action=Action.RENEW, codes=(-1125,), why="the listen key is gone"),
    # Protection.
    _Row(action=Action.LEAVE, market="usdm", codes=(-2021, -4142), why="the price is past the stop already"),
    _Row(
        action=Action.LEAVE,
        market="spot",
        codes=(-2010, -1010),
        words="would trigger immediately",
        why="the price is past the stop already",
    ),
    # Only exits.
    _Row(
        action=Action.REDUCE,
        market="usdm",
        codes=(-4087, -4140, -4192, -4400, -4401, -4402),
        why="only what reduces exposure is taken",
    ),
    _Row(action=Action.HALT, market="usdm", codes=(-4088, -4109), why="the account may not trade"),
)


def verdict_of(refusal: Refusal, *, writes: bool) -> Verdict:
    """What a refusal calls for.

    Args:
        refusal: What came back.
        writes: Whether the request changes something at the venue: an order, a cancel, a setting.
    """
    for row in _ROWS:
        if row.matches(refusal, writes=writes):
            return Verdict(row.action, row.why)
    if writes and refusal.code is None:
        return Verdict(Action.UNKNOWN, "the answer is none of Binance's: it may have been executed behind it")
    return Verdict(Action.REJECT, "refused, and will be again")
