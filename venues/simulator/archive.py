"""The archive of the exchange: kline zips by month and day, funding by month, with CHECKSUM (binance-api §11).

A day's file appears the next day, a month's on the first Monday of the next month, each `archive_*_delay` after
midnight of the simulator's clock; before that, and where no bar exists, the answer is the XML 404 of the object store.
Zips are made when asked for, with fixed time stamps, so the same content has the same bytes, ETag and checksum in every
process; they are kept in a cache bounded by bytes. There is no listing.

    Archive(exchange).routes()
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import threading
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from starlette.responses import Response
from starlette.routing import Route

from contracts import Timeframe, to_us
from venues.simulator.faults import ARCHIVE_FILES, ARCHIVE_ROWS, Fault
from venues.simulator.funding_wire import funding_csv
from venues.simulator.profiles import SPOT, USDM, VenueProfile
from venues.simulator.rest import fault_response
from venues.simulator.spoilt import spoilt_bars, spoilt_settlements
from venues.simulator.wire import archive_csv

if TYPE_CHECKING:
    from starlette.requests import Request

    from venues.simulator.exchange import Exchange

CACHE_BYTES = 64 * 2**20
SPOT_MICROSECONDS_FROM = datetime(2025, 1, 1, tzinfo=UTC)
_PATH = re.compile(
    r"data/(?P<market>spot|futures/um)/(?P<grain>daily|monthly)/klines/(?P<symbol>[^/]+)/(?P<tf>[^/]+)/"
    r"(?P=symbol)-(?P=tf)-(?P<year>\d{4})-(?P<month>\d{2})(-(?P<day>\d{2}))?\.zip"
)
_FUNDING_PATH = re.compile(
    r"data/futures/um/monthly/fundingRate/(?P<symbol>[^/]+)/(?P=symbol)-fundingRate-(?P<year>\d{4})-(?P<month>\d{2})\.zip"
)
_ANSWERING = frozenset({"status", "garbage", "slow", "absent"})
_STANDING = ARCHIVE_ROWS | ARCHIVE_FILES


@dataclass(frozen=True, slots=True)
class File:
    """One file of the archive: which bars (`tf` None: which settlements), and when it appears."""

    path: str
    venue: VenueProfile
    symbol: str
    tf: Timeframe | None
    start: datetime
    end: datetime
    monthly: bool

    @property
    def name(self) -> str:
        """File name of the zip."""
        return self.path.rsplit("/", 1)[1]


def parse(path: str) -> File | None:
    """The file that a path (without leading slash) names; None where the archive has no such name."""
    funding = _FUNDING_PATH.fullmatch(path)
    if funding is not None:
        return _funding_file(path, funding)
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    monthly = match["grain"] == "monthly"
    if monthly != (match["day"] is None):
        return None
    try:
        tf = Timeframe(match["tf"])
        start = datetime(int(match["year"]), int(match["month"]), int(match["day"] or 1), tzinfo=UTC)
    except ValueError:
        return None
    end = next_month(start) if monthly else start + timedelta(days=1)
    venue = SPOT if match["market"] == "spot" else USDM
    return File(path, venue, match["symbol"], tf, start, end, monthly)


def _funding_file(path: str, match: re.Match[str]) -> File | None:
    try:
        start = datetime(int(match["year"]), int(match["month"]), 1, tzinfo=UTC)
    except ValueError:
        return None
    return File(path, USDM, match["symbol"], None, start, next_month(start), monthly=True)


def next_month(start: datetime) -> datetime:
    """First instant of the month after the one that begins at `start`."""
    return (start.replace(day=1) + timedelta(days=32)).replace(day=1)


def first_monday(month: datetime) -> datetime:
    """Midnight of the first Monday of a month."""
    return month + timedelta(days=-month.weekday() % 7)


class Archive:
    """Routes of the archive address."""

    def __init__(self, exchange: Exchange, *, cache_bytes: int = CACHE_BYTES) -> None:
        self._exchange = exchange
        self._cache: OrderedDict[tuple[str, tuple[Fault, ...]], bytes] = OrderedDict()
        self._cached = 0
        self._limit = cache_bytes
        self._lock = threading.Lock()

    def routes(self) -> list[Route]:
        """The one route of the object store."""
        return [Route("/data/{rest:path}", self._get, methods=["GET", "HEAD"])]

    def published_at(self, file: File) -> datetime:
        """When the file appears."""
        config = self._exchange.config
        if file.monthly:
            return first_monday(file.end) + config.archive_monthly_delay
        return file.end + config.archive_daily_delay

    async def _get(self, request: Request) -> Response:
        path = request.url.path
        fault = self._exchange.faults.take("archive", path, request.url.query, kinds=_ANSWERING)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault is not None:
            return _not_found(path) if fault.kind == "absent" else fault_response(fault)
        is_checksum = path.endswith(".CHECKSUM")
        file = parse(path.removesuffix(".CHECKSUM").lstrip("/"))
        body = None if file is None else await asyncio.to_thread(self._zip, file)
        if file is None or body is None:
            return _not_found(path)
        if is_checksum:
            body = self._checksum(path, file, body)
        return _object(request, body, media="binary/octet-stream" if is_checksum else "application/zip")

    def _checksum(self, path: str, file: File, body: bytes) -> bytes:
        wrong = self._exchange.faults.take("archive", path, kinds=frozenset({"wrong_checksum"}))
        digest = hashlib.sha256(body if wrong is None else b"another " + body).hexdigest()
        return f"{digest}  {file.name}\n".encode()

    def _zip(self, file: File) -> bytes | None:
        symbols = self._exchange.history.symbols
        if file.symbol not in symbols or self._exchange.clock.now() < self.published_at(file):
            return None
        faults = self._exchange.faults.standing("archive", f"/{file.path}", kinds=_STANDING)
        key = (file.path, faults)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        table = self._funding(file, faults) if file.tf is None else self._klines(file, file.tf, faults)
        if table is None:
            return None
        body = _spoilt_body(_packed(file.name.removesuffix(".zip") + ".csv", table, faults), faults)
        self._keep(key, body)
        return body

    def _klines(self, file: File, tf: Timeframe, faults: tuple[Fault, ...]) -> bytes | None:
        history = self._exchange.history
        bars = history.window(file.symbol, tf, start_ms=_ms(file.start), end_ms=_ms(file.end))
        if not len(bars):
            return None
        microseconds = file.venue.microseconds and file.start >= SPOT_MICROSECONDS_FROM
        rules = history.symbols[file.symbol]
        return archive_csv(spoilt_bars(bars, faults), rules, file.venue, tf, microseconds=microseconds)

    def _funding(self, file: File, faults: tuple[Fault, ...]) -> bytes | None:
        settled = self._exchange.funding.settled(file.symbol, start_ms=_ms(file.start), end_ms=_ms(file.end))
        return funding_csv(spoilt_settlements(settled, faults)) if settled else None

    def _keep(self, key: tuple[str, tuple[Fault, ...]], body: bytes) -> None:
        with self._lock:
            if key in self._cache:
                return
            self._cache[key] = body
            self._cached += len(body)
            while self._cached > self._limit and len(self._cache) > 1:
                _, evicted = self._cache.popitem(last=False)
                self._cached -= len(evicted)


def _ms(instant: datetime) -> int:
    return to_us(instant) // 1000


def _packed(name: str, table: bytes, faults: tuple[Fault, ...]) -> bytes:
    if any(fault.kind == "not_csv" for fault in faults):
        table = b"<html><body>This file is being prepared.</body></html>\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # The default time stamp of a ZipInfo is 1980: no clock in the bytes. Level 1: speed before size.
        info = zipfile.ZipInfo(name)
        archive.writestr(info, table, compress_type=zipfile.ZIP_DEFLATED, compresslevel=1)
    return buffer.getvalue()


def _spoilt_body(body: bytes, faults: tuple[Fault, ...]) -> bytes:
    return body[: len(body) // 2] if any(fault.kind == "truncated" for fault in faults) else body


def _object(request: Request, body: bytes, *, media: str) -> Response:
    etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    asked = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=media, headers=headers)


def _not_found(path: str) -> Response:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        f"<Message>The specified key does not exist.</Message><Key>{escape(path.lstrip('/'))}</Key></Error>"
    )
    return Response(body, status_code=404, media_type="application/xml")
