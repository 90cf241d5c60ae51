"""Two or more results side by side: the A/B report of profiles over the same bars, or of accounts on the same days.

Every pair is compared day by day and, where both took the same signal, trade by trade (`paired`). A comparison tells
which result is ahead, not whether any of them is good: that is `examination`'s.

Invariant: exchanging two results negates what is between them and changes nothing else. Results over other bars are
refused, since what the market did would be taken for what the profile did.

    found = compare({"calm": calm, "bold": bold})
    found.pairs[0].days.mean, found.pairs[0].significant
    found.write(folder)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from backtest.bootstrap import Interval
from backtest.lints import Finding
from backtest.metrics import column
from backtest.paired import Difference, check_draws, correlation, difference, differences, holm, sharpe_difference
from backtest.report.building import Report
from backtest.report.side_by_side import page_of
from backtest.tracks import ComparisonRefused, Origin, RunTrack, Track, origin_of

if TYPE_CHECKING:
    from pathlib import Path

    from backtest.report.outcome import Outcome

# Of the document's fields: raised when a reader of the last one would misread it.
DOCUMENT_VERSION = 1

# Of fewer shared days than the first nothing can be said, of fewer than the second little.
FEWEST_DAYS, FEW_DAYS = 30, 100

_TRADE_COLUMNS = ("signal_id", "symbol", "tf", "side", "entry_ts", "r")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two results against each other; differences are first − second.

    Attributes:
        first: Name of one.
        second: Name of the other.
        days: Of the daily returns, fractions, on the days that both have.
        left_out: Days that only the first, and that only the second has.
        better: Share of the days on which the first did better; None = there are none.
        worse: Share on which the second did.
        correlation: Of the daily returns; None = one of them does not move.
        sharpe: Difference of the Sharpe ratios by the year.
        r: Of the results of signals that both took, in R.
        alone: Signals that only the first, and that only the second took.
        shared: A row a signal that both took: `signal_id`, `symbol`, `tf`, `side`, `entry_ts` (the earlier),
            `r_first`, `r_second`, `difference`.
        chance: p of `days`, raised by the number of pairs in the comparison (`paired.holm`); None = it has none.
    """

    first: str
    second: str
    days: Difference
    left_out: tuple[int, int]
    better: float | None
    worse: float | None
    correlation: float | None
    sharpe: Interval
    r: Difference
    alone: tuple[int, int]
    shared: pl.DataFrame
    chance: float | None

    @property
    def significant(self) -> bool:
        """Whether t and the bootstrap agree that chance would seldom do this: p small, 0 outside the interval."""
        low, high = self.days.mean.low, self.days.mean.high
        if self.chance is None or low is None or high is None:
            return False
        return self.chance <= 1 - self.days.mean.level and not low <= 0 <= high

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        shared = self.shared.with_columns(pl.col("entry_ts").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"))
        return {
            "first": self.first,
            "second": self.second,
            "days": self.days.to_dict(),
            "left_out": list(self.left_out),
            "better": self.better,
            "worse": self.worse,
            "correlation": self.correlation,
            "sharpe": self.sharpe.to_dict(),
            "chance": self.chance,
            "significant": self.significant,
            "r": self.r.to_dict(),
            "alone": list(self.alone),
            "shared": shared.to_dict(as_series=False),
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Results side by side.

    Attributes:
        tracks: By name, in the order in which they were given.
        pairs: Each two of them.
        findings: What speaks against believing it.
        origin: What they were made from; None = it is not known.
    """

    tracks: Mapping[str, Track]
    pairs: Sequence[Pair]
    findings: Sequence[Finding]
    origin: Origin | None = None

    def to_dict(self) -> dict[str, Any]:
        """All numbers, unrounded, as JSON takes them; what does not exist is null."""
        return {
            "version": DOCUMENT_VERSION,
            "warnings": [finding.to_dict() for finding in self.findings],
            "pairs": [pair.to_dict() for pair in self.pairs],
            "results": [
                {
                    "name": name,
                    "metrics": track.metrics.to_dict(),
                    "days": np.datetime_as_string(track.days).tolist(),
                    "returns": track.returns.tolist(),
                }
                for name, track in self.tracks.items()
            ],
            "origin": None if self.origin is None else self.origin.to_dict(),
        }

    def report(self) -> Report:
        """The page and its numbers."""
        document = self.to_dict()
        return Report(html=page_of(document), json=document, name="comparison")

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write `comparison.html`, which needs nothing but itself, and `comparison.json`.

        Args:
            folder: Made where it is not there.

        Raises:
            backtest.report.ReportUnwritable: The folder cannot be made or written.
        """
        return self.report().write(folder)


def compare(results: Mapping[str, Outcome], *, seed: int = 0, draws: int = 1000, level: float = 0.95) -> Comparison:
    """Compare runs over the same bars.

    Args:
        results: At least two, by the name under which they are shown.
        seed: Of the draws.
        draws: Of each bootstrap interval, at least 100.
        level: Of the intervals, and what a chance is held against: 0.95 = one in twenty.

    Raises:
        ComparisonRefused: Fewer than two, or not over the same bars.
        StatisticsRefused: Draws or level are out of their range.
    """
    _check_count(results)
    origin = origin_of(results)
    tracks = {name: RunTrack(run) for name, run in results.items()}
    found = compare_tracks(tracks, seed=seed, draws=draws, level=level)
    return replace(found, origin=origin, findings=[*origin.findings, *found.findings])


def compare_tracks(tracks: Mapping[str, Track], *, seed: int = 0, draws: int = 1000, level: float = 0.95) -> Comparison:
    """Compare accounts on the days that they share; see `compare`.

    Raises:
        ComparisonRefused: Fewer than two, or days that are not in order or do not fit their returns.
        StatisticsRefused: Draws or level are out of their range, a number is not finite.
    """
    _check_count(tracks)
    check_draws(draws, level)
    for name, track in tracks.items():
        _check_days(name, track)
    found = [
        _pair(names, (tracks[names[0]], tracks[names[1]]), seed=seed, draws=draws, level=level)
        for names in combinations(tracks, 2)
    ]
    chances = holm([pair.days.p for pair in found])
    pairs = [replace(pair, chance=chance) for pair, chance in zip(found, chances, strict=True)]
    return Comparison(tracks=tracks, pairs=pairs, findings=_findings(pairs))


def _pair(names: tuple[str, str], tracks: tuple[Track, Track], *, seed: int, draws: int, level: float) -> Pair:
    of_days, of_trades = (int(part) for part in np.random.SeedSequence(seed).generate_state(2))
    first, second = tracks
    both, at_first, at_second = np.intersect1d(first.days, second.days, assume_unique=True, return_indices=True)
    ours, theirs = first.returns[at_first], second.returns[at_second]
    apart = differences(ours, theirs)
    shared, alone = _signals(first.trades, second.trades)
    of_r = differences(column(shared, "r_first"), column(shared, "r_second"))
    days = difference(apart, seed=of_days, draws=draws, level=level)
    return Pair(
        first=names[0],
        second=names[1],
        days=days,
        left_out=(first.days.size - both.size, second.days.size - both.size),
        better=float((apart > 0).mean()) if both.size else None,
        worse=float((apart < 0).mean()) if both.size else None,
        correlation=correlation(ours, theirs),
        sharpe=sharpe_difference(ours, theirs, seed=of_days, draws=draws, level=level),
        r=difference(of_r, seed=of_trades, draws=draws, level=level),
        alone=alone,
        shared=shared.with_columns(difference=of_r),
        chance=days.p,
    )


def _signals(first: pl.DataFrame, second: pl.DataFrame) -> tuple[pl.DataFrame, tuple[int, int]]:
    ours, theirs = _by_signal(first), _by_signal(second)
    shared = ours.join(theirs.select("signal_id", "entry_ts", "r"), on="signal_id", suffix="_second")
    shared = shared.select(
        *("signal_id", "symbol", "tf", "side"),
        # The earlier entry, so that the order is the same for both directions.
        pl.min_horizontal("entry_ts", "entry_ts_second").alias("entry_ts"),
        pl.col("r").alias("r_first"),
        pl.col("r_second"),
    ).sort("entry_ts", "signal_id")
    return shared, (ours.height - shared.height, theirs.height - shared.height)


def _by_signal(trades: pl.DataFrame) -> pl.DataFrame:
    # A signal that was entered more than once is one choice: its results are added up.
    firsts = (pl.col(name).first() for name in _TRADE_COLUMNS[1:-1])
    return trades.select(_TRADE_COLUMNS).group_by("signal_id", maintain_order=True).agg(*firsts, pl.col("r").sum())


def _findings(pairs: Sequence[Pair]) -> list[Finding]:
    # One of a kind, that of the worst pair: of many results there are very many pairs.
    found = []
    least = min(pairs, key=lambda pair: pair.days.count)
    if least.days.count < FEW_DAYS:
        count = least.days.count
        found.append(
            Finding(
                code="few_days",
                severity="severe" if count < FEWEST_DAYS else "warning",
                text=f"{least.first} and {least.second} share {count} days: have at least {FEW_DAYS} before choosing.",
                value=float(count),
                limit=float(FEWEST_DAYS if count < FEWEST_DAYS else FEW_DAYS),
            )
        )
    most = max(pairs, key=lambda pair: max(pair.left_out))
    if any(most.left_out):
        text = (
            f"Against each other, {most.left_out[0]} days of {most.first} and {most.left_out[1]} of {most.second} are "
            "left out, since the other has no return on them: it began later, ended sooner, or had nothing left."
        )
        found.append(
            Finding(code="days_left_out", severity="warning", text=text, value=float(max(most.left_out)), limit=0.0)
        )
    same = [f"{pair.first} and {pair.second}" for pair in pairs if pair.better == pair.worse == 0]
    if same:
        text = f"{'; '.join(same)} do not differ on any day: nothing that differs between them was ever asked."
        found.append(Finding(code="no_difference", severity="warning", text=text, value=float(len(same)), limit=0.0))
    return found


def _check_count(results: Mapping[str, object]) -> None:
    if len(results) < 2:
        msg = f"a comparison needs at least two results, received {list(results) or 'none'}: name another one"
        raise ComparisonRefused(msg)


def _check_days(name: str, track: Track) -> None:
    days, returns = track.days, track.returns
    if days.size != returns.size or not np.isfinite(returns).all() or (days.size and np.any(days[1:] <= days[:-1])):
        msg = (
            f"{name!r} has {days.size} days and {returns.size} returns: a comparison needs a finite return for each "
            "day, and days in ascending order, each once"
        )
        raise ComparisonRefused(msg)
