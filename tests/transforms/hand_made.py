"""A market small enough to work out every mart by hand, and the database it lies in.

26 bars of 1h from 2022-01-01 of binance_spot:BTCUSDT, all of them open = close = 100, high 101, low 99, but for the
four in `ODD`. Two signals and four zones lie in it (`SIGNALS`, `ZONES`); what happens to them is told beside them. A
second instrument has two bars: nothing that is done to the first may touch it.

    plant_everything(database)
    built = Built(database, folder); built.build()
    built.rows("marts.fct_signals")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from store.connections import connect
from store.roles import BATCH, OWNER
from tests.databases import Database
from transforms.invocation import Outcome, build, run

T0 = datetime(2022, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
KEY = ("binance_spot", "BTCUSDT", "1h")
OTHER = ("binance_spot", "ETHUSDT", "1h")
WINDOW = {"venue": "binance_spot", "symbol": "BTCUSDT"}
BARS = 26
# High and low of the bars that differ from the rest, by number.
ODD = {5: ("102", "99"), 7: ("101", "98.5"), 11: ("103.2", "99"), 20: ("101", "97.5")}
MARTS = (
    "dim_series",
    "dim_time",
    "fct_candles_daily",
    "fct_decisions",
    "fct_signals",
    "fct_trades",
    "fct_zone_outcomes",
    "mart_coverage",
    "mart_data_quality",
    "mart_live_parity",
    "mart_signal_performance",
)


def at(hours: float) -> datetime:
    """The instant so many hours after the first bar opened; the bar n closes at n + 1."""
    return T0 + hours * HOUR


@dataclass(frozen=True, slots=True)
class Built:
    """A database with the hand-made market, and dbt on it.

    Attributes:
        database: Where it lies.
        folder: Where dbt writes.
        queries: The compiled SQL of each test that was run, by name.
    """

    database: Database
    folder: Path
    queries: dict[str, str] = field(default_factory=dict)

    def build(self, start: datetime | None = None, **options: Any) -> Outcome:  # noqa: ANN401 - those of `build`
        """Build all marts: of `KEY`'s instrument from `start` on, or of everything."""
        variables: Mapping[str, str | None] = {} if start is None else {**WINDOW, "start": start.isoformat()}
        outcome = build(self.database.dsn(BATCH), folder=self.folder, variables=variables, **options)
        outcome.raise_for_models("the hand-made market")
        self.queries.update({node.name: node.query for node in outcome.nodes if node.query is not None})
        return outcome

    def run(self, *command: str) -> Outcome:
        """Any other command of dbt."""
        return run(self.database.dsn(BATCH), command, folder=self.folder, variables={})

    def connect(self, role: str = OWNER) -> psycopg.Connection:
        """A connection of that role."""
        return connect(self.database.dsn(role), application_name="test")

    def rows(self, table: str, *, key: Sequence[str] | None = KEY[:2]) -> list[dict[str, Any]]:
        """The rows of a relation (of one instrument), in a settled order."""
        schema, _, name = table.partition(".")
        query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name))
        with self.connect(BATCH) as conn:
            cursor = conn.execute(query)
            names = [column.name for column in cursor.description or ()]
            found = sorted(cursor.fetchall(), key=lambda row: [str(value) for value in row])
        rows = [dict(zip(names, row, strict=True)) for row in found]
        return [row for row in rows if key is None or (row["venue"], row["symbol"]) == tuple(key)]

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        """Every row of every mart."""
        return {mart: self.rows(f"marts.{mart}", key=None) for mart in MARTS}


def insert(conn: psycopg.Connection, table: str, *rows: Mapping[str, Any]) -> None:
    """Insert rows, a column a name."""
    schema, _, name = table.partition(".")
    for row in rows:
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(schema, name),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        conn.execute(statement, list(row.values()))


def of(key: Sequence[str], **values: Any) -> dict[str, Any]:  # noqa: ANN401 - columns of any type
    """A row of a series."""
    return {"venue": key[0], "symbol": key[1], "tf": key[2], **values}


def bar(n: int, *, key: Sequence[str] = KEY, source: str = "archive") -> dict[str, Any]:
    """The candle number `n`."""
    high, low = ODD.get(n, ("101", "99"))
    return of(
        key,
        open_time=at(n),
        close_time=at(n + 1) - timedelta(milliseconds=1),
        open=Decimal(100),
        high=Decimal(high),
        low=Decimal(low),
        close=Decimal(100),
        volume=Decimal(10),
        trades=5,
        taker_buy_vol=Decimal(4),
        quote_vol=Decimal(1000),
        source=source,
        ingested_at=at(1000),
    )


def revision(n: int, *, lost: bool) -> dict[str, Any]:
    """What REST said of the candle number `n`, before the archive's took its place or after."""
    row = {**bar(n, source="rest"), "volume": Decimal(9), "lost": lost, "seen_at": at(900)}
    del row["close_time"], row["ingested_at"]
    return {**row, "superseded_at": None if lost else at(1000)}


