"""A run with a window leaves the marts as building them whole would, and touches nothing that it was not asked for."""

import random
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tests.store.trading.rows import hold
from tests.transforms.hand_made import (
    BARS,
    HOUR,
    KEY,
    MARTS,
    OTHER,
    T0,
    Built,
    at,
    bar,
    insert,
    of,
    revision,
    signal,
    zone,
)
from tests.transforms.later_tables import TABLES

SECOND_DAY = at(24)


def go_on(built: Built, *, until: int) -> None:
    """The market goes on behind its last bar: more bars, analysed, and another end for what was open."""
    with built.connect() as conn:
        conn.execute("UPDATE market.candle_gaps SET from_time = %s WHERE cause = 'exchange'", [at(until)])
        insert(conn, "market.candles", *(bar(n) for n in range(BARS, until)))
        insert(conn, "analysis.indicators", *(of(KEY, ts=at(n + 1), atr14=2.0) for n in range(BARS, until)))
        insert(conn, "analysis.signals_raw", signal(at(until - 1), "LONG", 98.0, "c"))
        conn.execute("DELETE FROM analysis.zones WHERE created_ts = %s", [at(20)])


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(at(BARS), id="bar", marks=pytest.mark.slow),
        pytest.param(SECOND_DAY, id="day", marks=pytest.mark.slow),
        pytest.param(at(-400), id="before", marks=pytest.mark.slow),
        pytest.param(at(800), id="behind", marks=pytest.mark.slow),
    ],
)
def test_a_window_gives_what_building_everything_gives(grown: Built, start: datetime) -> None:
    go_on(grown, until=40)
    grown.build(start)
    windowed = grown.everything()
    grown.build(full_refresh=True)
    whole = grown.everything()
    assert [mart for mart in MARTS if windowed[mart] != whole[mart]] == []
    # Ten bars were missing to the twenty of the second signal; they are not its window's, but in its reach.
    short = next(row for row in windowed["fct_signals"] if row["side"] == "SHORT")
    assert (short["bars_after"], short["mfe_r_20"], short["mae_r_20"], short["outcome"]) == (20, 1.25, 0.5, "OPEN")
    assert at(20) not in {row["created_ts"] for row in windowed["fct_zone_outcomes"]}


def test_a_window_leaves_other_instruments_alone(grown: Built) -> None:
    before = grown.rows("marts.fct_candles_daily", key=OTHER[:2])
    with grown.connect() as conn:
        conn.execute("UPDATE market.candles SET volume = 77 WHERE symbol = 'ETHUSDT'")
        conn.execute("UPDATE market.candles SET volume = 77 WHERE symbol = 'BTCUSDT' AND open_time = %s", [at(24)])
    grown.build(SECOND_DAY, select=["fct_candles_daily"])
    assert grown.rows("marts.fct_candles_daily", key=OTHER[:2]) == before
    assert [row["volume"] for row in grown.rows("marts.fct_candles_daily")] == [240, 87]


def test_what_lies_before_the_window_is_not_written_again(grown: Built) -> None:
    with grown.connect("tidemark_batch") as conn:
        conn.execute("UPDATE marts.fct_candles_daily SET trades = -1")
    grown.build(SECOND_DAY, select=["fct_candles_daily"])
    assert [row["trades"] for row in grown.rows("marts.fct_candles_daily")] == [-1, 10]


def test_a_series_that_a_mart_does_not_have_is_written_from_its_beginning(grown: Built) -> None:
    with grown.connect("tidemark_batch") as conn:
        conn.execute("DELETE FROM marts.fct_signals")
        conn.execute("DELETE FROM marts.fct_candles_daily WHERE symbol = 'BTCUSDT'")
    grown.build(at(800))
    assert len(grown.rows("marts.fct_signals")) == 2
    assert [row["bars"] for row in grown.rows("marts.fct_candles_daily")] == [24, 2]


def test_a_mart_whose_columns_an_upgrade_changed_is_built_again_whole(grown: Built) -> None:
    with grown.connect("tidemark_batch") as conn:
        conn.execute("ALTER TABLE marts.fct_signals DROP COLUMN mfe_r_5")
    grown.build(at(800), select=["fct_signals"])
    assert [row["mfe_r_5"] for row in grown.rows("marts.fct_signals")] == [1.0, 1.25]


