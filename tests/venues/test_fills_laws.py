"""What holds for every bracket in every market: properties, and a model that saw every trade.

All markets are made of whole prices between 80 and 120, so that half a percent of slippage is one tick either way.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from contracts import to_us
from tests.venues.fill_bars import RULES, SINCE, TERMS, TF, Market, terms
from tests.venues.fill_paths import Trades
from venues.fills import BracketOrder, OrderRefused, step
from venues.fills.account import arm, excursion, net, risk
from venues.fills.asked import refused
from venues.fills.bracket import advance
from venues.fills.conversion import costs_of
from venues.fills.drill import resolve
from venues.fills.records import (
    ACCEPTED,
    AMBIGUOUS,
    BRACKET,
    CLOSED,
    COSTS,
    DONE,
    ENTRY_KINDS,
    FILL,
    MAX_FILLS,
    ROLES,
    TAKE_PROFIT,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Trades of each bar, oldest first.
Paths: TypeAlias = list[list[int]]

FEES = RULES.model_copy(update={"maker_fee": Decimal("0.0002"), "taker_fee": Decimal("0.0005")})
PER_BAR = 12
BAR_US = TF.us
FIRST_US = to_us(SINCE)


@st.composite
def paths(draw: st.DrawFn, *, most: int = 8) -> Paths:
    """Some bars of trades that move by a tick or not at all, with a jump before some bars."""
    price = draw(st.integers(97, 103))
    bars: Paths = []
    for _ in range(draw(st.integers(1, most))):
        price += draw(st.sampled_from((0, 0, 0, 0, 1, -1, 4, -4, 9, -9)))
        trades = []
        for move in draw(st.lists(st.sampled_from((-1, -1, 0, 1, 1)), min_size=PER_BAR, max_size=PER_BAR)):
            price = min(max(price, 81), 119)
            trades.append(price)
            price += move
        bars.append(trades)
    return bars


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """A bracket around 100."""
    rungs = draw(st.integers(1, 3))
    return {
        "stop": draw(st.integers(95, 99)),
        "ladder": tuple((101 + draw(st.integers(0, 1)) + 2 * k, str(draw(st.integers(1, 3)))) for k in range(rungs)),
        "asked": {
            "kind": draw(st.sampled_from(ENTRY_KINDS)),
            "after_first": draw(st.sampled_from(("keep", "breakeven"))),
            "ttl_bars": draw(st.integers(1, 4)),
            "max_bars": draw(st.integers(1, 5)),
        },
    }


@st.composite
def trailing(draw: st.DrawFn) -> dict[str, Any]:
    """The same, and some that trail."""
    fields = draw(asked())
    if draw(st.booleans()):
        fields["asked"] |= {"after_first": "trail", "trail": Decimal(draw(st.integers(1, 4)))}
    return fields


def ohlc(trades: list[int]) -> tuple[int, int, int, int]:
    return trades[0], max(trades), min(trades), trades[-1]


def thirds(trades: list[int]) -> tuple[tuple[int, int, int, int], ...]:
    third = PER_BAR // 3
    return tuple(ohlc(trades[k : k + third]) for k in range(0, PER_BAR, third))


class Compiled:
    """One record walked by compiled code alone."""

    def __init__(self, market: Market) -> None:
        self.record: NDArray[np.void] = market.order._records.copy()
        self.costs = costs_of(market.rules, market.terms)
        self.fills = np.zeros(MAX_FILLS, FILL)

    def copied(self) -> Compiled:
        twin = Compiled.__new__(Compiled)
        twin.record, twin.costs, twin.fills = self.record.copy(), self.costs.copy(), self.fills.copy()
        return twin

    def bytes(self) -> bytes:
        return self.record.tobytes() + self.fills.tobytes()

    def advance(
        self, number: int, prices: tuple[int, int, int, int], *, part: int = 0, parts: int = 1, last: int = 0
    ) -> int:
        length = BAR_US // parts
        opens = FIRST_US + number * BAR_US + part * length
        row, costs = self.record[0], self.costs[0]
        bar_open, high, low, close = map(float, prices)
        return advance(row, costs, bar_open, high, low, close, opens, opens + length, last, self.fills)

    def walk(self, number: int, bars: tuple[tuple[int, int, int, int], ...]) -> None:
        """The finer bars of a bar, and the policy where one of them cannot tell."""
        for part, prices in enumerate(bars):
            if self.advance(number, prices, part=part, parts=len(bars)) == AMBIGUOUS:
                self.advance(number, prices, part=part, parts=len(bars), last=1)

    def told(self) -> list[tuple[str, int, int]]:
        made = self.fills[: self.record["fills"][0]]
        return [(ROLES[row["role"]], int(row["price"]), int(row["steps"])) for row in made]


@settings(max_examples=300, deadline=None)
@given(bars=paths(), fields=asked())
def test_a_bar_never_says_for_certain_what_its_trades_did_not_do(bars: Paths, fields: dict[str, Any]) -> None:
    fields["asked"]["kind"] = "LIMIT"
    market = Market(1, **fields)
    model = Compiled(market)
    truth = Trades(
        market.entry,
        market.stop,
        [(price, 10 * int(quantity)) for price, quantity in market.ladder],
        fields["asked"]["ttl_bars"],
        fields["asked"]["max_bars"],
        fields["asked"]["after_first"] == "breakeven",
    )
    for number, trades in enumerate(bars):
        truth.bar(number, trades)
        if model.advance(number, ohlc(trades)) == AMBIGUOUS:
            event("asked the trades")
            model.walk(number, tuple((trade, trade, trade, trade) for trade in trades))
        assert model.told() == truth.fills
        assert model.record["open_steps"][0] == truth.open
    assert model.record["guesses"][0] == 0


@settings(max_examples=300, deadline=None)
@given(bars=paths(), fields=trailing())
def test_cutting_a_bar_never_yields_a_fill_that_the_bar_rules_out(bars: Paths, fields: dict[str, Any]) -> None:
    whole = Compiled(Market(1, **fields))
    for number, trades in enumerate(bars):
        cut = whole.copied()
        cut.walk(number, thirds(trades))
        if whole.advance(number, ohlc(trades)) != AMBIGUOUS:
            assert cut.told() == whole.told()
            assert cut.record["reason"] == whole.record["reason"]
            continue
        event("ambiguous")
        worst, best = whole.copied(), whole.copied()
        best.costs["policy"] = 1
        for end in (worst, best):
            end.advance(number, ohlc(trades), last=1)
        rungs = [sum(role == "TAKE_PROFIT" for role, _, _ in each.told()) for each in (worst, cut, best)]
        assert rungs == sorted(rungs)
        whole = cut


@settings(max_examples=200, deadline=None)
@given(bars=paths(), fields=trailing())
def test_a_bar_that_cannot_tell_changes_nothing(bars: Paths, fields: dict[str, Any]) -> None:
    model = Compiled(Market(1, **fields))
    for number, trades in enumerate(bars):
        before = model.bytes()
        if model.advance(number, ohlc(trades)) == AMBIGUOUS:
            assert model.bytes() == before
            assert model.advance(number, ohlc(trades), last=1) != AMBIGUOUS
            assert model.record["guesses"][0] >= 1


@settings(max_examples=200, deadline=None)
@given(bars=paths(), fields=trailing(), cut=st.booleans())
def test_a_mirrored_market_gives_mirrored_fills(bars: Paths, fields: dict[str, Any], cut: bool) -> None:  # noqa: FBT001
    long, short = Market(1, **fields), Market(-1, **fields)
    for number, trades in enumerate(bars):
        finer = thirds(trades) if cut else ()
        assert long.step(number, *ohlc(trades), finer=finer) == short.step(number, *ohlc(trades), finer=finer)
        assert long.stop_now() == short.stop_now()
    for name in ("state", "exit_reason", "pnl", "r", "mfe_r", "mae_r", "guesses", "open_quantity"):
        assert getattr(long.order, name) == getattr(short.order, name), name


@settings(max_examples=200, deadline=None)
@given(
    bars=paths(),
    fields=trailing(),
    side=st.sampled_from((1, -1)),
    rates=st.lists(st.integers(-30, 30), min_size=8, max_size=8),
)
def test_the_account_is_the_sum_of_its_fills(bars: Paths, fields: dict[str, Any], side: int, rates: list[int]) -> None:
    market = Market(side, rules=FEES, **fields)
    signed = fees = funding = Decimal(0)
    bought = sold = Decimal(0)
    for number, trades in enumerate(bars):
        funding += market.order.fund(Decimal(rates[number]) / 10_000, market.price(trades[0]), FEES)
        for fill in step(market.order, market.bar(number, ohlc(trades)), (), FEES):
            sign = 1 if fill.side == "SELL" else -1
            signed += sign * fill.price * fill.quantity
            fees += fill.price * fill.quantity * (FEES.maker_fee if fill.maker else FEES.taker_fee)
            bought += fill.quantity if fill.side == "BUY" else 0
            sold += fill.quantity if fill.side == "SELL" else 0
    order = market.order
    asked_for = sum(Decimal(quantity) for _, quantity in market.ladder)
    assert side * (bought - sold) == order.open_quantity
    assert max(bought, sold) == (asked_for if order.entry_price else 0)
    if order.state == "DONE":
        assert order.pnl == signed - fees - funding
        assert (order.fees, order.funding) == (fees, funding)
    # Compiled code keeps the same account in floats.
    record, costs = order._records[0], costs_of(FEES, market.terms)[0]
    assert net(record, costs) == pytest.approx(float(order.pnl), abs=1e-9)
    assert net(record, costs) / risk(record, costs) == pytest.approx(order.r, abs=1e-9)
    assert excursion(record, record["worst"]) == order.mae_r <= 0 <= order.mfe_r


@settings(max_examples=200, deadline=None)
@given(bars=paths(), fields=trailing(), side=st.sampled_from((1, -1)), policy=st.sampled_from(("stop", "target")))
def test_no_fill_is_better_than_its_bar(bars: Paths, fields: dict[str, Any], side: int, policy: str) -> None:
    market = Market(side, terms=terms(ambiguity=policy), **fields)  # type: ignore[arg-type] # one of the two
    for number, trades in enumerate(bars):
        bar = market.bar(number, ohlc(trades))
        for fill in step(market.order, bar, (), market.rules):
            best, worst = (bar.low, bar.high) if fill.side == "BUY" else (bar.high, bar.low)
            sign = 1 if fill.side == "BUY" else -1
            assert bar.open_time <= fill.at <= bar.end
            if fill.maker:
                # Its own price, traded through by a tick; prices may have jumped over it.
                assert sign * (fill.price - best) >= 1
                assert fill.price in {market.price(p) for p in (market.entry, *(p for p, _ in market.ladder))}
            else:
                # In the bar, and up to one tick of slippage out of it on the bad side.
                assert sign * (fill.price - best) >= 0
                assert sign * (fill.price - worst) <= 1


@settings(max_examples=100, deadline=None)
@given(bars=paths(), fields=trailing(), side=st.sampled_from((1, -1)), stops=st.sets(st.integers(0, 7)))
def test_a_restart_between_any_two_bars_changes_nothing(
    bars: Paths, fields: dict[str, Any], side: int, stops: set[int]
) -> None:
    straight, restarted = Market(side, rules=FEES, **fields), Market(side, rules=FEES, **fields)
    for number, trades in enumerate(bars):
        for market in (straight, restarted):
            market.order.fund(Decimal("0.0001"), Decimal(100), FEES)
        finer = thirds(trades)
        assert straight.step(number, *ohlc(trades), finer=finer) == restarted.step(number, *ohlc(trades), finer=finer)
        if number in stops:
            saved = restarted.order.saved()
            restarted.order = BracketOrder.restored(restarted.ask, FEES, restarted.terms, saved=saved)
    assert straight.order.saved() == restarted.order.saved()
    assert straight.order.pnl == restarted.order.pnl


@settings(max_examples=200, deadline=None)
@given(
    side=st.sampled_from((1, -1)),
    venue=st.sampled_from(("binance_spot", "binance_usdm")),
    kind=st.sampled_from(ENTRY_KINDS),
    stop=st.integers(90, 101),
    ladder=st.lists(st.tuples(st.integers(99, 110), st.integers(1, 12)), min_size=1, max_size=3),
    limits=st.fixed_dictionaries(
        {
            "min_qty": st.sampled_from(("0.1", "0.5")),
            "max_qty": st.sampled_from((None, "2")),
            "market_min_qty": st.sampled_from((None, "0.3")),
            "market_max_qty": st.sampled_from((None, "1.5")),
            "market_step_size": st.sampled_from((None, "0.1", "0.2", "0.25")),
            "min_notional": st.sampled_from((None, "50")),
            "max_notional": st.sampled_from((None, "150")),
        }
    ),
)
def test_compiled_code_refuses_what_the_sentence_refuses(
    side: int, venue: str, kind: str, stop: int, ladder: list[tuple[int, int]], limits: dict[str, str | None]
) -> None:
    decimals = {name: None if text is None else Decimal(text) for name, text in limits.items()}
    rules = RULES.model_copy(update={"venue": venue, **decimals})
    lots = [Decimal(steps) / 10 / rules.lot_size for _, steps in ladder]
    rungs = tuple((price, str(Decimal(steps) / 10)) for price, steps in ladder)
    fields: dict[str, Any] = {"stop": stop, "ladder": rungs, "asked": {"kind": kind}}
    free = dict.fromkeys(decimals) | {"min_qty": RULES.min_qty, "venue": "binance_usdm"}
    record = np.zeros(1, BRACKET)
    row = record[0]
    row["side"], row["kind"], row["rungs"] = side, ENTRY_KINDS.index(kind), len(ladder)
    mirrored = Market(side, rules=RULES.model_copy(update=free))
    row["entry"], row["stop"] = mirrored.price(100), mirrored.price(stop)
    for rung, (price, _) in enumerate(ladder):
        row["targets"][rung], row["shares"][rung] = mirrored.price(price), int(lots[rung])
    row["steps"] = row["shares"].sum()
    arm(row)
    try:
        Market(side, rules=rules, **fields)
        sentence = ""
    except OrderRefused as refusal:
        sentence = str(refusal)
    if any(lot % 1 for lot in lots):  # compiled code counts lots: what is none cannot even be asked of it
        assert sentence
    else:
        assert (refused(row, costs_of(rules, TERMS)[0]) == ACCEPTED) == (sentence == ""), sentence


def test_a_ladder_whose_shares_are_not_the_quantity_is_refused() -> None:
    order = Market(1).order
    order._records["steps"] += 1
    assert refused(order._records[0], costs_of(RULES, TERMS)[0]) != ACCEPTED


@settings(max_examples=100, deadline=None)
@given(bars=paths(), fields=trailing())
def test_the_face_and_the_loop_are_the_same_lines(bars: Paths, fields: dict[str, Any]) -> None:
    market = Market(1, **fields)
    model = Compiled(market)
    for number, trades in enumerate(bars):
        finer = np.array(thirds(trades), np.float64).T.copy()
        opens = FIRST_US + number * BAR_US
        times = opens + np.arange(3) * (BAR_US // 3)
        bar = [float(price) for price in ohlc(trades)]
        code = resolve(
            *(model.record[0], model.costs[0], *bar, opens, opens + BAR_US),
            *(times, *finer, 0, 3, BAR_US // 3, model.fills),
        )
        market.step(number, *ohlc(trades), finer=thirds(trades))
        assert model.bytes() == market.order._records.tobytes() + market.order._fills.tobytes()
        assert (code == CLOSED) <= (model.record["state"][0] == DONE)


def test_fills_are_in_the_order_of_time_and_never_more_than_there_is_room_for() -> None:
    market = Market(1, ladder=tuple((101 + k, "1") for k in range(8)))
    market.step(0, 101, 101, 99, 100)
    market.step(1, 100, 109, 100, 101)
    # The entry, eight rungs of 108, the last of which would have needed one tick more than 109 for a rest.
    made = market.order._fills[: market.order._records["fills"][0]]
    assert (made["role"] == TAKE_PROFIT).sum() == 8
    assert len(made) == MAX_FILLS - 1
    assert all(a <= b for a, b in pairwise(made["us"].tolist()))
    assert market.order._records.dtype == BRACKET
    assert costs_of(RULES, TERMS).dtype == COSTS
    assert timedelta(microseconds=BAR_US) == TF.duration
