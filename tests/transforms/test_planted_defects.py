"""Every dbt test is green on the hand-made market, and red as soon as the defect that it is there for is planted."""

from collections.abc import Iterator

import psycopg
import pytest

from store.connections import connect
from tests.transforms.hand_made import Built
from transforms.invocation import Outcome

# What the hand-made market has on purpose, so that its marts have something to tell.
ON_PURPOSE = {
    "no_disagreements": "UPDATE marts.mart_data_quality SET disagreements = 0",
    "nothing_refused": "UPDATE marts.mart_data_quality SET quarantined = 0",
}
DECISION = (
    "INSERT INTO marts.fct_decisions (decision_id, venue, symbol, ts, origin, side, is_accepted, gates, gates_failed)"
)
TRADE = "INSERT INTO marts.fct_trades (origin, run, trade_id, venue, symbol, side, entry_ts, exit_ts, r, pnl)"
PARITY = (
    "INSERT INTO marts.mart_live_parity "
    "(venue, symbol, tf, day, table_name, rows_live, rows_batch, mismatches, is_equal)"
)
# What breaks a mart or the tables under it, by the test that finds it.
DEFECTS = {
    "series_candles_are_in_order": [
        "UPDATE marts.dim_series SET analysed_until = '2023-01-01' WHERE symbol = 'BTCUSDT'"
    ],
    "days_follow_each_other": [
        "DELETE FROM marts.dim_time WHERE day = '2022-01-15'",
        "DELETE FROM marts.dim_time WHERE day = (SELECT max(day) FROM marts.dim_time)",
    ],
    "days_know_their_place": [
        "UPDATE marts.dim_time SET is_month_end = true WHERE day = '2022-01-30'",
        "UPDATE marts.dim_time SET weekday = 1, weekday_name = 'Mon', is_weekend = false",
        "UPDATE marts.dim_time SET weekday_name = 'Mon' WHERE day = '2022-01-15'",
        "UPDATE marts.dim_time SET week = week + 7",
        "UPDATE marts.dim_time SET month = quarter",
        "UPDATE marts.dim_time SET quarter = month",
    ],
    "daily_prices_in_order": ["UPDATE marts.fct_candles_daily SET low = 100.5"],
    "daily_volumes_can_be": [
        "UPDATE marts.fct_candles_daily SET trades = -1",
        "UPDATE marts.fct_candles_daily SET vwap = -4",
        "UPDATE marts.fct_candles_daily SET taker_buy_vol = volume + 1",
    ],
    "daily_bars_fit_the_day": ["UPDATE marts.fct_candles_daily SET rest_bars = 3"],
    "daily_holds_every_candle": [
        "DELETE FROM market.candles WHERE open_time = '2022-01-01 07:00+00'",
        "UPDATE marts.fct_candles_daily SET volume = volume * 2",
        "UPDATE marts.fct_candles_daily SET trades = trades + 1",
        "DELETE FROM marts.fct_candles_daily",
    ],
    "zone_outcomes_hold_every_zone": [
        "DELETE FROM marts.fct_zone_outcomes WHERE was_touched IS FALSE",
        "DELETE FROM marts.fct_zone_outcomes",
    ],
    "zone_reactions_follow_touches": [
        "UPDATE marts.fct_zone_outcomes SET was_respected = false WHERE kind = 'FVG'",
        "UPDATE marts.fct_zone_outcomes SET respected_after_bars = null",
        "UPDATE marts.fct_zone_outcomes SET respected_after_bars = 21 WHERE was_respected",
    ],
    "zone_reactions_reach_traded_prices": [
        "UPDATE marts.fct_zone_outcomes SET reaction_atr = 55 WHERE was_respected AND side = 'DEMAND'",
        "UPDATE marts.fct_zone_outcomes SET reaction_atr = 40 WHERE was_respected AND side = 'SUPPLY'",
    ],
    "zone_outcomes_of_known_series": ["DELETE FROM marts.dim_series WHERE symbol = 'BTCUSDT'"],
    "signals_are_all_here": [
        "DELETE FROM analysis.signals_raw WHERE side_hint = 'SHORT'",
        "DELETE FROM marts.fct_signals",
    ],
    "signal_excursions_grow": [
        "UPDATE marts.fct_signals SET mfe_r_20 = 3 WHERE side = 'SHORT'",
        "UPDATE marts.fct_signals SET mfe_r_5 = -1, mfe_r_10 = -1 WHERE side = 'LONG'",
        "UPDATE marts.fct_signals SET mae_r_5 = -1 WHERE side = 'SHORT'",
    ],
    "signal_outcomes_agree_with_excursions": [
        "UPDATE marts.fct_signals SET mae_r_20 = 0.75 WHERE side = 'LONG'",
        "UPDATE marts.fct_signals SET outcome = 'OPEN' WHERE side = 'LONG'",
        "UPDATE marts.fct_signals SET outcome = 'STOP' WHERE side = 'LONG'",
        "UPDATE marts.fct_signals SET outcome = 'STOP', target_after_bars = null WHERE side = 'LONG'",
    ],
    "signals_of_known_series": ["DELETE FROM marts.dim_series WHERE symbol = 'BTCUSDT'"],
    "performance_counts_every_signal": [
        "UPDATE marts.mart_signal_performance SET signals = 2",
        "DELETE FROM marts.mart_signal_performance",
    ],
    "performance_adds_up": ["UPDATE marts.mart_signal_performance SET stops = 1 WHERE side = 'LONG'"],
    "coverage_explains_every_hole": ["UPDATE marts.mart_coverage SET unexplained_holes = 1"],
    "coverage_matches_digests": ["UPDATE marts.mart_coverage SET digest_has_all_bars = false"],
    "coverage_of_known_series": ["DELETE FROM marts.dim_series WHERE symbol = 'BTCUSDT'"],
    "coverage_counts_every_candle": ["DELETE FROM marts.mart_coverage"],
    "no_failed_bars": ["UPDATE marts.mart_data_quality SET failed_bars = 1"],
    "no_disagreements": ["UPDATE marts.mart_data_quality SET disagreements = 1"],
    "nothing_refused": ["UPDATE marts.mart_data_quality SET quarantined = 1"],
    "nothing_pending": ["UPDATE marts.mart_data_quality SET holes_pending = 1"],
    "quality_counts_every_candle": [
        "DELETE FROM marts.mart_data_quality",
        "UPDATE marts.mart_data_quality SET archive_bars = rest_bars, rest_bars = archive_bars",
    ],
    "live_equals_batch": [f"{PARITY} VALUES ('v', 'S', '1m', '2022-01-01', 'zones', 1, 1, 1, false)"],
    "accepted_means_every_gate_passed": [f"{DECISION} VALUES ('d', 'v', 'S', '2022-01-01', 'live', 'BUY', true, 2, 1)"],
    "trades_end_after_they_begin": [
        f"{TRADE} VALUES ('backtest', 'r', 't', 'v', 'S', 'LONG', '2022-01-02', '2022-01-01', 1, 1)",
        f"{TRADE} VALUES ('backtest', 'r', 't', 'v', 'S', 'LONG', '2022-01-01', '2022-01-02', 1, -1)",
        f"{TRADE} VALUES ('live', 'r', 't', 'v', 'S', 'LONG', '2022-01-01', null, 0, 0)",
    ],
}


