"""One comparison of the kernels with the slow reference: every table, row for row and bit for bit.

reading = assert_agrees(bars, KEY, EngineParams())
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import polars as pl

from engine import TABLES, EngineParams, SeriesEngine
from tests.engine import reference
from tests.engine.bits import assert_same_bits
from tests.engine.readers import with_micro_bos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts import SeriesKey
    from engine import SeriesRows
    from tests.engine.reference import Reading

DEFAULTS = EngineParams()
# What tells the events of zones apart: a zone has one at a bar at most.
ONE_EVENT = ("ts", "kind", "created_ts", "parent_created_ts")


def assert_agrees(
    bars: pl.DataFrame, key: SeriesKey, params: EngineParams = DEFAULTS, *, micro_bos: Sequence[int] | None = None
) -> Reading | None:
    """Both read the bars; the first difference fails.

    Returns:
        What the reference read; None where there are no bars.
    """
    found = SeriesEngine(key, params).advance(with_micro_bos(bars, micro_bos))
    if bars.is_empty():
        assert all(found.frame(table).is_empty() for table in TABLES)
        return None
    reading = reference.read(bars, params, key.tf.us, micro_bos)
    assert_same_rows(found, reading)
    return reading


def assert_same_rows(found: SeriesRows, reading: Reading) -> None:
    """What the engine made known is what the reference read of the same bars."""
    key, params = found.key, found.params
    for table in TABLES:
        frame = found.frame(table)
        expected = expected_frame(reading, table, key, params, frame.schema)
        if table == "zone_events":
            # by time; section 5 leaves open in which order the events of one bar are told
            assert frame["ts"].is_sorted()
            frame, expected = frame.sort(ONE_EVENT), expected.sort(ONE_EVENT)
        try:
            assert_same_bits(frame, expected)
        except AssertionError as difference:
            message = f"{table}: {difference}"
            raise AssertionError(message) from difference


def expected_frame(
    reading: Reading, table: str, key: SeriesKey, params: EngineParams, schema: pl.Schema
) -> pl.DataFrame:
    """The reference's rows of a table in the types of the engine's."""
    names = {"venue": key.venue, "symbol": key.symbol, "tf": str(key.tf)}
    if table == "indicators":
        read: dict[str, list[Any]] = dict(reading.indicators)
    else:
        rows = reading.rows[table]
        read = {name: [row[name] for row in rows] for name in schema if name not in names and name != "signal_id"}
    if table == "signals_raw":
        sides = zip(read["ts"], read["side_hint"], strict=True)
        read["signal_id"] = [signal_id(key, ts, side, params) for ts, side in sides]
    size = len(next(iter(read.values())))
    columns = {**{name: [text] * size for name, text in names.items()}, **read}
    assert set(columns) == set(schema)
    return pl.DataFrame([_series(name, columns[name], dtype) for name, dtype in schema.items()])


def signal_id(key: SeriesKey, ts: int, side: str, params: EngineParams) -> str:
    return hashlib.sha256(f"{key.venue}:{key.symbol}:{key.tf}|{ts}|retest|{side}|{params.hash}".encode()).hexdigest()[
        :24
    ]


def _series(name: str, values: list[Any], dtype: pl.DataType) -> pl.Series:
    if isinstance(dtype, pl.Datetime):
        return pl.Series(name, values, pl.Int64).cast(dtype)
    if isinstance(dtype, pl.Enum):
        return pl.Series(name, values, pl.String).cast(dtype)
    return pl.Series(name, values, dtype)


def occurrences(reading: Reading) -> Counter[str]:
    """How often everything occurred that a comparison has to have seen."""
    rows = reading.rows
    seen = Counter(f"swing {row['kind']} {row['label']}" for row in rows["swings"])
    seen.update(row["kind"] for row in rows["smc_events"] + rows["liquidity_events"])
    seen.update(f"{row['kind']} {row['event']}" for row in rows["zone_events"])
    seen.update(f"zone {row['status']}" for row in rows["zones"])
    seen.update(f"inversion {row['status']}" for row in rows["inversions"])
    seen.update(f"origin {row['origin_event']}" for row in rows["zones"] if row["kind"] == "OB")
    seen.update(f"signal {row['side_hint']} of {row['zone_kind']}" for row in rows["signals_raw"])
    seen.update({f"setup ended by {how}": count for how, count in reading.setup_ends.items()})
    seen.update({f"confirmed by {how}": count for how, count in reading.confirmations.items()})
    seen.update(f"{row['regime']} {row['vol_state']}" for row in rows["regimes"])
    return seen


SWINGS = [f"swing {label}" for label in ("HIGH HH", "HIGH LH", "LOW LL", "LOW HL")]
BREAKS = ["CHOCH_UP", "CHOCH_DN", "BOS_UP", "BOS_DN"]
LIQUIDITY = ["EQH", "EQL", "SWEEP_HIGH", "SWEEP_LOW"]
ENDS = ["MITIGATED", "EXPIRED", "EVICTED"]
# What has to occur at least so many times for a comparison to mean something.
LEAST = 50
REQUIRED = [
    *SWINGS,
    *BREAKS,
    *LIQUIDITY,
    *(f"{kind} {event}" for kind in ("OB", "FVG", "BREAKER", "IFVG") for event in ("CREATED", "TOUCHED", *ENDS)),
    *(f"{what} {status}" for what in ("zone", "inversion") for status in ("ACTIVE", *ENDS)),
    *(f"origin {kind}" for kind in BREAKS),
    *(f"signal {side} of {kind}" for side in ("LONG", "SHORT") for kind in ("OB", "FVG")),
    *(f"setup ended by {how}" for how in ("signal", "window", "opposite", "replaced")),
    *(f"confirmed by {how}{alone}" for how in ("in_direction", "micro_bos") for alone in ("", " alone")),
    "SHOCK SHOCK",
    "TREND OK",
    "RANGE OK",
    "RANGE CHOP",
]


def assert_enough_was_seen(seen: Counter[str]) -> None:
    """Everything in `REQUIRED` occurred at least `LEAST` times."""
    rare = {what: seen[what] for what in REQUIRED if seen[what] < LEAST}
    assert not rare, f"seen fewer than {LEAST} times: {rare}; all counts: {dict(sorted(seen.items()))}"
