"""Every test of the shop runs on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
import structlog

from tests.shop.databases import START, Databases, PostgresqlDatabases, SqliteFiles, postgresql
from vending import Meter, NewMeter, Shop
from vending.sts import make_drn

RND = 5


class Clock:
    """A clock that the test owns."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: int) -> None:
        """Let time pass (or go back)."""
        self.now += timedelta(**span)


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    return SqliteFiles(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgresql_databases() -> Iterator[PostgresqlDatabases]:
    with postgresql() as databases:
        yield databases


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Databases:
    name = "sqlite_files" if request.param == "sqlite" else "postgresql_databases"
    found: Databases = request.getfixturevalue(name)
    return found


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A new shop's database."""
    url = databases.shop()
    yield url
    databases.discard(url)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shop(database_url: str, clock: Clock) -> Iterator[Shop]:
    with Shop.open(database_url, now=clock, rnd=lambda: RND) as shop:
        yield shop


@pytest.fixture
def new_number() -> Callable[[], str]:
    """Meter numbers, each another."""
    serials = iter(range(1, 10**8))
    return lambda: make_drn("07", f"{next(serials):08d}")


@pytest.fixture
def meter(shop: Shop, new_number: Callable[[], str]) -> Meter:
    """A registered meter with the defaults: EA 11, base date 2014."""
    return shop.add_meter(
        NewMeter(new_number(), customer="Anna Example", location="Block 4, House 12")
    )


@pytest.fixture
def events() -> Iterator[list[structlog.types.EventDict]]:
    """What was logged."""
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    structlog.reset_defaults()  # a command that ran in this process set its own
    with structlog.testing.capture_logs():
        yield
