"""Whose supply a disconnect would cut: the point itself, and everything that is fed through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from headend.registry.places import places_below
from headend.registry.tables import end_devices, installations, places, service_points


@dataclass(frozen=True, slots=True)
class Reach:
    """What hangs on one device."""

    point_id: int | None
    """Where it is installed; None: nowhere."""
    role: str | None
    """Of its point: customer, supply, check."""
    above: frozenset[int]
    """Places that hold its point: area, feeder, substation."""
    points: frozenset[int]
    """Its point and those that are fed through it."""
    below: frozenset[int]
    """Places that are fed through it."""


def reach_of(connection: Connection, device_id: int) -> Reach:
    """What hangs on a device now."""
    point = connection.execute(
        select(service_points.c.point_id, service_points.c.role, service_points.c.place_id)
        .join(installations, installations.c.point_id == service_points.c.point_id)
        .where(installations.c.device_id == device_id, installations.c.until.is_(None))
    ).first()
    if point is None:
        return Reach(None, None, frozenset(), frozenset(), frozenset())
    return _reach(connection, point)


def reach_of_point(connection: Connection, point_id: int) -> Reach:
    """What hangs on a service point now, whether it has a meter or not."""
    columns = (service_points.c.point_id, service_points.c.role, service_points.c.place_id)
    point = connection.execute(select(*columns).where(service_points.c.point_id == point_id)).one()
    return _reach(connection, point)


def _reach(connection: Connection, point: Any) -> Reach:
    below: frozenset[int] = frozenset()
    if point.role == "supply":
        below = frozenset(places_below(connection, point.place_id))
    return Reach(
        point.point_id,
        point.role,
        _above(connection, point.place_id),
        _fed_through(connection, point.point_id, below),
        below,
    )


def devices_within(connection: Connection, place_id: int) -> list[int]:
    """Customers' active meters at points of a place and of the places below it, by number."""
    rows = connection.execute(
        select(end_devices.c.device_id)
        .join(installations, installations.c.device_id == end_devices.c.device_id)
        .join(service_points, service_points.c.point_id == installations.c.point_id)
        .where(
            installations.c.until.is_(None),
            end_devices.c.state == "active",
            service_points.c.role == "customer",
            service_points.c.place_id.in_(places_below(connection, place_id)),
        )
        .order_by(end_devices.c.number)
    )
    return list(rows.scalars())


def _above(connection: Connection, place_id: int | None) -> frozenset[int]:
    found: set[int] = set()
    while place_id is not None and place_id not in found:
        found.add(place_id)
        place_id = connection.scalar(
            select(places.c.parent_id).where(places.c.place_id == place_id)
        )
    return frozenset(found)


def _fed_through(
    connection: Connection, point_id: int, fed_places: frozenset[int]
) -> frozenset[int]:
    fed = {point_id}
    if fed_places:
        fed.update(
            connection.scalars(
                select(service_points.c.point_id).where(service_points.c.place_id.in_(fed_places))
            )
        )
    tree = (
        select(service_points.c.point_id)
        .where(service_points.c.point_id.in_(fed))
        .cte("fed", recursive=True)
    )
    tree = tree.union(
        select(service_points.c.point_id).join(tree, service_points.c.parent_id == tree.c.point_id)
    )
    return frozenset(connection.scalars(select(tree.c.point_id)))
