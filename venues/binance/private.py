"""Signed requests to one market with one key: each is sent once, and what became of it is told without pretence.

POST and PUT carry everything in a form body, GET and DELETE in the query, on both markets (binance-api.md §7.1, §13).
Addresses end up in the logs of whatever stands between, bodies do not; of a DELETE bodies get lost on the way; and
parts in both would leave it to Binance which of two equal names counts. The signature comes last.

Invariants: what writes is sent at most once, and once more only after Binance refused the first for its timestamp,
which it does before executing; `Unknown` is every case in which it may have been executed; no exception of httpx
leaves; no log line holds a query, a body, a signature or a secret. Reads are asked again a few times.
It reads no answer's meaning: 2xx with JSON is `Answered`, and who finds that JSON strange has an unknown outcome.

    call = Call("POST", "/api/v3/order", params, orders=1, priority=Priority.ENTRY, asked="entry of bracket 5f…")
    outcome = await private.send(call)              # Answered, Refused or Unknown
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import httpx

from venues.binance.actions import Action, MarketName, Refusal, Verdict, verdict_of
from venues.binance.budget import OverBudget, Priority, TradingBudget
from venues.binance.calls import Answered, Call, Outcome, Refused, Unknown
from venues.binance.clock import ServerClock
from venues.binance.errors import SHORTEST_BAN_S, Answer, banned_for, code_and_text
from venues.binance.limits import Jitter, Sleep
from venues.binance.once import BOUNDS, Bounds, NoAnswer, NotSent, exchange
from venues.binance.signing import SigningKey, encoded

# Binance takes a timestamp from less than a second ahead of it, so our estimate of its clock leads by no more than that
# when a request is admitted at all: that much after the window nothing of it can be admitted.
UNTIL_MARGIN_MS: Final = 1000
_RECV_WINDOW_MS: Final = (500, 5000)
_PATIENCE_S: Final = 10.0
_READ_TRIES: Final = 3
_FIRST_WAIT_S: Final = 0.2
_TIME_PATH: Final[Mapping[MarketName, str]] = {"spot": "/api/v3/time", "usdm": "/fapi/v1/time"}
_TIME_BOUNDS: Final = Bounds(connect_s=1.0, whole_s=2.0, most_bytes=4096)
_EARLIEST_MS: Final = 1_483_228_800_000  # 2017-01-01: what is earlier is no time of Binance
_HEADERS: Final = {"accept": "application/json", "user-agent": "tidemark"}
_FORM: Final = {"content-type": "application/x-www-form-urlencoded"}

_log = logging.getLogger(__name__)


class Private:
    """The signed half of one market's REST API, for one key.

    Args:
        http: What carries the requests (`venues.binance.once.connections`); it stays the caller's to close.
        key: Signs.
        market: Whose codes and texts are read.
        base: Base address of the host, without a slash at the end.
        clock: The host's clock; `sync` measures it.
        budget: What of the host's and account's limits may be used.
        exits: Carries what has the priority EXIT, so that entries without an answer cannot occupy its connections;
            None = `http` carries all.
        recv_window_ms: Milliseconds after its timestamp in which Binance admits a request, 500 to 5000: long ones
            prolong the time in which an outcome stays unknown, short ones get requests refused on slow lines.
        bounds: How long and how large one exchange may get.
        sleep: Waits.
        jitter: Numbers in [0, 1).

    Raises:
        ValueError: The receive window is out of its range, or the base address is none.
    """

    def __init__(
        self,
        http: httpx.AsyncBaseTransport,
        key: SigningKey,
        *,
        market: MarketName,
        base: str,
        clock: ServerClock,
        budget: TradingBudget,
        exits: httpx.AsyncBaseTransport | None = None,
        recv_window_ms: int = 3000,
        bounds: Bounds = BOUNDS,
        sleep: Sleep = asyncio.sleep,
        jitter: Jitter = random.random,
    ) -> None:
        shortest, longest = _RECV_WINDOW_MS
        if not shortest <= recv_window_ms <= longest:
            msg = f"recv_window_ms is {recv_window_ms}: choose {shortest} to {longest}"
            raise ValueError(msg)
        self.clock = clock
        self.budget = budget
        self._http = http
        self._exits = exits or http
        self._key = key
        self._market: MarketName = market
        self._base = _base(base)
        self._recv_window_ms = recv_window_ms
        self._bounds = bounds
        self._sleep = sleep
        self._jitter = jitter
        self._syncing = asyncio.Lock()

    async def send(self, call: Call) -> Outcome:
        """Send a request once, and a read up to three times while that can help.

        If the task is cancelled meanwhile, what writes has an unknown outcome.
        """
        if self.clock.generation == 0 and call.signed and call.priority is not Priority.EXIT:
            await self._sync_since(0)  # without an answer the wall clock stands in, and Binance judges it
        resynced, tries, deadline = False, 0, self._deadline(call)
        while True:
            generation = self.clock.generation
            outcome = await self._attempt(call, deadline=deadline)
            if not isinstance(outcome, Refused):
                return outcome
            if outcome.verdict.action is Action.RESYNC and not resynced:
                resynced = True
                if not await self._sync_since(generation):
                    return outcome
                deadline = self._deadline(call)  # the clock may have moved by more than anybody's patience
                continue
            tries += 1
            if call.writes or outcome.verdict.action is not Action.RETRY or tries == _READ_TRIES:
                return outcome
            wait = max(outcome.retry_after or 0.0, _FIRST_WAIT_S * 2 ** (tries - 1) * (0.5 + self._jitter() / 2))
            if self.clock.seconds() + wait > deadline:
                return outcome
            await self._sleep(wait)

    async def sync(self) -> bool:
        """Measure the server's clock: at start, and every some minutes, since clocks drift.

        Returns:
            Whether there was an answer; without one the clock stays as it was.
        """
        async with self._syncing:
            return await self.clock.sync(self._server_ms)

    def _deadline(self, call: Call) -> float:
        return self.clock.seconds() + _PATIENCE_S if call.deadline is None else call.deadline.timestamp()

    async def _sync_since(self, generation: int) -> bool:
        # Many requests are refused together when the clock is off: the first measures it for all.
        async with self._syncing:
            return self.clock.generation != generation or await self.clock.sync(self._server_ms)

    async def _attempt(self, call: Call, *, deadline: float) -> Outcome:
        try:
            ticket = await self.budget.take(
                weight=call.weight, orders=call.orders, priority=call.priority, deadline=deadline
            )
        except OverBudget as over:
            outcome: Outcome = Refused(Verdict(Action.WAIT, str(over)), None, over.retry_after)
            self._report(call, outcome, status=None, seconds=0.0)
            return outcome
        answer: Answer | None = None
        began = time.perf_counter()
        try:
            request, until = self._request(call)
            http = self._exits if call.priority is Priority.EXIT else self._http
            try:
                answer = await exchange(http, request, asked=call.asked, bounds=self._bounds)
            except NotSent as error:
                outcome = Refused(Verdict(Action.RETRY, str(error)))
            except NoAnswer as error:
                outcome = self._lost(call, str(error), until)
            else:
                outcome = self._read(call, answer, until)
        finally:
            self.budget.settle(ticket, None if answer is None else answer.headers)
        self._report(call, outcome, status=answer.status if answer else None, seconds=time.perf_counter() - began)
        return outcome

    def _request(self, call: Call) -> tuple[httpx.Request, datetime | None]:
        until: datetime | None = None
        if call.signed:
            stamp = int(self.clock.seconds() * 1000)
            text = self._key.rest({**call.params, "recvWindow": self._recv_window_ms, "timestamp": stamp})
            until = datetime.fromtimestamp((stamp + self._recv_window_ms + UNTIL_MARGIN_MS) / 1000, UTC)
        else:
            text = encoded(call.params)
        headers = {**_HEADERS, "x-mbx-apikey": self._key.api_key}
        url = self._base + call.path
        if call.method in {"POST", "PUT"}:
            return httpx.Request(call.method, url, headers=headers | _FORM, content=text.encode("ascii")), until
        return httpx.Request(call.method, f"{url}?{text}" if text else url, headers=headers), until

    def _read(self, call: Call, answer: Answer, until: datetime | None) -> Outcome:
        if 200 <= answer.status < 300:
            try:
                return Answered(json.loads(answer.body, parse_float=Decimal), answer.headers)
            except (ValueError, ArithmeticError, RecursionError):
                return self._lost(call, f"{call.asked}: HTTP {answer.status} with a body that is no JSON", until)
        code, text = code_and_text(answer.body)
        refusal = Refusal(self._market, answer.status, code, text)
        verdict = verdict_of(refusal, writes=call.writes)
        if verdict.action is Action.UNKNOWN:
            return Unknown(f"{call.asked}: {verdict.why}", until, refusal)
        wait = self._wait(answer, refusal) if verdict.action is Action.WAIT else _seconds(answer)
        return Refused(verdict, refusal, wait)

    def _lost(self, call: Call, why: str, until: datetime | None) -> Outcome:
        if call.writes:
            return Unknown(why, until)
        return Refused(Verdict(Action.RETRY, f"{why}; it changes nothing: ask again"))

    def _wait(self, answer: Answer, refusal: Refusal) -> float:
        named = _seconds(answer)
        if refusal.status not in {418, 429} and refusal.code == -1015:
            return self.budget.hold_orders(named)  # the account's, not the address': queries and cancels go on
        waits = [wait for wait in (named, banned_for(refusal.text, now=self.clock.seconds())) if wait is not None]
        if refusal.status == 418:
            waits = waits or [SHORTEST_BAN_S]
        return self.budget.pause(max(waits, default=None))

    async def _server_ms(self) -> int | None:
        # The clock serves exits as well, so their part of the budget pays for it; during a pause it stays as it is.
        try:
            soon = self.clock.seconds() + 0.25
            ticket = await self.budget.take(weight=1, orders=0, priority=Priority.EXIT, deadline=soon)
        except OverBudget:
            return None
        asked = f"server time of {self._market}"
        request = httpx.Request("GET", self._base + _TIME_PATH[self._market], headers=_HEADERS)
        answer: Answer | None = None
        try:
            answer = await exchange(self._exits, request, asked=asked, bounds=_TIME_BOUNDS)
        except (NotSent, NoAnswer) as error:
            _log.warning("no server time", extra={"market": self._market, "reason": str(error)})
            return None
        finally:
            self.budget.settle(ticket, None if answer is None else answer.headers)
        if answer.status != 200:
            code, text = code_and_text(answer.body)
            refusal = Refusal(self._market, answer.status, code, text)
            if verdict_of(refusal, writes=False).action is Action.WAIT:
                self._wait(answer, refusal)
            return None
        return _time_of(answer.body)

    def _report(self, call: Call, outcome: Outcome, *, status: int | None, seconds: float) -> None:
        refusal = None if isinstance(outcome, Answered) else outcome.refusal
        level = logging.WARNING if not isinstance(outcome, Answered) else logging.INFO if call.writes else logging.DEBUG
        _log.log(
            level,
            "signed request",
            extra={
                "market": self._market,
                "method": call.method,
                "path": call.path,
                "asked": call.asked,
                "status": status,
                "code": refusal.code if refusal else None,
                "outcome": outcome.verdict.action.value if isinstance(outcome, Refused) else type(outcome).__name__,
                "latency_ms": round(seconds * 1000, 1),
            },
        )


def _base(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.query or url.path not in {"", "/"}:
        msg = f"{text!r} is no base address: like https://api.binance.com, without path and query"
        raise ValueError(msg)
    return text.rstrip("/")


def _seconds(answer: Answer) -> float | None:
    named = answer.number("retry-after")
    return None if named is None else float(named)


def _time_of(body: bytes) -> int | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    server_ms = value.get("serverTime") if isinstance(value, dict) else None
    return server_ms if type(server_ms) is int and server_ms >= _EARLIEST_MS else None
