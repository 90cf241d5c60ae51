"""`tidemark backfill` on a generated market: every source, every interruption, two at once, and a second time."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import dagster as dg
import httpx

from tests.e2e.commands import beside, started, wait_for
from tests.e2e.conftest import HOURS, NOW
from tests.e2e.places import Place
from venues.simulator import Simulator
from venues.simulator.faults import Fault

QUARTERS = HOURS * 4 + 2
FEBRUARY = datetime(2024, 2, 1, tzinfo=UTC)
TODAY = datetime(2024, 2, 20, tzinfo=UTC)

BOT = """
from engine.plugins import Signal

class Hourly:
    name, inputs = "hourly", ()

    def on_bar(self, ctx, bar, feats, state):
        return [Signal("LONG", entry=bar.close, stop=bar.close / 2)]

bot = Hourly()
"""


def backfill(symbol: str, *more: str) -> tuple[str, ...]:
    """The command that loads 15m and 1h of one symbol from its listing on."""
    return ("backfill", "--no-marts", "--symbols", symbol, "--timeframes", "15m,1h", "--from", "2024-01", *more)


def served(simulator: Simulator, symbol: str, tf: str) -> dict[datetime, tuple[Decimal, ...]]:
    """What the exchange has of a series, asked for without any code of ours in between."""
    found: dict[datetime, tuple[Decimal, ...]] = {}
    start = 0
    while True:
        query = {"symbol": symbol, "interval": tf, "startTime": str(start), "limit": "1000"}
        rows = httpx.get(f"{simulator.spot_url}/api/v3/klines", params=query, trust_env=False).json()
        for row in rows:
            if row[6] < NOW.timestamp() * 1000 - 2000:
                opened = datetime.fromtimestamp(row[0] / 1000, tz=UTC)
                found[opened] = tuple(Decimal(text) for text in row[1:6])
        if len(rows) < 1000:
            return found
        start = rows[-1][0] + 1


def slow_days(simulator: Simulator, symbol: str, *, seconds: float) -> None:
    """Let every daily file of a symbol take so long: the running month then takes about ten times that."""
    simulator.faults.add(
        Fault(kind="slow", venue="archive", prefix="/data/spot/daily", contains=symbol, seconds=seconds, times=None)
    )


def range_from(symbol: str, month: str) -> dict[str, str]:
    """The tag of the runs that begin at this month."""
    return {"dagster/asset_partition_range_start": f"binance_spot:{symbol}|{month}"}


def january_is_stored(place: Place, symbol: str) -> bool:
    """Whether January, and nothing after it, is in the ledger for both timeframes."""
    rows = place.query("SELECT tf, month::text FROM market.candle_digests WHERE symbol = %s ORDER BY tf", symbol)
    assert all(month == "2024-01-01" for _, month in rows), "the slow month came before it could be interrupted"
    return len(rows) == 2


def test_the_monthly_file_the_daily_files_and_rest_each_give_what_they_have(place: Place, simulator: Simulator) -> None:
    ended = place.run(*backfill("BTCUSDT"), simulator=simulator)
    assert ended.code == 0, ended.err
    assert "binance_spot:BTCUSDT: 2 of 2 months to load, 2024-01 to 2024-02" in ended.err
    assert "done" in ended.out
    for tf, count in (("15m", QUARTERS), ("1h", HOURS)):
        stored = place.candles(f"binance_spot:BTCUSDT:{tf}")
        assert len(stored) == count
        assert stored == served(simulator, "BTCUSDT", tf)
    sources = place.query(
        "SELECT tf, source, count(*), min(open_time) FROM market.candles WHERE symbol = 'BTCUSDT' "
        "GROUP BY tf, source ORDER BY tf, source"
    )
    listed = datetime(2024, 1, 1, tzinfo=UTC)
    assert sources == [
        ("15m", "archive", 50 * 96, listed),
        ("15m", "rest", 26, TODAY),
        ("1h", "archive", 50 * 24, listed),
        ("1h", "rest", 6, TODAY),
    ]
    files = [str(row[0]) for row in place.query("SELECT url FROM market.archive_files WHERE url LIKE '%%BTCUSDT%%'")]
    assert sum("/monthly/" in url for url in files) == 2
    assert sum("/daily/" in url for url in files) == 19 * 2


def test_a_second_backfill_starts_no_run_and_a_later_one_adds_what_has_closed_since(
    place: Place, simulator: Simulator
) -> None:
    assert place.run(*backfill("BTCUSDT"), simulator=simulator).code == 0
    before = place.candles("binance_spot:BTCUSDT:15m")
    again = place.run(*backfill("BTCUSDT"), simulator=simulator)
    assert again.code == 0, again.err
    assert "nothing to do" in again.err
    assert "nothing to do" in again.out
    with place.dagster() as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="backfill", tags=range_from("BTCUSDT", "2024-01")))
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS]
        assert instance.get_latest_materialization_event(dg.AssetKey("signals_raw")) is not None
        assert instance.get_latest_materialization_event(dg.AssetKey("fct_signals")) is None  # --no-marts
    simulator.clock.advance(seconds=3600)
    later = place.run(*backfill("BTCUSDT"), simulator=simulator)
    assert later.code == 0, later.err
    assert "1 of 2 months to load, 2024-02 to 2024-02" in later.err
    after = place.candles("binance_spot:BTCUSDT:15m")
    new = {opened: row for opened, row in after.items() if opened not in before}
    assert sorted(new) == [NOW.replace(second=0) + timedelta(minutes=15 * i) for i in range(4)]
    assert {opened: after[opened] for opened in before} == before


def test_a_killed_backfill_is_completed_by_the_next_one(place: Place, simulator: Simulator, tmp_path: Path) -> None:
    slow_days(simulator, "AAAUSDT", seconds=1)
    log = tmp_path / "log"
    with started(*backfill("AAAUSDT"), variables=place.seeing(simulator), log=log) as process:
        wait_for("January", lambda: process.poll() is not None or january_is_stored(place, "AAAUSDT"), seconds=60)
        assert process.poll() is None, log.read_text()
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    simulator.faults.clear()
    stored = place.candles("binance_spot:AAAUSDT:15m")
    assert max(stored) < FEBRUARY
    ended = place.run(*backfill("AAAUSDT"), simulator=simulator)
    assert ended.code == 0, ended.err
    with place.dagster() as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="backfill", tags=range_from("AAAUSDT", "2024-01")))
        assert [run.status for run in runs] == [
            dg.DagsterRunStatus.SUCCESS,
            dg.DagsterRunStatus.FAILURE,
        ]  # newest first
        said = [entry.message for entry in instance.all_logs(runs[1].run_id)]
    assert any("the command that executed this run was killed" in text for text in said)
    # January's candles stay; its analysis was not reached by the killed run, so the month is still due.
    assert place.candles("binance_spot:AAAUSDT:15m") == served(simulator, "AAAUSDT", "15m")
    assert place.query("SELECT count(*) FROM analysis.indicators WHERE symbol = 'AAAUSDT'") == [(QUARTERS + HOURS,)]
    assert place.query("SELECT count(*) FROM market.candle_revisions WHERE symbol = 'AAAUSDT'") == [(0,)]


def test_of_two_backfills_of_one_partition_one_waits_and_both_succeed(
    place: Place, simulator: Simulator, tmp_path: Path
) -> None:
    slow_days(simulator, "BBBUSDT", seconds=2)
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    log = tmp_path / "log"
    with started(*backfill("BBBUSDT"), variables=place.seeing(simulator), log=log) as process:

        def one_waits() -> bool:
            assert process.poll() is None, log.read_text()
            return place.query(waiting) == [(1,)] and january_is_stored(place, "BBBUSDT")

        def go_on_when_one_waits() -> None:
            try:
                wait_for("a backfill that waits for the other", one_waits, seconds=60)
            finally:
                simulator.faults.clear()

        # The first is at work before the second, which is begun here, can find it so.
        wait_for("January", lambda: process.poll() is not None or january_is_stored(place, "BBBUSDT"), seconds=60)
        with beside(go_on_when_one_waits):
            ended = place.run(*backfill("BBBUSDT"), simulator=simulator)
        assert (ended.code, process.wait(60)) == (0, 0), ended.err + log.read_text()
    for tf in ("15m", "1h"):
        assert place.candles(f"binance_spot:BBBUSDT:{tf}") == served(simulator, "BBBUSDT", tf)
    assert place.query("SELECT count(*) FROM market.candle_revisions WHERE symbol = 'BBBUSDT'") == [(0,)]
    with place.dagster() as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="backfill", tags=range_from("BBBUSDT", "2024-01")))
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
        said = [entry.user_message for run in runs for entry in instance.all_logs(run.run_id)]
    assert said.count("waiting for another run on binance_spot:BBBUSDT") >= 1
    assert any("0 months of a series loaded, 4 were complete" in text for text in said)


def test_a_database_that_goes_in_mid_load_leaves_nothing_half_written_and_a_rerun_completes(
    place: Place, simulator: Simulator
) -> None:
    slow_days(simulator, "CCCUSDT", seconds=1)

    def take_it_away_and_bring_it_back() -> None:
        try:
            wait_for("January", lambda: january_is_stored(place, "CCCUSDT"), seconds=60)
            assert place.installation.stop() if place.embedded else place.terminate() > 0
            place.installation.start()
        finally:
            simulator.faults.clear()

    with beside(take_it_away_and_bring_it_back):
        broken = place.run(*backfill("CCCUSDT"), simulator=simulator)
    assert broken.code == 1, broken.err
    told = broken.out + broken.err
    assert "Traceback" not in told, told
    assert "error: binance_spot:CCCUSDT: candles:" in told
    assert "nothing of it was kept" in told
    assert max(place.candles("binance_spot:CCCUSDT:15m")) < FEBRUARY
    ended = place.run(*backfill("CCCUSDT"), simulator=simulator)
    assert ended.code == 0, ended.err
    for tf in ("15m", "1h"):
        assert place.candles(f"binance_spot:CCCUSDT:{tf}") == served(simulator, "CCCUSDT", tf)


def test_a_month_before_the_listing_is_explained_and_not_loaded(place: Place, simulator: Simulator) -> None:
    asked = ("--symbols", "DDDUSDT", "--timeframes", "1h", "--from", "2023-12-15", "--to", "2024-01-03")
    ended = place.run("backfill", "--no-marts", *asked, simulator=simulator)
    assert ended.code == 0, ended.err
    assert min(place.candles("binance_spot:DDDUSDT:1h")) == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_sub_timeframe_is_refused_where_it_is_not_kept_and_feeds_the_analysis_where_it_is(
    place: Place, simulator: Simulator
) -> None:
    asked = ("--symbols", "EEEUSDT", "--from", "2024-01", "--to", "2024-02", "--timeframes")
    tied = {"TIDEMARK_SUB_TIMEFRAMES": '{"1h": "15m"}'}
    refused = place.run("backfill", "--no-marts", *asked, "1h", simulator=simulator, more=tied)
    assert refused.code == 1
    assert "binance_spot:EEEUSDT:15m is not kept: backfill 15m too, or take 1h out of the setting" in refused.err
    assert place.query("SELECT count(*) FROM market.series WHERE symbol = 'EEEUSDT'") == [(0,)]
    alone = place.run("backfill", "--no-marts", *asked, "15m,1h", simulator=simulator)
    assert alone.code == 0, alone.err
    confirmed = (
        "SELECT count(*) FILTER (WHERE (features->>'micro_bos')::boolean), count(*) FROM analysis.signals_raw "
        "WHERE symbol = 'EEEUSDT' AND tf = '1h'"
    )
    [(none, some)] = place.query(confirmed)
    assert none == 0 < some
    again = place.run("backfill", "--no-marts", *asked, "15m,1h", simulator=simulator, more=tied)
    assert again.code == 0, again.err
    assert "binance_spot:EEEUSDT:1h takes its micro_bos from 15m now" in again.err
    assert place.query("SELECT tf, sub_tf FROM market.series WHERE symbol = 'EEEUSDT' ORDER BY tf") == [
        ("15m", None),
        ("1h", "15m"),
    ]
    [(some, _)] = place.query(confirmed)
    assert some > 0
    assert "nothing to do" in place.run("backfill", "--no-marts", *asked, "15m,1h", simulator=simulator, more=tied).err


def test_a_bot_that_is_added_makes_the_months_due_and_its_signals_stay_until_they_are_forgotten(
    place: Place, simulator: Simulator, tmp_path: Path
) -> None:
    asked = (
        "backfill",
        "--no-marts",
        "--symbols",
        "XRPUSDT",
        "--from",
        "2024-01",
        "--to",
        "2024-02",
        "--timeframes",
        "1h",
    )
    agents = "SELECT agent, count(*) FROM analysis.signals_raw WHERE symbol = 'XRPUSDT' GROUP BY agent ORDER BY agent"
    folder = {"TIDEMARK_BOTS__FOLDER": str(tmp_path)}
    (tmp_path / "hourly.py").write_text(BOT, encoding="utf-8")
    (tmp_path / "unfinished.py").write_text("class Unfinished\n", encoding="utf-8")
    first = place.run(*asked, simulator=simulator, more=folder)
    assert first.code == 0, first.err
    assert f"{tmp_path / 'unfinished.py'}" in first.err
    assert dict(place.query(agents))["hourly"] == 31 * 24
    assert "nothing to do" in place.run(*asked, simulator=simulator, more=folder).err
    without = place.run(*asked, simulator=simulator)
    assert without.code == 0, without.err
    assert "nothing to do" in without.err
    assert dict(place.query(agents))["hourly"] == 31 * 24
    forgotten = place.run("bots", "forget", "hourly", simulator=simulator)
    assert (forgotten.code, forgotten.out.strip()) == (0, "hourly: 744 signals deleted"), forgotten.err
    assert [agent for agent, _ in place.query(agents)] == ["retest"]
    refused = place.run("bots", "forget", "retest", simulator=simulator)
    assert refused.code == 1
    assert "the engine's own agent" in refused.err
