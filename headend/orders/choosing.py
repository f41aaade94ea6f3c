"""Which meters are meant: by number, or all customers' of a place."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import select

from headend.faults import NotRegisteredError
from headend.orders.reach import devices_within
from headend.person import Right
from headend.registry.places import place_row
from headend.registry.tables import end_devices
from headend.station import Station

_AT_ONCE: Final = 500


def device_ids(station: Station, numbers: Iterable[str]) -> dict[str, int]:
    """The devices of these numbers, in the order given; a number that comes twice counts once.

    Raises:
        NotRegisteredError: says which numbers are none.
    """
    station.require(Right.LOOK)
    wanted = list(dict.fromkeys(number.strip() for number in numbers if number.strip()))
    found: dict[str, int] = {}
    with station.reading() as connection:
        for start in range(0, len(wanted), _AT_ONCE):
            rows = connection.execute(
                select(end_devices.c.number, end_devices.c.device_id).where(
                    end_devices.c.number.in_(wanted[start : start + _AT_ONCE])
                )
            )
            found.update((row.number, row.device_id) for row in rows)
    unknown = [number for number in wanted if number not in found]
    if unknown:
        shown = ", ".join(unknown[:5]) + (" and others" if len(unknown) > 5 else "")
        raise NotRegisteredError(f"No meter is registered as {shown}.")
    return {number: found[number] for number in wanted}


def devices_of_place(station: Station, name: str) -> dict[str, int]:
    """The customers' meters of a place and of what is below it, by number.

    Raises:
        NotRegisteredError: no such place.
    """
    station.require(Right.LOOK)
    with station.reading() as connection:
        ids = devices_within(connection, place_row(connection, name).place_id)
    return {number: device_id for device_id, number in numbers_of(station, ids).items()}


def numbers_of(station: Station, ids: Iterable[int]) -> dict[int, str]:
    """The numbers of devices, in the order given."""
    wanted = list(dict.fromkeys(ids))
    found: dict[int, str] = {}
    with station.reading() as connection:
        for start in range(0, len(wanted), _AT_ONCE):
            rows = connection.execute(
                select(end_devices.c.device_id, end_devices.c.number).where(
                    end_devices.c.device_id.in_(wanted[start : start + _AT_ONCE])
                )
            )
            found.update((row.device_id, row.number) for row in rows)
    return {device_id: found[device_id] for device_id in wanted if device_id in found}
