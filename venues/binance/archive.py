"""The public archive: kline files by month and day and funding by month, verified before a row of them is read.

Invariant: rows leave this module only from a zip whose sha256 is the one its CHECKSUM file states. A zip that
contradicts its CHECKSUM is fetched once more, both files, past any cache; a second contradiction rejects the file by
name and both hashes. A file that is not published is None, no error: the month goes on with daily files and REST.
A zip without CHECKSUM is rejected (it cannot be verified), a CHECKSUM without zip counts as not published yet.

    file = await reader.month(SeriesKey.parse("binance_spot:BTCUSDT:1m"), date(2022, 1, 1))
    if file is not None: store(file.parsed.candles, file.parsed.quarantined, file.sha256)
    if not await reader.unchanged(known): ...      # republished since: read it again
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date

from contracts import InstrumentKey, SeriesKey
from venues.binance.archive_files import MAX_ZIP_BYTES, ArchiveName, FundingName, csv_of, stated_sha256, verify
from venues.binance.errors import Answer, ArchiveRejected, failure_of
from venues.binance.funding import ParsedFunding
from venues.binance.funding_wire import parse_funding_csv
from venues.binance.transport import Method, Request, Transport
from venues.binance.validation import ParsedCandles
from venues.binance.wire import parse_csv

_PAST_CACHES = {"Cache-Control": "no-cache"}
_FETCHES = 2

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What `archive_files` keeps of a file that was read before.

    Attributes:
        url: Address of the zip.
        etag: The ETag it was served with; None where the server gave none.
        sha256: Hash of the zip, 64 hex characters.
    """

    url: str
    etag: str | None
    sha256: str


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """A file whose zip has the hash that its CHECKSUM file states.

    Attributes:
        url: Address of the zip.
        etag: The ETag it was served with; None where the server gave none.
        sha256: Hash of the zip, equal to the one its CHECKSUM file states.
    """

    url: str
    etag: str | None
    sha256: str

    @property
    def known(self) -> KnownFile:
        """What to keep of this file."""
        return KnownFile(self.url, self.etag, self.sha256)


@dataclass(frozen=True, slots=True)
class ArchiveFile(VerifiedFile):
    """A verified file of candles.

    Attributes:
        parsed: Candles, quarantined rows and dropped duplicates of the file.
    """

    parsed: ParsedCandles

    @property
    def rows(self) -> int:
        """Rows the file held, the refused and the doubled ones included."""
        return self.parsed.candles.height + self.parsed.quarantined.height + self.parsed.duplicates


@dataclass(frozen=True, slots=True)
class FundingFile(VerifiedFile):
    """A verified file of funding settlements.

    Attributes:
        parsed: Settlements, quarantined rows and dropped duplicates of the file.
    """

    parsed: ParsedFunding

    @property
    def rows(self) -> int:
        """Rows the file held, the refused and the doubled ones included."""
        return self.parsed.rows


