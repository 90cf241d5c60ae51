"""Faults on demand: what a real exchange does wrong, switched on from a test or over the control address.

A fault names the requests it meets (market, path prefix, text in path and query) and how often (`times`, None = until
cleared). Faults of an archive file's *content* stand until cleared, so that zip and CHECKSUM agree about it; the
exception is `wrong_checksum`, whose point is that they do not. Socket faults happen at once or, `late_close`, stand.
Faults of rows are for bars and for funding settlements alike, where both have them; `venue` chooses who says them.

    board.add(Fault(kind="status", venue="spot", prefix="/api/v3/klines", **OVERLOADED, times=2))
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Literal, TypedDict

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal[
    "status",  # answer with `status`, `body` and `retry_after`
    "garbage",  # 200 with something that is no JSON (or no zip)
    "slow",  # wait `seconds` first
    "hide_rows",  # leave out the rows of `open_times` (ms)
    "duplicate_rows",  # archive and fundingRate: write those rows twice
    "contradicting_rows",  # archive and fundingRate: write those rows twice, the second time with other values
    "crossed_rows",  # archive and klines: those bars have their high below their low
    "disagreeing_rows",  # klines and fundingRate: those rows have other values than in the archive
    "republished",  # archive: those rows (the first if none is named) have other values: new bytes, ETag and CHECKSUM
    "absent",  # archive: 404
    "truncated",  # archive: the zip ends in its middle
    "not_csv",  # archive: the zip holds no table
    "wrong_checksum",  # archive: CHECKSUM states another hash
    "drop_sockets",  # close every WebSocket now
    "server_shutdown",  # announce `serverShutdown`, close after `seconds`
    "late_close",  # hold back the closing frame for `seconds` of simulated time
]
# What stands until cleared, by who says it.
ARCHIVE_ROWS = frozenset({"hide_rows", "duplicate_rows", "contradicting_rows", "crossed_rows", "republished"})
KLINES_ROWS = frozenset({"crossed_rows", "disagreeing_rows"})
FUNDING_ROWS = frozenset({"duplicate_rows", "contradicting_rows", "disagreeing_rows"})
ARCHIVE_FILES = frozenset({"truncated", "not_csv"})
CONTENT = ARCHIVE_ROWS - {"hide_rows"} | KLINES_ROWS | FUNDING_ROWS | ARCHIVE_FILES
_NAMED = frozenset({"contradicting_rows", "crossed_rows", "disagreeing_rows"})
IMMEDIATE = frozenset({"drop_sockets", "server_shutdown"})


class Answer(TypedDict):
    """Status and body of a refusal."""

    status: int
    body: str


# The four 503s of binance-api §10 and what they mean for the request.
UNKNOWN: Answer = {
    "status": 503,
    "body": '{"code":-1000,"msg":"Unknown error, please check your request or try again later."}',
}
UNAVAILABLE: Answer = {"status": 503, "body": "Service Unavailable."}
INTERNAL: Answer = {
    "status": 503,
    "body": '{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}',
}
OVERLOADED: Answer = {
    "status": 503,
    "body": '{"code":-1008,"msg":"Request throttled by system-level protection. Reduce-only/close-position orders '
    'are exempt. Please try again."}',
}


class Fault(BaseModel):
    """One fault.

    Attributes:
        kind: What goes wrong.
        venue: Where; None = on all three addresses.
        prefix: Which paths.
        contains: Text that path and query must hold (`symbol=BTCUSDT`).
        times: How many requests it meets; None = until cleared.
        status: For `status`.
        body: For `status` and `garbage`.
        retry_after: Seconds stated in `Retry-After`; None = no such header.
        seconds: For `slow`, `server_shutdown` (real) and `late_close` (simulated).
        open_times: For the faults of rows: open times of bars, or the instants settlements are for, in ms.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    venue: Literal["spot", "usdm", "archive"] | None = None
    prefix: str = Field(default="/", pattern="^/")
    contains: str = ""
    times: int | None = Field(default=1, ge=1)
    status: int = Field(default=503, ge=400, le=599)
    body: str = ""
    retry_after: int | None = Field(default=None, ge=0)
    seconds: float = Field(default=0.0, ge=0)
    open_times: tuple[int, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _standing(cls, data: object) -> object:
        # What stands until cleared is not asked to be told so.
        if not isinstance(data, dict):
            return data
        kind = data.get("kind")
        in_archive = kind == "hide_rows" and data.get("venue") == "archive"
        return {"times": None, **data} if kind in CONTENT or kind == "late_close" or in_archive else data

    @model_validator(mode="after")
    def _content_stands(self) -> Fault:
        if self.kind in CONTENT and self.times is not None:
            msg = f"{self.kind} stands until cleared: zip and CHECKSUM are two requests; leave `times` out"
            raise ValueError(msg)
        if self.kind in _NAMED and not self.open_times:
            msg = f"{self.kind} needs the `open_times` of its rows"
            raise ValueError(msg)
        return self

    def meets(self, venue: str, path: str, query: str) -> bool:
        """Whether a request is one of those this fault is for."""
        here = self.venue is None or self.venue == venue
        return here and path.startswith(self.prefix) and self.contains in f"{path}?{query}"


class FaultBoard:
    """The faults that are switched on. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._active: dict[int, tuple[Fault, int | None]] = {}
        self._listeners: list[Callable[[Fault], None]] = []

    def add(self, fault: Fault) -> int:
        """Switch a fault on; returns the id to clear it by. Socket faults that happen at once are not kept."""
        with self._lock:
            number = next(self._ids)
            if fault.kind not in IMMEDIATE:
                self._active[number] = (fault, fault.times)
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(fault)
        return number

    def clear(self, number: int | None = None) -> None:
        """Switch one fault off, or all of them."""
        with self._lock:
            if number is None:
                self._active.clear()
            else:
                self._active.pop(number, None)

    def active(self) -> dict[int, Fault]:
        """What is switched on, by id; `times` is what is left of it."""
        with self._lock:
            return {key: fault.model_copy(update={"times": left}) for key, (fault, left) in self._active.items()}

    def take(self, venue: str, path: str, query: str = "", *, kinds: frozenset[str]) -> Fault | None:
        """The oldest fault of these kinds that meets this request, counted as used once."""
        with self._lock:
            for number, (fault, left) in self._active.items():
                if fault.kind in kinds and fault.meets(venue, path, query):
                    if left == 1:
                        del self._active[number]
                    elif left is not None:
                        self._active[number] = (fault, left - 1)
                    return fault
        return None

    def standing(self, venue: str, path: str = "/", query: str = "", *, kinds: frozenset[str]) -> tuple[Fault, ...]:
        """All faults of these kinds that meet this request, not counted."""
        with self._lock:
            return tuple(f for f, _ in self._active.values() if f.kind in kinds and f.meets(venue, path, query))

    def subscribe(self, listener: Callable[[Fault], None]) -> Callable[[], None]:
        """Call `listener` with every fault that is added, on the thread that adds it; returns the way out."""
        with self._lock:
            self._listeners.append(listener)

        def leave() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return leave
