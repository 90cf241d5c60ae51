"""An exchange made of a candle frame, and a clock that only sleeping moves.

`FakeVenue` is archive and REST at once (the Protocols of `assets.loading`). What the exchange has is `tape`; knobs say
what one of the three sources lacks, has otherwise, or refuses. Files exist once their period is over; `klines` keeps
the promises of `venues.binance.rest.BinanceRest.klines`: closed bars only, windows refused as there, and the time
asked before the first page. Every call is written down in `calls`.

    venue = FakeVenue({KEY: tape(KEY, T0, 744)}, clock=FakeClock(NOW))
    asyncio.run(run_candles(job, conn, venue.effects()))
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal, get_args

import numpy as np
import polars as pl

from assets.candle_run import Effects
from contracts import InstrumentKey, InstrumentRules, SeriesKey, to_us
from contracts.candles import CANDLE_SCHEMA, digest
from venues.binance.archive import ArchiveFile, KnownFile
from venues.binance.archive_files import ArchiveName
from venues.binance.errors import RequestRefused, UnknownSymbol
from venues.binance.rest import CLOSE_GRACE, KlinesAnswer
from venues.binance.rules import ExchangeInfo, SymbolInfo
from venues.binance.validation import QUARANTINE_SCHEMA, ParsedCandles

INSTRUMENT = InstrumentKey("binance_spot", "BTCUSDT")
KEY = INSTRUMENT.series("1h")
T0 = datetime(2022, 1, 1, tzinfo=UTC)

RULES = InstrumentRules(
    venue="binance_spot",
    symbol="BTCUSDT",
    status="TRADING",
    contract_type="SPOT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    min_price=None,
    max_price=None,
    step_size=Decimal("0.00001"),
    min_qty=Decimal("0.00001"),
    max_qty=None,
    market_step_size=None,
    market_min_qty=None,
    market_max_qty=None,
    min_notional=Decimal(5),
    max_notional=None,
    order_types=("LIMIT", "MARKET"),
    filters=(),
    maker_fee=Decimal("0.001"),
    taker_fee=Decimal("0.001"),
    max_leverage=Decimal(1),
    fees_source="conservative",
)

Origin = Literal["monthly", "daily", "rest"]
ORIGINS: tuple[Origin, ...] = get_args(Origin)


def hours(count: float) -> timedelta:
    return timedelta(hours=count)


def slot(index: int, key: SeriesKey = KEY) -> datetime:
    """Open time of the bar with that index after 2022-01-01."""
    return T0 + index * key.tf.duration


def tape(key: SeriesKey, start: datetime, bars: int, *, seed: int = 1) -> pl.DataFrame:
    """Candles of a random walk in cents, without a hole; prices and volumes are decimal text with trailing zeros."""
    rng = np.random.default_rng(seed)
    close = 4_000_000 + np.cumsum(rng.integers(-20_000, 20_001, bars))
    opened = np.concatenate([[4_000_000], close[:-1]])[:bars]
    high = np.maximum(opened, close) + rng.integers(0, 9_000, bars)
    low = np.minimum(opened, close) - rng.integers(0, 9_000, bars)
    volume = rng.integers(1, 90_000, bars)

    def text(values: np.ndarray, places: int) -> list[str]:
        return [f"{value // 10**places}.{value % 10**places:0{places}d}" for value in values.tolist()]

    return pl.DataFrame(
        {
            "open_time": [start + index * key.tf.duration for index in range(bars)],
            "open": text(opened, 2),
            "high": text(high, 2),
            "low": text(low, 2),
            "close": text(close, 2),
            "volume": text(volume, 3),
            "trades": rng.integers(1, 5_000, bars),
            "taker_buy_vol": text(volume // 2, 3),
            "quote_vol": text(volume * close, 5),
        },
        schema=CANDLE_SCHEMA,
    )


def with_close(candles: pl.DataFrame, opened: datetime, close: str) -> pl.DataFrame:
    """The same candles, one with another close; its high or low goes along where it has to."""
    there, value = pl.col("open_time") == opened, pl.lit(close).cast(pl.Float64)
    beyond = {"close": pl.lit(value=True), "high": value > pl.col("high").cast(pl.Float64)}
    beyond["low"] = value < pl.col("low").cast(pl.Float64)
    return candles.with_columns(
        **{name: pl.when(there & moved).then(pl.lit(close)).otherwise(name) for name, moved in beyond.items()}
    )


class FakeClock:
    """An instant that only `sleep` moves.

    Attributes:
        now: The instant.
        slept: Every sleep asked for, in seconds.
        on_sleep: Called after the clock was moved: what happens in the world meanwhile.
    """

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.slept: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.on_sleep()


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that a source delivers in the place of a candle and that the reader refuses.

    Attributes:
        slot: The grid slot it stands for; the source has no candle there.
        open_time: What can be read of its open time; None = unreadable.
        payload: The row as received.
        reason: Why it is refused.
    """

    slot: datetime
    open_time: datetime | None
    payload: str = "a,row,nobody,can,read"
    reason: str = "number_unreadable"


