"""Small towns for tests: places, points, meters, and what the store has of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate

from sqlalchemy import insert

from headend.registry.tables import end_devices, installations, places, service_points
from headend.station import Station
from headend.store.registers import add_readings
from headend.values import Quality, Reading, Source
from headend.watching.calendar import midnight
from tests.headend.registered import add_line

__all__ = ["add_line", "add_meter", "add_place", "freeze", "put_meter", "running"]


def add_place(station: Station, kind: str, name: str, parent_id: int | None = None) -> int:
    """A substation, feeder or area; its id."""
    with station.writing() as connection:
        return int(
            connection.execute(
                insert(places)
                .values(kind=kind, name=name, parent_id=parent_id)
                .returning(places.c.place_id)
            ).scalar_one()
        )


def add_meter(
    station: Station,
    number: str,
    place_id: int | None,
    *,
    role: str = "customer",
    link_id: int | None = None,
    ratio: int = 1,
    since: datetime | None = None,
    parent_id: int | None = None,
    first_wh: int | None = None,
) -> tuple[int, int]:
    """A meter on a point of its own; the ids of device and point."""
    began = since or station.now()
    with station.writing() as connection:
        point_id = connection.execute(
            insert(service_points)
            .values(
                name=f"P{number}",
                role=role,
                place_id=place_id,
                parent_id=parent_id,
                added_at=began,
            )
            .returning(service_points.c.point_id)
        ).scalar_one()
    return put_meter(
        station, number, point_id, link_id=link_id, ratio=ratio, since=began, first_wh=first_wh
    ), point_id


def put_meter(
    station: Station,
    number: str,
    point_id: int,
    *,
    link_id: int | None = None,
    ratio: int = 1,
    since: datetime,
    first_wh: int | None = None,
    reason: str = "installed",
) -> int:
    """A meter on a point that is there; its id."""
    with station.writing() as connection:
        device_id = int(
            connection.execute(
                insert(end_devices)
                .values(
                    number=number,
                    protocol="dlt645-2007",
                    address=number.zfill(12),
                    link_id=link_id,
                    kind="credit",
                    ratio=ratio,
                    state="active",
                    added_at=since,
                )
                .returning(end_devices.c.device_id)
            ).scalar_one()
        )
        connection.execute(
            insert(installations).values(
                point_id=point_id,
                device_id=device_id,
                since=since,
                first_wh=first_wh,
                reason=reason,
                made_by="test",
            )
        )
        return device_id


def freeze(
    station: Station,
    device_id: int,
    first_day: int,
    registers_wh: Sequence[int | None],
    *,
    quantity: str = "energy_import_total",
    quality: Quality = Quality.GOOD,
) -> None:
    """What a meter froze at the midnights of some days; None: nothing came."""
    given = [
        Reading(
            device_id,
            quantity,
            midnight(station.zone, first_day + number),
            wh,
            Source.FREEZE,
            quality,
        )
        for number, wh in enumerate(registers_wh)
        if wh is not None
    ]
    with station.writing() as connection:
        add_readings(connection, given)


def running(start_wh: int, days_wh: Iterable[int]) -> list[int]:
    """Registers at midnights from the use of each day."""
    return list(accumulate(days_wh, initial=start_wh))
