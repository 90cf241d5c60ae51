"""Funding settlements: the best known version stands, every other one is filed, the same again changes nothing.

Rule of the merge, as candles have it: of the rate, archive over rest; of two arrivals of one source the later stands.
The mark price is stated by REST alone: the last one stated stands, whoever gave the rate, and one that becomes known
where none was replaces nothing. A replaced version moves to `funding_revisions` by a trigger, in the transaction that
replaces it; an arrival whose rate loses is filed there once. No stated value disappears.

The archive does not state what kind a settlement is, REST does. Where one settlement stands at an instant and one
arrives for it, they are the same one: from the archive it takes the kind that stands, from REST it gives it another.
Only where a source lists a Regular and a Special one together do two stand at one instant.

`interval_hours` is what was realised: hours since the Regular settlement before, of the same instrument. It is computed
again for the span of a merge that added settlements or renamed one, up to the next Regular one, and never compared.

    counts = merge_funding(conn, instrument, frame, source="archive", at=now)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

import polars as pl
import psycopg

from contracts import InstrumentKey
from store.connections import translated
from store.copying import copy_text
from store.errors import FrameRejected
from store.frames import INSTANT
from store.locks import hold_until_commit

FundingSource = Literal["archive", "rest"]
RateType = Literal["Regular", "Special"]

RATE_TYPES: Final[tuple[RateType, ...]] = get_args(RateType)

# What arrives. rate: exact decimal text, signed; mark_price: exact decimal text, null = the source states none.
FUNDING_SCHEMA: Final = pl.Schema(
    {"funding_time": INSTANT, "rate": pl.String(), "mark_price": pl.String(), "rate_type": pl.String()}
)
# What is read back: decimals without trailing zeros, and what the store knows besides.
STORED_FUNDING_SCHEMA: Final = pl.Schema(
    {**FUNDING_SCHEMA, "interval_hours": pl.Int32(), "source": pl.String(), "ingested_at": INSTANT}
)

_RATE: Final = r"^-?[0-9]+(\.[0-9]+)?$"
_MARK_PRICE: Final = r"^[0-9]+(\.[0-9]+)?$"

# The planner knows nothing of fresh rows: beside years of them, a look-up a row of a table it takes for empty is slow.
_PLAN: Final = "SELECT set_config('enable_nestloop', 'off', true)"

_STAGE: Final = ("stage_funding",)
_CREATE_STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS stage_funding (
    funding_time timestamptz, rate numeric, mark_price numeric, rate_type text COLLATE "C"
) ON COMMIT DELETE ROWS
"""

# Every arrival beside the row that stands, both as they were before this statement: what is judged is what is counted.
# `better` = its rate may take the place of the stored one; `other` = it differs from it; `renamed` = REST calls what
# stands another kind, which the trigger does not file.
_MERGE: Final = """
WITH arriving AS (
    SELECT *, count(*) OVER (PARTITION BY funding_time) AS at_once FROM stage_funding
), standing AS (
    SELECT *, count(*) OVER (PARTITION BY funding_time) AS at_once FROM market.funding_rates
    WHERE venue = %(venue)s AND symbol = %(symbol)s AND funding_time BETWEEN %(first)s AND %(last)s
), judged AS MATERIALIZED (
    SELECT a.funding_time, a.rate, a.mark_price, a.rate_type, f.rate_type AS stands,
           f.funding_time IS NULL AS absent, f.rate <> a.rate AS other,
           f.source = ANY(%(replaces)s) AS better,
           %(source)s = 'rest' AND a.rate_type <> f.rate_type AS renamed,
           a.mark_price IS NOT NULL AND f.mark_price IS NULL AS marked,
           a.mark_price <> f.mark_price AS remarked
    FROM arriving a LEFT JOIN standing f
        ON f.funding_time = a.funding_time AND (f.rate_type = a.rate_type OR a.at_once = 1 AND f.at_once = 1)
), inserted AS (
    INSERT INTO market.funding_rates (venue, symbol, funding_time, rate, mark_price, rate_type, source, ingested_at)
    SELECT %(venue)s, %(symbol)s, funding_time, rate, mark_price, rate_type, %(source)s, %(at)s
    FROM judged WHERE absent
), updated AS (
    UPDATE market.funding_rates f SET
        rate = CASE WHEN j.other AND j.better THEN j.rate ELSE f.rate END,
        source = CASE WHEN j.other AND j.better THEN %(source)s ELSE f.source END,
        mark_price = coalesce(j.mark_price, f.mark_price),
        rate_type = CASE WHEN j.renamed THEN j.rate_type ELSE f.rate_type END,
        ingested_at = CASE WHEN j.other AND j.better OR j.remarked OR j.renamed THEN %(at)s ELSE f.ingested_at END
    FROM judged j
    WHERE f.venue = %(venue)s AND f.symbol = %(symbol)s AND f.funding_time = j.funding_time
      AND f.rate_type = j.stands AND (j.other AND j.better OR j.marked OR j.remarked OR j.renamed)
), filed AS (
    INSERT INTO market.funding_revisions
        (venue, symbol, funding_time, rate, mark_price, rate_type, source, lost, seen_at)
    SELECT %(venue)s, %(symbol)s, funding_time, rate, mark_price, CASE WHEN renamed THEN rate_type ELSE stands END,
           %(source)s, true, %(at)s
    FROM judged WHERE other AND NOT better
    ON CONFLICT DO NOTHING
), filed_kind AS (
    INSERT INTO market.funding_revisions
    SELECT f.venue, f.symbol, f.funding_time, f.rate, f.mark_price, f.interval_hours, f.rate_type, f.source, false,
           f.ingested_at, %(at)s
    FROM judged j JOIN standing f ON f.funding_time = j.funding_time AND f.rate_type = j.stands
    WHERE j.renamed AND NOT (j.other AND j.better) AND NOT coalesce(j.remarked, false)
)
SELECT count(*) FILTER (WHERE absent),
       count(*) FILTER (WHERE other AND better OR NOT other AND (remarked OR renamed)),
       count(*) FILTER (WHERE NOT absent AND NOT other AND NOT coalesce(remarked, false) AND NOT marked
                          AND NOT renamed),
       count(*) FILTER (WHERE other AND NOT better),
       count(*) FILTER (WHERE NOT absent AND NOT other AND marked AND NOT renamed),
       count(*) FILTER (WHERE renamed)
FROM judged
"""

