"""Every test of the head-end runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

import headend.tables_all
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

__all__ = ["clock", "database_url", "databases", "postgresql_databases", "sqlite_files"]
assert headend.tables_all.__doc__


@pytest.fixture
def station(database_url: str, clock: Clock) -> Iterator[Station]:
    """A head-end on a new database; its clock is the test's."""
    engine = open_engine(database_url)
    yield Station(engine, ZoneInfo("Asia/Shanghai"), clock)
    engine.dispose()
