from __future__ import annotations

from tests.venues.simulator.ticks import Ticks
from venues.simulator.limits import BAN_SECONDS, IGNORED_BEFORE_BAN, MessageRate, WeightLimiter


def test_weight_adds_up_within_a_minute_and_starts_anew_with_the_next(ticks: Ticks) -> None:
    limiter = WeightLimiter(10, ticks=ticks)
    assert [limiter.charge("a", 4).used for _ in range(2)] == [4, 8]
    ticks.now += 60
    assert limiter.charge("a", 4).used == 4


def test_over_the_limit_is_429_until_the_end_of_the_minute_and_is_not_booked(ticks: Ticks) -> None:
    limiter = WeightLimiter(10, ticks=ticks)
    ticks.now += 47.5
    limiter.charge("a", 10)
    refused = limiter.charge("a", 1)
    assert (refused.status, refused.retry_after, refused.used) == (429, 13, 10)
    ticks.now += refused.retry_after
    assert limiter.charge("a", 1).status == 200


def test_who_goes_on_after_429_is_banned_beyond_the_minute(ticks: Ticks) -> None:
    limiter = WeightLimiter(1, ticks=ticks)
    limiter.charge("a", 1)
    statuses = [limiter.charge("a", 1).status for _ in range(IGNORED_BEFORE_BAN + 2)]
    assert statuses == [429] * IGNORED_BEFORE_BAN + [418, 418]
    ticks.now += BAN_SECONDS - 1
    assert limiter.charge("a", 1).status == 418
    ticks.now += 1
    assert limiter.charge("a", 1).status == 200


def test_addresses_have_accounts_of_their_own(ticks: Ticks) -> None:
    limiter = WeightLimiter(1, ticks=ticks)
    assert limiter.charge("a", 1).status == 200
    assert limiter.charge("b", 1).status == 200
    assert limiter.charge("a", 1).status == 429


def test_a_message_rate_counts_any_rolling_second(ticks: Ticks) -> None:
    rate = MessageRate(2, ticks=ticks)
    assert [rate.allows(), rate.allows(), rate.allows()] == [True, True, False]
    ticks.now += 1.0
    assert rate.allows()


def test_a_pool_counts_in_windows_of_its_own_length(ticks: Ticks) -> None:
    limiter = WeightLimiter(2, ticks=ticks, window_seconds=300)
    assert [limiter.charge("a", 1).status for _ in range(2)] == [200, 200]
    ticks.now += 60
    refused = limiter.charge("a", 1)
    assert (refused.status, refused.retry_after) == (429, 240)
    ticks.now += 240
    assert limiter.charge("a", 1).status == 200
