"""The runner: lazily imported, one query each, both shapes of an error, and pages that open and tell no secret."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from assets.checks.batches import Window
from assets.checks.candle_suite import CANDLE_SUITE, CANDLES
from assets.checks.expectations import MOST, Answer, address_of, ask, raised
from assets.checks.funding_suite import FUNDING_SUITE
from assets.checks.indicator_suite import INDICATOR_SUITE
from assets.checks.suites import Expectation, Suite, unexpected, where
from contracts import SeriesKey
from store.connections import connect
from store.roles import BATCH, OWNER
from tests.assets.checks.filled import JAN, LONG, SHORT, answers, red
from tests.databases import Database

ROOT = Path(__file__).parents[3]
WINDOWS = [Window(LONG, JAN.start, JAN.end)]


def suite(**expectations: Expectation) -> Suite:
    return Suite("tried", expectations)


def of_candles(wrong: str) -> Expectation:
    return Expectation("candles", "Nothing is so.", CANDLES, where(wrong, show="close", time="open_time"))


def between(column: str, least: float) -> Expectation:
    kwargs = {"column": column, "min_value": least}
    return Expectation("candles", "Large enough.", CANDLES, kwargs, kind="ExpectColumnValuesToBeBetween")


def asked(database: Database, tried: Suite, *, site: Path | None = None) -> dict[str, Answer]:
    url = database.dsn(BATCH)
    return {one.check: one for one in ask(tried, tried.expectations, WINDOWS, url=url, site=site, run="a run")}


def test_loading_the_definitions_does_not_import_great_expectations() -> None:
    program = (
        "import sys\n"
        "import dagster as dg\n"
        "from orchestration.definitions import defs\n"
        "dg.Definitions.validate_loadable(defs())\n"
        "sys.exit('great_expectations' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=dict(os.environ), capture_output=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr.decode()


def test_findings_are_counted_whole_and_shown_in_order_up_to_a_number(sound: Database) -> None:
    found = asked(sound, suite(all=of_candles("true"), none=of_candles("false")))
    assert (found["none"].passed, found["none"].count, found["none"].rows) == (True, 0, [])
    assert (found["all"].passed, found["all"].count, len(found["all"].rows)) == (False, 744, MOST)
    assert list(found["all"].rows[0]) == ["venue", "symbol", "tf", "open_time", "close"]
    times = [row["open_time"] for row in found["all"].rows]
    assert times == sorted(times)
    assert times[0] == JAN.start


def test_an_expectation_of_the_librarys_own_names_the_rows_too(sound: Database) -> None:
    [answer] = asked(sound, suite(volume=between("volume", 89.9))).values()
    assert not answer.passed
    assert answer.count > MOST == len(answer.rows)
    assert list(answer.rows[0]) == ["venue", "symbol", "tf", "open_time", "volume"]


def test_only_what_is_wanted_is_asked(sound: Database) -> None:
    assert set(answers(sound, CANDLE_SUITE, ["ohlc_order"])) == {"ohlc_order"}
    assert answers(sound, CANDLE_SUITE, []) == {}


def test_what_cannot_be_answered_has_not_passed_and_the_rest_is_answered(sound: Database) -> None:
    broken = {"query": of_candles("nothing > 0"), "refused": of_candles("1 / (close - close) = 1")}
    tried = suite(column=between("nothing", 0), fine=between("volume", 0), **broken)
    found = asked(sound, tried)
    assert red(found) == {"column", "query", "refused"}
    assert "nothing" in (found["column"].error or "")
    assert 'column "nothing" does not exist' in (found["query"].error or "")
    assert "division by zero" in (found["refused"].error or "")
    assert found["fine"].error is None


def test_a_column_that_disappears_turns_its_checks_red(sound: Database) -> None:
    with connect(sound.dsn(OWNER), application_name="test") as owner:
        owner.execute("ALTER TABLE market.candles DROP COLUMN taker_buy_vol CASCADE")
    found = answers(sound, CANDLE_SUITE, ["volume_bounds", "timeframes_agree", "ohlc_order"])
    assert red(found) == {"volume_bounds", "timeframes_agree"}
    assert "taker_buy_vol" in (found["volume_bounds"].error or "")


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (None, None),
        ({"raised_exception": False, "exception_message": None, "exception_traceback": None}, None),
        ({"raised_exception": True, "exception_message": "no table", "exception_traceback": "..."}, "no table"),
        ({"metric 1": {"exception_message": "no column"}, "metric 2": {"exception_message": "no column"}}, "no column"),
        ({"metric 1": {"exception_message": "a"}, "metric 2": {"exception_message": "b"}}, "a; b"),
        ({}, "Great Expectations raised an error without a message"),
    ],
)
def test_both_shapes_of_an_error_are_read(info: dict[str, object] | None, message: str | None) -> None:
    assert raised(info) == message


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("postgresql://me:secret@db:5433/tides", "postgresql+psycopg://me:secret@db:5433/tides"),
        ("postgres://me@db/tides?sslmode=require", "postgresql+psycopg://me@db/tides?sslmode=require"),
        ("host=db user=me password=a@b$c dbname=tides", "postgresql+psycopg://me:a%40b%24c@db/tides"),
    ],
)
def test_every_form_of_a_databases_address_is_understood(given: str, address: str) -> None:
    assert address_of(given) == address


def test_the_pages_show_what_was_found_and_not_the_password(sound: Database, tmp_path: Path) -> None:
    found = asked(sound, suite(all=of_candles("true"), broken=of_candles("nothing > 0")), site=tmp_path / "site")
    [page] = {answer.page for answer in found.values()}
    assert page is not None
    text = page.read_text(encoding="utf-8")
    assert "Nothing is so." in text
    assert "2022-01-01" in text
    assert (tmp_path / "site" / "index.html").is_file()
    secret = sound.server.passwords[BATCH]
    for file in (tmp_path / "site").rglob("*.html"):
        assert secret not in file.read_text(encoding="utf-8"), file


def test_each_query_is_asked_once(sound: Database) -> None:
    # The second time it is asked, the sequence has moved on and the row is there.
    with connect(sound.dsn(OWNER), application_name="test") as owner:
        owner.execute("CREATE SEQUENCE market.asked")
        owner.execute("GRANT ALL ON SEQUENCE market.asked TO tidemark_batch")
    counting = unexpected("SELECT 1, 2, 3, nextval('market.asked') AS n FROM (SELECT 1 FROM {batch} LIMIT 1) AS one")
    [answer] = asked(sound, suite(once=Expectation("candles", "Asked once.", CANDLES, counting))).values()
    assert [row["n"] for row in answer.rows] == [1]
    with connect(sound.dsn(OWNER), application_name="test") as owner:
        assert owner.execute("SELECT last_value FROM market.asked").fetchone() == (1,)


@pytest.mark.parametrize("suite", [CANDLE_SUITE, INDICATOR_SUITE, FUNDING_SUITE], ids=lambda suite: suite.name)
def test_a_symbol_with_braces_quotes_or_a_percent_sign_can_be_asked_about(sound: Database, suite: Suite) -> None:
    windows = [
        Window(SeriesKey("binance_spot", odd, "1h"), JAN.start, JAN.end) for odd in ("A{X}", "A'B", "A%B", 'A"B')
    ]
    url = sound.dsn(BATCH)
    found = {one.check: one for one in ask(suite, suite.expectations, windows, url=url, site=None, run="a run")}
    assert {answer.error for answer in found.values()} == {None}
    assert red(found) == set()


def test_no_connection_is_left_behind(sound: Database) -> None:
    assert red(answers(sound, CANDLE_SUITE)) == set()
    with connect(sound.dsn(OWNER), application_name="test") as owner:
        left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE %s"
        assert owner.execute(left, ["tidemark checks%"]).fetchone() == (0,)


def test_two_series_are_told_apart(sound: Database) -> None:
    url = sound.dsn(BATCH)
    windows = [*WINDOWS, Window(SHORT, JAN.start, JAN.end)]
    tried = suite(all=of_candles("true"))
    [answer] = ask(tried, tried.expectations, windows, url=url, site=None, run="a run")
    assert answer.count == 744 + 2976 - 2
