"""What holds for raw signals: each comes from what was known at its bar, and its numbers can be traded."""

from assets.checks.suites import Expectation, Rows, Suite, unexpected, where

SIGNALS = Rows("analysis.signals_raw", "ts", known=True)

# The retest looks at zones that stood before its bar and survived it (engine-spec, section 6); a bot may name any that
# was known.
_ZONELESS = """
WITH bar AS (SELECT * FROM {batch} WHERE zone_kind IS NOT NULL)
SELECT venue, symbol, tf, ts, agent, side_hint, zone_kind, zone_created_ts
FROM bar WHERE NOT EXISTS (
    SELECT FROM analysis.zones x
    WHERE x.venue = bar.venue AND x.symbol = bar.symbol AND x.tf = bar.tf
      AND x.kind = bar.zone_kind AND x.created_ts = bar.zone_created_ts AND x.created_ts <= bar.ts
      AND (bar.agent <> 'retest' OR x.created_ts < bar.ts AND coalesce(x.ended_ts > bar.ts, true)
           AND x.side = CASE bar.side_hint WHEN 'LONG' THEN 'DEMAND' ELSE 'SUPPLY' END)
)
"""
# Signals are few: each one's candle is looked up.
_BARLESS = """
SELECT venue, symbol, tf, ts, agent, entry_hint, close
FROM (
    SELECT *, (
        SELECT c.close FROM market.candles c
        WHERE c.venue = bar.venue AND c.symbol = bar.symbol AND c.tf = bar.tf AND c.open_time = bar.ts - bar.length
    ) AS close
    FROM (SELECT * FROM {batch}) AS bar
) AS found
WHERE close IS NULL OR agent = 'retest' AND close::float8 <> entry_hint
"""


def _signals(text: str, wrong: str, *, show: str) -> Expectation:
    return Expectation("signals_raw", text, SIGNALS, where(wrong, show=f"agent, {show}", time="ts"))


SIGNAL_SUITE = Suite(
    "signals",
    {
        "zone_before_signal": Expectation(
            "signals_raw",
            "The zone a signal names was known before it, and a retest's still stood, on the signal's side.",
            SIGNALS,
            unexpected(_ZONELESS),
        ),
        "signal_at_its_bar": Expectation(
            "signals_raw",
            "Every signal was made at the close of a stored candle, and a retest enters at that close.",
            SIGNALS,
            unexpected(_BARLESS),
        ),
        "stop_on_its_side": _signals(
            "The stop lies below the entry of a long and above that of a short; both are positive and finite.",
            "NOT CASE side_hint WHEN 'LONG' THEN sl_hint < entry_hint ELSE sl_hint > entry_hint END "
            "OR least(sl_hint, entry_hint) <= 0 OR greatest(sl_hint, entry_hint) >= 'Infinity'",
            show="side_hint, entry_hint, sl_hint",
        ),
        "targets_ascending": _signals(
            "There is a target, and each lies further than the one before.",
            "cardinality(tp_r) = 0 OR tp_r[1] <= 0 "
            "OR tp_r IS DISTINCT FROM (SELECT array_agg(DISTINCT r ORDER BY r) FROM unnest(tp_r) AS r)",
            show="tp_r",
        ),
        "score_in_range": Expectation(
            "signals_raw",
            "A score lies between 0 and 1.",
            SIGNALS,
            {"column": "score", "min_value": 0, "max_value": 1},
            kind="ExpectColumnValuesToBeBetween",
        ),
        "signal_once": Expectation(
            "signals_raw",
            "No signal_id occurs twice.",
            SIGNALS,
            {"column": "signal_id"},
            kind="ExpectColumnValuesToBeUnique",
        ),
    },
)
