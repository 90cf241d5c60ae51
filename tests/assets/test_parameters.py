"""Which parameters a name stands for."""

import psycopg
import pytest

from assets.parameters import (
    UnknownParameters,
    engine_named,
    names_of,
    profile_named,
    reported_profiles,
    version_named,
)
from engine import EngineParams
from risk import SHIPPED, shipped_profile
from tests.assets.kept import keep_engine, keep_profile


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_name_stands_for_what_is_shipped_while_no_version_is_live(
    conn: psycopg.Connection, name: str
) -> None:
    keep_profile(conn, name, risk_fraction=0.002)
    keep_profile(conn, name, risk_fraction=0.003, state="candidate")
    assert profile_named(conn, name) == shipped_profile(name)


def test_a_name_stands_for_its_live_version_and_a_number_for_that_one(conn: psycopg.Connection) -> None:
    retired = keep_profile(conn, "default", risk_fraction=0.002, state="live")
    live = keep_profile(conn, "default", risk_fraction=0.003, targets=((1.0, 0.5), (2.0, 0.5)), state="live")
    draft = keep_profile(conn, "default", risk_fraction=0.004)
    assert profile_named(conn, "default") == live
    assert [profile_named(conn, f"default@{version}") for version in (1, 2, 3)] == [retired, live, draft]
    assert [names_of(conn)[one.hash] for one in (retired, live, draft)] == ["default@1", "default@2", "default@3"]


def test_engine_parameters_have_names_too(conn: psycopg.Connection) -> None:
    assert engine_named(conn, "default") == EngineParams()
    wide = keep_engine(conn, "wide", fvg_min_atr=0.5, tp_r=(1.5, 3.0))
    assert engine_named(conn, "wide@1") == wide
    live = keep_engine(conn, "default", ttl_bars=9, state="live")
    assert engine_named(conn, "default") == live


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("brave", "there is no risk profile 'brave': use conservative, default, aggressive, or NAME@VERSION"),
        ("calm", "no version of 'calm' is live: name one of calm@1, calm@2"),
        ("calm@3", "there is no calm@3"),
        ("calm@", "'calm@' names no version"),
        ("@1", "'@1' names no version"),
        ("calm@one", "'calm@one' names no version"),
        ("wide", "'wide' names engine parameters"),
        ("wide@1", "'wide@1' names engine parameters"),
    ],
)
def test_a_name_that_stands_for_nothing_is_refused_with_what_there_is(
    conn: psycopg.Connection, text: str, told: str
) -> None:
    keep_profile(conn, "calm", risk_fraction=0.002)
    keep_profile(conn, "calm", risk_fraction=0.003)
    keep_engine(conn, "wide", fvg_min_atr=0.5, state="live")
    with pytest.raises(UnknownParameters) as refused:
        profile_named(conn, text)
    assert told in str(refused.value)


def test_a_profile_is_no_engine(conn: psycopg.Connection) -> None:
    keep_profile(conn, "calm", risk_fraction=0.002, state="live")
    with pytest.raises(UnknownParameters, match="'calm@1' names a risk profile"):
        engine_named(conn, "calm@1")
    assert version_named(conn, "calm@1").kind == "profile"


def test_reports_are_of_what_is_shipped_and_of_whatever_else_is_live(conn: psycopg.Connection) -> None:
    keep_profile(conn, "main", risk_fraction=0.002, state="live")
    keep_profile(conn, "aggressive", risk_fraction=0.003, state="live")
    keep_profile(conn, "draft", risk_fraction=0.004)
    keep_profile(conn, "gone", risk_fraction=0.0015, state="retired")
    keep_engine(conn, "wide", fvg_min_atr=0.5, state="live")
    assert reported_profiles(conn) == [*SHIPPED, "main"]
