"""The simulator's time: it begins where it is told to and runs at a multiple of real time.

At speed 0 it stands still and is moved by hand, which is how tests see an exchange act without waiting for it.
It never runs backwards. Whoever waits for time (the WebSocket feed) subscribes and is called at every jump.

    clock = SimClock(start, speed=0)
    clock.advance(seconds=60)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from contracts import Rejected, to_us


class ClockRejected(Rejected):
    """The clock cannot be moved that way."""


class SimClock:
    """Thread-safe simulated time.

    Args:
        start: Where it begins, UTC-aware.
        speed: Simulated seconds a real second; 0 = frozen.
        ticks: Real seconds, monotonic; replaced in tests.
    """

    def __init__(self, start: datetime, *, speed: float = 1.0, ticks: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._ticks = ticks
        self._speed = speed
        self._base_us = to_us(start)
        self._since = ticks()
        self._listeners: list[Callable[[], None]] = []

    @property
    def speed(self) -> float:
        """Simulated seconds a real second."""
        return self._speed

    def now_us(self) -> int:
        """Simulated microseconds since the epoch."""
        with self._lock:
            return self._now_us()

    def now_ms(self) -> int:
        """Simulated milliseconds since the epoch, as the exchange states its time."""
        return self.now_us() // 1000

    def now(self) -> datetime:
        """The simulated instant."""
        return datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=self.now_us())

    def advance(self, *, seconds: float) -> None:
        """Jump forward.

        Raises:
            ClockRejected: `seconds` is negative.
        """
        if seconds < 0:
            msg = f"the clock cannot be moved by {seconds} s: it never runs backwards; start another simulator"
            raise ClockRejected(msg)
        with self._lock:
            self._rebase(self._now_us() + round(seconds * 1_000_000))
        self._tell()

    def set(self, instant: datetime) -> None:
        """Jump to a later instant.

        Raises:
            ClockRejected: The instant lies in the simulated past.
        """
        with self._lock:
            target, now = to_us(instant), self._now_us()
            if target < now:
                msg = f"the clock cannot be set back to {instant.isoformat()}: start another simulator"
                raise ClockRejected(msg)
            self._rebase(target)
        self._tell()

    def run_at(self, speed: float) -> None:
        """Change the speed from now on (0 = freeze).

        Raises:
            ClockRejected: `speed` is negative.
        """
        if speed < 0:
            msg = f"the clock cannot run at speed {speed}: use 0 to freeze it"
            raise ClockRejected(msg)
        with self._lock:
            self._rebase(self._now_us())
            self._speed = speed
        self._tell()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every jump and change of speed, on the thread that made it; returns the way out."""
        with self._lock:
            self._listeners.append(listener)

        def leave() -> None:
            with self._lock:
                self._listeners.remove(listener)

        return leave

    def _now_us(self) -> int:
        return self._base_us + int((self._ticks() - self._since) * self._speed * 1_000_000)

    def _rebase(self, now_us: int) -> None:
        self._base_us, self._since = now_us, self._ticks()

    def _tell(self) -> None:
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()
