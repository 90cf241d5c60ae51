"""Every expectation of zones is green on what the engine writes and red on the one defect it is there for."""

import pytest

from assets.checks.zone_suite import ZONE_SUITE
from tests.assets.checks.filled import answers, plant, red
from tests.databases import Database


def _one(statement: str, table: str, which: str) -> str:
    """The statement for the first row of the 1h that is so, in the place of @one."""
    first = "ctid = (SELECT ctid FROM analysis.@table x WHERE tf = '1h' AND @which ORDER BY created_ts, ts LIMIT 1)"
    first = first if table == "zone_events" else first.replace(", ts", "")
    return statement.replace("@one", first.replace("@table", table).replace("@which", which))


def _drop(table: str, constraint: str) -> str:
    return f"ALTER TABLE analysis.{table} DROP CONSTRAINT {constraint}"


DEFECTS = {
    "bounds_ordered": (
        _drop("zones", "bounds_are_ordered"),
        _one("UPDATE analysis.zones SET price_hi = price_lo WHERE @one", "zones", "status <> 'MITIGATED'"),
    ),
    "zone_life": (
        _drop("zones", "origin_came_before"),
        _one("UPDATE analysis.zones SET origin_ts = created_ts WHERE @one", "zones", "true"),
    ),
    # Without its event the end stands in nothing but the table that is derived from events.
    "zone_has_its_events": (
        _one(
            "DELETE FROM analysis.zone_events WHERE @one",
            "zone_events",
            "parent_created_ts IS NULL AND event = 'MITIGATED'",
        ),
    ),
    "inversion_life": (
        _one(
            "UPDATE analysis.inversions SET expiry_bars = expiry_bars + 1 WHERE @one",
            "inversions",
            "status = 'EXPIRED'",
        ),
    ),
    "inversion_like_parent": (
        _one("UPDATE analysis.inversions SET price_hi = price_hi + 0.01 WHERE @one", "inversions", "true"),
    ),
    "inversion_has_its_events": (
        _one(
            "DELETE FROM analysis.zone_events WHERE @one",
            "zone_events",
            "parent_created_ts IS NOT NULL AND event = 'MITIGATED'",
        ),
    ),
    # The end counts fewer touches than the first touch did.
    "events_in_order": (
        _one(
            "UPDATE analysis.zone_events SET touches = 999 WHERE @one",
            "zone_events",
            "event = 'TOUCHED' AND EXISTS (SELECT FROM analysis.zones z WHERE z.tf = x.tf AND z.kind = x.kind "
            "AND z.created_ts = x.created_ts AND z.status = 'MITIGATED')",
        ),
    ),
    "events_match_lives": (
        "INSERT INTO analysis.zone_events (venue, symbol, tf, kind, created_ts, ts, event, touches) VALUES "
        "('binance_spot', 'BTCUSDT', '1h', 'OB', '2022-01-20 12:30+00', '2022-01-20 12:30+00', 'CREATED', 0)",
    ),
}


def test_every_expectation_has_a_defect_to_find() -> None:
    assert set(DEFECTS) == set(ZONE_SUITE.expectations)


def test_what_the_engine_writes_is_green(sound: Database) -> None:
    found = answers(sound, ZONE_SUITE)
    assert set(found) == set(ZONE_SUITE.expectations)
    assert {answer.error for answer in found.values()} == {None}
    assert red(found) == set()


@pytest.mark.parametrize("check", DEFECTS)
def test_a_planted_defect_turns_its_check_red_and_no_other(sound: Database, check: str) -> None:
    plant(sound, DEFECTS[check])
    found = answers(sound, ZONE_SUITE)
    assert found[check].error is None
    assert found[check].count == 1, found[check]
    assert red(found) == {check}
