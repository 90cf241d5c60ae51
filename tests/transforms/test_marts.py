"""Every mart of the hand-made market, with the rows worked out by hand (tests/transforms/hand_made.py tells why)."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from psycopg import sql

from store.roles import ANALYST, API
from tests.transforms.hand_made import BARS, KEY, MARTS, OTHER, T0, Built, at, bar, insert, of, revision, signal, zone

JAN, FEB = date(2022, 1, 1), date(2022, 2, 1)


def only(row: dict[str, object], *names: str) -> tuple[object, ...]:
    return tuple(row[name] for name in names)


def test_a_day_has_its_prices_sums_and_sources(built: Built) -> None:
    first, second = built.rows("marts.fct_candles_daily")
    prices = ("day", "open", "high", "low", "close", "volume", "quote_vol", "taker_buy_vol", "trades", "vwap")
    assert only(first, *prices) == (JAN, 100, Decimal("103.2"), Decimal("97.5"), 100, 240, 24_000, 96, 120, 100)
    assert only(second, *prices) == (date(2022, 1, 2), 100, 101, 99, 100, 20, 2000, 8, 10, 100)
    assert (first["range_pct"], first["change_pct"]) == (pytest.approx(5.7), 0)
    counts = ("bars", "slots", "archive_bars", "rest_bars", "ws_bars", "failed_bars")
    assert only(first, *counts) == (24, 24, 24, 0, 0, 0)
    assert only(second, *counts) == (2, 24, 1, 1, 0, 0)
    assert only(second, "first_open_time", "last_open_time") == (at(24), at(25))


def test_a_signal_is_followed_for_5_10_and_20_bars_and_null_until_they_are_closed(built: Built) -> None:
    long, short = built.rows("marts.fct_signals")
    names = ("side", "risk", "target_r", "bars_after", "mfe_r_5", "mae_r_5", "mfe_r_10", "mae_r_10")
    assert only(long, *names) == ("LONG", 2, 1.5, 20, 1.0, 0.75, pytest.approx(1.6), 0.75)
    assert only(short, *names) == ("SHORT", 2, 1.5, 10, 1.25, 0.5, 1.25, 0.5)
    last = ("mfe_r_20", "mae_r_20", "stop_after_bars", "target_after_bars", "outcome")
    assert only(long, *last) == (pytest.approx(1.6), 1.25, 17, 8, "TARGET")
    assert only(short, *last) == (None, None, None, None, None)
    told = ("regime", "vol_state", "zone_kind", "zone_strength")
    assert only(long, *told) == ("RANGE", "OK", "FVG", 5)
    assert only(short, *told) == (None, None, "FVG", 5)


def test_a_zone_is_judged_by_the_bars_between_its_touch_and_its_end(built: Built) -> None:
    rows = {row["created_ts"]: row for row in built.rows("marts.fct_zone_outcomes")}
    names = (
        "was_touched",
        "bars_to_touch",
        "bars_after_touch",
        "reaction_atr",
        "was_respected",
        "respected_after_bars",
    )
    assert only(rows[at(2)], *names) == (True, 3, 20, pytest.approx(2.1), True, 1)
    assert only(rows[at(3)], *names) == (True, 3, 20, 1.25, True, 1)
    assert only(rows[at(20)], *names) == (False, None, None, None, None, None)
    assert only(rows[at(21)], *names) == (True, 3, 2, None, None, None)
    assert only(rows[at(2)], "regime", "vol_state", "atr14", "height_atr", "strength") == ("TREND", "OK", 2, 0.5, 5)
    assert rows[at(3)]["regime"] is None


OUTCOME = ("bars_after_touch", "reaction_atr", "was_respected", "respected_after_bars")


def test_a_close_through_a_zone_ends_the_watch_whether_the_zone_still_lived_or_not(own: Built) -> None:
    with own.connect() as conn:
        conn.execute("DELETE FROM analysis.zones")
        touched = {"touches": 1, "first_touch_ts": at(6)}
        insert(
            conn,
            "analysis.zones",
            # Expired a bar after its touch. Bar 6 reaches 101 = 0.5 atr14 above its upper edge, bar 7 closes at 91,
            # under its lower edge. The high of 103.2 that bar 11 makes behind that, 1.6 atr14, is no merit of its.
            zone(2, "FVG", "DEMAND", "98", "100", **touched, status="EXPIRED", ended_ts=at(7)),
            # The same with an upper edge at 99: bar 6 alone is 1 atr14 away.
            zone(2, "OB", "DEMAND", "98", "99", **touched, status="EVICTED", ended_ts=at(7)),
            # Evicted as early and never closed through: bar 11 counts, 1.6 atr14, after 6 bars.
            zone(3, "FVG", "DEMAND", "90", "100", **touched, status="EVICTED", ended_ts=at(7)),
            # The touching bar itself closes through it, at 100 over 99.5.
            zone(3, "OB", "SUPPLY", "99", "99.5", **touched, status="EXPIRED", ended_ts=at(6)),
            # Bar 7 reaches 90 = 5 atr14 under its lower edge; no bar closes over 103.
            zone(4, "FVG", "SUPPLY", "100", "103", **touched, status="EXPIRED", ended_ts=at(7)),
            # Not analysed so far as to have ended, and closed through all the same.
            zone(4, "OB", "DEMAND", "98", "100", **touched),
        )
        conn.execute(
            "UPDATE market.candles SET low = 90, close = 91 WHERE symbol = 'BTCUSDT' AND open_time = %s", [at(7)]
        )
    own.build(select=["+fct_zone_outcomes"])
    rows = {(row["created_ts"], row["kind"]): row for row in own.rows("marts.fct_zone_outcomes")}
    assert only(rows[at(2), "FVG"], *OUTCOME) == (20, 0.5, False, None)
    assert only(rows[at(2), "OB"], *OUTCOME) == (20, 1.0, True, 1)
    assert only(rows[at(3), "FVG"], *OUTCOME) == (20, pytest.approx(1.6), True, 6)
    assert only(rows[at(3), "OB"], *OUTCOME) == (20, 0, False, None)
    assert only(rows[at(4), "FVG"], *OUTCOME) == (20, 5, True, 2)
    assert only(rows[at(4), "OB"], *OUTCOME) == (20, 0.5, False, None)


def test_the_first_of_stop_and_target_is_the_outcome_and_the_stop_where_one_bar_reached_both(own: Built) -> None:
    with own.connect() as conn:
        conn.execute("DELETE FROM analysis.signals_raw")
        insert(
            conn,
            "analysis.signals_raw",
            # Stop at 98.5, R = 1.5: bar 7, the fourth, reaches it; the target at 102.25 is reached by bar 11.
            signal(at(4), "LONG", 98.5, "a"),
            # Stop at 102, target at 97: bar 5, the first, reaches 102; bar 20's low is 97.5.
            signal(at(5), "SHORT", 102.0, "b"),
            # Stop at 101.5, target at 97.75: bar 20 is the first to reach either.
            signal(at(2), "SHORT", 101.5, "c"),
            # R = 0.5: the first bar reaches the stop at 99.5 and the target at 100.75.
            signal(at(3), "LONG", 99.5, "d"),
        )
        conn.execute("UPDATE market.candles SET high = 101 WHERE symbol = 'BTCUSDT' AND high = 103.2")
        conn.execute("UPDATE market.candles SET high = 102.3 WHERE symbol = 'BTCUSDT' AND open_time = %s", [at(11)])
        conn.execute("UPDATE market.candles SET high = 101.4 WHERE symbol = 'BTCUSDT' AND open_time = %s", [at(5)])
    own.build(select=["+fct_signals"])
    rows = {row["signal_id"][0]: row for row in own.rows("marts.fct_signals")}
    names = ("stop_after_bars", "target_after_bars", "outcome")
    assert only(rows["a"], *names) == (4, 8, "STOP")
    assert only(rows["b"], *names) == (7, None, "STOP")
    assert only(rows["c"], *names) == (10, 19, "STOP")
    assert only(rows["d"], *names) == (1, 1, "STOP")


def test_performance_counts_and_averages_what_is_closed(built: Built) -> None:
    long, short = sorted(built.rows("marts.mart_signal_performance"), key=lambda row: row["side"])
    names = ("month", "agent", "side", "regime", "signals", "decided", "targets", "stops", "open_after_20")
    assert only(long, *names) == (JAN, "retest", "LONG", "RANGE", 1, 1, 1, 0, 0)
    assert only(short, *names) == (JAN, "retest", "SHORT", "WARM-UP", 1, 0, 0, 0, 0)
    means = ("target_share", "mean_mfe_r_5", "mean_mae_r_5", "mean_mfe_r_20", "median_mae_r_20")
    assert only(long, *means) == (1, 1.0, 0.75, pytest.approx(1.6), 1.25)
    assert only(short, *means) == (None, 1.25, 0.5, None, None)


def test_coverage_cuts_a_hole_where_the_month_ends_and_counts_what_was_filled_as_no_hole(built: Built) -> None:
    january, february = built.rows("marts.mart_coverage")
    names = ("month", "slots", "bars", "explained_holes", "pending_holes", "unexplained_holes", "is_complete")
    assert only(january, *names) == (JAN, 744, 26, 718, 0, 0, True)
    assert only(february, *names) == (FEB, 3, 0, 3, 0, 0, False)
    assert january["coverage"] == pytest.approx(26 / 744)
    assert only(january, "digest_has_all_bars", "chain") == (True, "1" * 64)
    assert only(february, "digest_has_all_bars", "first_open_time") == (None, None)


def test_quality_tells_sources_holes_by_cause_revisions_disagreements_and_refused_rows(built: Built) -> None:
    january, february = built.rows("marts.mart_data_quality")
    names = ("bars", "archive_bars", "rest_bars", "ws_bars", "failed_bars")
    assert only(january, *names) == (26, 25, 1, 0, 0)
    holes = ("holes_exchange", "holes_unlisted", "holes_archive", "holes_quarantined", "holes_pending")
    assert only(january, *holes) == (718, 0, 1, 0, 0)
    assert only(february, *holes) == (3, 0, 0, 0, 0)
    trouble = ("revisions", "lost_arrivals", "disagreements", "quarantined")
    assert only(january, *trouble) == (1, 1, 2, 1)
    assert only(february, *trouble) == (0, 0, 0, 0)


def test_a_month_without_any_candle_between_others_has_its_row_and_turns_the_check_red(own: Built) -> None:
    with own.connect() as conn:
        conn.execute("DELETE FROM market.candle_gaps")
        # All 744 bars of January, none of February, the first two of March.
        insert(conn, "market.candles", *(bar(n) for n in range(BARS, 744)), bar(1416), bar(1417))
        conn.execute("UPDATE market.candle_digests SET rows = 744")
    outcome = own.build(at(1416))
    names = ("month", "slots", "bars", "explained_holes", "unexplained_holes", "is_complete")
    assert [only(row, *names) for row in own.rows("marts.mart_coverage")] == [
        (JAN, 744, 744, 0, 0, True),
        (FEB, 672, 0, 0, 672, False),
        (date(2022, 3, 1), 2, 2, 0, 0, False),
    ]
    assert {node.name for node in outcome.nodes if node.status == "fail"} == {"coverage_explains_every_hole"}


def test_only_other_values_of_another_source_are_a_disagreement(own: Built) -> None:
    with own.connect() as conn:
        conn.execute("DELETE FROM market.candle_revisions")
        insert(
            conn,
            "market.candle_revisions",
            revision(10, lost=False),  # REST said 9, the archive's 10 took its place
            revision(25, lost=False),  # REST said 9 and corrected itself: one source
            {**revision(12, lost=True), "volume": 10},  # it lost, and the archive has come to say the same since
            {**revision(13, lost=False), "volume": 10},  # it went, and has come back since
            {
                **revision(25, lost=True),
                "volume": 8,
            },  # it lost to an equal archive, whose name the candle does not carry
            {**revision(25, lost=True), "volume": 7},  # one candle all the same
        )
    own.build(select=["+mart_data_quality"])
    january, _ = own.rows("marts.mart_data_quality")
    assert only(january, "revisions", "lost_arrivals", "disagreements") == (3, 3, 2)


def test_a_refused_row_with_an_unreadable_time_counts_in_the_month_of_its_file(own: Built) -> None:
    with own.connect() as conn:
        refused = {"payload": "?,row", "reason": "time", "open_time": None, "source": "archive", "seen_at": at(5000)}
        insert(conn, "market.quarantine", of(KEY, origin="data/BTCUSDT-1h-2022-02.zip", **refused))
        insert(conn, "market.quarantine", of(KEY, origin="data/BTCUSDT-1h-2022-01-30.zip", **refused))
    own.build(select=["+mart_data_quality"])
    assert [row["quarantined"] for row in own.rows("marts.mart_data_quality")] == [2, 1]


def test_a_refused_funding_row_is_no_row_of_a_series(own: Built) -> None:
    before = built_quality(own)
    with own.connect() as conn:
        refused = {"origin": "a page", "payload": "a,row", "reason": "contradicting", "seen_at": at(900)}
        insert(conn, "market.quarantine", of((*KEY[:2], "funding"), open_time=at(5), source="rest", **refused))
    assert built_quality(own) == before


def built_quality(own: Built) -> list[dict[str, object]]:
    own.build(select=["+mart_data_quality"])
    return own.rows("marts.mart_data_quality", key=None)


def test_the_series_say_how_far_they_reach(built: Built) -> None:
    (row,) = built.rows("marts.dim_series")
    assert only(row, "series_key", "tf_minutes", "base", "quote") == (":".join(KEY), 60, "BTC", "USDT")
    assert only(row, "first_open_time", "last_open_time", "analysed_until") == (T0, at(25), at(26))
    (other,) = built.rows("marts.dim_series", key=OTHER[:2])
    assert only(other, "last_open_time", "analysed_until") == (at(1), None)


def test_the_days_know_their_place_in_week_month_and_year(built: Built) -> None:
    days = {row["day"]: row for row in built.rows("marts.dim_time", key=None)}
    names = ("week", "month", "quarter", "year", "weekday", "weekday_name", "is_weekend", "is_month_end")
    assert only(days[date(2022, 1, 1)], *names) == (date(2021, 12, 27), JAN, JAN, 2022, 6, "Sat", True, False)
    leap = days[date(2024, 2, 29)]
    assert only(leap, *names) == (date(2024, 2, 26), date(2024, 2, 1), date(2024, 1, 1), 2024, 4, "Thu", False, True)
    assert min(days) == date(2017, 8, 1)
    assert max(days) == date(datetime.now(tz=UTC).year + 1, 12, 31)
    assert len(days) == (max(days) - min(days)).days + 1


def test_what_does_not_exist_yet_is_empty(built: Built) -> None:
    for mart in ("fct_decisions", "fct_trades", "mart_live_parity"):
        assert built.rows(f"marts.{mart}", key=None) == []


@pytest.mark.parametrize("role", [ANALYST, API])
def test_analyst_and_api_read_every_mart_and_nothing_of_staging(built: Built, role: str) -> None:
    with built.connect(role) as conn:
        for mart in MARTS:
            conn.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier("marts", mart)))
        held = conn.execute("SELECT has_schema_privilege('staging', 'USAGE')").fetchone()
    assert held == (False,)


def test_every_mart_says_what_one_row_is_in_the_database_too(built: Built) -> None:
    with built.connect() as conn:
        for mart in MARTS:
            row = conn.execute("SELECT obj_description(to_regclass(%s))", [f"marts.{mart}"]).fetchone()
            assert row is not None
            assert str(row[0]).startswith("One row per "), mart


def test_the_unit_tests_of_the_project_pass(built: Built) -> None:
    outcome = built.run("test", "--select", "test_type:unit")
    assert [(node.name, node.message) for node in outcome.nodes if node.status != "pass"] == []
    assert len(outcome.nodes) >= 3


def test_a_build_counts_its_nodes_while_they_end(grown: Built) -> None:
    counted: list[tuple[int, int]] = []
    outcome = grown.build(T0, select=["dim_series", "dim_time"], count=lambda *told: counted.append(told))
    assert counted == [(1, 2), (2, 2)]
    assert len(outcome.nodes) == 2
