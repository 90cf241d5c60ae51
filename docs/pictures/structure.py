"""Pictures of swings, breaks and liquidity (engine-spec sections 3, 4 and 4b).

Each shows the first instance of the walk that leaves room to see it: criteria are about space, never about what price
did next.

    swings(Market.of_the_pictures()).svg
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from docs.pictures.chart import DEMAND, KNOWN, LEVEL, SUPPLY, Chart, Flag
from docs.pictures.market import KEY, Market
from docs.pictures.picture import Fact, Picture, broken_swing, clock, price, window
from engine import EngineParams

if TYPE_CHECKING:
    from datetime import datetime

    from docs.pictures.picture import Row

_SWINGS_SHOWN = 6


def swings(market: Market) -> Picture:
    """The first pivots that have a label, each with the three bars that pass before it is known."""
    labelled = [row for row in market.rows.swings.to_dicts() if row["label"] is not None][:_SWINGS_SHOWN]
    first = labelled[0]
    caption = (
        f"The first of them, a {_NAMES[first['label']]}, is drawn at the bar {clock(first['pivot_ts'])} at "
        f"{price(first['price'])} and was known at {clock(first['ts'])}, {_delay(market, first)} bars later."
    )
    return _swing_picture(market, labelled, name="swings", title="Swings, half-width 3", caption=caption)


def zigzag(market: Market) -> Picture:
    """The same stretch of the walk in mode `zigzag`."""
    shown = [row for row in market.rows.swings.to_dicts() if row["label"] is not None][:_SWINGS_SHOWN]
    other = Market(market.walk, EngineParams(swing_mode="zigzag"))
    found = [row for row in other.rows.swings.to_dicts() if row["pivot_ts"] >= shown[0]["pivot_ts"]][:4]
    delays = sorted(_delay(other, row) for row in found)
    caption = (
        f"The same walk: HIGH and LOW alternate, there are fewer of them, and the wait is not fixed: "
        f"here {delays[0]} to {delays[-1]} bars."
    )
    return _swing_picture(other, found, name="zigzag", title="Swings, mode zigzag, k = 2", caption=caption)


def breaks(market: Market) -> Picture:
    """The first change of character that a break of structure in its direction follows, both of visible swings."""
    choch, bos = next(
        (a, b)
        for a, b in pairwise(market.rows.smc_events.to_dicts())
        if (a["kind"], b["kind"]) in (("CHOCH_UP", "BOS_UP"), ("CHOCH_DN", "BOS_DN"))
        and market.bar(b["ts"]) - market.bar(a["ref_ts"]) <= 36
        and a["ts"] < b["ref_ts"]
    )
    broken = [(row, broken_swing(market.rows.swings, row)) for row in (choch, bos)]
    bars = window(market, choch["ref_ts"], bos["ts"], before=6, after=8)
    chart = Chart(
        bars,
        KEY.tf,
        title="A change of character, then a break of structure",
        description="A close beyond the reference swing. Its line is dashed until the swing itself was known.",
        known=[Flag(row["ts"], f"{row['kind']} known {clock(row['ts'])}") for row in (choch, bos)],
        drawn=[_pivot(row["ref_ts"], row["level"]) for row in (choch, bos)],
        levels=[(row["level"], _side_colour(row["kind"])) for row in (choch, bos)],
    )
    chart.candles()
    for row, swing in broken:
        colour = _side_colour(row["kind"])
        chart.reference(row["ref_ts"], swing["ts"], row["ts"], row["level"], colour=colour)
        _mark(chart, swing)
    closes = {row["kind"]: market.walk.bars["close"][market.bar(row["ts"])] for row in (choch, bos)}
    caption = (
        f"{choch['kind']} at {clock(choch['ts'])}: close {price(closes[choch['kind']])} beyond the swing at "
        f"{price(choch['level'])}, against the trend until then. {bos['kind']} at {clock(bos['ts'])}: close "
        f"{price(closes[bos['kind']])} beyond {price(bos['level'])}, with the new one."
    )
    return Picture(
        "breaks",
        chart.svg(),
        caption,
        (Fact("smc_events", choch, market.params), Fact("smc_events", bos, market.params)),
    )


def equal_levels(market: Market) -> Picture:
    """The first pair of equal highs with room between them."""
    row = next(
        row
        for row in market.rows.liquidity_events.to_dicts()
        if row["kind"] == "EQH" and 6 <= market.bar(row["ts"]) - market.bar(row["ref_ts"]) <= 24
    )
    highs = {swing["pivot_ts"]: swing for swing in market.rows.swings.to_dicts() if swing["kind"] == "HIGH"}
    earlier = highs[row["ref_ts"]]
    later = next(swing for swing in highs.values() if swing["ts"] == row["ts"])
    bars = window(market, earlier["pivot_ts"], row["ts"], before=8, after=10)
    chart = Chart(
        bars,
        KEY.tf,
        title="Equal highs",
        description="Two neighbouring HIGH swings at nearly one price; known when the second is.",
        known=[Flag(row["ts"], f"EQH known {clock(row['ts'])}")],
        drawn=[_pivot(swing["pivot_ts"], swing["price"]) for swing in (earlier, later)],
        levels=[(row["level"], SUPPLY)],
    )
    chart.candles()
    chart.level(chart.middle(earlier["pivot_ts"]), chart.x(row["ts"]), row["level"], colour=SUPPLY, dashed=True)
    for swing in (earlier, later):
        chart.mark(swing["pivot_ts"], swing["price"], price(swing["price"]), side="above", colour=LEVEL)
    apart = abs(later["price"] - earlier["price"])
    limit = market.params.eq_tol * market.atr14[market.bar(row["ts"])]
    caption = (
        f"{price(earlier['price'])} and {price(later['price'])} are {apart:.2f} apart; at {clock(row['ts'])} a tenth "
        f"of atr14 was {limit:.2f}. The level is the higher of the two."
    )
    return Picture("equal_levels", chart.svg(), caption, (Fact("liquidity_events", row, market.params),))


def sweep(market: Market) -> Picture:
    """The first sweep of a high that had stood for a while."""
    row = next(
        row
        for row in market.rows.liquidity_events.to_dicts()
        if row["kind"] == "SWEEP_HIGH" and 7 <= market.bar(row["ts"]) - market.bar(row["ref_ts"]) <= 24
    )
    swing = next(
        swing
        for swing in market.rows.swings.to_dicts()
        if swing["kind"] == "HIGH" and swing["pivot_ts"] == row["ref_ts"]
    )
    bars = window(market, row["ref_ts"], row["ts"], before=10, after=12)
    chart = Chart(
        bars,
        KEY.tf,
        title="A sweep of a high",
        description="The bar reaches beyond the last HIGH swing and closes back under it.",
        known=[
            Flag(swing["ts"], f"HIGH known {clock(swing['ts'])}"),
            Flag(row["ts"], f"SWEEP_HIGH known {clock(row['ts'])}"),
        ],
        drawn=[_pivot(row["ref_ts"], row["level"])],
        levels=[(row["level"], SUPPLY)],
    )
    chart.candles()
    chart.reference(row["ref_ts"], swing["ts"], row["ts"], row["level"], colour=SUPPLY)
    high, close = market.walk.bars[market.bar(row["ts"])].select("high", "close").row(0)
    chart.mark(row["ts"], high, price(high), side="above", colour=LEVEL)
    caption = (
        f"The HIGH at {price(row['level'])} was known at {clock(swing['ts'])} and untaken until the bar "
        f"{clock(row['ts'])}: high {price(high)}, close {price(close)}."
    )
    return Picture(
        "sweep",
        chart.svg(),
        caption,
        (Fact("swings", swing, market.params), Fact("liquidity_events", row, market.params)),
    )


def _swing_picture(market: Market, rows: list[Row], *, name: str, title: str, caption: str) -> Picture:
    bars = window(market, rows[0]["pivot_ts"], rows[-1]["ts"], before=6, after=6)
    chart = Chart(
        bars,
        KEY.tf,
        title=title,
        description="Each is drawn at its pivot (grey) and was known only at the violet line.",
        known=[Flag(row["ts"], f"{_label(row)} {clock(row['ts'])}") for row in rows],
        drawn=[Flag(row["pivot_ts"], clock(row["pivot_ts"]), row["price"]) for row in rows],
        levels=[],
    )
    chart.candles()
    for row in rows:
        chart.level(chart.middle(row["pivot_ts"]), chart.x(row["ts"]), row["price"], colour=KNOWN, dashed=True)
        _mark(chart, row)
    return Picture(name, chart.svg(), caption, tuple(Fact("swings", row, market.params) for row in rows))


def _mark(chart: Chart, swing: Row) -> None:
    side: Literal["above", "below"] = "above" if swing["kind"] == "HIGH" else "below"
    chart.mark(swing["pivot_ts"], swing["price"], _label(swing), side=side, colour=LEVEL)


def _pivot(ts: datetime, level: float) -> Flag:
    return Flag(ts, f"pivot {clock(ts)}", level)


def _label(swing: Row) -> str:
    label: str = swing["label"] or swing["kind"]
    return label


def _delay(market: Market, swing: Row) -> int:
    return market.bar(swing["ts"]) - market.bar(swing["pivot_ts"])


def _side_colour(kind: str) -> str:
    return DEMAND if kind.endswith("UP") else SUPPLY


_NAMES = {"HH": "higher high", "LH": "lower high", "LL": "lower low", "HL": "higher low"}
