"""Rows of the registry, many at once: that registering them is sound is for its own tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from headend.registry.tables import end_devices, installations, links, service_points

_ROWS: Final = 5_000


@dataclass(frozen=True, slots=True)
class MeterRow:
    """One meter."""

    number: str
    protocol: str
    address: str
    """12 digits; Modbus: the unit."""
    profile: str | None = None


@dataclass(frozen=True, slots=True)
class LinkRow:
    """One link, and the meters behind it."""

    name: str
    url: str | None
    """None: a modem, which calls by the link's name."""
    meters: tuple[MeterRow, ...]


def register(connection: Connection, street: Sequence[LinkRow], now: datetime) -> dict[str, int]:
    """Put links and meters into the registry; gives the device ids by number."""
    active = {"state": "active", "added_at": now}
    _insert(connection, links, [_link(link) | active for link in street])
    of_name = dict(connection.execute(select(links.c.name, links.c.link_id)).all())
    meters = [
        _device(meter, of_name[link.name]) | active for link in street for meter in link.meters
    ]
    _insert(connection, end_devices, meters)
    points = [{"name": each["number"], "role": "customer", "added_at": now} for each in meters]
    _insert(connection, service_points, points)
    ids = dict(connection.execute(select(end_devices.c.number, end_devices.c.device_id)).all())
    of_point = dict(
        connection.execute(select(service_points.c.name, service_points.c.point_id)).all()
    )
    _insert(
        connection,
        installations,
        [
            {
                "point_id": of_point[each["number"]],
                "device_id": ids[each["number"]],
                "since": now,
                "reason": "installed",
                "made_by": "benchmarks",
            }
            for each in meters
        ],
    )
    return ids


def _insert(connection: Connection, into: Any, rows: Sequence[dict[str, Any]]) -> None:
    for first in range(0, len(rows), _ROWS):
        connection.execute(insert(into), rows[first : first + _ROWS])


def _link(link: LinkRow) -> dict[str, Any]:
    if link.url is None:
        return {"name": link.name, "kind": "modem", "url": None, "caller": link.name}
    return {"name": link.name, "kind": "tcp", "url": link.url, "caller": None}


def _device(meter: MeterRow, link_id: int) -> dict[str, Any]:
    return {
        "number": meter.number,
        "protocol": meter.protocol,
        "address": meter.address,
        "profile": meter.profile,
        "link_id": link_id,
        "kind": "keypad",
        "ratio": 1,
    }
