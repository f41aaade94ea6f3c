"""Interval values: first in a waiting room, then packed by the day.

A value that arrives waits in `interval_arrivals`, a row each, until the nightly sweep (`packing`)
puts it into its packed day.  Values of a whole day, as a load profile gives them, and late ones
of a day that is packed go there at once.  Whoever asks sees both together.

What is there stays; only an estimate gives way to what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from headend.store.archived import archived_intervals
from headend.store.arrivals import Arrivals, DayKey, slot_start
from headend.store.days import days_with_any, hold_devices, put_in_days, stored_days
from headend.store.kept import Kept, require_devices
from headend.store.months import Kind, Month, hold_months
from headend.store.packed import Qualities, Values, day_of, empty, merge, slots_of, unpack
from headend.store.quantities import quantity_id, quantity_ids
from headend.store.tables import interval_arrivals, interval_days
from headend.store.waiting import take_out, wait
from headend.values import IntervalValue, Quality

_DAYS: Final = select(
    interval_days.c.day,
    interval_days.c.interval_min,
    interval_days.c.packed,
    interval_days.c.qualities,
).where(
    interval_days.c.day.in_(bindparam("days", expanding=True)),
    interval_days.c.device_id == bindparam("device_id"),
    interval_days.c.quantity_id == bindparam("quantity_id"),
)
_ARRIVED: Final = select(
    interval_arrivals.c.day,
    interval_arrivals.c.interval_min,
    interval_arrivals.c.slot,
    interval_arrivals.c.value,
    interval_arrivals.c.quality,
).where(
    interval_arrivals.c.day.in_(bindparam("days", expanding=True)),
    interval_arrivals.c.device_id == bindparam("device_id"),
    interval_arrivals.c.quantity_id == bindparam("quantity_id"),
)
_DAYS_AT_ONCE: Final = 366


@dataclass(frozen=True, slots=True)
class Series:
    """Interval values as arrays, for plots and sums: a place for each interval of a span."""

    interval_min: int
    start: datetime
    """Of the first interval."""
    values: Values
    qualities: Qualities
    """MISSING where there is no value."""

    def times(self) -> list[datetime]:
        """When each interval begins."""
        step = timedelta(minutes=self.interval_min)
        return [self.start + place * step for place in range(len(self.values))]


def add_intervals(connection: Connection, given: Sequence[IntervalValue]) -> Kept:
    """Keep interval values, in the caller's write transaction, in any order and any number.

    The same value is never stored twice.  A measured one takes the place of an estimate; another
    measured one is kept apart, for a person.

    Raises:
        EntryError: a time without a zone or off the grid of its interval, an interval length
            that does not divide an hour, a value of over 32 bits, the quality MISSING.
        NotRegisteredError: a device is not registered.
    """
    if not given:
        return Kept()
    numbers = quantity_ids(connection, {value.quantity for value in given})
    return add_arrivals(connection, Arrivals.of_values(given, numbers))


def add_arrivals(connection: Connection, arrivals: Arrivals) -> Kept:
    """`add_intervals` for who has columns already."""
    arrivals = arrivals.sorted()
    require_devices(connection, np.unique(arrivals.device_id).tolist())
    days = np.unique(arrivals.day).tolist()
    hold_months(connection, Kind.INTERVALS, {Month.of_day(day) for day in days})
    at_once = _is_whole_day(arrivals)
    for day in days_with_any(connection, days, "interval_days"):
        at_once |= _is_packed(connection, arrivals, arrivals.day == day)
    return wait(connection, arrivals.where(~at_once)) + _pack_at_once(
        connection, arrivals.where(at_once)
    )


def find_intervals(
    connection: Connection, device_id: int, quantity: str, since: datetime, until: datetime
) -> list[IntervalValue]:
    """The interval values of one quantity that begin in a span of time, in their order."""
    found = [
        IntervalValue(
            device_id,
            quantity,
            slot_start(day, slot, interval_min),
            interval_min,
            int(values[slot]),
            Quality(int(qualities[slot])),
        )
        for (day, interval_min), (values, qualities) in _days(
            connection, device_id, quantity, since, until
        )
        for slot in np.flatnonzero(qualities != Quality.MISSING).tolist()
        if since <= slot_start(day, slot, interval_min) < until
    ]
    return sorted(found, key=lambda value: (value.start, value.interval_min))


def find_series(
    connection: Connection, device_id: int, quantity: str, since: datetime, until: datetime
) -> list[Series]:
    """The same as arrays, one `Series` for each interval length that occurs."""
    found: dict[int, list[tuple[int, Values, Qualities]]] = {}
    for (day, interval_min), opened in _days(connection, device_id, quantity, since, until):
        found.setdefault(interval_min, []).append((day, *opened))
    return [_series(days, length, since, until) for length, days in sorted(found.items())]


def _series(
    days: list[tuple[int, Values, Qualities]], interval_min: int, since: datetime, until: datetime
) -> Series:
    first, last = days[0][0], days[-1][0]
    values, qualities = empty(last - first + 1, interval_min)
    for day, day_values, day_qualities in days:
        values[day - first], qualities[day - first] = day_values, day_qualities
    begin = slot_start(first, 0, interval_min)
    step = timedelta(minutes=interval_min)
    count = values.size
    low = min(count, max(0, -((begin - since) // step)))
    high = min(count, max(low, -((begin - until) // step)))
    return Series(
        interval_min,
        begin + low * step,
        values.reshape(-1)[low:high],
        qualities.reshape(-1)[low:high],
    )


def _days(
    connection: Connection, device_id: int, quantity: str, since: datetime, until: datetime
) -> list[tuple[tuple[int, int], tuple[Values, Qualities]]]:
    """Packed days, archived ones and what waits, as one; by day and interval length."""
    number = quantity_id(connection, quantity)
    if number is None or since >= until:
        return []
    opened = dict(archived_intervals(connection, device_id, number, since, until))
    wanted = range(day_of(since), day_of(until - timedelta(microseconds=1)) + 1)
    for first in range(0, len(wanted), _DAYS_AT_ONCE):
        part = {
            "days": list(wanted[first : first + _DAYS_AT_ONCE]),
            "device_id": device_id,
            "quantity_id": number,
        }
        for row in connection.execute(_DAYS, part):
            _add(opened, (row.day, row.interval_min), *unpack(row.packed, row.qualities))
        for key, arrived in _arrived(connection, part):
            _add(opened, key, *arrived)
    return sorted(opened.items())


def _add(
    opened: dict[tuple[int, int], tuple[Values, Qualities]],
    key: tuple[int, int],
    values: Values,
    qualities: Qualities,
) -> None:
    if key in opened:
        merge(*opened[key], values, qualities)
    else:
        opened[key] = values, qualities


def _arrived(
    connection: Connection, part: dict[str, object]
) -> Iterator[tuple[tuple[int, int], tuple[Values, Qualities]]]:
    found: dict[tuple[int, int], tuple[Values, Qualities]] = {}
    for row in connection.execute(_ARRIVED, part):
        key = row.day, row.interval_min
        if key not in found:
            values, qualities = empty(1, row.interval_min)
            found[key] = values[0], qualities[0]
        found[key][0][row.slot], found[key][1][row.slot] = row.value, row.quality
    yield from found.items()


def _is_whole_day(arrivals: Arrivals) -> NDArray[np.bool_]:
    """Which of sorted values come with all the others of their day."""
    numbers = arrivals.day_numbers()
    different = np.bincount(numbers, weights=~arrivals.repeats())
    whole: NDArray[np.bool_] = different[numbers] * arrivals.interval_min == slots_of(1)
    return whole


def _is_packed(
    connection: Connection, arrivals: Arrivals, among: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which values are of a packed day that is there."""
    chosen = arrivals.where(among)
    keys = chosen.day_keys()
    stored = stored_days(connection, keys)
    is_there = np.array([key in stored for key in keys])
    found = np.zeros(len(arrivals), bool)
    found[among] = is_there[chosen.day_numbers()]
    return found


def _pack_at_once(connection: Connection, arrivals: Arrivals) -> Kept:
    if not len(arrivals):
        return Kept()
    hold_devices(connection, arrivals.device_id)
    keys: list[DayKey] = arrivals.day_keys()
    waited = set(days_with_any(connection, sorted({key[0] for key in keys}), "interval_arrivals"))
    waiting = take_out(connection, [key for key in keys if key[0] in waited]) if waited else None
    if waiting is not None and len(waiting):
        put_in_days(connection, waiting)  # they came first
    return put_in_days(connection, arrivals)
