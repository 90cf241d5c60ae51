"""Lines as machines read them and as people do."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator

import pytest

from tidemark.logs import configure_logs, trace

LOGGER = logging.getLogger("store.candles")


@pytest.fixture(autouse=True)
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    names = ("httpx", "httpcore", "alembic", "numba", "great_expectations")
    handlers, level, levels = root.handlers[:], root.level, {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def test_a_json_line_carries_event_level_logger_trace_and_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", style="json")
    with trace() as trace_id:
        LOGGER.info("month loaded", extra={"key": "binance_spot:BTCUSDT:1m", "rows": 44_640})
    [line] = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "month loaded",
        "level": "info",
        "logger": "store.candles",
        "trace_id": trace_id,
        "key": "binance_spot:BTCUSDT:1m",
        "rows": 44_640,
    }
    assert len(trace_id) == 32


def test_arguments_and_exceptions_are_in_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", style="json")
    try:
        raise ValueError("odd row")  # noqa: EM101, TRY301 - the error is the point
    except ValueError:
        LOGGER.exception("failed after %d rows", 7)
    [line] = capsys.readouterr().err.splitlines()
    found = json.loads(line)
    assert (found["event"], found["level"]) == ("failed after 7 rows", "error")
    assert "ValueError: odd row" in found["exception"]


def test_a_given_trace_id_is_kept_and_ends_with_its_block(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", style="json")
    with trace("ab" * 16):
        LOGGER.info("inside")
    LOGGER.info("outside")
    inside, outside = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert inside["trace_id"] == "ab" * 16
    assert "trace_id" not in outside


def test_two_traces_on_two_threads_do_not_mix(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", style="json")
    met = threading.Barrier(2, timeout=10)

    def work(name: str) -> None:
        with trace(name * 32):
            met.wait()
            LOGGER.info(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert sorted((line["event"], line["trace_id"]) for line in lines) == [("a", "a" * 32), ("b", "b" * 32)]


def test_text_is_a_readable_line_with_the_same_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", style="text")
    with trace("cd" * 16):
        LOGGER.warning("hole found", extra={"bars": 3})
    [line] = capsys.readouterr().err.splitlines()
    with pytest.raises(json.JSONDecodeError):
        json.loads(line)
    for part in ("warning", "hole found", "bars", "3", "cd" * 16):
        assert part in line


def test_auto_is_json_where_standard_error_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO")
    LOGGER.info("hello")
    assert json.loads(capsys.readouterr().err)["event"] == "hello"


def test_lines_below_the_level_and_chatty_libraries_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", style="json")
    LOGGER.debug("too fine")
    logging.getLogger("httpx").info("HTTP Request: GET …")
    logging.getLogger("alembic.runtime").info("Running upgrade")
    assert capsys.readouterr().err == ""
    configure_logs(level="ERROR", style="json")
    logging.getLogger("httpx").warning("not an error")
    assert capsys.readouterr().err == ""


def test_configuring_twice_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(level="INFO", style="json")
    configure_logs(level="INFO", style="json")
    LOGGER.info("once")
    assert len(capsys.readouterr().err.splitlines()) == 1
