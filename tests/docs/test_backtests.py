"""docs/backtests.md: its Python runs, in its order, on what is stored."""

from __future__ import annotations

import re
from typing import Any

from backtest import BacktestResult
from store.connections import connect
from store.roles import ANALYST, BATCH
from tests.assets.desk import QUARTERS, fill
from tests.databases import Database
from tests.docs.page import FOLDER

TEXT = (FOLDER / "backtests.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_python_of_the_page_runs_and_its_results_are_whole(database: Database) -> None:
    with connect(database.dsn(BATCH), application_name="test") as conn:
        fill(conn)
    names: dict[str, Any] = {"url": database.dsn(ANALYST), "batch_url": database.dsn(BATCH)}
    assert len(BLOCKS) == 4
    for block in BLOCKS:
        exec(block, names)  # noqa: S102 - our own page
    assert names["key"] == QUARTERS
    result, recorded = names["result"], names["recorded"]
    assert isinstance(result, BacktestResult)
    assert result.decisions.height > 17
    assert result.config.capital == recorded.config.capital == 25_000
    assert recorded.config.dataset_id is not None
    assert len(repr(names["inputs"])) < 1_000
