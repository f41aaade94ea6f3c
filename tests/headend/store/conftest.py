"""One database of each kind for a module: its tests use meters of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from zoneinfo import ZoneInfo

import pytest

from headend.station import Station
from storage.engine import open_engine
from tests.headend.registered import add_device
from tests.shop.databases import START as NOW
from tests.shop.databases import Databases

_numbers = count(500_000)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_databases(request: pytest.FixtureRequest) -> Databases:
    name = "sqlite_files" if request.param == "sqlite" else "postgresql_databases"
    found: Databases = request.getfixturevalue(name)
    return found


@pytest.fixture(scope="module")
def shared_url(shared_databases: Databases) -> Iterator[str]:
    url = shared_databases.shop()
    yield url
    shared_databases.discard(url)


@pytest.fixture(scope="module")
def station(shared_url: str) -> Iterator[Station]:
    engine = open_engine(shared_url)
    yield Station(engine, ZoneInfo("Africa/Johannesburg"), lambda: NOW)
    engine.dispose()


@pytest.fixture(scope="module")
def new_device(station: Station) -> Callable[[], int]:
    """Meters, each another."""
    return lambda: add_device(station, str(next(_numbers)), None)


@pytest.fixture
def device_id(new_device: Callable[[], int]) -> int:
    return new_device()
