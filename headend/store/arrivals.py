"""Interval values on their way, as columns: what the waiting room and the packed days share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from headend.faults import EntryError
from headend.store.packed import INT32_MAX, INT32_MIN, day_of, start_of
from headend.values import IntervalValue, Quality

NAMES: Final = ("device_id", "day", "value", "quantity_id", "interval_min", "slot", "quality")
KEY: Final = ("day", "device_id", "quantity_id", "interval_min")
"""Of a packed day."""
_WIDTHS: Final = (np.int64, np.int32, np.int32, np.int16, np.int16, np.int16, np.int16)
_MINUTE: Final = timedelta(minutes=1)
_LENGTHS: Final = frozenset(length for length in range(1, 61) if 60 % length == 0)

DayKey = tuple[int, int, int, int]
"""Day, device, quantity, interval length."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Interval values as columns of one length."""

    device_id: NDArray[np.int64]
    day: NDArray[np.int32]
    value: NDArray[np.int32]
    quantity_id: NDArray[np.int16]
    interval_min: NDArray[np.int16]
    slot: NDArray[np.int16]
    quality: NDArray[np.int16]

    @classmethod
    def of_columns(cls, columns: Sequence[Any]) -> Arrivals:
        """From columns in the order of `NAMES`."""
        return cls(
            *(np.asarray(column, width) for column, width in zip(columns, _WIDTHS, strict=True))
        )

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[int]]) -> Arrivals:
        """From rows in the order of `NAMES`."""
        return cls.of_columns(list(zip(*rows, strict=True)) if rows else [()] * len(NAMES))

    @classmethod
    def of_values(cls, given: Sequence[IntervalValue], quantities: dict[str, int]) -> Arrivals:
        """From what a meter gave.

        Raises:
            EntryError: see `add_intervals`.
        """
        places: dict[tuple[datetime, int], tuple[int, int]] = {}
        return cls.of_rows([_row(value, quantities, places) for value in given])

    def __len__(self) -> int:
        return len(self.value)

    @property
    def columns(self) -> tuple[NDArray[Any], ...]:
        """In the order of `NAMES`."""
        return tuple(getattr(self, name) for name in NAMES)

    def rows(self) -> list[tuple[int, ...]]:
        """As rows of Python's own numbers."""
        return list(zip(*(column.tolist() for column in self.columns), strict=True))

    def where(self, chosen: NDArray[Any]) -> Arrivals:
        """Some of them: by flags, or by their places."""
        return Arrivals(*(column[chosen] for column in self.columns))

    def sorted(self) -> Arrivals:
        """By day, device, quantity, interval length and slot; equal ones as they came."""
        order = np.lexsort(
            (self.slot, self.interval_min, self.quantity_id, self.device_id, self.day)
        )
        return self.where(order)

    def day_numbers(self) -> NDArray[np.int64]:
        """For sorted ones: the place of the packed day that each belongs to, from 0."""
        return _numbered([getattr(self, name) for name in KEY])

    def repeats(self) -> NDArray[np.bool_]:
        """For sorted ones: which are of the same interval as the one before."""
        numbered = _numbered([*(getattr(self, name) for name in KEY), self.slot])
        return np.concatenate(([False], numbered[1:] == numbered[:-1]))

    def day_keys(self) -> list[DayKey]:
        """For sorted ones: the packed days that they belong to."""
        if not len(self):
            return []
        numbers = self.day_numbers()
        first = np.concatenate(([True], numbers[1:] != numbers[:-1]))
        return list(zip(*(getattr(self, name)[first].tolist() for name in KEY), strict=True))


def slot_start(day: int, slot: int, interval_min: int) -> datetime:
    """When an interval begins."""
    return start_of(day) + slot * interval_min * _MINUTE


def _numbered(columns: Sequence[NDArray[Any]]) -> NDArray[np.int64]:
    changes = np.zeros(len(columns[0]), bool)
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return np.cumsum(changes)


def _row(
    value: IntervalValue,
    quantities: dict[str, int],
    places: dict[tuple[datetime, int], tuple[int, int]],
) -> tuple[int, ...]:
    place = value.start, value.interval_min
    found = places.get(place)  # many meters give the same intervals
    if found is None:
        found = places[place] = _place(*place)
    if type(value.value) is not int or not INT32_MIN <= value.value <= INT32_MAX:
        raise EntryError(
            f"The value {value.value!r} of {value.quantity} is no whole number of 32 bits; "
            "nothing was kept."
        )
    if value.quality is Quality.MISSING:
        raise EntryError(
            f"An interval of {value.quantity} is said to be missing: leave it out; nothing was "
            "kept."
        )
    return (
        value.device_id,
        found[0],
        value.value,
        quantities[value.quantity],
        value.interval_min,
        found[1],
        value.quality,
    )


def _place(start: datetime, interval_min: int) -> tuple[int, int]:
    """The day and the slot of an interval."""
    if start.tzinfo is None:
        raise EntryError(f"The time {start} of a value has no zone; nothing was kept.")
    if interval_min not in _LENGTHS:
        raise EntryError(
            f"An interval of {interval_min} minutes does not divide an hour; nothing was kept."
        )
    day = day_of(start)
    slot, rest = divmod(start - start_of(day), interval_min * _MINUTE)
    if rest:
        raise EntryError(
            f"{start.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC is not where an interval of "
            f"{interval_min} minutes begins; nothing was kept."
        )
    return day, slot
