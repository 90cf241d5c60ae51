"""Pictures of zones and inversions (engine-spec section 5).

A zone is picked for having a whole life in the picture, which is a choice by its end: it shows what a life is, not how
lives usually go.

    order_block(Market.of_the_pictures()).caption
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from docs.pictures.chart import DEMAND, SUPPLY, Chart, Flag
from docs.pictures.formulas import strength_of_block, strength_of_gap
from docs.pictures.market import KEY
from docs.pictures.picture import Fact, Picture, broken_swing, clock, price, window

if TYPE_CHECKING:
    from datetime import datetime

    from docs.pictures.market import Market
    from docs.pictures.picture import Row

_FADE = 6  # bars over which a zone that has ended fades out


def order_block(market: Market) -> Picture:
    """The first order block with room between its creation, its first touch and its end."""
    zone = _lived(market, "OB")
    event = _break_at(market, zone["created_ts"])
    bars = window(market, event["ref_ts"], zone["ended_ts"], before=4, after=_FADE + 2)
    colour = _colour(zone["side"])
    chart = Chart(
        bars,
        KEY.tf,
        title=f"An order block ({zone['side']}) and its life",
        description="The last candle against the break, drawn from its own bar, known when the break is.",
        known=[Flag(zone["created_ts"], f"{event['kind']}, OB known {clock(zone['created_ts'])}"), *_later(zone)],
        drawn=[
            Flag(event["ref_ts"], f"pivot {clock(event['ref_ts'])}", event["level"]),
            Flag(zone["origin_ts"], f"origin {clock(zone['origin_ts'])}", zone["price_lo"]),
        ],
        levels=[(zone["price_lo"], colour), (zone["price_hi"], colour)],
    )
    _life(chart, zone)
    chart.candles()
    known = broken_swing(market.rows.swings, event)["ts"]
    chart.reference(event["ref_ts"], known, event["ts"], event["level"], colour=colour)
    caption = f"{_told(zone)} Strength {zone['strength']} = {strength_of_block(market, zone)}."
    return Picture(
        "order_block", chart.svg(), caption, (Fact("smc_events", event, market.params), *_facts(market, zone))
    )


def fair_value_gap(market: Market) -> Picture:
    """The first fair value gap of the same kind of life."""
    zone = _lived(market, "FVG")
    bars = window(market, zone["origin_ts"], zone["ended_ts"], before=8, after=_FADE + 2)
    colour = _colour(zone["side"])
    chart = Chart(
        bars,
        KEY.tf,
        title=f"A fair value gap ({zone['side']}) and its life",
        description="Between the wicks of the first and the third bar; known when the third has closed.",
        known=[Flag(zone["created_ts"], f"FVG known {clock(zone['created_ts'])}"), *_later(zone)],
        drawn=[Flag(zone["origin_ts"], f"origin {clock(zone['origin_ts'])}", zone["price_lo"])],
        levels=[(zone["price_lo"], colour), (zone["price_hi"], colour)],
    )
    _life(chart, zone)
    chart.candles()
    caption = f"{_told(zone)} Strength {zone['strength']} = {strength_of_gap(market, zone)}."
    return Picture("fair_value_gap", chart.svg(), caption, _facts(market, zone))


def inversion(market: Market) -> Picture:
    """The first breaker that was touched before it ended, with its parent."""
    blocks = {row["created_ts"]: row for row in market.rows.zones.to_dicts() if row["kind"] == "OB"}
    breaker = next(
        row
        for row in market.rows.inversions.to_dicts()
        if row["kind"] == "BREAKER"
        and row["status"] == "MITIGATED"
        and market.bar(row["created_ts"]) - market.bar(row["parent_created_ts"]) >= 4
        and market.bar(row["first_touch_ts"]) - market.bar(row["created_ts"]) >= 3
        and market.bar(row["ended_ts"]) - market.bar(row["first_touch_ts"]) >= 3
        and market.bar(row["ended_ts"]) - market.bar(row["parent_created_ts"]) <= 40
    )
    parent = blocks[breaker["parent_created_ts"]]
    bars = window(market, parent["origin_ts"], breaker["ended_ts"], before=5, after=_FADE + 2)
    chart = Chart(
        bars,
        KEY.tf,
        title=f"A breaker: {parent['side']} that failed is {breaker['side']} from then on",
        description="The close beyond the far edge ends the order block and makes the breaker, at one bar.",
        known=[
            Flag(parent["created_ts"], f"OB known {clock(parent['created_ts'])}"),
            _later(parent)[0],
            Flag(breaker["created_ts"], f"OB MITIGATED, BREAKER known {clock(breaker['created_ts'])}"),
            *_later(breaker),
        ],
        drawn=[Flag(parent["origin_ts"], f"origin {clock(parent['origin_ts'])}", parent["price_lo"])],
        levels=[(parent[edge], _colour(breaker["side"])) for edge in ("price_lo", "price_hi")],
    )
    _life(chart, parent, fades=False)
    _life(chart, breaker)
    chart.candles()
    caption = (
        f"The {parent['side']} order block of {clock(parent['created_ts'])} is mitigated at "
        f"{clock(breaker['created_ts'])}; the same bounds, {_bounds(parent)}, are {breaker['side']} from "
        f"then on. First touched at {clock(breaker['first_touch_ts'])}, {breaker['status']} at "
        f"{clock(breaker['ended_ts'])} after {breaker['touches']} touches."
    )
    facts = (*_facts(market, parent), *_facts(market, breaker))
    return Picture("inversion", chart.svg(), caption, facts)


def _lived(market: Market, kind: str) -> Row:
    """The first zone of a kind whose life can be seen: touched after a while, ended after another."""
    return next(
        row
        for row in market.rows.zones.to_dicts()
        if row["kind"] == kind
        and row["status"] == "MITIGATED"
        and market.bar(row["first_touch_ts"]) - market.bar(row["created_ts"]) >= 5
        and market.bar(row["ended_ts"]) - market.bar(row["first_touch_ts"]) >= 5
        and market.bar(row["ended_ts"]) - market.bar(row["created_ts"]) <= 34
    )


def _life(chart: Chart, zone: Row, *, fades: bool = True) -> None:
    """Dashed until it is known, strong while untouched, weaker once touched, fading when it has ended."""
    low, high, colour = zone["price_lo"], zone["price_hi"], _colour(zone["side"])
    if "origin_ts" in zone:
        chart.outline(zone["origin_ts"] - KEY.tf.duration, zone["created_ts"], low, high, colour=colour)
    chart.band(zone["created_ts"], zone["first_touch_ts"], low, high, colour=colour, opacity=0.32)
    chart.band(zone["first_touch_ts"], zone["ended_ts"], low, high, colour=colour, opacity=0.18)
    if fades:
        faded = zone["ended_ts"] + _FADE * KEY.tf.duration
        chart.fading(zone["ended_ts"], faded, low, high, colour=colour, opacity=0.12)


def _later(zone: Row) -> list[Flag]:
    return [
        Flag(zone["first_touch_ts"], f"touched {clock(zone['first_touch_ts'])}"),
        Flag(zone["ended_ts"], f"{zone['status']} {clock(zone['ended_ts'])}"),
    ]


def _told(zone: Row) -> str:
    return (
        f"{zone['side']} {_bounds(zone)}: drawn from the bar "
        f"{clock(zone['origin_ts'])}, known at {clock(zone['created_ts'])}, first touched at "
        f"{clock(zone['first_touch_ts'])}, {zone['status']} at {clock(zone['ended_ts'])} after "
        f"{zone['touches']} touches."
    )


def _bounds(zone: Row) -> str:
    return f"{price(zone['price_lo'])} to {price(zone['price_hi'])}"


def _facts(market: Market, zone: Row) -> tuple[Fact, ...]:
    """Its life, event by event."""
    events = market.rows.zone_events.filter(
        pl.col("kind") == zone["kind"],
        pl.col("created_ts") == zone["created_ts"],
        pl.col("parent_created_ts").eq_missing(pl.lit(zone.get("parent_created_ts"), dtype=pl.Datetime("us", "UTC"))),
    )
    return tuple(Fact("zone_events", row, market.params) for row in events.to_dicts())


def _break_at(market: Market, ts: datetime) -> Row:
    return next(row for row in market.rows.smc_events.to_dicts() if row["ts"] == ts)


def _colour(side: str) -> str:
    return DEMAND if side == "DEMAND" else SUPPLY
