"""Which active meters a plan names, as a query: device and link."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, or_, select

from headend.collection.calendar import ROLLING_DAYS, days_meant, month_number
from headend.collection.faults import PlanError
from headend.collection.plan import READING, ROLLING, Plan, Whom
from headend.collection.tables import device_lists, reading_days
from headend.registry.tables import end_devices, installations, links, places, service_points


def meters_of(connection: Connection, plan: Plan, day: date) -> Select[Any]:
    """The meters that a plan reads on a day of the utility's calendar: (device_id, link_id)."""
    wanted = select(end_devices.c.device_id, end_devices.c.link_id).where(
        end_devices.c.state == "active"
    )
    named = _named(connection, plan.whom)
    if named is not None:
        wanted = wanted.where(named)
    if plan.when.days == ROLLING:
        wanted = wanted.where(end_devices.c.device_id % ROLLING_DAYS == day.day - 1)
    elif plan.when.days == READING:
        wanted = wanted.where(end_devices.c.device_id.in_(_of_reading_day(day)))
    return wanted


def require_named(connection: Connection, whom: Whom) -> None:
    """Refuse names that nobody has registered.

    Raises:
        PlanError: names the first.
    """
    _require(connection, "place", places.c.name, whom.places)
    _require(connection, "link", links.c.name, whom.links)
    _require(connection, "list of meters", device_lists.c.name, whom.lists)
    _require(connection, "meter", end_devices.c.number, whom.devices)


def _named(connection: Connection, whom: Whom) -> ColumnElement[bool] | None:
    conditions: list[ColumnElement[bool]] = []
    device_id = end_devices.c.device_id
    if whom.places:
        below = _with_all_below(connection, whom.places)
        conditions.append(
            device_id.in_(
                select(installations.c.device_id)
                .join(service_points, service_points.c.point_id == installations.c.point_id)
                .where(installations.c.until.is_(None), service_points.c.place_id.in_(below))
            )
        )
    if whom.links:
        of_links = select(links.c.link_id).where(links.c.name.in_(whom.links))
        conditions.append(end_devices.c.link_id.in_(of_links))
    if whom.lists:
        of_lists = select(device_lists.c.device_id).where(device_lists.c.name.in_(whom.lists))
        conditions.append(device_id.in_(of_lists))
    if whom.devices:
        conditions.append(end_devices.c.number.in_(whom.devices))
    return or_(*conditions) if conditions else None


def _with_all_below(connection: Connection, names: Iterable[str]) -> list[int]:
    """The ids of places with what lies below them."""
    below: dict[int | None, list[int]] = {}
    chosen: list[int] = []
    wanted = set(names)
    for row in connection.execute(select(places.c.place_id, places.c.parent_id, places.c.name)):
        below.setdefault(row.parent_id, []).append(row.place_id)
        if row.name in wanted:
            chosen.append(row.place_id)
    found: dict[int, None] = {}
    while chosen:
        place_id = chosen.pop()
        if place_id not in found:
            found[place_id] = None
            chosen += below.get(place_id, [])
    return list(found)


def _of_reading_day(day: date) -> Select[Any]:
    """The devices that stand at points whose reading day is this date."""
    in_force = (
        select(reading_days.c.day)
        .where(
            reading_days.c.point_id == installations.c.point_id,
            reading_days.c.state == "agreed",
            reading_days.c.from_month <= month_number(day),
        )
        .order_by(reading_days.c.from_month.desc(), reading_days.c.move_id.desc())
        .limit(1)
        .scalar_subquery()
    )
    return select(installations.c.device_id).where(
        installations.c.until.is_(None), in_force.in_(days_meant(day))
    )


def _require(connection: Connection, what: str, column: Any, names: tuple[str, ...]) -> None:
    if not names:
        return
    known = set(connection.execute(select(column).where(column.in_(names))).scalars())
    for name in names:
        if name not in known:
            raise PlanError(f"There is no {what} {name!r}.")