# From the Regular settlement before the span to the one behind it: what lies outside keeps its interval. Groups are
# instants: of two settlements at one of them neither is before the other.
_INTERVALS: Final = """
WITH timed AS MATERIALIZED (
    SELECT funding_time, rate_type,
           max(funding_time) FILTER (WHERE rate_type = 'Regular')
               OVER (ORDER BY funding_time GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS previous
    FROM market.funding_rates
    WHERE venue = %(venue)s AND symbol = %(symbol)s
      AND funding_time >= coalesce((
          SELECT max(funding_time) FROM market.funding_rates
          WHERE venue = %(venue)s AND symbol = %(symbol)s AND funding_time < %(first)s AND rate_type = 'Regular'
      ), '-infinity')
      AND funding_time <= coalesce((
          SELECT min(funding_time) FROM market.funding_rates
          WHERE venue = %(venue)s AND symbol = %(symbol)s AND funding_time > %(last)s AND rate_type = 'Regular'
      ), 'infinity')
), realised AS (
    SELECT funding_time, rate_type, round(extract(epoch FROM funding_time - previous) / 3600)::integer AS hours
    FROM timed WHERE funding_time >= %(first)s
)
UPDATE market.funding_rates f SET interval_hours = r.hours FROM realised r
WHERE f.venue = %(venue)s AND f.symbol = %(symbol)s AND f.funding_time >= %(first)s
  AND f.funding_time = r.funding_time AND f.rate_type = r.rate_type AND f.interval_hours IS DISTINCT FROM r.hours
"""

_VERSION: Final = """
SELECT encode(sha256(convert_to(coalesce(string_agg(
           concat_ws('|', (extract(epoch FROM funding_time) * 1000000)::bigint, trim_scale(rate),
                     coalesce(trim_scale(mark_price)::text, ''), rate_type) || E'\\n',
           '' ORDER BY funding_time, rate_type), ''), 'UTF8')), 'hex')
FROM market.funding_rates
WHERE venue = %(venue)s AND symbol = %(symbol)s AND funding_time < %(until)s
"""


@dataclass(frozen=True, slots=True)
class FundingCounts:
    """What became of the arriving settlements; the five add up to their number.

    Attributes:
        inserted: New in the table.
        revised: Replaced a stored rate, mark price or kind; the version before was filed.
        unchanged: The stored version says the same already.
        lost: The rate differs from that of a better source, which stays; filed once however often they come. A mark
            price that came with it is taken all the same.
        completed: The same rate, and a mark price where none was known.
    """

    inserted: int = 0
    revised: int = 0
    unchanged: int = 0
    lost: int = 0
    completed: int = 0


@dataclass(frozen=True, slots=True)
class FundingExtent:
    """What is stored of an instrument's funding.

    Attributes:
        first: Time of the first settlement.
        last: Time of the last settlement.
        rows: How many there are.
    """

    first: datetime
    last: datetime
    rows: int