def test_a_view_whose_columns_an_upgrade_changed_is_made_again_with_its_readers(grown: Built) -> None:
    with grown.connect("tidemark_batch") as conn:
        conn.execute("DROP VIEW staging.stg_candles CASCADE")
        conn.execute("CREATE VIEW staging.stg_candles AS SELECT symbol AS other, venue FROM market.candles")
    grown.build(SECOND_DAY)
    assert len(grown.rows("staging.int_bars")) == BARS


def test_a_series_that_is_no_longer_kept_leaves_the_marts_with_the_next_run_of_any_instrument(grown: Built) -> None:
    with grown.connect() as conn:  # its candles may stay
        conn.execute("DELETE FROM market.series WHERE symbol = 'ETHUSDT'")
    outcome = grown.build(SECOND_DAY)
    assert {node.name for node in outcome.nodes if node.status == "fail"} == set()
    windowed = grown.everything()
    assert [mart for mart in MARTS if any(row.get("symbol") == "ETHUSDT" for row in windowed[mart])] == []
    assert not any(node.status == "fail" for node in grown.build(full_refresh=True).nodes)
    assert grown.everything() == windowed


HOURS = 900
FEBRUARY = at(744)
MODELS = ("staging", "intermediate", "marts")  # and no test
STATUSES = ("ACTIVE", "MITIGATED", "EXPIRED", "EVICTED")


