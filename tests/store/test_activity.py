"""The few numbers that a person is shown of the analysis."""

import polars as pl
import psycopg

from contracts import SeriesKey
from store.activity import Activity, activity
from store.analysis import replace_window
from store.catalog import SeriesSetting, upsert_series
from store.signals import replace_signals
from store.zones import replace_zones
from tests.store.frames import KEY, T0, breaks, minutes, rows_of, signals, ts
from tests.store.lives import history

DAY = 1440


def indicators(slots: list[int]) -> pl.DataFrame:
    """A row of indicators at each slot, none of them defined."""
    return rows_of("indicators", [{"ts": ts(slot), "trend": 0} for slot in slots])


def filled(conn: psycopg.Connection, slots: int) -> None:
    """A series whose analysis ends with the bar of the last slot; zones live and die by dice in its last hour."""
    upsert_series(conn, SeriesSetting(KEY))
    end = T0 + minutes(slots)
    told = history([3] * slots).frames(0, slots)
    replace_window(conn, "indicators", KEY, start=T0, end=end, frame=indicators([0, slots - 1]))
    replace_window(conn, "smc_events", KEY, start=T0, end=end, frame=breaks([0, slots // 2, slots - 1]))
    replace_zones(
        conn,
        KEY,
        start=T0,
        end=end,
        zone_events=told["zone_events"],
        zones=told["zones"],
        inversions=told["inversions"],
    )
    for agent, at in (("retest", [0, slots - 2, slots - 1]), ("another", [slots - 1])):
        replace_signals(conn, KEY, agents=[agent], start=T0, end=end, frame=signals(at, agent=agent))


def test_an_empty_database_had_no_activity(conn: psycopg.Connection) -> None:
    assert activity(conn, days=7) == Activity(0, 0, 0, {})


def test_what_became_known_in_the_last_days_of_the_analysis_is_counted(conn: psycopg.Connection) -> None:
    filled(conn, 300)
    zones = history([3] * 300).frames(0, 300)["zones"]
    found = activity(conn, days=1)
    assert (found.breaks, found.zones) == (3, zones.height)
    assert 0 < found.active == zones.filter(zones["status"] == "ACTIVE").height
    assert dict(found.signals) == {"another": 1, "retest": 3}


def test_what_is_older_than_the_days_is_not_counted(conn: psycopg.Connection) -> None:
    filled(conn, 300)
    last = indicators([DAY])  # one more bar, a day behind the first
    replace_window(conn, "indicators", KEY, start=T0 + minutes(DAY), end=T0 + minutes(DAY + 1), frame=last)
    found = activity(conn, days=1)
    assert (found.breaks, dict(found.signals)) == (2, {"another": 1, "retest": 2})
    before = history([3] * 300).frames(0, 300)["zones"]
    assert found.zones == before.filter(before["created_ts"] > T0 + minutes(1)).height


def test_a_series_that_is_kept_and_not_analysed_counts_nothing(conn: psycopg.Connection) -> None:
    filled(conn, 300)
    once = activity(conn, days=1)
    upsert_series(conn, SeriesSetting(SeriesKey("binance_usdm", "ETHUSDT", "1m")))
    assert activity(conn, days=1) == once
