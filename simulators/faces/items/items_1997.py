"""Data items of DL/T 645-1997: those of 2007 in the older formats (spec section 5).

F in a half byte of the identifier is the block of all its values; AA stands behind each sub-block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.dlt645 import Edition
from protocols.dlt645.catalogue import find, in_2007
from simulators.faces.items.dispatch import read_item
from simulators.metering.bcd import number, unsigned
from simulators.metering.smart_meter import SmartMeter

_SEPARATOR: Final = b"\xaa"
_BLOCK: Final = 0xF


def read_item_1997(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item or a block in wire order; None: the meter has no such data.

    Args:
        meter: brought up to date.
        di: of 1997, as it is printed.
    """
    low, middle = di & 0xF, di >> 4 & 0xF
    if middle == _BLOCK and low == _BLOCK:
        parts = [read_item_1997(meter, di & 0xFF0F | part << 4) for part in range(_BLOCK)]
        return b"".join(filter(None, parts)) or None
    if low == _BLOCK:
        values = [_single(meter, di & 0xFFF0 | place) for place in range(_BLOCK)]
        known = b"".join(value for value in values if value is not None)
        return known + _SEPARATOR if known else None
    return _single(meter, di)


def _single(meter: SmartMeter, di: int) -> bytes | None:
    item = find(di, Edition.Y1997)
    if item is None or item.members:
        return None
    own = _OWN.get(di >> 8)
    if own is not None:
        found = own(meter, di)
        if found is not None:
            return found
    later = in_2007(di)
    if later is None:
        return None
    data = read_item(meter, later)
    if data is None:
        return None
    reformat = _REFORMATS.get(di >> 4) or _REFORMATS.get(di >> 8)
    if reformat is not None:
        data = reformat(data, di)
    return data[: item.length]


def _rescaled(divisor: int, length: int) -> Callable[[bytes, int], bytes]:
    """Fewer decimals, half rounded up; signs are not in 1997."""

    def rescale(data: bytes, _di: int) -> bytes:
        if data.count(0xFF) == len(data):
            return b"\xff" * length
        plain = data[:-1] + bytes((data[-1] & 0x7F,))
        return unsigned(((number(plain) or 0) + divisor // 2) // divisor, length)

    return rescale


def _demand(data: bytes, _di: int) -> bytes:
    return data[:3]


def _demand_time(data: bytes, _di: int) -> bytes:
    """``mm hh DD MM`` of value 3 and ``mm hh DD MM YY``."""
    return data[3:7]


def _programming(data: bytes, di: int) -> bytes:
    """Times lose second and year, counts their highest byte."""
    return data[1:5] if di & 0xF < 2 else data


_REFORMATS: Final[dict[int, Callable[[bytes, int], bytes]]] = {
    **dict.fromkeys((160, 161, 164, 165, 168, 169), _demand),
    **dict.fromkeys((176, 177, 180, 181, 184, 185), _demand_time),
    0xB21: _programming,
    0xB61: _rescaled(10, 2),
    0xB62: _rescaled(10, 2),
    0xB63: _rescaled(1, 3),
    0xB64: _rescaled(100, 2),
    0xB65: _rescaled(1, 2),
}
"""First byte, or first three digits, → from the bytes of 2007."""


def _phase_losses(_meter: SmartMeter, di: int) -> bytes | None:
    """This meter sees no phase losses: zero."""
    item = find(di, Edition.Y1997)
    return None if item is None or item.length is None else bytes(item.length)


def _device_code(meter: SmartMeter, di: int) -> bytes | None:
    return bytes.fromhex(meter.address)[::-1] if di == 0xC034 else None


def _slots(meter: SmartMeter, di: int) -> bytes | None:
    """C32n: one year zone.  C33n: the slots of the one day table, NN mm hh."""
    table, place = di >> 4 & 0xF, di & 0xF
    if table == 2:
        return bytes.fromhex("010101") if place == 1 else None
    slots = meter.flow.plan.slots
    if table != 3 or not 1 <= place <= len(slots):
        return None
    minute, tariff = slots[place - 1]
    return unsigned(tariff, 1) + unsigned(minute % 60, 1) + unsigned(minute // 60, 1)


_OWN: Final[dict[int, Callable[[SmartMeter, int], bytes | None]]] = {
    0xB3: _phase_losses,
    0xC0: _device_code,
    0xC3: _slots,
}
"""First byte → items that 2007 does not have; None: it is another one's turn."""
