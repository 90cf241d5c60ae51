"""Every mart of the hand-made market, with the rows worked out by hand (tests/transforms/hand_made.py tells why)."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from psycopg import sql

from store.roles import ANALYST, API
from tests.transforms.hand_made import KEY, MARTS, OTHER, T0, Built, at

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
