"""Bad input through the command line: a clear error, exit code 1 or 2, and what was stored stays as it was."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import pytest

from tests.e2e.commands import Ended, run
from tests.e2e.conftest import HOURS, SYMBOLS
from tests.e2e.places import Place
from tidemark.processes import free_port
from venues.binance import transport
from venues.simulator import Simulator
from venues.simulator.faults import OVERLOADED, UNAVAILABLE, Fault

SYMBOL = SYMBOLS[0]
STORED = """
    SELECT tf, open_time, open, high, low, close, volume, quote_vol, trades, taker_buy_vol, source, ingested_at
    FROM market.candles ORDER BY tf, open_time
"""
DAY = f"/data/spot/daily/klines/{SYMBOL}/1h/{SYMBOL}-1h-2024-02-03.zip"


@dataclass(frozen=True, slots=True)
class January:
    """A place where January of one series is stored, and an exchange that has more of it and can be spoilt."""

    place: Place
    simulator: Simulator

    def february(self, variables: Mapping[str, str] | None = None) -> Ended:
        """Ask for the running month, and see that a failure leaves every stored row as it was."""
        before = self.place.query(STORED)
        arguments = (
            "backfill",
            "--no-marts",
            "--symbols",
            SYMBOL,
            "--timeframes",
            "1h",
            "--from",
            "2024-01",
            "--to",
            "2024-02-05",
        )
        ended = run(*arguments, variables=self.place.seeing(self.simulator) | dict(variables or {}))
        if ended.code:
            assert self.place.query(STORED) == before
            assert "Traceback" not in ended.err + ended.out
        return ended


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask again after hundredths of a second: how long it waits is tested with the transport."""
    monkeypatch.setattr(transport, "RetryPolicy", partial(transport.RetryPolicy, first_wait_s=0.01))


@pytest.fixture
def january(place: Place, simulator: Simulator) -> January:
    """Loaded by the first test that asks: what fails adds nothing, and what succeeds works on other symbols."""
    arguments = (
        "backfill",
        "--no-marts",
        "--symbols",
        SYMBOL,
        "--timeframes",
        "1h",
        "--from",
        "2024-01",
        "--to",
        "2024-02-01",
    )
    ended = place.run(*arguments, simulator=simulator)
    assert ended.code == 0, ended.err
    return January(place, simulator)


def load(place: Place, simulator: Simulator, symbol: str) -> Ended:
    """Load both months of a symbol that nothing is stored of yet."""
    asked = ("--symbols", symbol, "--timeframes", "1h", "--from", "2024-01", "--to", "2024-02-05")
    return place.run("backfill", "--no-marts", *asked, simulator=simulator)


def volumes(place: Place, symbol: str) -> list[Decimal]:
    return [row[4] for row in place.candles(f"binance_spot:{symbol}:1h").values()]


def test_a_checksum_that_stays_wrong_fails_the_month_naming_file_and_both_hashes(january: January) -> None:
    january.simulator.faults.add(Fault(kind="wrong_checksum", venue="archive", prefix=DAY, times=None))
    ended = january.february()
    assert ended.code == 1
    assert f"{SYMBOL}-1h-2024-02-03.zip" in ended.err
    assert len(set(re.findall(r"\b[0-9a-f]{64}\b", ended.err))) == 2
    assert "was fetched 2 times" in ended.err
    assert "what is stored stays" in ended.err


def test_a_checksum_that_was_wrong_once_is_asked_for_again_and_nobody_is_troubled(
    place: Place, simulator: Simulator
) -> None:
    simulator.faults.add(Fault(kind="wrong_checksum", venue="archive", prefix="/data/spot/monthly", times=1))
    ended = load(place, simulator, "ETHUSDT")
    assert ended.code == 0, ended.err
    assert simulator.faults.active() == {}
    assert len(volumes(place, "ETHUSDT")) == HOURS


def test_a_file_that_holds_no_table_fails_the_month_and_is_named(january: January) -> None:
    january.simulator.faults.add(Fault(kind="not_csv", venue="archive", prefix=DAY))
    ended = january.february()
    assert ended.code == 1
    assert f"{SYMBOL}-1h-2024-02-03" in ended.err
    assert "<html>" in ended.err


def test_a_truncated_file_fails_the_month_which_is_loaded_once_the_file_is_mended(
    place: Place, simulator: Simulator
) -> None:
    simulator.faults.add(Fault(kind="truncated", venue="archive", prefix="/data/spot/monthly"))
    ended = load(place, simulator, "BNBUSDT")
    assert ended.code == 1
    assert "BNBUSDT-1h-2024-01.zip cannot be unpacked" in ended.err
    january = "SELECT count(*) FROM market.candles WHERE symbol = 'BNBUSDT' AND open_time < '2024-02-01'"
    assert place.query(january) == [(0,)]
    simulator.faults.clear()
    assert load(place, simulator, "BNBUSDT").code == 0
    assert place.query(january) == [(31 * 24,)]


