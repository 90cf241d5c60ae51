"""Walk-forwards on what is stored: what is asked by its name, the run, and how it is put on record.

A walk-forward is named by what was asked, by its dataset and by the engine, before it is run. Its study is named after
it, so that one that was killed finds its trials again, and one of other data or another engine never does.

    asked = Asked.of(inputs, inputs.config(profile, capital=Decimal(10_000)), default_space(profile), scheme=scheme)
    found = asked.walked(conn)
    write_folds(conn, row_of(asked, found, at=now), folds_of(asked, found))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Self

import psycopg

from assets.backtests import Inputs
from assets.trial_sink import StoredTrials
from backtest import BacktestConfig
from backtest.run import with_rules
from backtest.sweep import Space
from backtest.trials import configured
from backtest.walk_forward import Fold, Scheme, WalkForward, walk_forward
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
        scheme = {name: _seconds(value) for name, value in asdict(self.scheme).items()}
        return {"backtest": json.loads(self.config.canonical), "space": dict(self.space), "scheme": scheme}

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


def default_space(profile: RiskProfile) -> Space:
    """A few sets around a profile, itself first: where nothing is better in training, it is what is chosen."""
    own = profile.triggers
    return {
        "profile.reward": [profile.reward, 1.5 * profile.reward],
        "profile.triggers": [own, own - 1 if own > 0 else own + 1],
    }


def row_of(asked: Asked, found: WalkForward, *, at: datetime, month: date | None = None) -> store.WalkForward:
    """A walk-forward as it is put on record.

    Args:
        asked: What was asked.
        found: What came of it.
        at: Now.
        month: Whose monthly report it is.
    """
    sets = [configured(asked.config, fold.chosen) for fold in found.folds]
    profile_hashes, param_hashes = {one.profile.hash for one in sets}, {one.params.hash for one in sets}
    count = sum(map(earned, found.folds))
    return store.WalkForward(
        run_id=asked.run_id,
        mode="anchored" if asked.scheme.anchored else "rolling",
        profile=asked.config.profile.name,
        # It speaks for values only where every fold chose the same.
        profile_hash=profile_hashes.pop() if len(profile_hashes) == 1 else None,
        param_set=param_hashes.pop() if len(param_hashes) == 1 else None,
        series=tuple(sorted(asked.inputs.bars)),
        from_ts=min(frame["open_time"][0] for frame in asked.inputs.bars.values()),
        to_ts=max(key.tf.known_at(frame["open_time"][-1]) for key, frame in asked.inputs.bars.items()),
        dataset_id=asked.inputs.dataset_id,
        engine_version=ENGINE_VERSION,
        config=asked.document,
        config_hash=asked.hash,
        metrics={
            "folds": len(found.folds),
            "earned": count,
            "sharpe": found.sharpe,
            "total_return": found.total_return,
            "efficiency": found.efficiency,
            "net_pnl": sum(fold.tested.metrics.net_pnl for fold in found.folds),
            "trades": sum(fold.tested.trades.height for fold in found.folds),
        },
        passed=found.passed,
        verdict=(
            f"{'passed' if found.passed else 'not passed'}: {count} of {len(found.folds)} test windows earned, all of "
            f"them together made {found.total_return:+.2%} (at least half of them, and above 0 together, is needed)"
        ),
        fingerprint=_sha256("|".join(fold.tested.fingerprint for fold in found.folds)),
        created_at=at,
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
            passed=earned(fold),
        )
        for count, fold in enumerate(found.folds)
    ]


def earned(fold: Fold) -> bool:
    """Whether the test window of a fold earned something."""
    return fold.tested.metrics.net_pnl > 0


def _seconds(value: bool | timedelta) -> bool | int:  # noqa: FBT001 - a field of a scheme
    return value if isinstance(value, bool) else int(value / timedelta(seconds=1))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
