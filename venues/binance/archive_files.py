"""Names, checksums and zips of the public archive: the pure half of the archive reader.

Invariant: a CSV leaves this module only if the zip it came from has the sha256 that its CHECKSUM file states under
that very file name, holds exactly the one member it should, and stays within fixed sizes. It fetches nothing.

    file = ArchiveName.of_month(SeriesKey.parse("binance_usdm:BTCUSDT:1m"), date(2022, 1, 1))
    file.path       # data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2022-01.zip
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Literal, Self
from urllib.parse import quote

from contracts import InstrumentKey, SeriesKey
from venues.binance.errors import ArchiveRejected, RequestRefused, quoted
from venues.binance.hosts import market

# A month of 1m klines is about 2 MB zipped and 7 MB as text.
MAX_ZIP_BYTES = 32 * 2**20
MAX_CSV_BYTES = 128 * 2**20

_CHECKSUM = re.compile(rb"\s*([0-9a-fA-F]{64})[ \t]+\*?(\S+)\s*")


@dataclass(frozen=True, slots=True)
class ArchiveName:
    """One file of the archive and the half-open period it covers.

    Attributes:
        key: The series.
        grain: Which of the archive's two trees the file is in.
        start: First instant of the period.
        end: First instant after it.
    """

    key: SeriesKey
    grain: Literal["monthly", "daily"]
    start: datetime
    end: datetime

    @classmethod
    def of_month(cls, key: SeriesKey, month: date) -> Self:
        """The file of the calendar month that `month` lies in."""
        return cls(key, "monthly", *_month(month))

    @classmethod
    def of_day(cls, key: SeriesKey, day: date) -> Self:
        """The file of one calendar day (UTC)."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return cls(key, "daily", start, start + timedelta(days=1))

    @property
    def stem(self) -> str:
        """File name without its suffix."""
        period = self.start.strftime("%Y-%m" if self.grain == "monthly" else "%Y-%m-%d")
        return f"{self.key.symbol}-{self.key.tf}-{period}"

    @property
    def zip_name(self) -> str:
        """Name of the zip, as the CHECKSUM file states it."""
        return f"{self.stem}.zip"

    @property
    def path(self) -> str:
        """Path of the zip below the archive's base address, percent-encoded."""
        folder = f"{market(self.key.venue).archive_folder}/{self.grain}/klines"
        return quote(f"{folder}/{self.key.symbol}/{self.key.tf}/{self.zip_name}")


@dataclass(frozen=True, slots=True)
class FundingName:
    """The file of one month's funding settlements; there are no daily ones.

    Attributes:
        key: The perpetual.
        start: First instant of the month.
        end: First instant after it.
    """

    key: InstrumentKey
    start: datetime
    end: datetime

    @classmethod
    def of_month(cls, key: InstrumentKey, month: date) -> Self:
        """The file of the calendar month that `month` lies in.

        Raises:
            RequestRefused: The instrument's market has no funding.
        """
        if not market(key.venue).has_funding:
            msg = f"funding file of {key} for {month:%Y-%m}: {key.venue} has no funding; only perpetuals do"
            raise RequestRefused(msg)
        return cls(key, *_month(month))

    @property
    def stem(self) -> str:
        """File name without its suffix."""
        return f"{self.key.symbol}-fundingRate-{self.start:%Y-%m}"

    @property
    def zip_name(self) -> str:
        """Name of the zip, as the CHECKSUM file states it."""
        return f"{self.stem}.zip"

    @property
    def path(self) -> str:
        """Path of the zip below the archive's base address, percent-encoded."""
        folder = f"{market(self.key.venue).archive_folder}/monthly/fundingRate"
        return quote(f"{folder}/{self.key.symbol}/{self.zip_name}")


def _month(month: date) -> tuple[datetime, datetime]:
    start = datetime(month.year, month.month, 1, tzinfo=UTC)
    return start, datetime(month.year + month.month // 12, month.month % 12 + 1, 1, tzinfo=UTC)


def stated_sha256(content: bytes, *, zip_name: str) -> str:
    """The hash that a CHECKSUM file states.

    Returns:
        64 lower-case hex characters.

    Raises:
        ArchiveRejected: The content is no `<64 hex>  <file name>` line, or names another file.
    """
    line = _CHECKSUM.fullmatch(content)
    if line is None:
        msg = f"{zip_name}.CHECKSUM is no sha256sum line: {quoted(content)}"
        raise ArchiveRejected(msg)
    named = line[2].decode(errors="replace")
    if named != zip_name:
        msg = f"{zip_name}.CHECKSUM speaks of another file: {named!r}"
        raise ArchiveRejected(msg)
    return line[1].decode().lower()


def verify(zipped: bytes, *, stated: str, zip_name: str) -> None:
    """Compare a zip with its stated hash.

    Raises:
        ArchiveRejected: They differ; the message names the file and both hashes.
    """
    found = hashlib.sha256(zipped).hexdigest()
    if found != stated:
        msg = f"{zip_name}: its CHECKSUM file states sha256 {stated}, the {len(zipped)} bytes received have {found}"
        raise ArchiveRejected(msg)


def csv_of(zipped: bytes, *, stem: str) -> bytes:
    """The one CSV inside a zip.

    Raises:
        ArchiveRejected: No readable zip (truncated, damaged, encrypted), other members than `<stem>.csv`, or larger
            than `MAX_CSV_BYTES` unpacked.
    """
    expected = f"{stem}.csv"
    try:
        with zipfile.ZipFile(BytesIO(zipped)) as file:
            members = file.infolist()
            if [member.filename for member in members] != [expected]:
                names = ", ".join(repr(member.filename) for member in members[:5]) or "nothing"
                msg = f"{stem}.zip should hold {expected} alone, it holds {names}"
                raise ArchiveRejected(msg)
            if members[0].file_size > MAX_CSV_BYTES:
                msg = f"{stem}.zip would unpack to {members[0].file_size} bytes, above the limit of {MAX_CSV_BYTES}"
                raise ArchiveRejected(msg)
            # Never yields more than the stated size, and checks the CRC on the way.
            return file.read(members[0])
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        msg = f"{stem}.zip cannot be unpacked ({error}); {len(zipped)} bytes beginning {quoted(zipped[:8])}"
        raise ArchiveRejected(msg) from error
