"""Corrections of readings, and the settling of values that contradict each other.

A reading that is stored is never changed: a correction is a row of its own that says why, and is
given in the place of what it corrects.  The last correction holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert, select, update

from headend.faults import EntryError, NotRegisteredError
from headend.person import Right
from headend.registry.tables import end_devices
from headend.station import Station
from headend.store.days import hold_devices, replace_value
from headend.store.kept import INT64_MAX, SOURCE_OF, SOURCES
from headend.store.packed import INT32_MAX, INT32_MIN
from headend.store.quantities import quantity_names
from headend.store.registers import find_readings
from headend.store.tables import differing_values, quantities, reading_corrections
from headend.values import Quality, Reading, Source
from storage import audit

_A_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two values for the same; one is kept, a person says which of them holds."""

    number: int
    device_id: int
    meter: str
    quantity: str
    at: datetime
    source: Source
    interval_min: int
    """0: of a register."""
    kept_value: int
    kept_quality: Quality
    other_value: int
    other_quality: Quality
    seen_at: datetime
    state: str
    """``open``, ``superseded`` (an estimate that gave way), ``kept`` or ``taken``."""


def correct_reading(
    station: Station,
    reading: Reading,
    *,
    value: int,
    reason: str,
    quality: Quality = Quality.GOOD,
) -> None:
    """Put another value in the place of a reading that is stored.

    Args:
        station: the head-end.
        reading: which: its device, quantity, moment and source.
        value: what it should be.
        reason: why, in the person's words.
        quality: how far it may be believed.

    Raises:
        NotAllowedError: the person has not the right.
        EntryError: there is no such reading, no reason, or the value cannot be.
    """
    station.require(Right.COMMAND)
    with station.writing() as connection:
        found = find_readings(
            connection, reading.device_id, reading.quantity, reading.at, reading.at + _A_MOMENT
        )
        if not any(each.source is reading.source for each in found):
            raise EntryError(
                f"There is no reading of {reading.quantity} at {reading.at:%Y-%m-%d %H:%M:%S} UTC "
                f"from {reading.source} to correct: see `meterhouse readings show`."
            )
        numbers = {name: number for number, name in quantity_names(connection).items()}
        _correct(
            connection,
            station,
            (reading.device_id, numbers[reading.quantity], reading.at, SOURCES[reading.source]),
            value,
            quality,
            reason,
        )


def contradictions(
    connection: Connection, *, state: str = "open", device_id: int | None = None, limit: int = 1000
) -> list[Contradiction]:
    """Values that contradict what is kept, the oldest first."""
    of_device = [] if device_id is None else [differing_values.c.device_id == device_id]
    rows = connection.execute(
        select(differing_values, end_devices.c.number, quantities.c.name)
        .join(end_devices, end_devices.c.device_id == differing_values.c.device_id)
        .join(quantities, quantities.c.quantity_id == differing_values.c.quantity_id)
        .where(differing_values.c.state == state, *of_device)
        .order_by(differing_values.c.differing_id)
        .limit(limit)
    )
    return [
        Contradiction(
            row.differing_id,
            row.device_id,
            row.number,
            row.name,
            row.at,
            SOURCE_OF[row.source],
            row.interval_min,
            row.kept_value,
            Quality(row.kept_quality),
            row.value,
            Quality(row.quality),
            row.seen_at,
            row.state,
        )
        for row in rows
    ]


def settle(station: Station, number: int, *, take_other: bool, reason: str) -> None:
    """Say which of two values holds.

    Args:
        station: the head-end.
        number: of the contradiction.
        take_other: the one that came later; else the one that is kept stays.
        reason: why, in the person's words.

    Raises:
        NotAllowedError: the person has not the right.
        NotRegisteredError: there is none of this number that is open.
        EntryError: no reason, or the interval's day is in the archive, which is not changed.
    """
    station.require(Right.COMMAND)
    _require_reason(reason)
    with station.writing() as connection:
        row = connection.execute(
            select(differing_values)
            .where(differing_values.c.differing_id == number, differing_values.c.state == "open")
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise NotRegisteredError(
                f"No contradiction {number} is open: see `meterhouse readings differing`."
            )
        if take_other:
            _take(connection, station, row, reason)
        connection.execute(
            update(differing_values)
            .where(differing_values.c.differing_id == number)
            .values(
                state="taken" if take_other else "kept",
                settled_at=station.now(),
                settled_by=station.person.name,
                reason=reason,
            )
        )
        audit.record(
            connection,
            station.now(),
            actor=station.person.name,
            action="reading.settle",
            subject=str(number),
            detail=f"{row.kept_value} or {row.value}: {row.value if take_other else 'kept'}",
            reason=reason,
        )


def _take(connection: Connection, station: Station, row: Any, reason: str) -> None:
    if not row.interval_min:
        key = row.device_id, row.quantity_id, row.at, row.source
        _correct(connection, station, key, row.value, Quality(row.quality), reason)
        return
    assert INT32_MIN <= row.value <= INT32_MAX
    hold_devices(connection, [row.device_id])
    replaced = replace_value(
        connection,
        row.device_id,
        row.quantity_id,
        row.at,
        row.interval_min,
        row.value,
        Quality(row.quality),
    )
    if not replaced:
        raise EntryError(
            "The day of this value waits to be packed, or is in the archive: settle it once it "
            "is packed (`meterhouse store pack`); the archive is not changed."
        )


def _correct(
    connection: Connection,
    station: Station,
    key: tuple[int, int, datetime, int],
    value: int,
    quality: Quality,
    reason: str,
) -> None:
    _require_reason(reason)
    if not -INT64_MAX <= value <= INT64_MAX or quality is Quality.MISSING:
        raise EntryError(f"{value} ({quality.name.lower()}) cannot be a reading.")
    device_id, quantity_id, at, source = key
    connection.execute(
        insert(reading_corrections).values(
            device_id=device_id,
            quantity_id=quantity_id,
            at=at,
            source=source,
            value=value,
            quality=int(quality),
            reason=reason,
            made_by=station.person.name,
            made_at=station.now(),
        )
    )
    audit.record(
        connection,
        station.now(),
        actor=station.person.name,
        action="reading.correct",
        subject=f"{device_id} {at:%Y-%m-%dT%H:%M:%SZ}",
        detail=f"quantity {quantity_id}: {value}",
        reason=reason,
    )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise EntryError("Say why: a value that is disputed later needs a reason.")
