"""Request weight by address: counted, stated in a header, enforced with 429 and, where that is ignored, 418.

Limits protect a real counterpart, so they run on real seconds whatever the speed of the simulated clock: a client that
sleeps for `Retry-After` is let in again. Windows are whole minutes since the simulator started; the requests of
funding are counted in a pool of their own, in windows of five minutes.

    verdict = limiter.charge("127.0.0.1", 2)
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

WINDOW_SECONDS = 60
FUNDING_WINDOW_SECONDS = 300
BAN_SECONDS = 120
# How many requests after the first 429 of a window make an address one that does not listen.
IGNORED_BEFORE_BAN = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer: 200 = let in, 429 = over the limit, 418 = banned.

    Attributes:
        status: The HTTP status.
        used: Weight used in this window, the value of `X-MBX-USED-WEIGHT-1M`.
        retry_after: Seconds to wait; 0 when let in.
    """

    status: int
    used: int
    retry_after: int


@dataclass(slots=True)
class _Address:
    window: int = 0
    used: int = 0
    ignored: int = 0
    banned_until: float = 0.0


class WeightLimiter:
    """Thread-safe weight accounts of all addresses of one market.

    Args:
        limit: Weight a window.
        ticks: Real seconds, monotonic; replaced in tests.
        window_seconds: Length of a window.
    """

    def __init__(self, limit: int, *, ticks: Callable[[], float], window_seconds: int = WINDOW_SECONDS) -> None:
        self.limit = limit
        self._ticks = ticks
        self._window_seconds = window_seconds
        self._start = ticks()
        self._accounts: dict[str, _Address] = {}
        self._lock = threading.Lock()

    def charge(self, address: str, weight: int) -> Verdict:
        """Book `weight` on an address and say whether it is let in."""
        with self._lock:
            now = self._ticks() - self._start
            account = self._accounts.setdefault(address, _Address())
            window = int(now // self._window_seconds)
            if window != account.window:
                account.window, account.used, account.ignored = window, 0, 0
            if now < account.banned_until:
                return Verdict(418, account.used, _whole(account.banned_until - now))
            if account.used + weight <= self.limit:
                account.used += weight
                return Verdict(200, account.used, 0)
            account.ignored += 1
            if account.ignored > IGNORED_BEFORE_BAN:
                account.banned_until = now + BAN_SECONDS
                return Verdict(418, account.used, BAN_SECONDS)
            return Verdict(429, account.used, _whole((window + 1) * self._window_seconds - now))


class MessageRate:
    """Messages of one connection in any rolling second.

    Args:
        limit: Messages a second that are still served.
        ticks: Real seconds, monotonic.
    """

    def __init__(self, limit: int, *, ticks: Callable[[], float]) -> None:
        self._limit = limit
        self._ticks = ticks
        self._seen: list[float] = []

    def allows(self) -> bool:
        """Book one message; False once the last second holds more than the limit."""
        now = self._ticks()
        self._seen = [at for at in self._seen if now - at < 1.0]
        self._seen.append(now)
        return len(self._seen) <= self._limit


def _whole(seconds: float) -> int:
    return max(1, -int(-seconds // 1))
