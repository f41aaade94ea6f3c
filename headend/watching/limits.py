"""Thresholds as data: defaults in ``limits.toml``, the utility's own in `watch_limits`.

A customer group (`point_groups`) may have its own value of a limit; where it has none, the
utility's holds, and where that is none, the file's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from headend.faults import EntryError
from headend.person import Right
from headend.station import Station
from headend.watching.faults import NoSuchLimitError
from headend.watching.tables import point_groups, watch_limits
from storage.audit import record

EVERYBODY: Final = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """One threshold as the file has it."""

    name: str
    value: int
    words: str


@cache
def defaults() -> Mapping[str, Limit]:
    """All limits, by name."""
    text = (resources.files(__package__) / "limits.toml").read_text("utf-8")
    return {
        name: Limit(name, entry["value"], entry["words"])
        for name, entry in tomllib.loads(text).items()
    }


class Limits:
    """The thresholds in force; a value, read once for a sweep."""

    def __init__(self, own: Mapping[tuple[str, str], int] | None = None) -> None:
        self._own: Final = dict(own or {})

    def __getitem__(self, name: str) -> int:
        return self.of(name)

    def of(self, name: str, customer_group: str = EVERYBODY) -> int:
        """The value of a limit for a customer group.

        Raises:
            NoSuchLimitError: no limit has this name.
        """
        for group in (customer_group, EVERYBODY):
            if (name, group) in self._own:
                return self._own[name, group]
        return limit(name).value

    def group(self, customer_group: str) -> Limits:
        """The thresholds of one customer group, as everybody's."""
        if not customer_group:
            return self
        return Limits({(name, EVERYBODY): self.of(name, customer_group) for name in defaults()})


def limit(name: str) -> Limit:
    """A limit by its name.

    Raises:
        NoSuchLimitError: there is none.
    """
    found = defaults().get(name)
    if found is None:
        raise NoSuchLimitError(
            f"There is no limit '{name}'. `meterhouse finding limits` shows all of them."
        )
    return found


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
