"""What comes from a meter: readings, interval values, events.  Pure values.

A quantity is a name of the vocabulary (`protocols.modbus.VOCABULARY`), the same for both
protocols: ``energy_import_total``, ``voltage_l1``, ``credit``.  A value is a whole number: energies
in Wh (varh, VAh), money in minor units, counts as they are, everything else in thousandths of the
quantity's unit (mV, mA, mW, 1/1000 of a power factor).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


class Quality(IntEnum):
    """How far a value may be believed."""

    GOOD = 0
    ESTIMATED = 1
    """Somebody or something put it in the place of one that is missing."""
    SUSPECT = 2
    """A check has flagged it; a person decides."""
    INVALID = 3
    """The meter itself says that it is none (a clock that had stopped, a power failure)."""
    MISSING = 4
    """There is none; only within packed days."""


class Source(StrEnum):
    """Where a value comes from."""

    REGISTER = "register"
    """Read from the meter's present register."""
    FREEZE = "freeze"
    """What the meter froze at a moment of its own (hour, day, month)."""
    PROFILE = "profile"
    """The meter's load profile."""
    MANUAL = "manual"
    """A person read it."""
    ESTIMATE = "estimate"
    """Computed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of a register at one moment."""

    device_id: int
    quantity: str
    at: datetime
    """The moment that the value is of, UTC."""
    value: int
    """See the module's head for the unit."""
    source: Source = Source.REGISTER
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class IntervalValue:
    """What a quantity was in one interval, or its register at the interval's start."""

    device_id: int
    quantity: str
    start: datetime
    """UTC; a whole number of intervals after midnight UTC."""
    interval_min: int
    """1, 5, 10, 15, 30 or 60."""
    value: int
    """Fits 32 bits."""
    quality: Quality = Quality.GOOD


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """Something that the meter says has happened to it."""

    device_id: int
    kind: str
    """``cover_open``, ``magnetic_field``, ``power_off``, ``reverse_current``, ``clock_set``, ..."""
    began_at: datetime
    """On the meter's clock, UTC."""
    ended_at: datetime | None = None
    details: str = "{}"
    """Canonical JSON."""