def merge_funding(
    conn: psycopg.Connection, instrument: InstrumentKey, frame: pl.DataFrame, *, source: FundingSource, at: datetime
) -> FundingCounts:
    """Merge settlements of one instrument into the table, all of them or none.

    Args:
        conn: A connection; where it is in no transaction, this is one.
        instrument: Whose they are.
        frame: `FUNDING_SCHEMA`, in any order, one row a time and rate type.
        source: Where they come from.
        at: When they arrived; stored as `ingested_at`.

    Raises:
        FrameRejected: The frame is no funding frame, or a value is no decimal number; nothing was stored.
        DatabaseUnavailable: The database was lost; nothing was stored, the same call may be made again.
    """
    _check(instrument, frame)
    if frame.is_empty():
        return FundingCounts()
    params = _params(
        instrument,
        source=source,
        replaces=["rest"] if source == "rest" else ["rest", "archive"],
        at=at,
        first=frame["funding_time"].min(),
        last=frame["funding_time"].max(),
    )
    with translated(f"store {frame.height} funding rates", key=instrument), conn.transaction():
        # One writer at a time: an interval depends on the neighbours, which another transaction may be writing.
        hold_until_commit(conn, "funding", instrument)
        conn.execute(_CREATE_STAGE)
        conn.execute(_PLAN)
        copy_text(conn, _STAGE, frame)
        row = conn.execute(_MERGE, params, prepare=False).fetchone()
        *counted, renamed = (0,) * 6 if row is None else map(int, row)
        counts = FundingCounts(*counted)
        if counts.inserted or renamed:
            conn.execute(_INTERVALS, params, prepare=False)
        conn.execute("TRUNCATE stage_funding")  # the caller's transaction may merge again
    return counts


def read_funding(conn: psycopg.Connection, instrument: InstrumentKey, start: datetime, end: datetime) -> pl.DataFrame:
    """The settlements that stand in [start, end), in order of time and type (`STORED_FUNDING_SCHEMA`)."""
    with translated("read funding", key=instrument):
        rows = conn.execute(
            """
            SELECT funding_time, trim_scale(rate)::text, trim_scale(mark_price)::text, rate_type, interval_hours,
                   source, ingested_at
            FROM market.funding_rates
            WHERE venue = %(venue)s AND symbol = %(symbol)s AND funding_time >= %(start)s AND funding_time < %(end)s
            ORDER BY funding_time, rate_type
            """,
            _params(instrument, start=start, end=end),
        ).fetchall()
    return pl.DataFrame(rows, schema=STORED_FUNDING_SCHEMA, orient="row")


def funding_extent(conn: psycopg.Connection, instrument: InstrumentKey) -> FundingExtent | None:
    """First, last and number of an instrument's stored settlements; None where nothing is stored."""
    with translated("read the extent of funding", key=instrument):
        row = conn.execute(
            """
            SELECT min(funding_time), max(funding_time), count(*) FROM market.funding_rates
            WHERE venue = %(venue)s AND symbol = %(symbol)s
            """,
            _params(instrument),
        ).fetchone()
    return None if row is None or row[0] is None else FundingExtent(*row)


def funding_version(conn: psycopg.Connection, instrument: InstrumentKey, *, until: datetime | None = None) -> str:
    r"""The fingerprint of an instrument's settlements, by whatever route they came in.

    Args:
        conn: A connection.
        instrument: Whose.
        until: Exclusive end; None = all that are stored.

    Returns:
        64 hex characters: sha256 over one line a settlement in order of time and type,
        `funding_time_us|rate|mark_price|rate_type`, decimals without trailing zeros, a mark price that is not known
        as nothing, each line ended by `\n`. The interval follows from the times.
    """
    with translated("read the version of funding", key=instrument):
        row = conn.execute(
            _VERSION, _params(instrument, until="infinity" if until is None else until), prepare=False
        ).fetchone()
    return "" if row is None else str(row[0])


def _params(instrument: InstrumentKey, **others: object) -> dict[str, Any]:
    return {"venue": instrument.venue, "symbol": instrument.symbol, **others}


def _check(instrument: InstrumentKey, frame: pl.DataFrame) -> None:
    if frame.schema != FUNDING_SCHEMA:
        msg = f"funding of {instrument} came as {dict(frame.schema)}: a funding frame has {dict(FUNDING_SCHEMA)}"
        raise FrameRejected(msg)
    faults = frame.select(
        pl.any_horizontal(pl.col("funding_time", "rate", "rate_type").is_null()).any().alias("null values"),
        pl.struct("funding_time", "rate_type").is_duplicated().any().alias("a time and rate type twice"),
        pl.col("rate").str.contains(_RATE).not_().any().alias("rates that are no plain decimals"),
        pl.col("mark_price").str.contains(_MARK_PRICE).not_().any().alias("mark prices that are no plain decimals"),
        pl.col("rate_type").is_in(RATE_TYPES).not_().any().alias(f"rate types beside {' and '.join(RATE_TYPES)}"),
    ).row(0, named=True)
    found = [name for name, present in faults.items() if present]
    if found:
        msg = f"{frame.height} funding rates of {instrument} hold {', '.join(found)}: nothing was stored"
        raise FrameRejected(msg)
