"""A month of all meters as rows, whether it is in the database or in the archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from headend.registry.tables import end_devices
from headend.station import Station
from headend.store.events import find_events
from headend.store.intervals import find_intervals
from headend.store.months import Kind, Month
from headend.store.quantities import quantity_names
from headend.store.registers import find_readings

HEADS: Final = {
    Kind.READINGS: ("meter", "quantity", "at", "source", "value", "quality"),
    Kind.INTERVALS: ("meter", "quantity", "start", "interval_min", "value", "quality"),
    Kind.EVENTS: ("meter", "kind", "began_at", "ended_at", "details"),
}
_GROUP: Final = 100


def month_rows(
    station: Station, kind: Kind, month: Month, *, told: Callable[[int, int], None] | None = None
) -> Iterator[tuple[Any, ...]]:
    """The rows of a month, by meter and time; the columns are `HEADS`.

    Raises:
        ArchiveExtraMissingError, ArchiveFileError: the month is archived and cannot be read.
    """
    with station.reading() as connection:
        found = connection.execute(
            select(end_devices.c.device_id, end_devices.c.number).order_by(end_devices.c.number)
        ).all()
        quantities = sorted(quantity_names(connection).values())
    devices = [(row.device_id, row.number) for row in found]
    for first in range(0, len(devices), _GROUP):
        with station.reading() as connection:
            for device_id, number in devices[first : first + _GROUP]:
                if kind is Kind.EVENTS:
                    for event in find_events(connection, device_id, month.start, month.end):
                        ended = _utc(event.ended_at)
                        yield number, event.kind, _utc(event.began_at), ended, event.details
                    continue
                for name in quantities:
                    yield from _values(connection, kind, device_id, number, name, month)
        if told is not None:
            told(min(first + _GROUP, len(devices)), len(devices))


def _values(
    connection: Any, kind: Kind, device_id: int, number: str, name: str, month: Month
) -> Iterator[tuple[Any, ...]]:
    if kind is Kind.READINGS:
        for each in find_readings(connection, device_id, name, month.start, month.end):
            at = _utc(each.at)
            yield number, name, at, each.source.value, each.value, each.quality.name.lower()
        return
    for value in find_intervals(connection, device_id, name, month.start, month.end):
        start, quality = _utc(value.start), value.quality.name.lower()
        yield number, name, start, value.interval_min, value.value, quality


def _utc(moment: datetime | None) -> str:
    if moment is None:
        return ""
    form = "microseconds" if moment.microsecond else "seconds"
    return moment.replace(tzinfo=None).isoformat(timespec=form) + "Z"
