"""The shop's databases, clock and meters."""

from tests.shop.conftest import (
    _quiet_logs,
    clock,
    database_url,
    databases,
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
    "meter",
    "new_number",
    "postgresql_databases",
    "shop",
    "sqlite_files",
]
