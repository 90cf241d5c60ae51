"""Datasets: what a result was made from, as a manifest, and the id that follows from it alone.

Laws: the id is the sha256 of the manifest's canonical text; it depends on every part of it and on nothing else, not on
the order in which parts were named nor on when it was recorded. Equal ids therefore mean equal inputs. A part that
was not used is left out by whoever makes the manifest: a dataset of candles does not change with the calendar.
Manifests are kept for ever (nobody may change one), the rows they speak of are told by chains and versions, not copied.

    with one_snapshot(conn):
        manifest = manifest_of(conn, keys, start, end, using={"funding"}, at=now)
    dataset_id = record_dataset(conn, manifest, at=now)
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any, Final, Literal, Self

import psycopg

from contracts import InstrumentKey, Rejected, SeriesKey, to_us
from contracts.candles import chain_next, chain_start
from store.calendar import calendar_version
from store.candle_reads import extent, stored_digest
from store.catalog import list_series, rules_sha256
from store.connections import translated
from store.funding import funding_extent, funding_version
from store.ledger import digests

# Part = what a manifest can name beside candles and the engine.
Part = Literal["funding", "calendar", "rules"]

FORMAT: Final = 1
_HEX: Final = re.compile(r"[0-9a-f]{64}")


class DatasetRefused(Rejected):
    """These candles make no dataset: some of them have no chain, or there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPart:
    """The candles of one series.

    Attributes:
        chain: Digest of every candle of the series up to the last one used, 64 hex characters.
        rows: How many were used.
        first: Open time of the first one used.
        last: Open time of the last one used.
    """

    chain: str
    rows: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginePart:
    """The engine whose rows were used.

    Attributes:
        version: Raised only when its output changes.
        params_hash: Fingerprint of its parameters.
    """

    version: int
    params_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything a result was made from.

    Attributes:
        series: The candles, by series.
        funding: Version of the funding settlements, by instrument.
        rules: Fingerprint of the trading rules, by instrument.
        calendar: Version of the calendar; None = not used.
        engine: Whose analysis was used; None = no analysis was.

    Raises:
        ValueError: A chain, version or fingerprint is not 64 hex characters, or there are no candles.
    """

    series: Mapping[SeriesKey, SeriesPart]
    funding: Mapping[InstrumentKey, str] = field(default_factory=lambda: MappingProxyType({}))
    rules: Mapping[InstrumentKey, str] = field(default_factory=lambda: MappingProxyType({}))
    calendar: str | None = None
    engine: EnginePart | None = None

    def __post_init__(self) -> None:
        named = {
            **{f"chain of {key}": part.chain for key, part in self.series.items()},
            **{f"funding of {key}": version for key, version in self.funding.items()},
            **{f"rules of {key}": version for key, version in self.rules.items()},
            **({} if self.calendar is None else {"calendar": self.calendar}),
        }
        for name, value in named.items():
            if not _HEX.fullmatch(value):
                msg = f"a manifest names everything by 64 hex characters: {name} is {value!r}"
                raise ValueError(msg)
        if not self.series:
            msg = "a manifest without a series names no dataset"
            raise ValueError(msg)

    @property
    def dataset_id(self) -> str:
        """The dataset's id: sha256 of `text`, 64 hex characters."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def text(self) -> str:
        """The canonical form: JSON in one line, keys sorted, instants in ISO 8601 with `Z`, unused parts left out."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "series": {
                str(key): {
                    "chain": part.chain,
                    "rows": part.rows,
                    "first": _iso(part.first),
                    "last": _iso(part.last),
                }
                for key, part in self.series.items()
            },
            "funding": {str(key): version for key, version in self.funding.items()},
            "rules": {str(key): version for key, version in self.rules.items()},
            "calendar": self.calendar,
            "engine": None
            if self.engine is None
            else {"version": self.engine.version, "params_hash": self.engine.params_hash},
        }
        used = {name: value for name, value in document.items() if value}
        return json.dumps(used, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """The manifest whose canonical form is `text`.

        Raises:
            ValueError: It is no manifest, or one of another format.
        """
        document = json.loads(text)
        if document.get("format") != FORMAT:
            msg = f"a manifest of format {document.get('format')!r} cannot be read: this code knows format {FORMAT}"
            raise ValueError(msg)
        return cls(
            series={
                SeriesKey.parse(key): SeriesPart(
                    chain=part["chain"],
                    rows=part["rows"],
                    first=datetime.fromisoformat(part["first"]),
                    last=datetime.fromisoformat(part["last"]),
                )
                for key, part in document["series"].items()
            },
            funding={InstrumentKey.parse(key): version for key, version in document.get("funding", {}).items()},
            rules={InstrumentKey.parse(key): version for key, version in document.get("rules", {}).items()},
            calendar=document.get("calendar"),
            engine=EnginePart(**document["engine"]) if "engine" in document else None,
        )


@dataclass(frozen=True, slots=True)
class Dataset:
    """A recorded dataset.

    Attributes:
        dataset_id: 64 hex characters.
        manifest: What it was made from.
        created_at: When it was first recorded.
    """

    dataset_id: str
    manifest: Manifest
    created_at: datetime


def record_dataset(conn: psycopg.Connection, manifest: Manifest, *, at: datetime) -> str:
    """Keep a manifest; one that is kept already stays as it is.

    Returns:
        The dataset's id.
    """
    dataset_id = manifest.dataset_id
    with translated("record a dataset", key=dataset_id):
        conn.execute(
            """
            INSERT INTO market.datasets (dataset_id, manifest, created_at) VALUES (%s, %s, %s)
            ON CONFLICT DO NOTHING
            """,
            [dataset_id, manifest.text, at],
        )
    return dataset_id


def read_dataset(conn: psycopg.Connection, dataset_id: str) -> Dataset | None:
    """A recorded dataset by its id; None = nobody recorded it here."""
    with translated("read a dataset", key=dataset_id):
        row = conn.execute(
            "SELECT manifest, created_at FROM market.datasets WHERE dataset_id = %s", [dataset_id]
        ).fetchone()
    return None if row is None else Dataset(dataset_id, Manifest.parse(row[0]), row[1])


def manifest_of(
    conn: psycopg.Connection,
    keys: Iterable[SeriesKey],
    start: datetime,
    end: datetime,
    *,
    at: datetime,
    using: Collection[Part] = (),
    engine: EnginePart | None = None,
) -> Manifest:
    """The manifest of what is stored now for a window of series.

    Args:
        conn: A connection; inside `one_snapshot` where the rows themselves are read, too.
        keys: The series.
        start: First open time.
        end: Exclusive end; of funding, too.
        at: Calendar and rules are taken as they were known at this instant.
        using: Which parts are used beside candles. Funding of an instrument without any, and rules that are not known
            at `at`, are left out.
        engine: Whose analysis is used.

    Raises:
        DatasetRefused: A series has no candle in the window, or a month before its end has no chain.
    """
    series = {key: series_part(conn, key, start, end) for key in keys}
    instruments = sorted({key.instrument for key in series})
    funding, rules = {}, {}
    for instrument in instruments:
        if "funding" in using and funding_extent(conn, instrument) is not None:
            funding[instrument] = funding_version(conn, instrument, until=end)
        known = rules_sha256(conn, instrument, at) if "rules" in using else None
        if known is not None:
            rules[instrument] = known
    calendar = calendar_version(conn, at) if "calendar" in using else None
    return Manifest(series=series, funding=funding, rules=rules, calendar=calendar, engine=engine)


def series_part(conn: psycopg.Connection, key: SeriesKey, start: datetime, end: datetime) -> SeriesPart:
    """What a manifest says of the candles of a window of one series.

    The chain reaches from the series' first candle to the last one of the window: at a month's end it is the stored
    one, inside a month sha256(chain of the month before ‖ digest up to there [‖ the sub-timeframe's up to `end`]).

    Raises:
        DatasetRefused: The window holds no candle, or a month before its end has no chain.
    """
    with translated("describe the candles of a dataset", key=key):
        row = conn.execute(
            """
            SELECT count(*), min(open_time), max(open_time) FROM market.candles
            WHERE venue = %s AND symbol = %s AND tf = %s AND open_time >= %s AND open_time < %s
            """,
            [key.venue, key.symbol, str(key.tf), start, end],
        ).fetchone()
    if row is None or not row[0]:
        msg = (
            f"{key} holds no candle from {start.isoformat()} to before {end.isoformat()}: there is nothing to make a "
            f"dataset of; see `tidemark status` for what is stored"
        )
        raise DatasetRefused(msg)
    rows, first, last = row
    return SeriesPart(chain=_chain(conn, key, last, end), rows=rows, first=first, last=last)


def _chain(conn: psycopg.Connection, key: SeriesKey, last: datetime, end: datetime) -> str:
    month = date(last.year, last.month, 1)
    previous = _chain_before(conn, key, month)
    # Nothing of the sub-timeframe behind the month of the last candle belongs to that month's link.
    window = _midnight(month), min(end, _midnight(_next_month(month)))
    _, digest = stored_digest(conn, key, *window)
    sub = next((setting.sub_tf for setting in list_series(conn, key.instrument) if setting.key == key), None)
    if sub is None:
        return chain_next(previous, digest)
    sub_rows, sub_digest = stored_digest(conn, key.instrument.series(sub), *window)
    if not sub_rows:
        raise DatasetRefused(_unchained(key, month))
    return chain_next(previous, digest, sub_digest)


def _chain_before(conn: psycopg.Connection, key: SeriesKey, month: date) -> str:
    """The chain that the link of `month` is built on."""
    stored = extent(conn, key)
    if stored is not None and stored.first.date() >= month:
        return chain_start(key, to_us(stored.first))
    before = [entry for entry in digests(conn, key) if entry.month < month]
    if not before or _next_month(before[-1].month) != month or before[-1].chain is None:
        raise DatasetRefused(_unchained(key, month))
    return before[-1].chain


def _unchained(key: SeriesKey, month: date) -> str:
    return (
        f"{key} has no chain up to {month:%Y-%m}: a month before it, or its sub-timeframe, is not stored, so nothing "
        f"can name these candles; run `tidemark backfill` for the months that are missing"
    )


def _midnight(month: date) -> datetime:
    return datetime(month.year, month.month, month.day, tzinfo=UTC)


def _next_month(month: date) -> date:
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
