"""Pictures of a retest and of what a shorter timeframe adds to it (engine-spec section 6).

A signal is picked for the room around it, never for what price did next.

    retest(Market.of_the_pictures()).caption
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import polars as pl

from docs.pictures.chart import DEMAND, KNOWN, LEVEL, SUPPLY, Chart, Flag
from docs.pictures.formulas import score
from docs.pictures.market import KEY, SUB_TF
from docs.pictures.picture import Fact, Picture, broken_swing, clock, price, window

if TYPE_CHECKING:
    from docs.pictures.market import Market
    from docs.pictures.picture import Row

_AFTER = 8
_SUB_BARS_BEFORE = 30


def retest(market: Market) -> Picture:
    """The first signal that comes three bars or more after its zone, with its stop and its first two targets."""
    signal = next(
        row for row in market.rows.signals.to_dicts() if market.bar(row["ts"]) - market.bar(row["zone_created_ts"]) >= 3
    )
    event = market.rows.smc_events.filter(pl.col("ts") < signal["ts"]).to_dicts()[-1]
    zone = _zone_of(market, signal)
    first = min(event["ref_ts"], zone["origin_ts"])
    bars = window(market, first, signal["ts"], before=4, after=_AFTER)
    entry, stop = signal["entry_hint"], signal["sl_hint"]
    targets = [entry + multiple * (entry - stop) for multiple in signal["tp_r"][:2]]
    colour = DEMAND if zone["side"] == "DEMAND" else SUPPLY
    chart = Chart(
        bars,
        KEY.tf,
        title=f"A retest: {signal['side_hint']} at a {zone['side']} zone",
        description="Break, return to a zone of its side, confirmation. Known at the close of the signal's bar.",
        known=sorted(
            [
                Flag(event["ts"], f"{event['kind']} known {clock(event['ts'])}"),
                Flag(zone["created_ts"], f"{zone['kind']} known {clock(zone['created_ts'])}"),
                Flag(signal["ts"], f"{signal['side_hint']} known {clock(signal['ts'])}"),
            ],
            key=lambda flag: flag.ts,
        ),
        drawn=sorted(
            [
                Flag(event["ref_ts"], f"pivot {clock(event['ref_ts'])}", event["level"]),
                Flag(zone["origin_ts"], f"origin {clock(zone['origin_ts'])}", zone["price_lo"]),
            ],
            key=lambda flag: flag.ts,
        ),
        levels=[(entry, KNOWN), (stop, _STOP), *((target, _TARGET) for target in targets)],
    )
    start, low, high = zone["origin_ts"] - KEY.tf.duration, zone["price_lo"], zone["price_hi"]
    chart.outline(start, zone["created_ts"], low, high, colour=colour)
    chart.band(zone["created_ts"], signal["ts"], low, high, colour=colour, opacity=0.25)
    chart.candles()
    known = broken_swing(market.rows.swings, event)["ts"]
    chart.reference(event["ref_ts"], known, event["ts"], event["level"], colour=LEVEL)
    end = chart.x(signal["ts"] + signal["ttl_bars"] * KEY.tf.duration)
    for level, ink in ((entry, KNOWN), (stop, _STOP), *((target, _TARGET) for target in targets)):
        chart.level(chart.x(signal["ts"]), end, level, colour=ink)
    flags = ", ".join(f"`{name}`" for name, is_set in json.loads(signal["features"]).items() if is_set)
    caption = (
        f"{signal['side_hint']} at {clock(signal['ts'])}: entry {price(entry)}, stop {price(stop)}, targets at 1.5 R "
        f"({price(targets[0])}) and 2 R ({price(targets[1])}); the third, at 3 R, lies outside the picture. Flags set: "
        f"{flags or 'none'}. Score {signal['score']:.3f} = {score(signal, zone['strength'])}. {_ending(market, signal)}"
    )
    created = market.rows.zone_events.row(
        by_predicate=(pl.col("kind") == zone["kind"]) & (pl.col("ts") == zone["created_ts"]) & (pl.col("touches") == 0),
        named=True,
    )
    facts = (("smc_events", event), ("zone_events", created), ("signals_raw", signal))
    return Picture("retest", chart.svg(), caption, tuple(Fact(table, row, market.params) for table, row in facts))


def micro_bos(market: Market) -> Picture:
    """The first signal that a break of the 1m series confirms, on the 1m bars."""
    signal = next(
        row
        for row in market.rows.signals.to_dicts()
        if json.loads(row["features"])["micro_bos"] and not json.loads(row["features"])["in_direction"]
    )
    opened = signal["ts"] - KEY.tf.duration
    found = market.sub_rows.smc_events.filter(pl.col("ts") > opened, pl.col("ts") <= signal["ts"]).to_dicts()
    last = found[-1]
    first = min(opened, last["ref_ts"]) - _SUB_BARS_BEFORE * SUB_TF.duration
    bars = market.walk.sub_bars.filter(
        pl.col("open_time") >= first, pl.col("open_time") < signal["ts"] + _AFTER * SUB_TF.duration
    )
    chart = Chart(
        bars,
        SUB_TF,
        title=f"micro_bos: what the 1m series says inside the 15m bar {clock(signal['ts'])}",
        description="The last 1m break known inside the 15m bar (shaded) counts, once that bar has closed.",
        known=[
            *(Flag(row["ts"], f"{row['kind']} known {clock(row['ts'])}") for row in found),
            Flag(signal["ts"], f"15m bar: {signal['side_hint']} known {clock(signal['ts'])}"),
        ],
        drawn=[Flag(last["ref_ts"], f"pivot {clock(last['ref_ts'])}", last["level"])],
        levels=[(last["level"], LEVEL)],
    )
    lowest, highest = bars["low"].to_numpy().min(), bars["high"].to_numpy().max()
    chart.band(opened, signal["ts"], float(lowest), float(highest), colour=LEVEL, opacity=0.07)
    chart.candles()
    known = broken_swing(market.sub_rows.swings, last)["ts"]
    chart.reference(last["ref_ts"], known, last["ts"], last["level"], colour=LEVEL)
    open_, close = market.walk.bars[market.bar(signal["ts"])].select("open", "close").row(0)
    caption = (
        f"The 15m bar {clock(signal['ts'])} opens at {price(open_)} and closes at {price(close)}, against the "
        f"{signal['side_hint']}; but the last break of the 1m series inside it, {last['kind']} known at "
        f"{clock(last['ts'])}, is for it. That confirms the retest at {clock(signal['ts'])}."
    )
    return Picture(
        "micro_bos",
        chart.svg(),
        caption,
        (Fact("smc_events", last, market.params, tf=SUB_TF), Fact("signals_raw", signal, market.params)),
    )


def _ending(market: Market, signal: Row) -> str:
    """Which of stop and first target a later bar reached first."""
    entry, stop = signal["entry_hint"], signal["sl_hint"]
    target = entry + signal["tp_r"][0] * (entry - stop)
    for opened, low, high in (
        market.walk.bars.slice(market.bar(signal["ts"]) + 1).select("open_time", "low", "high").rows()
    ):
        bar = clock(opened + KEY.tf.duration)
        stopped, reached = low <= stop <= high, low <= target <= high
        if stopped and reached:
            return f"The bar {bar} reached both stop and first target."
        if stopped or reached:
            return f"The {'stop' if stopped else 'first target'} was reached first, in the bar {bar}."
    return "Neither stop nor first target was reached."


def _zone_of(market: Market, signal: Row) -> Row:
    return next(
        row
        for row in market.rows.zones.to_dicts()
        if (row["kind"], row["created_ts"]) == (signal["zone_kind"], signal["zone_created_ts"])
    )


_STOP, _TARGET = "#b91c1c", "#15803d"
