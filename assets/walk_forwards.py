"""Walk-forwards on what is stored: what is asked by its name, the run, and how it is put on record.

A walk-forward is named by what was asked, by its dataset and by the engine, before it is run. Its study is named after
it, so that one that was killed finds its trials again, and one of other data or another engine never does.

    asked = Asked.of(inputs, inputs.config(profile, capital=Decimal(10_000)), default_space(profile), scheme=scheme)
    found = asked.walked(conn)
    kept = keep(conn, asked, found, folder / asked.run_id, at=now)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Self

import psycopg

from assets import report_pages
from assets.backtests import Inputs
from assets.parameters import names_of
from assets.trial_sink import StoredTrials
from backtest import BacktestConfig
from backtest.report import Report
from backtest.run import with_rules
from backtest.sweep import Space
from backtest.trials import configured
from backtest.walk_forward import Scheme, WalkForward, walk_forward
from engine import ENGINE_VERSION
from risk import RiskProfile
from store import walk_forwards as store

# Characters of a run's name.
_HEX = 24


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A walk-forward that is asked for.

    Attributes:
        config: Of the backtests, with rules for every instrument.
        space: Values of each parameter.
        scheme: How time is cut.
        inputs: What it is made from.
    """

    config: BacktestConfig
    space: Space
    scheme: Scheme
    inputs: Inputs

    @classmethod
    def of(cls, inputs: Inputs, config: BacktestConfig, space: Space, *, scheme: Scheme) -> Self:
        """What is asked, with assumed rules for every instrument of which none are recorded."""
        return cls(config=with_rules(inputs.bars, config), space=space, scheme=scheme, inputs=inputs)

    @property
    def document(self) -> dict[str, Any]:
        """Everything that was asked beside the bars, as JSON takes it."""
        return {
            "backtest": json.loads(self.config.canonical),
            "space": dict(self.space),
            "scheme": self.scheme.to_dict(),
        }

    @property
    def hash(self) -> str:
        """sha256 of `document`."""
        return _sha256(json.dumps(self.document, sort_keys=True, separators=(",", ":")))

    @property
    def run_id(self) -> str:
        """The name of the run: what was asked, the data, the engine."""
        series = "|".join(map(str, sorted(self.inputs.bars)))
        return _sha256(f"walk-forward|{self.hash}|{self.inputs.dataset_id}|{series}|{ENGINE_VERSION}")[:_HEX]

    @property
    def study(self) -> str:
        """What its trials are remembered under; each fold's are its own."""
        return f"walk-forward {self.run_id}"

    def walked(
        self, conn: psycopg.Connection, *, told: Callable[[int, int], None] = lambda done, total: None
    ) -> WalkForward:
        """Choose and test, fold by fold; trials are on record as they end, and those on record are not made again.

        Args:
            conn: A connection of the batch role.
            told: Is told how many folds are done, and of how many.

        Raises:
            backtest.BacktestRefused: The bars are too short for one fold, or a set is refused; nothing was evaluated.
            store.errors.DatabaseUnavailable: The database was lost; what was evaluated before is on record.
        """
        return walk_forward(
            self.inputs.bars,
            self.config,
            self.space,
            scheme=self.scheme,
            study=self.study,
            sink=StoredTrials(conn, dataset_id=self.inputs.dataset_id),
            told=told,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """A walk-forward that is on record.

    Attributes:
        walk: Its row.
        report: Its page and its numbers.
        page: Where the page is.
        is_new: Whether it was not on record before.
    """

    walk: store.WalkForward
    report: Report
    page: Path
    is_new: bool


def default_space(profile: RiskProfile) -> Space:
    """A few sets around a profile, itself first: where nothing is better in training, it is what is chosen."""
    own = profile.triggers
    return {
        "profile.reward": [profile.reward, 1.5 * profile.reward or 1.0],
        "profile.triggers": [own, own - 1 if own > 0 else own + 1],
    }


def keep(
    conn: psycopg.Connection,
    asked: Asked,
    found: WalkForward,
    folder: Path,
    *,
    at: datetime,
    month: date | None = None,
) -> Kept:
    """Put a walk-forward on record and write its page, both or neither.

    Args:
        conn: A connection of the batch role.
        asked: What was asked.
        found: What came of it.
        folder: Where its page and its numbers go.
        at: Now.
        month: Whose monthly report it is.

    Raises:
        store.errors.ResearchRefused: Another result stands under the name of this run; its page is left as it is.
        backtest.report.ReportUnwritable: The folder cannot be written; no row was.
    """
    report = found.report(run_id=asked.run_id, versions=names_of(conn))
    walk = row_of(asked, found, at=at, page=str(report.page(folder)), month=month)
    is_new = report_pages.keep(
        conn, report, folder, of=asked.run_id, rows=lambda: store.write_folds(conn, walk, folds_of(asked, found))
    )
    return Kept(walk=walk, report=report, page=report.page(folder), is_new=is_new)


def row_of(
    asked: Asked, found: WalkForward, *, at: datetime, page: str | None = None, month: date | None = None
) -> store.WalkForward:
    """A walk-forward as it is put on record.

    Args:
        asked: What was asked.
        found: What came of it.
        at: Now.
        page: Where its page is; None = it has none.
        month: Whose monthly report it is.
    """
    sets = [configured(asked.config, fold.chosen) for fold in found.folds]
    profile_hashes, param_hashes = {one.profile.hash for one in sets}, {one.params.hash for one in sets}
    return store.WalkForward(
        run_id=asked.run_id,
        mode="anchored" if asked.scheme.anchored else "rolling",
        profile=asked.config.profile.name,
        # It speaks for values only where every fold chose the same.
        profile_hash=profile_hashes.pop() if len(profile_hashes) == 1 else None,
        param_set=param_hashes.pop() if len(param_hashes) == 1 else None,
        series=tuple(sorted(asked.inputs.bars)),
        from_ts=found.start,
        to_ts=found.until,
        dataset_id=asked.inputs.dataset_id,
        engine_version=ENGINE_VERSION,
        config=asked.document,
        config_hash=asked.hash,
        metrics=found.metrics,
        passed=found.passed,
        verdict=found.verdict,
        fingerprint=found.fingerprint,
        created_at=at,
        report_path=page,
        month=month,
    )


def folds_of(asked: Asked, found: WalkForward) -> list[store.Fold]:
    """The folds as they are put on record."""
    return [
        store.Fold(
            fold=count,
            train_from=fold.window.train_from,
            train_to=fold.window.train_to,
            test_from=fold.window.test_from,
            test_to=fold.window.test_to,
            study=f"{asked.study}/{count}",
            params=fold.chosen,
            trial_id=fold.trained.trial_id,
            in_sample=fold.trained.metrics,
            out_of_sample=fold.tested.metrics.to_dict(),
            passed=fold.earned,
        )
        for count, fold in enumerate(found.folds)
    ]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
