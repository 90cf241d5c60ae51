"""A clock that only sleeping moves, and counterparts that answer from a script or from a list of candles."""

import asyncio
import hashlib
import io
import json
import zipfile
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import TypeVar

import httpx

from venues.binance.archive import ArchiveReader
from venues.binance.client import open_market_data
from venues.binance.hosts import VenueHosts
from venues.binance.limits import WeightBudget
from venues.binance.rest import BinanceRest
from venues.binance.transport import RetryPolicy

T = TypeVar("T")
Handler = Callable[[httpx.Request], httpx.Response]

SPOT = "https://spot.test"
USDM = "https://usdm.test"
ARCHIVE = "https://archive.test"
HOSTS = {"binance_spot": VenueHosts(SPOT, ARCHIVE), "binance_usdm": VenueHosts(USDM, ARCHIVE)}
POLICY = RetryPolicy(attempts=3, first_wait_s=1.0, longest_wait_s=4.0, attempt_timeout_s=5.0)

# 2024-01-01T00:00:10Z: ten seconds into a minute.
NOW = 1_704_067_210.0


class Clock:
    """Seconds since the epoch; `sleep` moves it and remembers by how much."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class Script:
    """Answers by path, each list in turn, its last entry for good; remembers what was asked."""

    def __init__(self, answers: dict[str, list[httpx.Response | Exception]]) -> None:
        self._answers = {path: list(given) for path, given in answers.items()}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        given = self._answers.get(request.url.path)
        if not given:
            return httpx.Response(404, text="Not Found")
        answer = given.pop(0) if len(given) > 1 else given[0]
        if isinstance(answer, Exception):
            raise answer
        content = b"" if request.method == "HEAD" else answer.content
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]


class Candles:
    """A klines endpoint over given rows, by Binance's window rules; `cut` shortens each page at its pleasure."""

    def __init__(
        self, rows: Iterable[list[object]], *, server_ms: int, cut: Callable[[int], int] = lambda rows: rows
    ) -> None:
        self._rows = sorted(rows, key=lambda row: int(str(row[0])))
        self._server_ms = server_ms
        self._cut = cut
        self.queries: list[dict[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/time"):
            return httpx.Response(200, json={"serverTime": self._server_ms})
        query = dict(request.url.params)
        self.queries.append(query)
        first, last = int(query["startTime"]), int(query.get("endTime", 2**62))
        page = [row for row in self._rows if first <= int(str(row[0])) <= last][: int(query["limit"])]
        return httpx.Response(200, json=page[: self._cut(len(page))])


def minute_row(open_ms: int, close: str = "1.5") -> list[object]:
    """A documented kline row of one minute."""
    return [open_ms, "1.0", "2.0", "0.5", close, "10", open_ms + 59_999, "15", 3, "4", "6", "0"]


def ms(*when: int) -> int:
    """Milliseconds since the epoch of a UTC instant given as year, month, day, …"""
    return int(utc(*when).timestamp()) * 1000


def utc(*when: int) -> datetime:
    """A UTC instant given as year, month, day, hour, minute, second."""
    year, month, day, *rest = when
    hour, minute, second = [*rest, 0, 0, 0][:3]
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


def with_rest(
    handler: Handler,
    call: Callable[[BinanceRest], Awaitable[T]],
    *,
    venue: str = "binance_spot",
    clock: Clock | None = None,
    budgets: dict[str, WeightBudget] | None = None,
) -> T:
    """Run one call against a REST counterpart."""
    return asyncio.run(_rest(handler, call, venue, clock or Clock(), budgets))


async def _rest(
    handler: Handler,
    call: Callable[[BinanceRest], Awaitable[T]],
    venue: str,
    clock: Clock,
    budgets: dict[str, WeightBudget] | None,
) -> T:
    inner = httpx.MockTransport(handler)
    async with open_market_data(
        HOSTS, budgets=budgets, policy=POLICY, inner=inner, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5
    ) as data:
        return await call(data.rest(venue))


def with_archive(handler: Handler, call: Callable[[ArchiveReader], Awaitable[T]], *, clock: Clock | None = None) -> T:
    """Run one call against an archive."""
    return asyncio.run(_archive(handler, call, clock or Clock()))


async def _archive(handler: Handler, call: Callable[[ArchiveReader], Awaitable[T]], clock: Clock) -> T:
    inner = httpx.MockTransport(handler)
    async with open_market_data(
        HOSTS, policy=POLICY, inner=inner, clock=clock, sleep=clock.sleep, jitter=lambda: 0.5
    ) as data:
        return await call(data.archive("binance_spot"))


def zipped(csv: str | bytes, *, name: str, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of one member; equal content gives equal bytes, so that its hash may name a test in every process."""
    member = zipfile.ZipInfo(name)  # dated 1980: a date of today would make each call's bytes another
    member.compress_type = compression
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        file.writestr(member, csv)
    return target.getvalue()


def checksum_line(content: bytes, name: str) -> httpx.Response:
    """What `sha256sum` prints, as the archive serves it."""
    return httpx.Response(200, text=f"{hashlib.sha256(content).hexdigest()}  {name}\n")


def refusal(status: int, code: int, message: str, **headers: str) -> httpx.Response:
    """An error as the exchange writes it."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, content=json.dumps({"code": code, "msg": message}), headers=fields)
