"""The shop's fixtures, and what operations share."""

from __future__ import annotations

from tests.shop.conftest import (
    _quiet_logs,
    clock,
    database_url,
    databases,
    events,
    meter,
    new_number,
    postgresql_databases,
    shop,
    sqlite_files,
)

__all__ = [
    "_quiet_logs",
    "clock",
    "database_url",
    "databases",
    "events",
    "meter",
    "new_number",
    "postgresql_databases",
    "shop",
    "sqlite_files",
]
