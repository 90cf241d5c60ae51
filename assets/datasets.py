"""Datasets on disk: a folder of Parquet files with the manifest of what they were made from.

Everything of one export is read from one snapshot of the database. Candles, funding and mark prices are exact decimals
(`assets.parquet_files`); analysis is what the engine computed, in float64. Analysis is exported only where it was made
from exactly the stored candles; zones and inversions are in the state they had at the last exported bar, so that no row
knows more than the window; signals are the engine's own, for a plug-in bot is no part of a dataset's id.

Files hold what the dataset's id is made from, and nothing of when or by which way it came in. The id does not tell
which tables of the analysis were written: the files that two exports of one id both have are equal, byte by byte.

A new folder appears as a whole or not at all. The same export again finds its files and writes none; one of the same
dataset with other tables takes the place of the files that the folder's manifest lists. What it does not list is
somebody's, and stays.

    done = export_dataset(conn, Export(keys, start, end, tables=("indicators",)), folder, at=now)
    done.dataset_id
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import polars as pl
import psycopg

from assets.analysis_plan import PassReport, kept_series, plan
from assets.parquet_files import ParquetFile, exact, sha256_of
from assets.partitions import months_between
from contracts import InstrumentKey, Rejected, SeriesKey
from contracts.candles import DECIMALS
from engine import ENGINE_VERSION, EngineParams
from engine.retest import AGENT
from store.analysis import AnalysisTable, read_rows
from store.calendar import KnownEvent, events_as_of
from store.candle_reads import candle_pieces
from store.catalog import rules_at
from store.connections import one_snapshot
from store.datasets import EnginePart, Manifest, Part, SeriesPart, manifest_of, read_dataset, record_dataset
from store.funding import FUNDING_SCHEMA, read_funding
from store.zones import inversions_as_of, zones_as_of

MANIFEST: Final = "manifest.json"
TABLES: Final[tuple[AnalysisTable, ...]] = get_args(AnalysisTable)
PARTS: Final[tuple[Part, ...]] = get_args(Part)
_FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
_EVENTS: Final = pl.Schema(
    {
        "event_id": pl.String(),
        **dict.fromkeys(("known_from", "ts_start", "ts_end"), pl.Datetime("us", "UTC")),
        **dict.fromkeys(("severity", "title", "currency", "source"), pl.String()),
    }
)


class FolderUnusable(Rejected):
    """The folder holds something that this export must not replace, or cannot be written."""


class AnalysisBehind(Rejected):
    """The analysis was not made from the candles that are stored now."""


@dataclass(frozen=True, slots=True)
class Export:
    """What a dataset is made of.

    Attributes:
        keys: Its series.
        start: First open time.
        end: Exclusive end.
        tables: Tables of the analysis.
        parts: What else: `funding`, `calendar`, `rules`.
    """

    keys: tuple[SeriesKey, ...]
    start: datetime
    end: datetime
    tables: tuple[AnalysisTable, ...] = ()
    parts: frozenset[Part] = frozenset()


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export left behind.

    Attributes:
        dataset_id: The dataset's id, 64 hex characters.
        known: Whether this dataset had been recorded before.
        written: Whether files were written; False = the folder held exactly these already.
        files: Path below the folder → rows.
    """

    dataset_id: str
    known: bool
    written: bool
    files: Mapping[str, int]


def export_dataset(conn: psycopg.Connection, export: Export, folder: Path, *, at: datetime) -> Exported:
    """Write a dataset into a folder and record it.

    Args:
        conn: A connection in no transaction.
        export: What it is made of.
        folder: Where it goes: not there, empty, or holding an export of the same dataset.
        at: When this is; calendar and rules are taken as they are known now.

    Raises:
        DatasetRefused: A series has no candle in the window, or no chain.
        AnalysisBehind: Its analysis was not made from exactly these candles.
        FolderUnusable: The folder holds something else, or cannot be written.
        DataRejected: A value cannot be kept exactly.
    """
    folder = folder.absolute()
    held = _held(folder)
    partial = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        with one_snapshot(conn):
            manifest = _manifest(conn, export, at)
            stated = _stated(manifest, export)
            if held is not None and held["dataset_id"] != manifest.dataset_id:
                msg = (
                    f"{folder} holds the dataset {held['dataset_id']}, this one is {manifest.dataset_id}: name another "
                    f"folder, or remove that one"
                )
                raise FolderUnusable(msg)
            written = held is None or not _holds(folder, held, stated)
            files: dict[str, dict[str, Any]] = {}
            if written:
                partial.mkdir(parents=True)
                files = {
                    name: _described(partial / name, rows) for name, rows in _write(conn, export, manifest, partial, at)
                }
                text = json.dumps({**stated, "files": files}, indent=2, sort_keys=True, ensure_ascii=False)
                (partial / MANIFEST).write_text(text + "\n", encoding="utf-8")
        known = read_dataset(conn, manifest.dataset_id) is not None
        record_dataset(conn, manifest, at=at)
        if written:
            if held is None:
                partial.rename(folder)  # also onto an empty folder
            else:
                _replace(folder, partial, old=held["files"], new=files)
    except OSError as error:
        msg = (
            f"export into {folder}: {error.strerror or error} ({error.filename or folder}); once that is mended, the "
            f"same export again writes it whole"
        )
        raise FolderUnusable(msg) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    return Exported(
        manifest.dataset_id, known, written, {name: int(one["rows"]) for name, one in sorted(listed.items())}
    )


