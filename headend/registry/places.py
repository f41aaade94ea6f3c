"""Places of the network and service points in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, func, insert, select, update

from headend.faults import AlreadyRegisteredError, EntryError, NotRegisteredError
from headend.registry.checks import require_name
from headend.registry.entries import Place, PlaceKind, PointRole
from headend.registry.tables import places, service_points

_ABOVE: Final = {
    PlaceKind.FEEDER: (PlaceKind.SUBSTATION,),
    PlaceKind.AREA: (PlaceKind.FEEDER, PlaceKind.SUBSTATION),
}


def insert_place(connection: Connection, kind: PlaceKind, name: str, parent: str | None) -> int:
    """Register a part of the network; gives its id.

    Raises:
        EntryError: a substation below something, anything else below nothing or below its own
            level.
        AlreadyRegisteredError: the name is taken.
        NotRegisteredError: no such parent.
    """
    name = require_name("A place's name", name)
    if connection.scalar(select(places.c.place_id).where(places.c.name == name)):
        raise AlreadyRegisteredError(f"There is a place {name} already.")
    parent_id = None
    if kind is PlaceKind.SUBSTATION:
        if parent is not None:
            raise EntryError("A substation is below nothing.")
    else:
        above = place_row(connection, parent) if parent is not None else None
        if above is None or PlaceKind(above.kind) not in _ABOVE[kind]:
            allowed = " or ".join(level.value for level in _ABOVE[kind])
            raise EntryError(f"The {kind.value} {name} must be below a {allowed}.")
        parent_id = above.place_id
    row = connection.execute(
        insert(places)
        .values(kind=kind.value, name=name, parent_id=parent_id)
        .returning(places.c.place_id)
    )
    return int(row.scalar_one())


def place_row(connection: Connection, name: str) -> Any:
    """A place's row.

    Raises:
        NotRegisteredError: no such place.
    """
    row = connection.execute(select(places).where(places.c.name == name)).first()
    if row is None:
        raise NotRegisteredError(f"There is no place {name}; `meterhouse place list` shows them.")
    return row


def places_below(connection: Connection, place_id: int) -> list[int]:
    """A place and everything below it."""
    tree = select(places.c.place_id).where(places.c.place_id == place_id).cte(recursive=True)
    tree = tree.union_all(select(places.c.place_id).where(places.c.parent_id == tree.c.place_id))
    return [int(found) for found in connection.scalars(select(tree.c.place_id))]


def list_places(connection: Connection) -> list[Place]:
    """All places, by name, each with the number of its own service points."""
    above = places.alias("above")
    points = (
        select(func.count()).where(service_points.c.place_id == places.c.place_id).scalar_subquery()
    )
    query = (
        select(places, above.c.name.label("parent"), points.label("points"))
        .outerjoin(above, above.c.place_id == places.c.parent_id)
        .order_by(places.c.name)
    )
    return [
        Place(row.place_id, PlaceKind(row.kind), row.name, row.parent, row.points)
        for row in connection.execute(query)
    ]


def ensure_point(
    connection: Connection,
    name: str,
    now: datetime,
    *,
    place: str | None = None,
    parent: str | None = None,
    role: PointRole = PointRole.CUSTOMER,
) -> int:
    """The id of a service point; it is made when it is new.

    Raises:
        EntryError: it is there with another role, place or parent; a supply without a place.
        NotRegisteredError: no such place or parent point.
    """
    name = require_name("A service point's name", name)
    if role is PointRole.SUPPLY and place is None:
        raise EntryError(f"Point {name} supplies a place: say which.")
    place_id = None if place is None else place_row(connection, place).place_id
    parent_id = None if parent is None else point_row(connection, parent).point_id
    known = connection.execute(select(service_points).where(service_points.c.name == name)).first()
    if known is not None:
        if (known.role, known.place_id, known.parent_id) != (role.value, place_id, parent_id):
            raise EntryError(
                f"Service point {name} is registered with another role, place or parent; change "
                "it with `meterhouse place move`."
            )
        return int(known.point_id)
    row = connection.execute(
        insert(service_points)
        .values(name=name, role=role.value, place_id=place_id, parent_id=parent_id, added_at=now)
        .returning(service_points.c.point_id)
    )
    return int(row.scalar_one())


def point_row(connection: Connection, name: str) -> Any:
    """A service point's row.

    Raises:
        NotRegisteredError: no such point.
    """
    row = connection.execute(select(service_points).where(service_points.c.name == name)).first()
    if row is None:
        raise NotRegisteredError(f"There is no service point {name}.")
    return row


def move_point(connection: Connection, name: str, *, place: str | None, parent: str | None) -> None:
    """Put a service point elsewhere in the network.

    Raises:
        NotRegisteredError: no such point, place or parent.
        EntryError: it would be its own parent, by however many steps; a supply without a place.
    """
    point = point_row(connection, name)
    if point.role == PointRole.SUPPLY and place is None:
        raise EntryError(f"Point {name} supplies a place: say which.")
    parent_id = None if parent is None else int(point_row(connection, parent).point_id)
    above = parent_id
    while above is not None:
        if above == point.point_id:
            raise EntryError(f"Point {name} would be its own parent.")
        above = connection.scalar(
            select(service_points.c.parent_id).where(service_points.c.point_id == above)
        )
    connection.execute(
        update(service_points)
        .where(service_points.c.point_id == point.point_id)
        .values(
            place_id=None if place is None else place_row(connection, place).place_id,
            parent_id=parent_id,
        )
    )
