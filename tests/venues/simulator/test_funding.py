"""Settlements as a function of seed, symbol, time and bars; numbers of the hand-made market worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from venues.simulator.barfile import FileMarket, read_bars
from venues.simulator.bars import HOUR_MS
from venues.simulator.funding import CAP, LATEST_MS, NOISE, SPECIAL_RATE, FundingBook, Settlement
from venues.simulator.generator import SeededMarket
from venues.simulator.history import History

YEAR_MS = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp()) * 1000
NEXT_MS = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1000
SPECIAL_MS = int(datetime(2024, 1, 20, 12, tzinfo=UTC).timestamp()) * 1000


def book(seed: int = 7) -> FundingBook:
    market = SeededMarket(seed, ("BTCUSDT", "ETHUSDT"), first_ms=YEAR_MS - 90 * HOUR_MS)
    return FundingBook(History(market), seed=seed)


@pytest.fixture(scope="module")
def january() -> list[Settlement]:
    return book().settled("BTCUSDT", start_ms=YEAR_MS, end_ms=YEAR_MS + 31 * 24 * HOUR_MS)


def test_a_rate_is_the_interest_a_share_of_the_move_and_little_noise(bars_file: Path) -> None:
    hand_made = FundingBook(History(FileMarket(read_bars(bars_file), "BTCUSDT")), seed=7)
    first, second = hand_made.settled("BTCUSDT", start_ms=0, end_ms=2**50)
    # 100.0 → 99.0 before midnight: −1 % · 0.02 = −20,000 units; 99.0 → 90.0 after it: −9/99 · 0.02 = −181,819 (floor).
    assert (first.at_ms, first.mark, first.hours) == (NEXT_MS, 990, 8)
    assert abs(first.rate - (10_000 - 20_000)) <= NOISE
    assert (second.at_ms, second.mark, second.hours) == (NEXT_MS + 8 * HOUR_MS, 900, 8)
    assert abs(second.rate - (10_000 - 181_819)) <= NOISE


def test_most_symbols_settle_every_eight_hours_and_one_every_four(january: list[Settlement]) -> None:
    regular = [one.at_ms for one in january if not one.special]
    assert regular == list(range(YEAR_MS, YEAR_MS + 31 * 24 * HOUR_MS, 8 * HOUR_MS))
    other = book().settled("ETHUSDT", start_ms=YEAR_MS, end_ms=YEAR_MS + 24 * HOUR_MS)
    assert [one.at_ms for one in other] == list(range(YEAR_MS, YEAR_MS + 24 * HOUR_MS, 4 * HOUR_MS))
    assert {one.hours for one in other} == {4}


def test_once_a_year_a_special_rate_is_paid_beside_the_schedule(january: list[Settlement]) -> None:
    assert [(one.at_ms, one.rate) for one in january if one.special] == [(SPECIAL_MS, SPECIAL_RATE)]
    # The other symbol settles at noon anyway: both are there, the regular one first.
    both = book().settled("ETHUSDT", start_ms=SPECIAL_MS, end_ms=SPECIAL_MS + 1)
    assert [(one.at_ms, one.special) for one in both] == [(SPECIAL_MS, False), (SPECIAL_MS, True)]
    assert both[0].mark == both[1].mark


def test_rates_stay_within_the_cap_and_change_sign(january: list[Settlement]) -> None:
    rates = [one.rate for one in january]
    assert max(map(abs, rates)) <= CAP
    assert min(rates) < 0 < max(rates)


def test_the_same_seed_gives_the_same_rates_and_another_others(january: list[Settlement]) -> None:
    window = {"start_ms": YEAR_MS, "end_ms": YEAR_MS + 31 * 24 * HOUR_MS}
    assert book().settled("BTCUSDT", **window) == january
    assert book(8).settled("BTCUSDT", **window) != january


@settings(deadline=None)
@given(start=st.integers(0, 744), length=st.integers(0, 200))
def test_any_window_is_a_part_of_the_whole(january: list[Settlement], start: int, length: int) -> None:
    low, high = YEAR_MS + start * HOUR_MS, YEAR_MS + min(744, start + length) * HOUR_MS
    expected = [one for one in january if low <= one.at_ms < high]
    assert SHARED.settled("BTCUSDT", start_ms=low, end_ms=high) == expected


@pytest.mark.parametrize("limit", [1, 7, 93, 94, 500])
def test_a_page_is_the_oldest_from_its_start_or_the_newest_to_its_end(january: list[Settlement], limit: int) -> None:
    end = YEAR_MS + 31 * 24 * HOUR_MS
    assert SHARED.page("BTCUSDT", start_ms=YEAR_MS, end_ms=end, limit=limit) == january[:limit]
    newest = SHARED.page("BTCUSDT", start_ms=None, end_ms=end, limit=limit)
    assert newest[-min(limit, 94) :] == january[-limit:]
    # Listed 90 hours before: eleven settlements more.
    assert len(newest) == min(limit, 94 + 11)


def test_an_interval_without_bars_settles_nothing_and_nothing_settles_before_the_listing() -> None:
    assert SHARED.settled("BTCUSDT", start_ms=0, end_ms=YEAR_MS - 90 * HOUR_MS) == []
    ended = SeededMarket(7, ("BTCUSDT",), first_ms=YEAR_MS, end_ms=YEAR_MS + 9 * HOUR_MS)
    settled = FundingBook(History(ended), seed=7).settled("BTCUSDT", start_ms=0, end_ms=2**50)
    assert [one.at_ms for one in settled] == [YEAR_MS + 8 * HOUR_MS, YEAR_MS + 16 * HOUR_MS]


def test_what_is_running_becomes_what_is_settled(january: list[Settlement]) -> None:
    at = YEAR_MS + 16 * HOUR_MS
    running = SHARED.running("BTCUSDT", at - 1)
    settled = next(one for one in january if one.at_ms == at)
    assert running.next_ms == at
    assert abs(running.mark - settled.mark) <= 1
    assert abs(running.rate - settled.rate) <= 10
    assert SHARED.running("BTCUSDT", at).next_ms == at + 8 * HOUR_MS


def test_times_are_stated_a_few_milliseconds_late_and_differently_by_rest_and_archive(
    january: list[Settlement],
) -> None:
    late = {by: [one.stated_ms(by) - one.at_ms for one in january] for by in ("rest", "archive")}
    assert {min(each) for each in late.values()} == {0}
    assert {max(each) for each in late.values()} == {LATEST_MS}
    assert late["rest"] != late["archive"]


SHARED = book()