def _manifest(conn: psycopg.Connection, export: Export, at: datetime) -> Manifest:
    params = EngineParams()
    engine = EnginePart(version=ENGINE_VERSION, params_hash=params.hash) if export.tables else None
    manifest = manifest_of(conn, export.keys, export.start, export.end, at=at, using=export.parts, engine=engine)
    if export.tables:
        _require_analysis(conn, manifest, params)
    return manifest


def _require_analysis(conn: psycopg.Connection, manifest: Manifest, params: EngineParams) -> None:
    """Make sure that the analysis reaches the last exported candle of each series, and was made from these candles."""
    instruments = {key.instrument for key in manifest.series}
    for instrument in sorted(instruments):
        keys = [key for key in manifest.series if key.instrument == instrument]
        # Bots that are not asked for change nothing of what the engine itself computes.
        groups = plan(conn, kept_series(conn, keys), params, PassReport(), versions={})
        for one in (found for group in groups for found in group.plans if found.key in keys):
            done = one.stretches[: one.done]
            if not done or manifest.series[one.key].last >= done[-1].end:
                reached = f"up to {done[-1].end:%Y-%m-%d %H:%M}" if done else "for no month"
                msg = (
                    f"the analysis of {one.key} was made from the candles that are stored now {reached}, the dataset "
                    f"goes to {manifest.series[one.key].last:%Y-%m-%d %H:%M}: run `tidemark backfill` for its months "
                    f"first, or export without analysis"
                )
                raise AnalysisBehind(msg)


def _held(folder: Path) -> dict[str, Any] | None:
    """What an earlier export says of the folder; None = it is free."""
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return None
        held = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if (
            isinstance(held, dict)
            and isinstance(held.get("dataset_id"), str)
            and isinstance(held.get("files"), dict)
            and not any(Path(name).is_absolute() or ".." in Path(name).parts for name in held["files"])
        ):
            return held
    except (OSError, ValueError):
        pass
    msg = f"{folder} is no folder of an exported dataset: name one that is not there yet, or is empty"
    raise FolderUnusable(msg)


def _replace(folder: Path, partial: Path, *, old: Collection[str], new: Collection[str]) -> None:
    """Put the files of `partial` in the place of those that the folder's manifest lists; nothing else is touched.

    The manifest comes when its files are there: an export that breaks off before leaves one that they contradict, and
    the next one writes them again.

    Raises:
        FolderUnusable: A file that the manifest does not list stands where one would be written.
    """
    foreign = [name for name in new if name not in old and (folder / name).exists()]
    if foreign:
        msg = f"{folder / foreign[0]} is no file of the exported dataset: move it, or name another folder"
        raise FolderUnusable(msg)
    for name in [*new, MANIFEST]:
        (folder / name).parent.mkdir(exist_ok=True)
        (partial / name).replace(folder / name)
    for name in set(old) - set(new):
        (folder / name).unlink(missing_ok=True)
        if (folder / name).parent != folder and not any((folder / name).parent.iterdir()):
            (folder / name).parent.rmdir()


def _stated(manifest: Manifest, export: Export) -> dict[str, Any]:
    """What stands in the folder's manifest beside its files; nothing of it tells when or where it was written."""
    return {
        "dataset_id": manifest.dataset_id,
        "dataset_id_is": "sha256 of `manifest` as JSON in one line, keys sorted, without spaces",
        "manifest": json.loads(manifest.text),
        "tables": ["candles", *sorted(export.tables), *sorted(export.parts)],
        "numbers": "candles, funding: decimal(38, 18), as the exchange stated them; analysis: float64, as computed",
    }