def signal(ts: datetime, side: str, stop: float, digit: str) -> dict[str, Any]:
    """A signal with the entry 100, thus R = 2 with a stop at 98 or 102."""
    return of(
        KEY,
        signal_id=digit * 24,
        agent="retest",
        ts=ts,
        side_hint=side,
        entry_hint=100.0,
        sl_hint=stop,
        tp_r=[1.5, 2.0, 3.0],
        features="{}",
        score=0.5,
        ttl_bars=6,
        zone_kind="FVG",
        zone_created_ts=at(2),
        retest_ok=True,
        structure_ok=True,
    )


def zone(created: float, kind: str, side: str, lo: str, hi: str, **life: Any) -> dict[str, Any]:  # noqa: ANN401 - columns
    """A zone; untouched and active unless `life` says otherwise."""
    return of(
        KEY,
        **{
            "kind": kind,
            "side": side,
            "price_lo": Decimal(lo),
            "price_hi": Decimal(hi),
            "created_ts": at(created),
            "origin_ts": at(created - 1),
            "origin_event": "BOS_UP" if kind == "OB" else None,
            "strength": 5,
            "expiry_bars": 200,
            "touches": 0,
            "first_touch_ts": None,
            "status": "ACTIVE",
            "ended_ts": None,
            **life,
        },
    )


SIGNALS = (
    # LONG from bar 3, R = 2. Bar 5 (the second after it): 102 = +1 R. Bar 7 (4th): 98.5 = -0.75 R. Bar 11 (8th): 103.2
    # = +1.6 R, beyond the target at 103. Bar 20 (17th): 97.5 = -1.25 R, beyond the stop at 98.
    signal(at(4), "LONG", 98.0, "a"),
    # SHORT from bar 15, R = 2, followed by the ten bars 16 to 25. Bar 20 (5th): 97.5 = +1.25 R. Every high: -0.5 R.
    signal(at(16), "SHORT", 102.0, "b"),
)
ZONES = (
    # Made by bar 1, touched by bar 4, followed by 20 bars and more. Every high of 101 is 2 = 1 atr14 above its upper
    # edge, that of bar 11 is 4.2 = 2.1 atr14.
    zone(2, "FVG", "DEMAND", "98", "99", touches=1, first_touch_ts=at(5)),
    # Made by bar 2, touched by bar 5, closed through by bar 7: bar 6 alone counts, 101.5 - 99 = 2.5 = 1.25 atr14.
    zone(3, "OB", "SUPPLY", "101.5", "102.5", touches=3, first_touch_ts=at(6), status="MITIGATED", ended_ts=at(8)),
    zone(20, "FVG", "DEMAND", "90", "91"),
    # Touched by bar 23, followed by two bars: not decided.
    zone(21, "OB", "DEMAND", "98", "99", touches=1, first_touch_ts=at(24)),
)


def plant_everything(database: Database) -> None:
    """Write the market."""
    with connect(database.dsn(OWNER), application_name="test") as conn:
        for key in (KEY, OTHER):
            insert(conn, "market.series", of(key))
            row = {"venue": key[0], "symbol": key[1], "contract_type": "SPOT", "base": key[1][:3], "quote": "USDT"}
            insert(conn, "market.instruments", {**row, "status": "TRADING", "listed_at": T0})
        insert(conn, "market.candles", *(bar(n) for n in range(BARS - 1)), bar(BARS - 1, source="rest"))
        insert(conn, "market.candles", bar(0, key=OTHER), bar(1, key=OTHER))
        # From the last bar into the next month: 718 bars of January, 3 of February. And one that REST filled.
        hole = {"first_seen": at(1000), "resolved_at": at(1000)}
        insert(
            conn,
            "market.candle_gaps",
            of(KEY, from_time=at(26), to_time=at(747), bars=721, cause="exchange", **hole),
            of(KEY, from_time=at(25), to_time=at(26), bars=1, cause="archive", **hole),
        )
        insert(conn, "market.candle_revisions", revision(10, lost=False), revision(12, lost=True))
        refused = {"origin": "a page", "payload": "a,row", "reason": "high below low", "seen_at": at(900)}
        insert(conn, "market.quarantine", of(KEY, open_time=at(5), source="rest", **refused))
        digest = {"sha256": "0" * 64, "chain": "1" * 64, "computed_at": at(1000)}
        insert(conn, "market.candle_digests", of(KEY, month=T0.date(), rows=BARS, **digest))
        insert(conn, "analysis.indicators", *(of(KEY, ts=at(n + 1), atr14=2.0) for n in range(BARS)))
        known = (of(KEY, ts=at(ts), regime=name, vol_state="OK") for ts, name in ((2, "TREND"), (4, "RANGE")))
        insert(conn, "analysis.regimes", *known)
        insert(conn, "analysis.signals_raw", *SIGNALS)
        insert(conn, "analysis.zones", *ZONES)
