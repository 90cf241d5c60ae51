from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import Timeframe
from venues.simulator.barfile import FileMarket, read_bars
from venues.simulator.bars import MINUTE_MS, Bars, Col
from venues.simulator.generator import SeededMarket
from venues.simulator.history import History
from venues.simulator.market import UnknownSymbol


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(bars: Bars) -> list[tuple[str, int]]:
    """Minute of the hour and close of each bar."""
    stamps = [datetime.fromtimestamp(int(at) / 1000, tz=UTC).strftime("%H:%M") for at in bars[Col.OPEN_MS]]
    return list(zip(stamps, bars[Col.CLOSE].tolist(), strict=True))


@pytest.fixture
def history(bars_file: Path) -> History:
    return History(FileMarket(read_bars(bars_file), "BTCUSDT"))


NOON = ms("2025-01-01T12:00:00")
# The six minutes of the file; 23:57 is a hole. Prices are tenths.
ALL = [("23:55", 1020), ("23:56", 1015), ("23:58", 1050), ("23:59", 990), ("00:00", 900), ("00:01", 900)]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"limit": 500}, ALL),
        ({"limit": 2}, ALL[-2:]),
        ({"limit": 3, "start_ms": ms("2024-12-31T23:56:00")}, ALL[1:4]),
        ({"limit": 2, "end_ms": ms("2024-12-31T23:59:00")}, ALL[2:4]),
        ({"limit": 2, "start_ms": ms("2024-12-31T23:56:00"), "end_ms": ms("2024-12-31T23:59:00")}, ALL[1:3]),
        ({"limit": 9, "start_ms": ms("2024-12-31T23:56:00"), "end_ms": ms("2024-12-31T23:58:59")}, ALL[1:3]),
        ({"limit": 9, "start_ms": ms("2024-12-31T23:56:00.001")}, ALL[2:]),
        ({"limit": 9, "start_ms": ms("2024-12-31T23:57:00"), "end_ms": ms("2024-12-31T23:57:00")}, []),
        ({"limit": 9, "start_ms": ms("2025-01-01T00:02:00")}, []),
        ({"limit": 9, "end_ms": ms("2020-01-01T00:00:00")}, []),
    ],
)
def test_windows_follow_the_rules_of_the_exchange(
    history: History, window: dict[str, int], expected: list[tuple[str, int]]
) -> None:
    assert shown(history.klines("BTCUSDT", Timeframe.M1, now_ms=NOON, **window)) == expected


def test_nothing_is_seen_that_has_not_opened_and_the_newest_bar_is_forming(history: History) -> None:
    # Half a minute in: 00:00 falls 99 → 90 by way of 120 and 60; at one half it is half way from 120 down to 60.
    bars = history.klines("BTCUSDT", Timeframe.M1, now_ms=ms("2025-01-01T00:00:30"), limit=2)
    assert shown(bars) == [("23:59", 990), ("00:00", 900)]
    forming = bars.cells[:, -1].tolist()
    assert forming[1:] == [990, 1200, 900, 900, 3000, 3000, 15, 1500, 1500]


def test_a_forming_higher_bar_is_its_closed_minutes_and_the_running_part(history: History) -> None:
    now = ms("2024-12-31T23:58:15")
    bars = history.klines("BTCUSDT", Timeframe.M5, now_ms=now, limit=5)
    # 23:55 and 23:56 whole, 23:57 a hole, a quarter of 23:58 (rising: first down to its low of 101.5, its open).
    assert bars.cells.T.tolist() == [
        [ms("2024-12-31T23:55:00"), 1000, 1045, 990, 1015, 12_500 + 31, 12_750 + 32, 25, 5250 + 31, 5355 + 32]
    ]


def test_a_hole_has_no_forming_bar(history: History) -> None:
    bars = history.klines("BTCUSDT", Timeframe.M1, now_ms=ms("2024-12-31T23:57:30"), limit=9)
    assert shown(bars) == ALL[:2]


def test_at_its_last_instant_the_forming_bar_has_all_but_arrived(history: History) -> None:
    now = ms("2025-01-01T00:00:59.999")
    forming = history.forming("BTCUSDT", Timeframe.M1, now)
    closed = history.window("BTCUSDT", Timeframe.M1, start_ms=now - 59_999, end_ms=now + 1)
    assert abs(forming.cells - closed.cells).max() <= 1


def test_an_unknown_symbol_is_refused_with_the_known_ones(history: History) -> None:
    with pytest.raises(UnknownSymbol, match="'ETHUSDT' is not listed here: use one of BTCUSDT"):
        history.rules("ETHUSDT")


SEEDED = SeededMarket(3, ("BTCUSDT",), first_ms=ms("2025-01-10T00:07:00"))
REFERENCE = History(SEEDED).window(
    "BTCUSDT", Timeframe.M15, start_ms=ms("2025-01-01T00:00:00"), end_ms=ms("2025-04-01T00:00:00")
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.none() | st.integers(ms("2024-12-01T00:00:00"), ms("2025-03-20T00:00:00")),
    end=st.none() | st.integers(ms("2024-12-01T00:00:00"), ms("2025-03-20T00:00:00")),
    now=st.integers(ms("2025-01-09T00:00:00"), ms("2025-03-20T00:00:00")),
    limit=st.integers(1, 1500),
    cache=st.sampled_from([0, 2**28]),
)
def test_any_window_over_blocks_is_what_a_plain_filter_of_the_whole_gives(
    start: int | None, end: int | None, now: int, limit: int, cache: int
) -> None:
    opens = REFERENCE[Col.OPEN_MS].tolist()
    high = min(now, now if end is None else end)
    inside = [at for at in opens if (start is None or at >= start) and at <= high]
    expected = inside[:limit] if start is not None else inside[-limit:]
    history = History(SEEDED, cache_bytes=cache) if cache == 0 else WARM
    got = history.klines("BTCUSDT", Timeframe.M15, now_ms=now, limit=limit, start_ms=start, end_ms=end)
    # The only bar the plain filter cannot judge is the forming one: it may have no minute yet.
    running = now - now % (15 * MINUTE_MS)
    assert [at for at in got[Col.OPEN_MS].tolist() if at != running] == [at for at in expected if at != running]


WARM = History(SEEDED)
