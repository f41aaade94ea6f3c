"""Every test of the office runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

import billing.tables_all
from billing.ledger.books import open_books
from billing.office import Office
from billing.privacy.seal import Seal
from headend.station import Station
from storage.engine import open_engine
from tests.shop.conftest import (
    Clock,
    clock,
    database_url,
    databases,
    postgresql_databases,
    sqlite_files,
)
from vending import Currency

__all__ = ["clock", "database_url", "databases", "postgresql_databases", "sqlite_files"]
assert billing.tables_all.__doc__

PERSONAL_KEY = bytes(range(32))
"""Public test data."""
ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def office(database_url: str, clock: Clock) -> Iterator[Office]:
    """An office with a head-end on a new database; its clock is the test's."""
    engine = open_engine(database_url)
    office = Office(
        engine=engine,
        zone=ZONE,
        currency=Currency.named("CNY"),
        clock=clock,
        seal=Seal(PERSONAL_KEY),
        name="City Power",
        station=Station(engine, ZONE, clock),
    )
    with office.writing() as connection:
        open_books(connection, office.currency.code)
    yield office
    engine.dispose()
