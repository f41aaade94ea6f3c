"""Energy registers at midnight, for many meters at once: what watching asks the store.

The register of a midnight is the value nearest to it within the tolerance; a meter's own freeze
lies on it.  Where there is none, the values before and after are joined by a straight line; unless
both lie close by (hourly readings), the result is an estimate.  Values that the meter calls
invalid, or that a check holds suspect, are not used; a correction stands in the place of what it
corrects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, func, select

from headend.store.tables import quantities, reading_corrections, readings
from headend.values import Quality

IMPORT: Final = "energy_import_total"
EXPORT: Final = "energy_export_total"
_BRIDGED: Final = timedelta(days=4)
"""How far from a midnight values are looked for to estimate it."""
_BRIDGED_BATCH: Final = 200
"""Meters whose values of all these days are in memory at once."""


@dataclass(frozen=True, slots=True)
class Register:
    """A register's value at a moment."""

    wh: int
    estimated: bool = False


Registers = Mapping[tuple[int, str, int], Register]
"""(device, quantity, place of the moment in the list) → what the register was."""


def registers_at(
    connection: Connection,
    device_ids: Sequence[int],
    names: Sequence[str],
    moments: Sequence[datetime],
    tolerance: timedelta,
    joined: timedelta = timedelta(0),
) -> Registers:
    """The registers of meters at some moments.

    Args:
        connection: in any transaction.
        device_ids: some thousands at most.
        names: quantities.
        moments: midnights, in order.
        tolerance: how far from one a value still counts as its own.
        joined: how far before and after one two values may lie and, joined, be no estimate.
    """
    numbers = _numbers(connection, names)
    if not numbers or not device_ids:
        return {}
    found: dict[tuple[int, str, int], Register] = {}
    for place, moment in enumerate(moments):
        rows = _values(connection, device_ids, numbers, moment - tolerance, moment + tolerance)
        nearest: dict[tuple[int, str], tuple[timedelta, Register]] = {}
        for row in rows:
            key = (row.device_id, numbers[row.quantity_id])
            far = abs(row.at - moment)
            if key not in nearest or far < nearest[key][0]:
                is_estimated = row.quality == Quality.ESTIMATED
                nearest[key] = (far, Register(row.value, estimated=is_estimated))
        found.update({(*key, place): register for key, (_, register) in nearest.items()})
    imports = {number: name for number, name in numbers.items() if name == IMPORT}
    if imports:
        if joined > tolerance:
            found.update(_joined(connection, device_ids, imports, moments, found, joined))
        found.update(_bridged(connection, device_ids, imports, moments, found))
    return found


def straight_line(
    before: tuple[datetime, int], after: tuple[datetime, int], moment: datetime
) -> int:
    """The value at a moment between two others, rounded down; the later value is not smaller."""
    span = (after[0] - before[0]) // timedelta(seconds=1)
    gone = (moment - before[0]) // timedelta(seconds=1)
    return before[1] + (after[1] - before[1]) * gone // max(1, span)


def _joined(
    connection: Connection,
    device_ids: Sequence[int],
    imports: Mapping[int, str],
    moments: Sequence[datetime],
    found: Registers,
    reach: timedelta,
) -> Registers:
    """Import registers between two readings that lie close to a midnight: no estimates."""
    made: dict[tuple[int, str, int], Register] = {}
    for place, moment in enumerate(moments):
        lacking = [each for each in device_ids if (each, IMPORT, place) not in found]
        if not lacking:
            continue
        values: dict[int, list[tuple[datetime, int]]] = {}
        for row in _values(connection, lacking, imports, moment - reach, moment + reach):
            if row.quality == Quality.GOOD:
                values.setdefault(row.device_id, []).append((row.at, row.value))
        for device, known in values.items():
            wh = _between(sorted(known), moment)
            if wh is not None:
                made[device, IMPORT, place] = Register(wh)
    return made


def _bridged(
    connection: Connection,
    device_ids: Sequence[int],
    imports: Mapping[int, str],
    moments: Sequence[datetime],
    found: Registers,
) -> Registers:
    """Estimates for import registers that are missing."""
    places = range(len(moments))
    lacking = [
        device
        for device in device_ids
        if any((device, IMPORT, place) not in found for place in places)
    ]
    if not lacking:
        return {}
    since, until = moments[0] - _BRIDGED, moments[-1] + _BRIDGED
    made: dict[tuple[int, str, int], Register] = {}
    for start in range(0, len(lacking), _BRIDGED_BATCH):
        values: dict[int, list[tuple[datetime, int]]] = {}
        some = lacking[start : start + _BRIDGED_BATCH]
        for row in _values(connection, some, imports, since, until):
            values.setdefault(row.device_id, []).append((row.at, row.value))
        for device, known in values.items():
            known.sort()
            for place in places:
                if (device, IMPORT, place) not in found:
                    wh = _between(known, moments[place])
                    if wh is not None:
                        made[device, IMPORT, place] = Register(wh, estimated=True)
    return made


def _between(known: Sequence[tuple[datetime, int]], moment: datetime) -> int | None:
    before = [each for each in known if moment - _BRIDGED <= each[0] <= moment]
    after = [each for each in known if moment <= each[0] <= moment + _BRIDGED]
    if not before or not after or after[0][1] < before[-1][1]:
        return None
    return straight_line(before[-1], after[0], moment)


def _numbers(connection: Connection, names: Iterable[str]) -> dict[int, str]:
    chosen = select(quantities.c.quantity_id, quantities.c.name).where(
        quantities.c.name.in_(list(names))
    )
    return {row.quantity_id: row.name for row in connection.execute(chosen)}


def _values(
    connection: Connection,
    device_ids: Sequence[int],
    numbers: Mapping[int, str],
    since: datetime,
    until: datetime,
) -> list[Any]:
    """Usable values of a closed span, corrected."""
    rows = connection.execute(
        select(
            readings.c.device_id,
            readings.c.quantity_id,
            readings.c.at,
            readings.c.source,
            readings.c.value,
            readings.c.quality,
        ).where(
            readings.c.device_id.in_(device_ids),
            readings.c.quantity_id.in_(list(numbers)),
            readings.c.at >= since,
            readings.c.at <= until,
        )
    ).all()
    last = (
        select(func.max(reading_corrections.c.correction_id))
        .where(
            reading_corrections.c.at >= since,
            reading_corrections.c.at <= until,
            reading_corrections.c.device_id.in_(device_ids),
            reading_corrections.c.quantity_id.in_(list(numbers)),
        )
        .group_by(
            reading_corrections.c.device_id,
            reading_corrections.c.quantity_id,
            reading_corrections.c.at,
            reading_corrections.c.source,
        )
    )
    corrected = connection.execute(
        select(reading_corrections).where(reading_corrections.c.correction_id.in_(last))
    ).all()
    if corrected:
        replaced = {(row.device_id, row.quantity_id, row.at, row.source) for row in corrected}
        rows = [
            row
            for row in rows
            if (row.device_id, row.quantity_id, row.at, row.source) not in replaced
        ]
    return [row for row in (*rows, *corrected) if row.quality <= Quality.ESTIMATED]
