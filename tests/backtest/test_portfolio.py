"""The loop on markets made by hand: what an instant is, when a symbol is free, what ends with its bars."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from backtest.config import ALWAYS
from backtest.market import Stretch
from contracts import InstrumentKey
from tests.backtest.hand_made import LOOSE, MINUTE, START, Bars, Idea, asked, hand_made, level, traded, verdicts
from tests.backtest.markets import ONE, TWO, rules_of

THREE = InstrumentKey("binance_usdm", "CCCUSDT")
ALL = (ONE, TWO, THREE)


def opposites(side: int, *, first: int = 0) -> list[Stretch]:
    """Two symbols of the same prices, up and down by 1.6 every minute; of the first one the side given is held, of the
    second the other. A third stands still and has a signal half an hour later.
    """
    bars = level(100.0, minutes=range(first, first + 3))
    closes = [100.0, *(100.8 if minute % 2 else 99.2 for minute in range(first + 3, first + 40))]
    for minute, (opened, closed) in enumerate(pairwise(closes), first + 3):
        bars[minute] = (opened, max(opened, closed), min(opened, closed), closed)
    return [
        hand_made(ONE, bars, [Idea(first + 1, side, 100.0, 100.0 - side)]),
        hand_made(TWO, bars, [Idea(first + 1, -side, 100.0, 100.0 + side)]),
        hand_made(THREE, level(50.0, minutes=range(first, first + 40)), [Idea(first + 30, 1, 50.0, 49.0)]),
    ]


def free_of_charge(*instruments: InstrumentKey) -> dict[str, Any]:
    """Rules without fees."""
    nothing = {"maker_fee": Decimal(0), "taker_fee": Decimal(0)}
    return {"rules": {key: [(ALWAYS, rules_of(key, **nothing))] for key in instruments}}


@pytest.mark.parametrize("side", [1, -1])
def test_peak_and_drawdown_are_of_instants_not_of_a_moment_between_two_symbols(side: int) -> None:
    # Half a percent of 10,000 at risk over a distance of 1: 50 of each. What one gains the other loses, 80 at a bar.
    result = traded(opposites(side)[:2], asked((ONE, TWO), **free_of_charge(ONE, TWO)))
    assert result.trades["qty"].to_list() == [pytest.approx(50, abs=0.001)] * 2
    assert result.trades["pnl"].abs().min() > 39  # type: ignore[operator] # numbers
    assert result.book["peak"][0] == pytest.approx(10_000, abs=1e-6)
    assert result.max_drawdown == pytest.approx(0, abs=1e-9)


def test_the_end_of_the_bars_is_one_instant_too() -> None:
    # Both entered at 100 for a maker's 0.00001 and left at 100.8 for a taker's 0.00002: 0.8 gained, 0.8 lost.
    result = traded(opposites(1)[:2], asked((ONE, TWO)))
    long, short = result.trades.sort("side")["qty"]
    lost = (long + short) * (100 * 0.00001 + 100.8 * 0.00002) + (short - long) * 0.8
    assert result.equity["equity"][-1] == pytest.approx(10_000 - lost, abs=1e-6)
    assert result.equity["drawdown"][-1] == pytest.approx(lost / 10_000, rel=1e-4)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("first", [0, 1430], ids=["within a day", "over midnight"])
def test_a_drawdown_that_never_was_refuses_nothing(side: int, first: int) -> None:
    # 80 are 0.8 % of the account: were one symbol's bar looked at before the other's, both limits would be hit.
    profile = LOOSE.model_copy(update={"total_drawdown": 0.003, "daily_drawdown": 0.003})
    result = traded(opposites(side, first=first), asked(ALL, profile=profile, **free_of_charge(*ALL)))
    assert verdicts(result, THREE)[0] == (first + 31, None)
    values = {gate["gate"]: gate["value"] for gate in result.explain(2)["gates"]}
    assert values["daily_drawdown"] == pytest.approx(0, abs=1e-9)
    assert values["total_drawdown"] == pytest.approx(0, abs=1e-9)


def test_what_the_bars_of_an_instant_make_is_known_to_its_signals_and_to_the_curve() -> None:
    # Bought at 100 before midnight; 100.8 at the bar that ends there, 101.4 a minute later, then the bars say no more.
    midnight = 24 * 60
    bars = level(100.0, minutes=range(midnight - 4, midnight - 1))
    bars |= {midnight - 1: (100.0, 100.8, 100.0, 100.8), midnight: (100.8, 101.4, 100.8, 101.4)}
    one = hand_made(ONE, bars, [Idea(midnight - 3, 1, 100.0, 99.0)])
    rest = level(50.0, minutes=range(midnight - 4, midnight + 20))
    config = asked((ONE, TWO), **free_of_charge(ONE, TWO))
    result = traded([one, hand_made(TWO, rest, [Idea(midnight, 1, 49.0, 48.0)])], config)
    quantity = result.trades["qty"][0]
    seen = result.written.rows("accounts")[-1]
    assert seen["equity"] == seen["peak"] == pytest.approx(10_000 + 1.4 * quantity)
    assert seen["day_start"] == pytest.approx(10_000 + 0.8 * quantity)
    for curve in (result.equity, traded([one, hand_made(TWO, rest)], config).equity):
        assert curve["equity"][-2] == pytest.approx(10_000 + 1.4 * quantity)
        assert set(curve["drawdown"]) == {0.0}


def unfilled(one: Bars) -> list[Stretch]:
    """An entry far below the market, placed at minute 3 for six bars, and a symbol with signals that want its slot."""
    ideas = [Idea(at, 1, 100.0, 99.0, ttl=1) for at in (7, 8, 59)]
    return [
        hand_made(ONE, one, [Idea(2, 1, 99.0, 98.0)]),
        hand_made(TWO, level(100.0, minutes=range(300)), ideas),
    ]


@pytest.mark.parametrize(
    "minutes",
    [list(range(300)), list(range(5)), [*range(5), *range(250, 300)]],
    ids=["bars", "no more bars", "a hole"],
)
@pytest.mark.parametrize("cuts", [(), range(1, 300)], ids=["one call", "a call a bar"])
def test_an_entry_that_waits_expires_by_the_clock_with_bars_or_without(minutes: list[int], cuts: range) -> None:
    profile = LOOSE.model_copy(update={"max_positions": 1})
    result = traded(unfilled(level(100.0, minutes=minutes)), asked((ONE, TWO), profile=profile), cuts=cuts)
    assert verdicts(result, ONE) == [(3, None)]
    # Placed for the bars until minute 9: at 8 the slot is taken, at 9 it is free.
    assert verdicts(result, TWO)[:2] == [(8, "max_positions"), (9, None)]
    waited = result.written.rows("trades")[0]
    assert (waited["entered"], waited["left_us"] - waited["placed_us"]) == (0, 6 * 60_000_000)


def test_an_entry_is_filled_by_the_last_bar_of_its_life() -> None:
    bars = level(100.0, minutes=range(12))
    bars[8] = (100.0, 100.0, 98.5, 99.5)
    result = traded([hand_made(ONE, bars, [Idea(2, 1, 99.0, 98.0)])], asked((ONE,)))
    assert result.trades["entry_ts"].to_list() == [START + 9 * MINUTE]
    bars[9] = bars.pop(8)
    result = traded([hand_made(ONE, bars, [Idea(2, 1, 99.0, 98.0)])], asked((ONE,)))
    assert result.trades.is_empty()


def abandoned() -> list[Stretch]:
    """A position of a symbol whose bars end at minute 6, and a symbol with signals that want its slot."""
    return [
        hand_made(ONE, level(100.0, minutes=range(6)), [Idea(2, 1, 100.1, 98.1)]),
        hand_made(TWO, level(100.0, minutes=range(300)), [Idea(at, 1, 100.0, 99.0, ttl=1) for at in (9, 199)]),
    ]


@pytest.mark.parametrize("cuts", [(), (3, 6, 7, 150)], ids=["one call", "four"])
def test_a_position_whose_bars_end_leaves_with_the_last_of_them(cuts: tuple[int, ...]) -> None:
    profile = LOOSE.model_copy(update={"max_positions": 1})
    result = traded(abandoned(), asked((ONE, TWO), profile=profile), cuts=cuts)
    [trade] = result.trades.rows(named=True)
    assert (trade["exit_ts"], trade["exit"], trade["exit_reason"]) == (START + 6 * MINUTE, 100.0, "END")
    assert result.fills["ts"][-1] == START + 6 * MINUTE
    # That no bar would come any more nobody could know: until the end of the run its slot is taken.
    assert verdicts(result, TWO) == [(10, "max_positions"), (200, "max_positions")]
    assert result.equity["ts"][-1] == START + 300 * MINUTE
    assert result.equity["equity"][-1] == pytest.approx(10_000.0 + trade["pnl"], abs=1e-9)


@pytest.mark.parametrize("cuts", [(), (3, 6, 7, 8, 9, 150)], ids=["one call", "six"])
@pytest.mark.parametrize("seconds", [7 * 60, 7 * 60 + 30])
def test_a_position_leaves_at_the_last_close_once_its_symbol_is_not_traded(cuts: tuple[int, ...], seconds: int) -> None:
    profile = LOOSE.model_copy(update={"max_positions": 1})
    ceased = START + timedelta(seconds=seconds)
    rules = {ONE: [(ALWAYS, rules_of(ONE)), (ceased, rules_of(ONE, status="SETTLING"))], TWO: [(ALWAYS, rules_of(TWO))]}
    # Whether its bars end before or go on: no bar that ends after that instant happens to it.
    for bars in (level(100.0, minutes=range(6)), level(100.0, minutes=range(7)) | {7: (100.0, 200.0, 50.0, 99.0)}):
        stretches = [hand_made(ONE, bars, [Idea(2, 1, 100.1, 98.1)]), abandoned()[1]]
        result = traded(stretches, asked((ONE, TWO), profile=profile, rules=rules), cuts=cuts)
        trade = result.trades.row(0, named=True)
        assert (trade["exit_ts"], trade["exit"], trade["exit_reason"]) == (ceased, 100.0, "END")
        assert verdicts(result, TWO)[0] == (10, None)  # its slot is free


def test_an_entry_that_waits_is_cancelled_once_its_symbol_is_not_traded() -> None:
    profile = LOOSE.model_copy(update={"max_positions": 1})
    later = [(ALWAYS, rules_of(ONE)), (START + 8 * MINUTE, rules_of(ONE, status="BREAK"))]
    config = asked((ONE, TWO), profile=profile, rules={ONE: later, TWO: [(ALWAYS, rules_of(TWO))]})
    bars = level(100.0, minutes=range(12))
    bars[8] = (100.0, 100.0, 98.5, 99.5)  # would fill it
    result = traded(unfilled(bars), config)
    assert verdicts(result, TWO)[0] == (8, None)
    assert set(result.trades["symbol"]) == {TWO.symbol}


def stopped_three_times(*, after_first: str, low: float) -> list[tuple[int, str | None]]:
    """Three longs that reach two targets and fall back to `low`; what is said of a fourth."""
    bars: Bars = {}
    ideas: list[Idea] = []
    for n in range(3):
        at = 5 * n
        bars |= level(100.0, minutes=(at, at + 1))
        bars |= {at + 2: (100.0, 102.2, 99.9, 102.0), at + 3: (102.0, 102.0, 101.0, 101.5)}
        bars[at + 4] = (101.5, 101.5, low, 100.0)
        ideas.append(Idea(at, 1, 100.0, 99.0))
    bars |= level(100.0, minutes=range(15, 20))
    profile = LOOSE.model_copy(update={"after_first": after_first, "stop_guard_lock_hours": 12})
    result = traded([hand_made(ONE, bars, [*ideas, Idea(16, 1, 100.0, 99.0, ttl=1)])], asked((ONE,), profile=profile))
    kinds = {("breakeven", 99.5): ("BREAKEVEN", 1), ("keep", 98.9): ("STOP", 1)}
    reason, sign = kinds[after_first, low]
    assert result.trades["exit_reason"].to_list()[:3] == [reason] * 3
    assert all(sign * pnl > 0 for pnl in result.trades["pnl"].to_list()[:3])
    return verdicts(result, ONE)[-1:]


def test_stops_that_won_lock_nothing() -> None:
    # A third each at 1.5R and 2R, the rest at the entry or at the stop: won by 1.15R or 0.8R less the fees.
    assert stopped_three_times(after_first="breakeven", low=99.5) == [(17, None)]
    assert stopped_three_times(after_first="keep", low=98.9) == [(17, None)]


def test_stops_that_lost_lock_the_profile_whatever_kind_they_are() -> None:
    # One target at 0.01R of a hundredth of the quantity, then the entry again: fees cost more than it made.
    profile = LOOSE.model_copy(
        update={"after_first": "breakeven", "targets": ((0.01, 0.01), (3.0, 0.99)), "stop_guard_lock_hours": 12}
    )
    bars: Bars = {}
    ideas: list[Idea] = []
    for n in range(3):
        bars |= level(100.0, minutes=range(5 * n, 5 * n + 5))
        ideas.append(Idea(5 * n, 1, 100.0, 99.0))
    bars |= level(100.0, minutes=range(15, 20))
    result = traded([hand_made(ONE, bars, [*ideas, Idea(16, 1, 100.0, 99.0)])], asked((ONE,), profile=profile))
    assert result.trades["exit_reason"].to_list() == ["BREAKEVEN"] * 3
    assert result.trades["pnl"].max() < 0  # type: ignore[operator] # numbers
    assert verdicts(result, ONE)[-1] == (19 + 1, "stoploss_guard")


def test_exits_count_in_the_order_in_which_they_are_told() -> None:
    # A quarter of an hour that gaps over its stop at minute 15 tells of it at minute 30, after a stop of minute 21.
    quarters = {0: (100.0, 100.2, 99.8, 100.0), 15: (98.0, 98.2, 97.9, 98.0), 30: (98.0, 98.2, 97.8, 98.0)}
    bars = level(100.0, minutes=range(60))
    bars[20] = (100.0, 100.0, 98.5, 98.6)
    profile = LOOSE.model_copy(update={"stop_guard_stops": 2, "stop_guard_lock_hours": 1, "cooldown_bars": 1})
    early = {-15: (100.0, 100.2, 99.8, 100.0), -30: (100.0, 100.2, 99.8, 100.0)}
    result = traded(
        [
            hand_made(ONE, early | quarters, [Idea(-30, 1, 100.1, 99.0), Idea(30, 1, 98.0, 97.0, ttl=1)], tf="15m"),
            hand_made(TWO, bars, [Idea(17, 1, 100.0, 99.0)]),
        ],
        asked((ONE, TWO), profile=profile),
    )
    first, second = (trade["exit_ts"] for trade in result.trades.rows(named=True))
    assert (first, second) == (START + 21 * MINUTE, START + 15 * MINUTE)
    # The second stop is the later one of the two: it trips the guard at minute 21. Seen from minute 45 that was 0.4 h
    # ago; reckoned from the gap at minute 15 it would be half an hour.
    values = {gate["gate"]: gate["value"] for gate in result.explain(result.decisions.height - 1)["gates"]}
    assert values["stoploss_guard"] == pytest.approx(24 / 60)
    assert values["cooldown"] == 1  # whole quarters since


def test_a_signal_lives_as_long_as_it_says_whatever_lives_beside_it() -> None:
    # No trigger, so that none is ever acted on. Told at minute 3 for eight bars, at minute 4 for two.
    profile = LOOSE.model_copy(update={"triggers": 3})
    ideas = [Idea(2, 1, 100.0, 99.0, ttl=8), Idea(3, 1, 100.0, 99.0, ttl=2)]
    result = traded([hand_made(ONE, level(100.0, minutes=range(15)), ideas)], asked((ONE,), profile=profile))
    looked: dict[str, list[int]] = {signal: [] for signal in ("AAAUSDT 1m 2", "AAAUSDT 1m 3")}
    for ts, signal in result.decisions.select("ts", "signal_id").iter_rows():
        looked[signal].append((ts - START) // MINUTE)
    assert looked == {"AAAUSDT 1m 2": list(range(3, 11)), "AAAUSDT 1m 3": [4, 5]}
