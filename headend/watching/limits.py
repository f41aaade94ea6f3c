"""The utility's own thresholds in the database (`watch_limits`, `point_groups`).

The defaults, and how they give way to the utility's own, are in `thresholds`.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from headend.faults import EntryError
from headend.person import Right
from headend.station import Station
from headend.watching.tables import point_groups, watch_limits
from headend.watching.thresholds import EVERYBODY, Limits, limit
from storage.audit import record


def limits_in_force(connection: Connection) -> Limits:
    """The thresholds as they are now."""
    rows = connection.execute(
        select(watch_limits.c.name, watch_limits.c.customer_group, watch_limits.c.value)
    )
    return Limits({(row.name, row.customer_group): row.value for row in rows})


def set_limit(station: Station, name: str, value: int, *, customer_group: str = EVERYBODY) -> None:
    """Give a limit a value of the utility's own.

    Raises:
        NoSuchLimitError: no limit has this name.
        EntryError: the value cannot be one.
        NotAllowedError: the person may not.
    """
    station.require(Right.ALARMS)
    limit(name)
    if not name.endswith("_low_bp") and value < 0:
        raise EntryError(f"The limit '{name}' cannot be below zero: {limit(name).words}.")
    row = {
        "name": name,
        "customer_group": customer_group,
        "value": value,
        "set_at": station.now(),
        "set_by": station.person.name,
    }
    with station.writing() as connection:
        _take_away(connection, name, customer_group)
        connection.execute(insert(watch_limits), row)
        _note(connection, station, name, customer_group, str(value))


def reset_limit(station: Station, name: str, *, customer_group: str = EVERYBODY) -> None:
    """Let the default hold again.

    Raises:
        NoSuchLimitError: no limit has this name.
        NotAllowedError: the person may not.
    """
    station.require(Right.ALARMS)
    limit(name)
    with station.writing() as connection:
        _take_away(connection, name, customer_group)
        _note(connection, station, name, customer_group, "default")


def set_group(connection: Connection, point_id: int, customer_group: str) -> None:
    """Put a service point into a customer group; an empty one takes it out."""
    connection.execute(delete(point_groups).where(point_groups.c.point_id == point_id))
    if customer_group:
        connection.execute(
            insert(point_groups), {"point_id": point_id, "customer_group": customer_group}
        )


def _take_away(connection: Connection, name: str, customer_group: str) -> None:
    connection.execute(
        delete(watch_limits).where(
            watch_limits.c.name == name, watch_limits.c.customer_group == customer_group
        )
    )


def _note(
    connection: Connection, station: Station, name: str, customer_group: str, value: str
) -> None:
    record(
        connection,
        station.now(),
        actor=station.person.name,
        action="limit.set",
        subject=name,
        detail=f"{value} {customer_group}".strip(),
    )
