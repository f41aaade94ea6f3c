"""Reading the archive: what is not there any more in the database."""
# ruff: noqa: ARG001

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection


def archived_readings(
    connection: Connection, device_id: int, quantity_id: int, since: datetime, until: datetime
) -> list[Any]:
    """Nothing is archived yet."""
    return []


def archived_intervals(
    connection: Connection, device_id: int, quantity_id: int, since: datetime, until: datetime
) -> list[Any]:
    """Nothing is archived yet."""
    return []


def archived_events(
    connection: Connection, device_id: int, since: datetime, until: datetime
) -> list[Any]:
    """Nothing is archived yet."""
    return []
