"""Meters in the database: added, found, changed, replaced."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from headend.faults import AlreadyRegisteredError, EntryError, NotRegisteredError
from headend.registry.checks import device_address, require_fitting, require_name
from headend.registry.entries import (
    Device,
    DeviceKind,
    Installation,
    NewDevice,
    PointRole,
    Standing,
)
from headend.registry.lines import link_row
from headend.registry.places import ensure_point, point_row
from headend.registry.tables import end_devices, installations, links, places, service_points


def insert_device(
    connection: Connection, new: NewDevice, now: datetime, *, reason: str, by: str
) -> int:
    """Register a meter at its service point; gives its id.

    Raises:
        EntryError: see `checks`; or the point has a meter already.
        AlreadyRegisteredError: the number is taken, or the address on this line.
        NotRegisteredError: no such link, place or parent point.
    """
    device_id = _insert(connection, new, now)
    point_id = ensure_point(
        connection,
        new.point or new.number,
        now,
        place=new.place,
        parent=new.parent_point,
        role=new.role,
    )
    present = _present_at(connection, point_id)
    if present is not None:
        raise EntryError(
            f"Service point {new.point or new.number} has the meter {present.number}: use "
            f"`meterhouse device replace {present.number}`."
        )
    _install(connection, point_id, device_id, now, None, reason, by)
    return device_id


def replace_device(
    connection: Connection,
    number: str,
    new: NewDevice,
    now: datetime,
    *,
    last_wh: int | None,
    first_wh: int | None,
    reason: str,
    by: str,
) -> int:
    """Put another meter in the place of one; the old one's history stays; gives the new id.

    Args:
        connection: a write transaction.
        number: of the meter that goes.
        new: the meter that comes; where it gives no link it has the old one's, and its point
            and place are the old one's always.
        now: when.
        last_wh: the old one's import register, Wh; None: it could not be read.
        first_wh: the new one's.
        reason: why.
        by: who.

    Raises:
        NotRegisteredError: no such meter.
        EntryError: it hangs nowhere; or see `insert_device`.
        AlreadyRegisteredError: the new number or address is taken.
    """
    old = device_row(connection, number)
    present = connection.execute(
        select(installations).where(
            installations.c.device_id == old.device_id, installations.c.until.is_(None)
        )
    ).first()
    if present is None:
        raise EntryError(f"Meter {number} hangs nowhere: there is nothing to replace.")
    for name, value in (("last", last_wh), ("first", first_wh)):
        if value is not None and value < 0:
            raise EntryError(f"The {name} reading is 0 Wh or more.")
    connection.execute(
        update(installations)
        .where(installations.c.installation_id == present.installation_id)
        .values(until=now, last_wh=last_wh)
    )
    connection.execute(
        update(end_devices)
        .where(end_devices.c.device_id == old.device_id)
        .values(state=Standing.REMOVED.value)
    )
    if new.link is None and old.link_id is not None:
        same = connection.scalar(select(links.c.name).where(links.c.link_id == old.link_id))
        new = replace(new, link=same)
    device_id = _insert(connection, new, now)
    _install(connection, present.point_id, device_id, now, first_wh, reason, by)
    return device_id


def remove_device(connection: Connection, number: str, now: datetime, last_wh: int | None) -> None:
    """Take a meter away without another in its place.

    Raises:
        NotRegisteredError: no such meter.
        EntryError: it was removed already.
    """
    row = device_row(connection, number)
    if row.state == Standing.REMOVED:
        raise EntryError(f"Meter {number} was removed already.")
    connection.execute(
        update(installations)
        .where(installations.c.device_id == row.device_id, installations.c.until.is_(None))
        .values(until=now, last_wh=last_wh)
    )
    _set(connection, row.device_id, state=Standing.REMOVED.value)


def change_device(
    connection: Connection,
    number: str,
    *,
    link: str | None = None,
    address: str | None = None,
    credential: str | None = None,
    standing: Standing | None = None,
) -> None:
    """Reach a meter elsewhere, suspend or resume it; what is None stays.

    Raises:
        NotRegisteredError: no such meter or link.
        EntryError: it was removed, or the address is none.
        AlreadyRegisteredError: another meter has the address on this line.
    """
    row = device_row(connection, number)
    if row.state == Standing.REMOVED or standing is Standing.REMOVED:
        raise EntryError(f"Meter {number} was removed; register one that hangs there now.")
    wanted = NewDevice(
        number=row.number,
        protocol=row.protocol,
        address=row.address if address is None else address,
        profile=row.profile,
        ratio=row.ratio,
    )
    values: dict[str, Any] = {"address": device_address(wanted)}
    if link is not None:
        line = link_row(connection, link)
        require_fitting(number, row.protocol, line.url)
        values["link_id"] = line.link_id
    if credential is not None:
        values["credential"] = credential or None
    if standing is not None:
        values["state"] = standing.value
    _require_free(
        connection,
        values.get("link_id", row.link_id),
        row.protocol,
        values["address"],
        except_id=row.device_id,
    )
    _set(connection, row.device_id, **values)


def device_row(connection: Connection, number: str) -> Any:
    """A meter's row.

    Raises:
        NotRegisteredError: no such meter.
    """
    row = connection.execute(select(end_devices).where(end_devices.c.number == number)).first()
    if row is None:
        raise NotRegisteredError(
            f"The head-end knows no meter {number}; `meterhouse device list` shows what it knows."
        )
    return row


def point_of(connection: Connection, number: str) -> int | None:
    """The service point where a meter hangs now; None: nowhere.

    Raises:
        NotRegisteredError: no such meter.
    """
    device_id = device_row(connection, number).device_id
    found = connection.scalar(
        select(installations.c.point_id).where(
            installations.c.device_id == device_id, installations.c.until.is_(None)
        )
    )
    return None if found is None else int(found)


def find_device(connection: Connection, number: str) -> Device:
    """A meter where it is now.

    Raises:
        NotRegisteredError: no such meter.
    """
    row = connection.execute(_devices().where(end_devices.c.number == number)).first()
    if row is None:
        raise NotRegisteredError(
            f"The head-end knows no meter {number}; `meterhouse device list` shows what it knows."
        )
    return _device(row)


def list_devices(
    connection: Connection,
    *,
    link: str | None = None,
    place_ids: list[int] | None = None,
    after: str = "",
    limit: int = 1000,
) -> list[Device]:
    """Meters by number, those after ``after``, so many at most; removed ones too."""
    query = _devices().where(end_devices.c.number > after)
    if link is not None:
        query = query.where(links.c.name == link)
    if place_ids is not None:
        query = query.where(service_points.c.place_id.in_(place_ids))
    return [_device(row) for row in connection.execute(query.limit(limit))]


def history(connection: Connection, point: str) -> list[Installation]:
    """The meters of a service point, the first one first.

    Raises:
        NotRegisteredError: no such point.
    """
    point_id = point_row(connection, point).point_id
    query = (
        select(installations, end_devices.c.number)
        .join(end_devices)
        .where(installations.c.point_id == point_id)
        .order_by(installations.c.since, installations.c.installation_id)
    )
    return [
        Installation(
            point=point,
            number=row.number,
            since=row.since,
            until=row.until,
            first_wh=row.first_wh,
            last_wh=row.last_wh,
            reason=row.reason,
        )
        for row in connection.execute(query)
    ]


def _insert(connection: Connection, new: NewDevice, now: datetime) -> int:
    number = require_name("A meter's number", new.number)
    address = device_address(new)
    if connection.scalar(select(end_devices.c.device_id).where(end_devices.c.number == number)):
        raise AlreadyRegisteredError(f"Meter {number} is registered already.")
    link_id = None
    if new.link is not None:
        line = link_row(connection, new.link)
        require_fitting(number, new.protocol, line.url)
        link_id = line.link_id
        _require_free(connection, link_id, new.protocol, address)
    row = connection.execute(
        insert(end_devices)
        .values(
            number=number,
            protocol=new.protocol,
            address=address,
            profile=new.profile,
            link_id=link_id,
            kind=new.kind.value,
            credential=new.credential,
            ratio=new.ratio,
            state=Standing.ACTIVE.value,
            added_at=now,
        )
        .returning(end_devices.c.device_id)
    )
    return int(row.scalar_one())


def _require_free(
    connection: Connection,
    link_id: int | None,
    protocol: str,
    address: str,
    *,
    except_id: int | None = None,
) -> None:
    taken = connection.scalar(
        select(end_devices.c.number).where(
            end_devices.c.link_id == link_id,
            end_devices.c.protocol == protocol,
            end_devices.c.address == address,
            end_devices.c.state != Standing.REMOVED.value,
            end_devices.c.device_id != (except_id or 0),
        )
    )
    if taken is not None:
        raise AlreadyRegisteredError(f"Meter {taken} has the address {address} on this line.")


def _present_at(connection: Connection, point_id: int) -> Any:
    return connection.execute(
        select(end_devices.c.number)
        .join(installations)
        .where(installations.c.point_id == point_id, installations.c.until.is_(None))
    ).first()


def _install(
    connection: Connection,
    point_id: int,
    device_id: int,
    now: datetime,
    first_wh: int | None,
    reason: str,
    by: str,
) -> None:
    connection.execute(
        insert(installations).values(
            point_id=point_id,
            device_id=device_id,
            since=now,
            first_wh=first_wh,
            reason=reason,
            made_by=by,
        )
    )


def _set(connection: Connection, device_id: int, **values: Any) -> None:
    connection.execute(
        update(end_devices).where(end_devices.c.device_id == device_id).values(**values)
    )


def _devices() -> Select[Any]:
    present = (installations.c.device_id == end_devices.c.device_id) & (
        installations.c.until.is_(None)
    )
    return (
        select(
            end_devices,
            links.c.name.label("link"),
            service_points.c.name.label("point"),
            service_points.c.role.label("role"),
            places.c.name.label("place"),
        )
        .outerjoin(links)
        .outerjoin(installations, present)
        .outerjoin(service_points, service_points.c.point_id == installations.c.point_id)
        .outerjoin(places, places.c.place_id == service_points.c.place_id)
        .order_by(end_devices.c.number)
    )


def _device(row: Any) -> Device:
    return Device(
        device_id=row.device_id,
        number=row.number,
        protocol=row.protocol,
        address=row.address,
        profile=row.profile,
        link=row.link,
        kind=DeviceKind(row.kind),
        credential=row.credential,
        ratio=row.ratio,
        standing=Standing(row.state),
        added_at=row.added_at,
        point=row.point,
        place=row.place,
        role=None if row.role is None else PointRole(row.role),
    )