def test_of_two_instruments_one_that_cannot_be_loaded_fails_alone(place: Place, simulator: Simulator) -> None:
    bad = Fault(kind="truncated", venue="archive", prefix="/data/spot/monthly", contains="FFFUSDT", times=None)
    simulator.faults.add(bad)
    ended = load(place, simulator, "FFFUSDT,GGGUSDT")
    assert ended.code == 1
    assert "binance_spot:FFFUSDT: candles: " in ended.err
    assert "FFFUSDT-1h-2024-01.zip cannot be unpacked" in ended.err
    analysed = "SELECT DISTINCT symbol FROM analysis.indicators WHERE symbol IN ('FFFUSDT', 'GGGUSDT')"
    assert place.query(analysed) == [("GGGUSDT",)]
    with place.dagster() as instance:
        runs = [run for run in instance.get_runs() if "FFFUSDT" in str(run.tags) or "GGGUSDT" in str(run.tags)]
    assert [(run.job_name, run.status.value) for run in reversed(runs)] == [
        ("load_candles", "FAILURE"),
        ("load_candles", "SUCCESS"),
        ("backfill", "SUCCESS"),
    ]
    simulator.faults.clear()
    assert load(place, simulator, "FFFUSDT,GGGUSDT").code == 0


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(kind="status", status=429, body='{"code":-1003,"msg":"Too many requests."}', retry_after=300), "429"),
        (Fault(kind="status", status=418, body='{"code":-1003,"msg":"Way too much."}', retry_after=300), "418"),
        (Fault(kind="status", **OVERLOADED, times=None), "503"),
        (Fault(kind="garbage", body="<html>maintenance</html>", times=None), "no JSON"),
    ],
    ids=["429", "418", "503", "garbage"],
)
def test_an_exchange_that_refuses_to_answer_fails_the_month_with_what_it_said(
    january: January, fault: Fault, told: str
) -> None:
    here = {"venue": "spot", "prefix": "/api/v3/klines"}
    january.simulator.faults.add(fault.model_copy(update=here))
    january.simulator.faults.add(Fault(kind="absent", venue="archive", times=None))  # so that REST is asked
    ended = january.february()
    assert ended.code == 1
    assert told in ended.err
    assert f"binance_spot:{SYMBOL}" in ended.err


def test_an_exchange_that_recovers_is_asked_again_and_the_backfill_succeeds(place: Place, simulator: Simulator) -> None:
    simulator.faults.add(Fault(kind="absent", venue="archive", prefix="/data/spot/daily", times=None))
    troubles = (
        Fault(kind="status", status=429, body='{"code":-1003,"msg":"Slow down."}', retry_after=1),
        Fault(kind="status", **UNAVAILABLE, times=2),
    )
    for trouble in troubles:
        simulator.faults.add(trouble.model_copy(update={"venue": "spot", "prefix": "/api/v3/klines"}))
    ended = load(place, simulator, "SOLUSDT")
    assert ended.code == 0, ended.err
    assert [fault.kind for fault in simulator.faults.active().values()] == ["absent"]
    assert len(volumes(place, "SOLUSDT")) == HOURS


def test_an_exchange_that_cannot_be_reached_is_named_with_its_address(january: January) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    ended = january.february({"TIDEMARK_BINANCE_SPOT__REST": address})
    assert ended.code == 1
    assert f"no answer from {address}" in ended.err


def test_a_storage_of_dagster_that_cannot_be_reached_is_one_clear_error(
    january: January, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagster_postgres.utils.calculate_delay", lambda **_: 0.0)  # it waits 6 s between its tries
    ended = january.february({"TIDEMARK_DAGSTER_URL": f"postgresql+psycopg2://d:d@127.0.0.1:{free_port()}/dagster"})
    assert ended.code == 1
    assert "error: backfill: Dagster's storage could not be used" in ended.err
    assert "run the same command again" in ended.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--symbols", "NOPEUSDT", "--from", "2024-01"), 1, "NOPEUSDT"),
        (("--symbols", "BTC/USDT", "--from", "2024-01"), 2, "BTC/USDT"),
        (("--symbols", SYMBOL, "--from", "2024-01", "--timeframes", "7m"), 2, "unknown timeframe '7m'"),
        (("--symbols", SYMBOL, "--from", "2024-01", "--timeframes", ","), 2, "at least one symbol"),
        (("--symbols", SYMBOL, "--from", "2024-01", "--venue", "kraken"), 2, "kraken"),
        (("--symbols", SYMBOL, "--from", "2016-01"), 1, "there is no month 2016-01"),
        (("--symbols", SYMBOL, "--from", "2024-13"), 2, "2024-13"),
        (("--symbols", SYMBOL, "--from", "2024-02-30"), 2, "2024-02-30"),
        (("--symbols", SYMBOL, "--from", "2031-01"), 1, "--from 2031-01-01 lies in the future"),
        (("--symbols", SYMBOL, "--from", "2024-01", "--to", "2024-03"), 1, "--to 2024-03-01 lies in the future"),
        (("--symbols", SYMBOL, "--from", "2024-02", "--to", "2024-01"), 1, "is not before --to 2024-01-01"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_stored(
    place: Place, simulator: Simulator, arguments: tuple[str, ...], code: int, told: str
) -> None:
    before = place.query("SELECT * FROM market.series ORDER BY 1, 2, 3"), place.query(STORED)
    ended = place.run("backfill", *arguments, simulator=simulator)
    assert ended.code == code, ended.err
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert (place.query("SELECT * FROM market.series ORDER BY 1, 2, 3"), place.query(STORED)) == before