@dataclass(slots=True)
class FakeVenue:
    """An exchange and its archive.

    Attributes:
        tape: What the exchange has, by series.
        clock: Its clock, the local one too.
        lacks: Open times that a source does not have.
        refused: Rows that a source delivers and the reader refuses.
        archived: What the files hold where it is not the tape.
        unpublished: Stems of files that do not exist (`BTCUSDT-1h-2022-01`).
        errors: What a call raises, by the text it writes into `calls`.
        before: Called with that text before a call answers.
        rules: The trading rules of its symbol.
        calls: Every call: `month <stem>`, `day <stem>`, `unchanged <stem>`, `klines <first slot wanted> <end>`,
            `exchangeInfo <symbols>`, `first <symbol> <tf>`.
        said: What a run told a person.
    """

    tape: dict[SeriesKey, pl.DataFrame]
    clock: FakeClock
    lacks: dict[Origin, set[datetime]] = field(
        default_factory=lambda: {"monthly": set(), "daily": set(), "rest": set()}
    )
    refused: dict[Origin, list[RefusedRow]] = field(default_factory=lambda: {"monthly": [], "daily": [], "rest": []})
    archived: dict[SeriesKey, pl.DataFrame] = field(default_factory=dict)
    unpublished: set[str] = field(default_factory=set)
    errors: dict[str, Exception] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _: None
    rules: InstrumentRules = RULES
    calls: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def effects(self) -> Effects:
        """What a run needs of the world, all of it this venue's."""
        return Effects(archive=self, rest=self, say=self.said.append, clock=self.clock, sleep=self.clock.sleep)

    def url(self, name: ArchiveName) -> str:
        return f"https://archive.test/{name.path}"

    async def month(self, key: SeriesKey, month: date) -> ArchiveFile | None:
        return self._file(ArchiveName.of_month(key, month), "monthly", "month")

    async def day(self, key: SeriesKey, day: date) -> ArchiveFile | None:
        return self._file(ArchiveName.of_day(key, day), "daily", "day")

    async def unchanged(self, known: KnownFile) -> bool:
        stem = known.url.rsplit("/", 1)[-1].removesuffix(".zip")
        self._called(f"unchanged {stem}")
        [key] = [key for key in self.tape if stem.startswith(f"{key.symbol}-{key.tf}-")]
        period = stem.removeprefix(f"{key.symbol}-{key.tf}-")
        if len(period) == len("2022-01"):
            file = self._served(ArchiveName.of_month(key, date.fromisoformat(f"{period}-01")), "monthly")
        else:
            file = self._served(ArchiveName.of_day(key, date.fromisoformat(period)), "daily")
        return file is not None and file.etag == known.etag

    async def server_time(self) -> datetime:
        return self.clock()

    async def klines(self, key: SeriesKey, start: datetime, end: datetime) -> KlinesAnswer:
        first = key.tf.ceil(start)
        self._called(f"klines {first:%m-%dT%H:%M} {end:%m-%dT%H:%M}")
        if key not in self.tape:
            msg = f"klines of {key}: the symbol is not listed"
            raise UnknownSymbol(msg)
        if start >= end or start > self.clock() + key.tf.duration:
            msg = f"klines of {key}: the window from {start} to {end} is empty or in the future"
            raise RequestRefused(msg)
        closed_until = max(first, min(key.tf.ceil(end), key.tf.floor(self.clock() - CLOSE_GRACE)))
        parsed = self._parsed(self.tape[key], "rest", first, closed_until)
        return KlinesAnswer(
            candles=parsed.candles,
            quarantined=parsed.quarantined,
            duplicates=0,
            closed_until=closed_until,
            server_time=self.clock(),
            asked_at=self.clock(),
        )

    async def exchange_info(self, symbols: Sequence[str]) -> ExchangeInfo:
        self._called(f"exchangeInfo {','.join(symbols)}")
        listed = {key.symbol for key in self.tape}
        unknown = [symbol for symbol in symbols if symbol not in listed]
        if unknown:
            msg = f"exchangeInfo: no symbol {unknown[0]}"
            raise UnknownSymbol(msg)
        found = {symbol: SymbolInfo(self.rules, None, None) for symbol in symbols}
        return ExchangeInfo(seen_at=self.clock(), symbols=found, unreadable={}, weight_limit=None)

    async def first_open_time(self, key: SeriesKey) -> datetime | None:
        self._called(f"first {key.symbol} {key.tf}")
        held = self.tape.get(key, CANDLE_SCHEMA.to_frame())
        return None if held.is_empty() else held["open_time"][0]

    def requests(self, kind: str) -> list[str]:
        """The calls that begin with that word."""
        return [call for call in self.calls if call.startswith(kind)]

    def _file(self, name: ArchiveName, origin: Origin, word: str) -> ArchiveFile | None:
        self._called(f"{word} {name.stem}")
        return self._served(name, origin)

    def _served(self, name: ArchiveName, origin: Origin) -> ArchiveFile | None:
        if name.stem in self.unpublished or name.end > self.clock() or name.key not in self.tape:
            return None
        held = self.archived.get(name.key, self.tape[name.key])
        parsed = self._parsed(held, origin, name.start, name.end)
        if parsed.candles.is_empty() and parsed.quarantined.is_empty():
            return None
        sha256 = hashlib.sha256(f"{name.stem} {digest(parsed.candles)}".encode()).hexdigest()
        return ArchiveFile(self.url(name), f'"{sha256[:32]}"', sha256, parsed)

    def _parsed(self, held: pl.DataFrame, origin: Origin, start: datetime, end: datetime) -> ParsedCandles:
        rows = [row for row in self.refused[origin] if start <= row.slot < end]
        absent = self.lacks[origin] | {row.slot for row in rows}
        opened = pl.col("open_time")
        kept = held.filter(
            (opened >= start) & (opened < end) & ~opened.dt.epoch("us").is_in([to_us(t) for t in absent])
        )
        quarantined = pl.DataFrame(
            [(row.open_time, row.payload, row.reason) for row in rows], schema=QUARANTINE_SCHEMA, orient="row"
        )
        return ParsedCandles(kept, quarantined, 0)

    def _called(self, text: str) -> None:
        self.calls.append(text)
        self.before(text)
        if text in self.errors:
            raise self.errors[text]


def venue_of(bars: Mapping[SeriesKey, int] | int, *, now: datetime, start: datetime = T0, seed: int = 1) -> FakeVenue:
    """A venue that has that many bars of each series from `start` on."""
    counts = {KEY: bars} if isinstance(bars, int) else bars
    return FakeVenue({key: tape(key, start, count, seed=seed) for key, count in counts.items()}, clock=FakeClock(now))