class ArchiveReader:
    """Reads the archive of one host.

    Args:
        transport: Sends the requests.
        base_url: Base address of the archive, without a slash at the end.
    """

    def __init__(self, transport: Transport, base_url: str) -> None:
        self._transport = transport
        self._base_url = base_url.rstrip("/")

    async def month(self, key: SeriesKey, month: date) -> ArchiveFile | None:
        """The file of the calendar month that `month` lies in; None = not published.

        Raises:
            ArchiveRejected: Published, but contradicting its checksum or unreadable.
            Retryable: The archive could not be reached.
        """
        return await self._candles(ArchiveName.of_month(key, month))

    async def day(self, key: SeriesKey, day: date) -> ArchiveFile | None:
        """The file of one calendar day (UTC); None = not published. Raises like `month`."""
        return await self._candles(ArchiveName.of_day(key, day))

    async def funding_month(self, instrument: InstrumentKey, month: date) -> FundingFile | None:
        """The funding settlements of the calendar month that `month` lies in; None = not published.

        The file has no column for the type of a rate nor for the mark price: special rates and prices are REST's.

        Raises:
            RequestRefused: The instrument is of spot, which has no funding.
            ArchiveRejected: Published, but contradicting its checksum or unreadable.
            Retryable: The archive could not be reached.
        """
        name = FundingName.of_month(instrument, month)
        found = await self._file(name)
        if found is None:
            return None
        file, table = found
        parsed = parse_funding_csv(table, start=name.start, end=name.end, name=f"{name.stem}.csv")
        return FundingFile(file.url, file.etag, file.sha256, parsed)

    def url(self, name: ArchiveName | FundingName) -> str:
        """Address of a file, whether it is published or not."""
        return f"{self._base_url}/{name.path}"

    async def unchanged(self, known: KnownFile) -> bool:
        """Whether the archive still serves the file that was read: by its ETag, else by its stated hash.

        Costs one small request or two and reads no rows. A file that is gone is not unchanged.

        Raises:
            ArchiveRejected: Its CHECKSUM file is unreadable now.
            Retryable: The archive could not be reached.
        """
        if known.etag is not None:
            answer = await self._get(known.url, method="HEAD")
            if answer is None:
                return False
            etag = answer.headers.get("etag")
            if etag is not None:
                return etag == known.etag
        checksum = await self._get(f"{known.url}.CHECKSUM")
        return (
            checksum is not None and stated_sha256(checksum.body, zip_name=known.url.rsplit("/", 1)[-1]) == known.sha256
        )

    async def _candles(self, name: ArchiveName) -> ArchiveFile | None:
        found = await self._file(name)
        if found is None:
            return None
        file, table = found
        parsed = parse_csv(table, name.key.tf, start=name.start, end=name.end, name=f"{name.stem}.csv")
        return ArchiveFile(file.url, file.etag, file.sha256, parsed)

    async def _file(self, name: ArchiveName | FundingName) -> tuple[VerifiedFile, bytes] | None:
        # The verified file and the CSV in it.
        url = self.url(name)
        rejection: ArchiveRejected | None = None
        for fetches in range(_FETCHES):
            try:
                found = await self._verified(name, url, headers=_PAST_CACHES if fetches else {})
            except ArchiveRejected as error:
                rejection = error
                _log.warning("archive file contradicts its checksum", extra={"url": url, "reason": str(error)})
                continue
            if found is None:
                return None
            zipped, sha256 = found
            return VerifiedFile(url, zipped.headers.get("etag"), sha256), csv_of(zipped.body, stem=name.stem)
        msg = f"{name.key} {url} was fetched {_FETCHES} times: {rejection}; what is stored stays, try again later"
        raise ArchiveRejected(msg) from rejection

    async def _verified(
        self, name: ArchiveName | FundingName, url: str, *, headers: dict[str, str]
    ) -> tuple[Answer, str] | None:
        checksum = await self._get(f"{url}.CHECKSUM", headers=headers)
        if checksum is None:
            if await self._get(url, method="HEAD") is None:
                return None
            msg = f"{name.zip_name} is published without its CHECKSUM file and cannot be verified"
            raise ArchiveRejected(msg)
        stated = stated_sha256(checksum.body, zip_name=name.zip_name)
        zipped = await self._get(url, headers=headers)
        if zipped is None:
            _log.warning("archive states a checksum of a file it does not hold", extra={"url": url})
            return None
        verify(zipped.body, stated=stated, zip_name=name.zip_name)
        return zipped, stated

    async def _get(self, url: str, *, method: Method = "GET", headers: dict[str, str] | None = None) -> Answer | None:
        asked = f"archive file {url}"

        def read(answer: Answer) -> Answer | None:
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise failure_of(answer, asked=asked, now=self._transport.clock())
            return answer

        request = Request(method, url, asked=asked, headers=headers or {}, most_bytes=MAX_ZIP_BYTES)
        return await self._transport.send(request, read)