def _holds(folder: Path, held: Mapping[str, Any], stated: Mapping[str, Any]) -> bool:
    """Whether the folder holds this very export, whole and undamaged."""
    if {name: value for name, value in held.items() if name != "files"} != stated:
        return False
    files = held["files"]
    return all((folder / name).is_file() and sha256_of(folder / name) == one["sha256"] for name, one in files.items())


def _described(path: Path, rows: int) -> dict[str, Any]:
    return {"rows": rows, "sha256": sha256_of(path), "bytes": path.stat().st_size}


def _write(
    conn: psycopg.Connection, export: Export, manifest: Manifest, folder: Path, at: datetime
) -> Iterator[tuple[str, int]]:
    """Write every file; yields its path below the folder and its rows."""
    for key, part in sorted(manifest.series.items()):
        pieces = candle_pieces(conn, key, export.start, export.end)
        yield _file(folder, f"candles/{_name(key)}", (_with_key(exact(piece, DECIMALS), key) for piece in pieces))
        for table in export.tables:
            frames = (exact(frame, ()) for frame in _analysis(conn, table, key, export, part))
            yield _file(folder, f"{table}/{_name(key)}", frames)
    first = min(part.first for part in manifest.series.values())
    instruments = sorted({key.instrument for key in manifest.series})
    for instrument in (one for one in instruments if one in manifest.funding):
        rates = read_funding(conn, instrument, first, export.end).select(*FUNDING_SCHEMA, "interval_hours")
        named = _with_instrument(exact(rates, ("rate", "mark_price")), instrument)
        yield _file(folder, funding_file(instrument), [named])
    if "rules" in export.parts:
        yield _file(folder, "exchange_rules.parquet", [_rules(conn, manifest.rules, at)])
    if "calendar" in export.parts:
        events = events_as_of(conn, at, first, _FOREVER)
        yield _file(folder, "calendar_events.parquet", [_calendar(events)])


def _analysis(
    conn: psycopg.Connection, table: AnalysisTable, key: SeriesKey, export: Export, part: SeriesPart
) -> Iterator[pl.DataFrame]:
    """The rows of the exported bars, month by month; at least one frame, so that every file has its columns."""
    until = key.tf.known_at(part.last)
    if table in {"zones", "inversions"}:
        known = zones_as_of(conn, key, until) if table == "zones" else inversions_as_of(conn, key, until)
        yield known.filter(pl.col("created_ts") >= key.tf.known_at(part.first))
        return
    for month in months_between(part.first, until):
        start, end = max(month.start, part.first), min(month.end, until)
        rows = read_rows(conn, table, key, start, end)
        yield rows.filter(pl.col("agent") == AGENT) if table == "signals_raw" else rows


def _file(folder: Path, name: str, frames: Iterable[pl.DataFrame]) -> tuple[str, int]:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    with ParquetFile(path) as file:
        for frame in frames:
            file.write(frame)
    return name, file.rows


def funding_file(instrument: InstrumentKey) -> str:
    """Path below the folder of an instrument's settlements; there is none where none is stored."""
    return f"funding_rates/{_name(instrument)}"


def _name(key: SeriesKey | InstrumentKey) -> str:
    return f"{str(key).replace(':', '_')}.parquet"


def _with_key(frame: pl.DataFrame, key: SeriesKey) -> pl.DataFrame:
    return frame.select(
        venue=pl.lit(key.venue),
        symbol=pl.lit(key.symbol),
        tf=pl.lit(str(key.tf)),
        **{n: pl.col(n) for n in frame.columns},
    )


def _with_instrument(frame: pl.DataFrame, key: InstrumentKey) -> pl.DataFrame:
    return frame.select(
        venue=pl.lit(key.venue), symbol=pl.lit(key.symbol), **{name: pl.col(name) for name in frame.columns}
    )


def _rules(conn: psycopg.Connection, versions: Mapping[InstrumentKey, str], at: datetime) -> pl.DataFrame:
    schema = pl.Schema(dict.fromkeys(("venue", "symbol", "rules", "sha256"), pl.String()))
    found = {key: rules_at(conn, key, at) for key in versions}
    rows = [(key.venue, key.symbol, rules.model_dump_json(), versions[key]) for key, rules in found.items() if rules]
    return pl.DataFrame(rows, schema=schema, orient="row")


def _calendar(events: Sequence[KnownEvent]) -> pl.DataFrame:
    return pl.DataFrame([asdict(event) for event in events], schema=_EVENTS)
