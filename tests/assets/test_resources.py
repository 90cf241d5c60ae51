import asyncio

import pytest

from assets.resources import Exchange, Postgres
from store.errors import DatabaseUnavailable
from store.roles import BATCH
from tests.assets.fakes import KEY, T0
from tests.databases import Database
from venues.binance.archive_files import ArchiveName


def exchange() -> Exchange:
    return Exchange(
        rest={"binance_spot": "http://rest.test", "binance_usdm": "http://usdm.test"},
        archive={"binance_spot": "http://archive.test", "binance_usdm": "http://archive.test"},
        weight_share={"binance_spot": 0.5, "binance_usdm": 0.5},
    )


def test_the_database_is_reached_as_the_batch_role_under_a_name_a_person_can_find(database: Database) -> None:
    with Postgres(url=database.dsn(BATCH)).connect() as conn:
        row = conn.execute("SELECT current_user, current_setting('application_name')").fetchone()
    assert row == (BATCH, "tidemark batch")


def test_a_database_that_is_not_there_is_worth_another_try() -> None:
    with pytest.raises(DatabaseUnavailable, match=r"tidemark_batch@127.0.0.1:1/none"):
        Postgres(url="postgresql://tidemark_batch@127.0.0.1:1/none").connect()


def test_every_venue_of_the_settings_can_be_asked_and_no_other() -> None:
    async def look() -> tuple[str, str]:
        async with exchange().open() as data:
            with pytest.raises(KeyError):
                data.rest("other")
            address = data.archive("binance_spot").url(ArchiveName.of_month(KEY, T0.date()))
            return data.rest("binance_usdm").venue, address

    assert asyncio.run(look()) == (
        "binance_usdm",
        "http://archive.test/data/spot/monthly/klines/BTCUSDT/1h/BTCUSDT-1h-2022-01.zip",
    )


def test_every_step_of_a_process_shares_the_weight_budgets() -> None:
    async def budget() -> object:
        async with exchange().open() as data:
            return data.rest("binance_spot")._transport.budget

    assert asyncio.run(budget()) is asyncio.run(budget())
