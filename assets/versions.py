"""What the candles and holes of a run's months are, as Dagster's data versions: equal versions mean equal data.

Whatever follows candles is started by a change of their version, so a run that found every month complete starts
nothing. A version is made of digests and chains alone, no candle is read. It speaks of all enabled series, also where
a run loaded some of them. Dagster takes one version of each run, for all its months: it speaks of everything up to the
end of the last of them, so that this one has the same version wherever the run began.

    versions = Versions()
    versions.add(conn, task)
    dg.MaterializeResult(asset_key="candles", data_version=versions.of_candles)
"""

import hashlib

import dagster as dg
import psycopg

from assets.partitions import Task
from contracts.timeframe import EPOCH
from store import gaps, ledger
from store.catalog import list_series


class Versions:
    """The versions of one run, made while its instruments are worked on."""

    def __init__(self) -> None:
        self._candles = hashlib.sha256()
        self._gaps = hashlib.sha256()

    def add(self, conn: psycopg.Connection, task: Task) -> None:
        """Count what is stored of one instrument up to the end of its last month in."""
        for setting in list_series(conn, task.instrument, enabled_only=True):
            key = setting.key
            for entry in ledger.digests(conn, key):
                if entry.month < task.end.date():
                    self._candles.update(f"{key}|{entry.month}|{entry.sha256}|{entry.chain}\n".encode())
            for hole in gaps.holes(conn, key, EPOCH, task.end):
                self._gaps.update(f"{key}|{hole.start}|{hole.end}|{hole.cause}\n".encode())

    @property
    def of_candles(self) -> dg.DataVersion:
        """Of the candles."""
        return dg.DataVersion(self._candles.hexdigest())

    @property
    def of_gaps(self) -> dg.DataVersion:
        """Of the hole ledger."""
        return dg.DataVersion(self._gaps.hexdigest())
