"""A quarantine: from which bar on a bot is not called for a series, and why.

Batch replays what live recorded: bars inside a recorded span are not given to the bot, whose state stays frozen, so
that both give the same rows although a bot that was late on one machine might be in time on another.

Invariant: spans are half-open, [from_ts, to_ts), in the `ts` of bars; `to_ts` None = until somebody releases it.

    span = Quarantine("sweep", key, from_ts, None, "LATE", "no answer within 250 ms", version)
    span.holds(bar_ts)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from contracts import to_us

if TYPE_CHECKING:
    from datetime import datetime

    from contracts import SeriesKey

Reason: TypeAlias = Literal["RAISED", "LATE", "EXITED", "REJECTED"]
MAX_DETAIL = 4_000
_HEAD = 1_000


@dataclass(frozen=True, slots=True)
class Quarantine:
    """One bot, one series, one span.

    Attributes:
        agent: Name of the bot.
        key: The series it is kept from; other series go on.
        from_ts: `ts` of the first bar it is not called for: the one it failed at.
        to_ts: `ts` of the first bar it is called for again; None = not yet.
        reason: `RAISED` an exception, `LATE` (no answer before the deadline), `EXITED` (its process ended),
            `REJECTED` (signals or state that cannot be).
        detail: The traceback, or what was received; at most 4,000 characters.
        bot_version: Version of the bot that failed.
    """

    agent: str
    key: SeriesKey
    from_ts: datetime
    to_ts: datetime | None
    reason: Reason
    detail: str
    bot_version: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", tidy(self.detail))

    def holds(self, ts_us: int) -> bool:
        """Whether the bar that became known at `ts_us` (µs since the epoch) lies inside the span."""
        return to_us(self.from_ts) <= ts_us and (self.to_ts is None or ts_us < to_us(self.to_ts))


def tidy(text: str) -> str:
    """A text that any column can hold: without NUL and broken characters, its middle left out where it is long."""
    clean = text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    if len(clean) <= MAX_DETAIL:
        return clean
    cut = "\n[…]\n"
    return clean[:_HEAD] + cut + clean[-(MAX_DETAIL - _HEAD - len(cut)) :]
