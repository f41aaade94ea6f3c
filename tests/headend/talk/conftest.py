"""Talking to meters asks the database only which meter it is: SQLite has to do."""

from __future__ import annotations

import pytest

from tests.shop.databases import SqliteFiles


@pytest.fixture
def databases(sqlite_files: SqliteFiles) -> SqliteFiles:
    return sqlite_files
