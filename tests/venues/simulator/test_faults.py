from __future__ import annotations

import pytest
from pydantic import ValidationError

from venues.simulator.faults import Fault, FaultBoard

STATUS = frozenset({"status"})


def test_a_fault_meets_the_requests_it_names_and_no_others() -> None:
    fault = Fault(kind="status", venue="spot", prefix="/api/v3/klines", contains="symbol=BTCUSDT")
    assert fault.meets("spot", "/api/v3/klines", "symbol=BTCUSDT&limit=5")
    assert not fault.meets("usdm", "/api/v3/klines", "symbol=BTCUSDT")
    assert not fault.meets("spot", "/api/v3/time", "symbol=BTCUSDT")
    assert not fault.meets("spot", "/api/v3/klines", "symbol=ETHUSDT")


def test_a_counted_fault_ends_after_its_requests_and_a_standing_one_when_cleared() -> None:
    board = FaultBoard()
    board.add(Fault(kind="status", times=2))
    assert [board.take("spot", "/", kinds=STATUS) is not None for _ in range(3)] == [True, True, False]
    standing = board.add(Fault(kind="status", times=None))
    assert all(board.take("spot", "/", kinds=STATUS) for _ in range(5))
    board.clear(standing)
    assert board.take("spot", "/", kinds=STATUS) is None


def test_faults_of_other_kinds_are_left_alone_and_the_oldest_goes_first() -> None:
    board = FaultBoard()
    board.add(Fault(kind="garbage"))
    board.add(Fault(kind="status", status=500))
    board.add(Fault(kind="status", status=503))
    statuses = [fault.status for _ in range(2) if (fault := board.take("usdm", "/", kinds=STATUS))]
    assert statuses == [500, 503]
    assert [fault.kind for fault in board.active().values()] == ["garbage"]


def test_what_is_left_of_a_fault_is_shown() -> None:
    board = FaultBoard()
    number = board.add(Fault(kind="status", times=3))
    board.take("spot", "/", kinds=STATUS)
    assert board.active()[number].times == 2


def test_a_files_content_stays_spoilt_for_zip_and_checksum_alike() -> None:
    assert Fault(kind="truncated").times is None
    assert Fault(kind="hide_rows", venue="archive").times is None
    assert Fault(kind="hide_rows", venue="spot").times == 1
    with pytest.raises(ValidationError, match="stands until cleared"):
        Fault(kind="truncated", times=1)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "typo"}, {"kind": "status", "times": 0}, {"kind": "status", "prefix": "api"}, {"kind": "slow", "x": 1}],
)
def test_a_fault_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Fault.model_validate(wrong)


@pytest.mark.parametrize("kind", ["contradicting_rows", "crossed_rows", "disagreeing_rows"])
def test_a_fault_of_certain_rows_stands_and_must_name_them(kind: str) -> None:
    assert Fault.model_validate({"kind": kind, "open_times": [0]}).times is None
    with pytest.raises(ValidationError, match=f"{kind} needs the `open_times`"):
        Fault.model_validate({"kind": kind})


def test_a_standing_fault_is_found_by_what_the_query_holds() -> None:
    board = FaultBoard()
    board.add(Fault(kind="crossed_rows", contains="symbol=BTCUSDT", open_times=(0,)))
    kinds = frozenset({"crossed_rows"})
    assert board.standing("spot", "/api/v3/klines", "symbol=BTCUSDT&limit=5", kinds=kinds)
    assert not board.standing("spot", "/api/v3/klines", "symbol=ETHUSDT&limit=5", kinds=kinds)