@pytest.fixture
def conn(built: Built) -> Iterator[psycopg.Connection]:
    """A connection that may change anything, and whose changes are forgotten."""
    with (
        connect(built.database.admin_dsn, application_name="test") as connection,
        connection.transaction(force_rollback=True),
    ):
        yield connection


def broken(conn: psycopg.Connection, built: Built, name: str) -> int:
    """How many rows break that test, by the SQL that dbt made of it."""
    return len(conn.execute(built.queries[name].encode()).fetchall())


def test_every_test_of_the_project_has_a_planted_defect(built: Built) -> None:
    assert sorted(built.queries) == sorted(DEFECTS)


@pytest.mark.parametrize(("name", "defect"), [(name, defect) for name, found in DEFECTS.items() for defect in found])
def test_a_planted_defect_turns_its_test_red(built: Built, conn: psycopg.Connection, name: str, defect: str) -> None:
    if name in ON_PURPOSE:
        assert broken(conn, built, name) > 0
        conn.execute(ON_PURPOSE[name].encode())
    assert broken(conn, built, name) == 0
    conn.execute(defect.encode())
    assert broken(conn, built, name) > 0


def statuses(outcome: Outcome) -> dict[str, str]:
    return {node.name: node.status for node in outcome.nodes if node.is_test and node.status != "pass"}


def test_dbt_itself_tells_warnings_from_failures_and_leaves_what_reads_a_broken_mart_as_it_was(own: Built) -> None:
    assert statuses(own.build()) == {"no_disagreements": "warn", "nothing_refused": "warn"}
    before = own.rows("marts.mart_signal_performance")
    with own.connect() as conn:  # the signal lies at the end of a bar that is gone: it cannot be followed
        conn.execute("DELETE FROM market.candles WHERE open_time = '2022-01-01 15:00+00'")
    found = statuses(own.build())
    assert found["signals_are_all_here"] == "fail"
    assert found["performance_counts_every_signal"] == "skipped"
    assert own.rows("marts.mart_signal_performance") == before
