"""Dagster's storage in PostgreSQL, over connections that are kept, and what a run plans in one insert.

dagster-postgres opens a connection for each question and each event, unless its webserver asks it to keep one. A run
over a year stores a thousand events: with kept connections it took 71 s and not 89; a quiet look of the automation
sensor asks three hundred questions: 1.0 s and not 5.7. `dagster.yaml` names this class, so every process that opens the
instance keeps its connections: one for events, runs and schedules each, closed with the process. One that the server
has closed is opened anew, with dagster-postgres's own patience, when it is taken up again.

A run begins by storing that it plans every month of every asset, and dagster-postgres stores them one by one in three
transactions each: 4.0 s for a year, 0.7 s when they are stored together.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from dagster import DagsterEventType
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import pg_url_from_config
from sqlalchemy import event as connections
from sqlalchemy.exc import DisconnectionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dagster import EventLogEntry
    from dagster._serdes import ConfigurableClassData
    from sqlalchemy import Engine
    from sqlalchemy.engine.interfaces import DBAPIConnection

_STATEMENT_MS: Final = 60_000
_RECYCLE_SECONDS: Final = 3_600
_MORE_CONNECTIONS: Final = 20
"""How many may be open at one time beside the one that is kept; the daemon's threads ask side by side."""


_PLANNED: Final = {
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED,
}


class PlansAtOnce(PostgresEventLogStorage):
    """`PostgresEventLogStorage` that stores what a run plans together."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store some events of a run."""
        if not events or not {event.dagster_event_type for event in events} <= _PLANNED:
            super().store_event_batch(events)
            return
        insert = self.prepare_insert_event_batch(events).returning(SqlEventLogStorageTable.c.id)
        with self._connect() as conn:
            numbers: list[int] = list(conn.execute(insert).scalars())
        latest = {}
        for number, event in zip(numbers, events, strict=True):
            if event.dagster_event_type is DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED:
                self.store_asset_check_event(event, number)
            else:
                latest[event.get_dagster_event().asset_key] = (event, number)
        # The row of an asset names its latest event alone, and a planned one has no tags.
        with self.index_transaction() as conn:
            for event, number in latest.values():
                self._store_asset_event(conn, event, number)


class KeptConnections(DagsterPostgresStorage):
    """`DagsterPostgresStorage` as its webserver uses it.

    Args:
        postgres_url: Where Dagster's tables are.
        inst_data: How Dagster came by it; None = it was made by hand.
    """

    def __init__(self, postgres_url: str, *, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(postgres_url, inst_data=inst_data)
        self._event_log_storage = PlansAtOnce(postgres_url)
        for storage in (self.event_log_storage, self.run_storage, self.schedule_storage):
            storage.optimize_for_webserver(
                statement_timeout=_STATEMENT_MS, pool_recycle=_RECYCLE_SECONDS, max_overflow=_MORE_CONNECTIONS
            )
            # The engine is nowhere public, and dagster-postgres has no setting for SQLAlchemy's `pool_pre_ping`.
            engine: Engine = vars(storage)["_engine"]
            connections.listen(engine, "checkout", partial(_require_alive, engine))

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """The storage that `dagster.yaml` describes."""
        return cls(pg_url_from_config(config_value), inst_data=inst_data)


def _require_alive(engine: Engine, connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    """Make sure that the server still listens at a kept connection; the pool opens another where it does not."""
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error
