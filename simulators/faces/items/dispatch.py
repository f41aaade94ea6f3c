"""Which class an identifier belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulators.faces.items.demands import read_demand
from simulators.faces.items.energies import read_energy
from simulators.faces.items.event_records import read_event
from simulators.faces.items.frozen import read_freeze
from simulators.faces.items.parameter_read import read_class_04
from simulators.faces.items.variables import read_variable
from simulators.metering.smart_meter import SmartMeter

_CLASSES: Final[dict[int, Callable[[SmartMeter, int], bytes | None]]] = {
    0x00: read_energy,
    0x01: read_demand,
    0x02: read_variable,
    0x03: read_event,
    0x04: read_class_04,
    0x05: read_freeze,
    **dict.fromkeys(range(0x10, 0x1F), read_event),
}


def read_item(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item or a block in wire order; None: the meter has no such data.

    Args:
        meter: brought up to date.
        di: of 2007, as it is printed.
    """
    read = _CLASSES.get(di >> 24)
    return None if read is None else read(meter, di)
