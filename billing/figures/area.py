"""Which accounts belong to an area: those with a supply at it, or at a place below it."""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from billing.accounts.tables import customer_accounts, supplies
from billing.faults import BadEntryError
from headend.registry.tables import places, service_points


def place_named(connection: Connection, name: str) -> int:
    """The id of a substation, feeder or transformer area.

    Raises:
        BadEntryError: there is none of this name.
    """
    found = connection.scalar(select(places.c.place_id).where(places.c.name == name))
    if found is None:
        raise BadEntryError(f"There is no place {name}: 'meterhouse place list' shows them.")
    return int(found)


def places_below(connection: Connection, place_id: int) -> list[int]:
    """A place and all places below it."""
    rows = connection.execute(select(places.c.place_id, places.c.parent_id)).all()
    below: dict[int | None, list[int]] = {}
    for row in rows:
        below.setdefault(row.parent_id, []).append(row.place_id)
    found, left = [], [place_id]
    while left:
        place = left.pop()
        found.append(place)
        left += below.get(place, [])
    return found


def points_at(place_ids: list[int]) -> Select[tuple[int]]:
    """A query for the service points at some places."""
    return select(service_points.c.point_id).where(service_points.c.place_id.in_(place_ids))


def accounts_of(place_ids: list[int] | None, mode: str | None) -> Select[tuple[int]]:
    """A query for the accounts that are meant.

    An account with supplies in several areas is in each of them: its money cannot be divided.

    Args:
        place_ids: of these places; None: of all.
        mode: ``prepaid`` or ``postpaid``; None: both.
    """
    query = select(customer_accounts.c.account_id)
    if mode is not None:
        query = query.where(customer_accounts.c.mode == mode)
    if place_ids is not None:
        query = query.where(
            customer_accounts.c.account_id.in_(
                select(supplies.c.account_id).where(supplies.c.point_id.in_(points_at(place_ids)))
            )
        )
    return query
