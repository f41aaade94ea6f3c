"""Class 04: clock, status words, parameters (spec section 4.5)."""

from __future__ import annotations

from typing import Final

from protocols.dlt645 import Edition
from protocols.dlt645.catalogue import find
from simulators.faces.items.token_items import read_token_item
from simulators.metering.bcd import clock_face
from simulators.metering.parameter_items import read_parameter
from simulators.metering.smart_meter import SmartMeter
from simulators.metering.status import status_word

_CLOCKS: Final = {
    0x04000101: "YYMMDDWW",
    0x04000102: "hhmmss",
    0x0400010C: "YYMMDDWWhhmmss",
}
_STATUS_WORDS: Final = range(0x04000501, 0x04000509)
_TOKEN_BLOCK: Final = 0x04F0


def read_class_04(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item or a block of class 04, or None where the meter has none such."""
    if di >> 16 == _TOKEN_BLOCK:
        return read_token_item(meter, di)
    pattern = _CLOCKS.get(di)
    if pattern is not None:
        return clock_face(meter.local, pattern)
    if di in _STATUS_WORDS:
        return status_word(meter, di & 0xFF)
    item = find(di, Edition.Y2007)
    if item is None or not item.members:
        return read_parameter(meter, di)
    parts = []
    for member in item.members:
        part = read_class_04(meter, member.di)
        if part is None:
            continue
        if item.open_block and not any(part):
            break  # the meter has no more of these
        if member.di != _STATUS_WORDS[-1]:
            parts.append(part)
    return b"".join(parts) or None
