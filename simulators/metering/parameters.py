"""Parameters (class 04): what was written to the meter, over the factory's settings.

Any item that the catalogue calls writable can be written and is read back as it was written
(`parameter_items`).  Those that change what the meter does are in `programming`.
"""

from __future__ import annotations

from typing import Final

from simulators.metering.meter_type import MeterType

DEMAND_PERIOD: Final = 0x04000103
METER_NUMBER: Final = 0x04000402
LOAD_CLASSES: Final = 0x04000901
LOAD_INTERVAL_1: Final = 0x04000A02
SLOT_TABLE: Final = 0x04010001
FIRST_PRICE: Final = 0x04050101
ALARM_1: Final = 0x04001001
ALARM_2: Final = 0x04001002
OVERDRAFT: Final = 0x04001003
HOARDING: Final = 0x04001004
CLOSE_FROM: Final = 0x04001005
ALL_LOAD_CLASSES: Final = 0x3F


class Parameters:
    """What was written to one meter; nothing, for most."""

    __slots__ = ("_written",)

    def __init__(self) -> None:
        self._written: dict[int, bytes] | None = None

    def written(self, di: int) -> bytes | None:
        """An item as it was written, or None."""
        return None if self._written is None else self._written.get(di)

    def write(self, di: int, data: bytes) -> None:
        """Keep an item."""
        if self._written is None:
            self._written = {}
        self._written[di] = data

    def number(self, di: int, factory: int) -> int:
        """A BCD item as a number in its last decimal."""
        data = self.written(di)
        return factory if data is None else int(data[::-1].hex())

    def demand_period_min(self, type_: MeterType) -> int:
        """Length of a demand period."""
        return self.number(DEMAND_PERIOD, type_.demand_period_min)

    def load_interval_min(self, load_class: int, type_: MeterType) -> int:
        """Interval of a class 1-6 of the load profile."""
        return self.number(LOAD_INTERVAL_1 + load_class - 1, type_.load_interval_min)

    def load_classes(self) -> int:
        """Which classes are recorded: bit 0 for class 1."""
        data = self.written(LOAD_CLASSES)
        return ALL_LOAD_CLASSES if data is None else data[0]
