"""One archive month as the exchange would serve it, and our whole way of reading it.

The zip is made once, outside the clock, from generated candles; `read` is what is timed: checksum, unzip, parse,
judge every row, digest.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from contracts import SeriesKey
from contracts.candles import digest
from venues.binance.archive_files import ArchiveName, csv_of, verify
from venues.binance.wire import parse_csv


@dataclass(frozen=True, slots=True)
class ArchiveMonth:
    """A zip of one month and its stated hash."""

    name: ArchiveName
    zipped: bytes
    stated: str

    @classmethod
    def of(cls, key: SeriesKey, candles: pl.DataFrame) -> ArchiveMonth:
        """The file that would hold `candles`, all of one month."""
        first: datetime = candles["open_time"][0]
        name = ArchiveName.of_month(key, first.astimezone(UTC).date())
        opened = pl.col("open_time").dt.epoch("ms")
        rows = candles.select(
            opened.alias("open_time"),
            *("open", "high", "low", "close", "volume"),
            (opened + key.tf.us // 1000 - 1).alias("close_time"),
            pl.col("quote_vol").alias("quote_volume"),
            pl.col("trades").alias("count"),
            pl.col("taker_buy_vol").alias("taker_buy_volume"),
            pl.col("taker_buy_vol").alias("taker_buy_quote_volume"),
            pl.lit("0").alias("ignore"),
        )
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{name.stem}.csv", rows.write_csv())
        zipped = buffer.getvalue()
        return cls(name, zipped, hashlib.sha256(zipped).hexdigest())

    def read(self) -> pl.DataFrame:
        """The candles of the zip, verified and judged, their digest computed as a load does.

        Raises:
            RuntimeError: A row was refused: what would be timed is not what is meant.
        """
        verify(self.zipped, stated=self.stated, zip_name=self.name.zip_name)
        text = csv_of(self.zipped, stem=self.name.stem)
        parsed = parse_csv(
            text, self.name.key.tf, start=self.name.start, end=self.name.end, name=f"{self.name.stem}.csv"
        )
        if not parsed.quarantined.is_empty():
            msg = f"{parsed.quarantined.height} generated rows were refused"
            raise RuntimeError(msg)
        digest(parsed.candles)
        return parsed.candles