class Market:
    """A random market of `HOURS` hours, with holes, that becomes known step by step, some of it late."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        holes = {*self.random.sample(range(HOURS), 60), *range(700, 760)}
        self.bars = {n: self._bar(n) for n in range(HOURS) if n not in holes}
        ends = [n + 1 for n in self.bars if n >= 2]
        self.zones = [self._zone(n) for n in self.random.sample(ends, 150)]
        self.signals = [self._signal(n) for n in self.random.sample(ends, 120)]

    def price(self, spread: int = 1000) -> Decimal:
        return Decimal(self.random.randrange(10_000 - spread, 10_000 + spread)) / 100

    def _bar(self, n: int) -> dict[str, Any]:
        first, last = self.price(), self.price()
        high, low = (Decimal(self.random.randrange(300)) / 100 for _ in range(2))
        prices = {"open": first, "close": last, "high": max(first, last) + high, "low": min(first, last) - low}
        return {**bar(n, source=self.random.choice(["archive", "rest"])), **prices}

    def _zone(self, n: int) -> dict[str, Any]:
        touch = n + self.random.randrange(1, 200)
        end = touch + self.random.randrange(60)
        lo = self.price()
        return {
            "created": n,
            "kind": self.random.choice(["OB", "FVG"]),
            "side": self.random.choice(["DEMAND", "SUPPLY"]),
            "lo": str(lo),
            "hi": str(lo + Decimal(self.random.randrange(1, 400)) / 100),
            "touch": touch if touch - 1 in self.bars else None,
            "end": min(end, n + 200) if min(end, n + 200) - 1 in self.bars and end >= touch else None,
            "status": self.random.choice(STATUSES),
        }

    def _signal(self, n: int) -> dict[str, Any]:
        side = self.random.choice(["LONG", "SHORT"])
        stop = self.random.choice([97.0, 98.0, 99.0]) + (4.0 if side == "SHORT" else 0.0)
        return {**signal(at(n), side, stop, "a"), "signal_id": f"{n:024x}"}

    def lives(self, until: int) -> list[dict[str, Any]]:
        """The zones in the state that is known once the bars before `until` are."""
        found = []
        for one in self.zones:
            touch, end = one["touch"], one["end"]
            is_touched = touch is not None and touch <= until and touch < one["created"] + 200
            is_ended = end is not None and end <= until and one["status"] != "ACTIVE" and (is_touched or touch is None)
            # As the engine has it: nothing is mitigated that was not touched.
            status = one["status"] if is_touched or one["status"] != "MITIGATED" else "EXPIRED"
            life: dict[str, Any] = {}
            if is_touched:
                life |= {"touches": 1, "first_touch_ts": at(touch)}
            if is_ended:
                life |= {"status": status, "ended_ts": at(end)}
            if one["created"] <= until:
                found.append(zone(one["created"], one["kind"], one["side"], one["lo"], one["hi"], **life))
        return found

    def goes_on(self, built: Built, since: int, until: int) -> None:
        """Store what becomes known by the bars from `since` up to `until`."""
        new = [self.bars[n] for n in range(since, until) if n in self.bars]
        with built.connect() as conn:
            insert(conn, "market.candles", *new)
            ends = [row["open_time"] + HOUR for row in new]
            insert(conn, "analysis.indicators", *(of(KEY, ts=ts, atr14=2.0) for ts in ends))
            regimes = [(ts, self.random.choice(["TREND", "RANGE"])) for ts in ends]
            insert(conn, "analysis.regimes", *(of(KEY, ts=ts, regime=name, vol_state="OK") for ts, name in regimes))
            insert(conn, "analysis.signals_raw", *(s for s in self.signals if at(since) < s["ts"] <= at(until)))
            conn.execute("DELETE FROM analysis.zones")
            insert(conn, "analysis.zones", *self.lives(until))

    def hears_late(self, built: Built, until: int) -> None:
        """Store what belongs to any time before, and which nobody announces: the next run may begin behind it."""
        n = self.random.choice([n for n in self.bars if n < until])
        with psycopg.connect(built.database.admin_dsn) as conn:
            insert(conn, "market.candle_revisions", {**revision(n, lost=True), "volume": 7})
            hole = min(n for n in range(until) if n not in self.bars)
            conn.execute("DELETE FROM market.candle_gaps")
            gap = of(
                KEY, from_time=at(hole), to_time=at(hole + 1), bars=1, cause=self.random.choice(["pending", "exchange"])
            )
            insert(conn, "market.candle_gaps", {**gap, "first_seen": at(1000)})
            refused = {
                "source": "rest",
                "origin": f"page {until}",
                "payload": "a",
                "reason": "odd",
                "seen_at": at(1000),
            }
            for tf in ("1h", "funding"):
                insert(conn, "market.quarantine", of((*KEY[:2], tf), open_time=at(n), **refused))
            gates = '[{"gate": "a", "passed": false}]'
            names = {"decision_id": f"{until:024x}", "evaluated_at": at(1000), "gates": gates}
            insert(conn, "trading.decisions", hold(venue=KEY[0], symbol=KEY[1], ts=at(n), **names))
            conn.execute("UPDATE ops.parity_results SET mismatches = mismatches + 1")
            measured = {"day": at(n).date(), "table_name": f"zones {until}", "rows_live": 9, "rows_batch": 9}
            insert(conn, "ops.parity_results", of(KEY, mismatches=0, **measured))


def rounded(marts: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The marts without the last digits of means, which depend on the order in which the database adds."""
    return {
        mart: [{name: round(v, 9) if isinstance(v, float) else v for name, v in row.items()} for row in rows]
        for mart, rows in marts.items()
    }


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_windows_over_a_random_market_give_what_building_everything_gives(own: Built, seed: int) -> None:
    market = Market(seed)
    with psycopg.connect(own.database.admin_dsn, autocommit=True) as conn:
        conn.execute(TABLES)
        conn.execute(
            "TRUNCATE market.candles, market.candle_gaps, market.candle_revisions, market.quarantine, "
            "market.candle_digests, analysis.indicators, analysis.regimes, analysis.signals_raw, analysis.zones"
        )
    since = 0
    for until, start in ((500, T0), (700, T0), (800, T0), (HOURS, FEBRUARY)):
        market.goes_on(own, since, until)
        market.hears_late(own, until)
        own.build(start, select=MODELS)
        since = until
    with own.connect() as conn:
        conn.execute("DELETE FROM market.series WHERE symbol = 'ETHUSDT'")
    own.build(FEBRUARY, select=MODELS)
    windowed = rounded(own.everything())
    own.build(select=MODELS, full_refresh=True)
    whole = rounded(own.everything())
    assert [mart for mart in MARTS if windowed[mart] != whole[mart]] == []
    assert len(whole["fct_decisions"]) == 4
    assert {row["outcome"] for row in whole["fct_signals"]} >= {"STOP", "TARGET", None}
    assert {row["was_respected"] for row in whole["fct_zone_outcomes"]} == {True, False, None}
