"""What holds for stored indicators: a row a bar, null in warm-up and nowhere else, finite, and inside their bounds.

Where a column begins is written down once more here, from the specification: a check that asked the engine would find
the engine right. `range_pos` may be null at any bar and is asked for finiteness alone.
"""

from assets.checks.suites import Expectation, Rows, Suite, unexpected, where

# Column -> index of the bar from which it is defined, bar 0 being the first of its series (engine-spec, section 1).
FIRST_DEFINED = {
    "ema20": 19,
    "ema50": 49,
    "ema200": 199,
    "rsi14": 14,
    "macd": 25,
    "macd_signal": 33,
    "macd_hist": 33,
    "atr14": 14,
    "adx14": 27,
    "bb_mid": 19,
    "bb_upper": 19,
    "bb_lower": 19,
    "vwap": 0,
    "vwma20": 19,
    "natr": 14,
    "natr_rank": 213,
    "bbw_rank": 218,
    "trend": 0,
}
FLOATS = (*(name for name in FIRST_DEFINED if name != "trend"), "range_pos")
_WARM = max(FIRST_DEFINED.values())

INDICATORS = Rows("analysis.indicators", "ts", known=True)

_MISPLACED = {
    name: f"({name} IS NULL) <> (coalesce(index, {_WARM}) < {first})" for name, first in FIRST_DEFINED.items()
}
_NAMED = ", ".join(f"CASE WHEN {wrong} THEN '{name}' END" for name, wrong in _MISPLACED.items())
# The first bars of a series are counted wherever the window begins; every later one is past all warm-up.
_WARM_UP = f"""
WITH bar AS (SELECT * FROM {{batch}}), early AS (
    SELECT first.* FROM {{series}} AS kept, LATERAL (
        SELECT venue, symbol, tf, ts, row_number() OVER (ORDER BY ts) - 1 AS index
        FROM (
            SELECT venue, symbol, tf, ts FROM analysis.indicators i
            WHERE i.venue = kept.venue AND i.symbol = kept.symbol AND i.tf = kept.tf ORDER BY ts LIMIT {_WARM}
        ) AS rows
    ) AS first
)
SELECT venue, symbol, tf, ts, coalesce(index::text, 'past warm-up') AS bar,
       concat_ws(', ', {_NAMED}) AS wrong
FROM bar LEFT JOIN early USING (venue, symbol, tf, ts)
WHERE {" OR ".join(_MISPLACED.values())}
"""  # noqa: S608 - constants

# What the analysis does not reach is not missed: what lies behind the first hole waiting for its cause, of the series
# or of its sub-timeframe, and what that one has not got to. Nor what it has yet to look at again, a month whose candles
# changed since its snapshot was taken.
_ROW_A_BAR = """
WITH reach AS (
    SELECT kept.venue, kept.symbol, kept.tf, least(
        (SELECT min(g.from_time) FROM market.candle_gaps g
         WHERE g.venue = kept.venue AND g.symbol = kept.symbol AND g.tf IN (kept.tf, s.sub_tf) AND g.cause = 'pending'),
        (SELECT max(i.ts) FROM analysis.indicators i
         WHERE i.venue = kept.venue AND i.symbol = kept.symbol AND i.tf = s.sub_tf)
    ) AS until
    FROM {series} AS kept LEFT JOIN market.series s USING (venue, symbol, tf)
), changed AS (
    SELECT d.venue, d.symbol, d.tf, d.month
    FROM {series} AS kept JOIN market.candle_digests d USING (venue, symbol, tf)
    JOIN analysis.engine_snapshots s USING (venue, symbol, tf)
    WHERE NOT s.live AND s.chain IS DISTINCT FROM d.chain
      AND s.ts > d.month::timestamptz AND s.ts <= d.month + interval '1 month'
)
SELECT coalesce(bar.venue, candle.venue) AS venue, coalesce(bar.symbol, candle.symbol) AS symbol,
       coalesce(bar.tf, candle.tf) AS tf, ts,
       CASE WHEN bar.tf IS NULL THEN 'no indicators' ELSE 'no candle' END AS missing
FROM (SELECT venue, symbol, tf, series, ts FROM {batch}) AS bar
FULL JOIN (
    SELECT venue, symbol, tf, series, length, open_time + length AS ts FROM {bars} AS bars
) AS candle USING (series, ts)
LEFT JOIN reach ON reach.venue = candle.venue AND reach.symbol = candle.symbol AND reach.tf = candle.tf
WHERE candle.tf IS NULL OR bar.tf IS NULL AND ts <= coalesce(reach.until, 'infinity')
  AND (candle.venue, candle.symbol, candle.tf, date_trunc('month', ts - length)::date)
      NOT IN (SELECT venue, symbol, tf, month FROM changed)
"""

_OUTSIDE = " OR ".join(
    [
        *(f"{name} NOT BETWEEN 0 AND 100" for name in ("rsi14", "adx14")),
        *(f"{name} NOT BETWEEN 0 AND 1" for name in ("natr_rank", "bbw_rank")),
        "atr14 < 0 OR natr < 0 OR bb_lower > bb_mid OR bb_upper < bb_mid",
    ]
)


def _indicators(text: str, wrong: str, *, show: str, blocking: bool = True) -> Expectation:
    return Expectation("indicators", text, INDICATORS, where(wrong, show=show, time="ts"), blocking=blocking)


INDICATOR_SUITE = Suite(
    "indicators",
    {
        "one_row_a_bar": Expectation(
            "indicators",
            "Every candle that the analysis reaches has its indicators, and they have their candle.",
            INDICATORS,
            unexpected(_ROW_A_BAR),
        ),
        "null_only_in_warm_up": Expectation(
            "indicators",
            "Every column is null while it warms up after the first bar of its series, and never later.",
            INDICATORS,
            unexpected(_WARM_UP),
        ),
        "finite": _indicators(
            "No value is infinite or not a number.",
            f"greatest({', '.join(FLOATS)}) >= 'Infinity' OR least({', '.join(FLOATS)}) = '-Infinity'",
            show=", ".join(FLOATS),
        ),
        "in_bounds": _indicators(
            "Oscillators lie in 0 to 100, ranks in 0 to 1, the bands around their mean, and no range is negative.",
            _OUTSIDE,
            show="rsi14, adx14, natr_rank, bbw_rank, atr14, natr, bb_lower, bb_mid, bb_upper",
        ),
        # A market that has not moved since its first bar is no error of ours, and no zone is formed in it.
        "atr_positive": _indicators("ATR is above zero.", "atr14 = 0", show="atr14, natr", blocking=False),
    },
)
