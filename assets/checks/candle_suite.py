"""What holds for stored candles, whoever wrote them; `store.quality` asks what needs the ledgers.

The writer refuses most of it row by row before it is stored. These questions do not trust the writer.
"""

from assets.checks.suites import Expectation, Rows, Suite, unexpected, where

# The wildest of 45,000 real minutes of BTC moved 23 mean ranges.
JUMP = 30
"""A bar that moves further than this many mean ranges of the `JUMP_BARS` bars before it is flagged."""
JUMP_BARS = 14
# Volumes and their products are rounded by the exchange: one part in ten thousand is no contradiction.
_ROUNDING = "0.0001"
_PRICES = "open, high, low, close"
_ROLLED = ("open", "high", "low", "close", "volume", "trades", "taker_buy_vol", "quote_vol")

CANDLES = Rows("market.candles", "open_time")
CANDLES_LED_IN = Rows("market.candles", "open_time", lead_in=JUMP_BARS)
# Where a refused row has no readable time, its origin ends with the month or day of the file, or of what was asked.
_ASKED = "([0-9][0-9][0-9][0-9]-[0-1][0-9](-[0-3][0-9])?)([.]zip)?$"
_PLACED = (
    f"coalesce(open_time, to_date((regexp_match(origin, '{_ASKED}'))[1], 'YYYY-MM-DD')::timestamp AT TIME ZONE 'UTC', "
    "seen_at)"
)
QUARANTINE = Rows("market.quarantine", _PLACED)

# A bar is compared where every shorter bar in it is stored: over a hole the exchange alone knows what it summed up.
_DIFFERENCES = ", ".join(
    f"CASE WHEN bar.{name} <> part.{name} THEN '{name} ' || bar.{name} || ' is not ' || part.{name} END"
    for name in _ROLLED
)
_AGREEMENT = f"""
WITH bar AS (SELECT * FROM {{batch}} WHERE base_tf IS NOT NULL)
SELECT bar.venue, bar.symbol, bar.tf, bar.open_time, base_tf, concat_ws(', ', {_DIFFERENCES}) AS differences
FROM bar, LATERAL (
    SELECT count(*) AS bars, max(high) AS high, min(low) AS low, sum(volume) AS volume, sum(trades) AS trades,
           sum(taker_buy_vol) AS taker_buy_vol, sum(quote_vol) AS quote_vol,
           min(c.open) FILTER (WHERE c.open_time = bar.open_time) AS open,
           min(c.close) FILTER (WHERE c.open_time = bar.open_time + bar.length - bar.base_length) AS close
    FROM market.candles c
    WHERE c.venue = bar.venue AND c.symbol = bar.symbol AND c.tf = bar.base_tf
      AND c.open_time >= bar.open_time AND c.open_time < bar.open_time + bar.length
) part
WHERE part.bars * bar.base_length = bar.length
  AND ({", ".join(f"bar.{name}" for name in _ROLLED)}) IS DISTINCT FROM ({", ".join(f"part.{n}" for n in _ROLLED)})
"""  # noqa: S608 - constants

_JUMPS = f"""
SELECT venue, symbol, tf, open_time, before, {_PRICES}, round(moved / nullif(range, 0), 1) AS ranges
FROM (
    SELECT *, greatest(high, before) - least(low, before) AS moved
    FROM (
        SELECT venue, symbol, tf, open_time, {_PRICES}, count(*) OVER past AS bars, avg(high - low) OVER past AS range,
               last_value(close) OVER past AS before
        FROM {{batch}}
        WINDOW past AS (PARTITION BY series ORDER BY open_time
                        ROWS BETWEEN {JUMP_BARS} PRECEDING AND 1 PRECEDING)
    ) AS measured
    WHERE bars = {JUMP_BARS}
) AS moves
WHERE moved > {JUMP} * range
"""  # noqa: S608 - constants


def _candles(text: str, wrong: str, *, show: str, blocking: bool = True) -> Expectation:
    return Expectation("candles", text, CANDLES, where(wrong, show=show, time="open_time"), blocking=blocking)


CANDLE_SUITE = Suite(
    "candles",
    {
        "on_grid": _candles(
            "Every candle opens on the grid of its timeframe.",
            "date_bin(length, open_time, 'epoch'::timestamptz) <> open_time",
            show="close_time",
        ),
        "close_time": _candles(
            "Every candle closes 1 ms before the next one opens.",
            "close_time <> open_time + length - interval '1 millisecond'",
            show="close_time",
        ),
        "no_duplicates": Expectation(
            "candles",
            "No open time is claimed by two rows.",
            CANDLES,
            unexpected(
                "SELECT venue, symbol, tf, open_time, count(*) AS rows FROM {batch} WHERE (series, open_time) IN "
                "(SELECT series, open_time FROM {batch} GROUP BY series, open_time HAVING count(*) > 1) "
                "GROUP BY venue, symbol, tf, open_time"
            ),
        ),
        "positive_prices": _candles("Every price is above zero.", "least(open, high, low, close) <= 0", show=_PRICES),
        "ohlc_order": _candles(
            "Low is the lowest and high the highest price of a candle.",
            "low > least(open, close, high) OR high < greatest(open, close)",
            show=_PRICES,
        ),
        "volume_bounds": _candles(
            "Volumes and trades are not negative, and takers bought no more than was traded.",
            "least(volume, taker_buy_vol, quote_vol, trades) < 0 OR taker_buy_vol > volume",
            show="volume, taker_buy_vol, quote_vol, trades",
        ),
        "quote_volume_bounds": _candles(
            "Quote volume lies between volume at the low and volume at the high.",
            f"quote_vol < low * volume * (1 - {_ROUNDING}) OR quote_vol > high * volume * (1 + {_ROUNDING})",
            show="low, high, volume, quote_vol",
            blocking=False,
        ),
        "timeframes_agree": Expectation(
            "candles",
            "The shortest kept timeframe, rolled up, equals the longer ones as the exchange gave them.",
            CANDLES,
            unexpected(_AGREEMENT),
            blocking=False,
        ),
        "price_jumps": Expectation(
            "candles",
            f"No candle moves further than {JUMP} mean ranges of the {JUMP_BARS} before it.",
            CANDLES_LED_IN,
            unexpected(_JUMPS),
            blocking=False,
        ),
        "nothing_quarantined": Expectation(
            "candles",
            "The exchange delivered no candle that had to be refused.",
            QUARANTINE,
            unexpected(
                f"SELECT venue, symbol, tf, {_PLACED} AS at, reason, source, payload, origin FROM {{batch}}"  # noqa: S608 - constants
            ),
            blocking=False,
        ),
    },
)
