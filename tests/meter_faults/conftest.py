"""The shop's fixtures, for reports of meters' faults."""

from __future__ import annotations

from tests.shop.conftest import (  # noqa: F401
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
