"""Class 03 and the later numbering 10-1E: events and purchases (spec section 4.4).

Recorded by this meter: power-down, covers, reversed phases, programming, time set, clears, trips
and closes, purchases in money.  Other kinds of the catalogue have counters at zero and no records.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.dlt645 import Edition
from protocols.dlt645.catalogue import find
from simulators.metering.account import PurchaseRecord
from simulators.metering.bcd import minute_face, second_face, unsigned
from simulators.metering.events import REVERSED, EventKind, EventRecord
from simulators.metering.registers import forward_ws, reactive_ws, reverse_ws, wire_energy
from simulators.metering.smart_meter import SmartMeter

_RECORDS: Final = range(1, 11)
_KINDS: Final = {
    0x0311: EventKind.POWER_DOWN,
    0x033000: EventKind.PROGRAMMING,
    0x033001: EventKind.METER_CLEAR,
    0x033002: EventKind.DEMAND_CLEAR,
    0x033003: EventKind.EVENT_CLEAR,
    0x033004: EventKind.TIME_SET,
    0x03300D: EventKind.COVER_OPENED,
    0x03300E: EventKind.TERMINAL_COVER_OPENED,
}
"""DI3-DI2, or DI3-DI1, → kind."""
_REVERSED: Final = 0x030E
_LATER_REVERSED: Final = 0x1B
_TRIPS: Final = 0x1D
_CLOSES: Final = 0x1E
_PURCHASES_BY_MONEY: Final = 0x0333
_TOTALS: Final = 4
"""A total and three phases stand in clears."""


def kinds_of(di: int) -> tuple[EventKind, ...]:
    """The kinds that a clear of an item (DI0 = FF) names; empty where there is none."""
    high = di >> 8
    if di >> 16 == _REVERSED or di >> 24 == _LATER_REVERSED:
        return REVERSED
    kind = _KINDS.get(high) or _KINDS.get(di >> 16)
    return () if kind is None else (kind,)


def read_event(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item of class 03 or 10-1E, or None where the meter has none such."""
    if di >> 16 == _PURCHASES_BY_MONEY:
        return _purchase(meter, di)
    if di >> 24 in (_TRIPS, _CLOSES):
        return _contact(meter, di)
    if di >> 16 == _REVERSED or di >> 24 == _LATER_REVERSED:
        return _reversed(meter, di)
    kind = _KINDS.get(di >> 8) or (_KINDS.get(di >> 16) if di >> 8 & 0xFF == 0 else None)
    if kind is not None:
        log = meter.events(kind)
        if di & 0xFF == 0:
            return unsigned(log.times, 3)
        if di & 0xFF not in _RECORDS:
            return None
        record = log.nth(di & 0xFF)
        size = _size(di)
        return bytes(size) if record is None else _LAYOUTS[kind](meter, record)
    return _never_happens(di)


def _size(di: int) -> int:
    item = find(di, Edition.Y2007)
    assert item is not None, "the catalogue has all kinds of this meter"
    return item.length or 0


def _never_happens(di: int) -> bytes | None:
    """Counters and times of what this meter cannot see are zero."""
    item = find(di, Edition.Y2007)
    is_counter = (
        di & 0xFFFF == 0 if di >> 24 == 0x03 else di & 0xFF in (1, 2) and not di >> 8 & 0xFF
    )
    return bytes(item.length) if item is not None and is_counter and item.length else None


# --- records ------------------------------------------------------------------------------------


def _span(_meter: SmartMeter, record: EventRecord) -> bytes:
    return second_face(record.start_local) + second_face(record.end_local)


def _stamp(record: EventRecord) -> bytes:
    return second_face(record.start_local) + bytes.fromhex(record.operator)[::-1]


def _programming(_meter: SmartMeter, record: EventRecord) -> bytes:
    return _stamp(record) + record.detail.to_bytes(4, "little") + b"\xff" * 36


def _event_clear(_meter: SmartMeter, record: EventRecord) -> bytes:
    return _stamp(record) + record.detail.to_bytes(4, "little")


def _time_set(_meter: SmartMeter, record: EventRecord) -> bytes:
    operator = bytes.fromhex(record.operator)[::-1]
    return operator + second_face(record.detail) + second_face(record.start_local)


def _metered(meter: SmartMeter, second: int | None) -> bytes:
    """Forward, reverse, quadrants I-IV at a moment; FF where nothing is known of it."""
    flow = None if second is None else meter.flow_at(second)
    if flow is None:
        return b"\xff" * 24
    forward, reverse = forward_ws(meter, flow, 0), reverse_ws(meter, flow, 0)
    reactive = (reactive_ws(meter, forward), 0, reactive_ws(meter, reverse), 0)
    return b"".join(wire_energy(ws) for ws in (forward, reverse, *reactive))


def _cover(meter: SmartMeter, record: EventRecord) -> bytes:
    before, after = _metered(meter, record.start), _metered(meter, record.end)
    return _span(meter, record) + before + after


def _meter_clear(_meter: SmartMeter, record: EventRecord) -> bytes:
    """What the registers were before is gone with them: FF."""
    return _stamp(record) + b"\xff" * 24 * _TOTALS


def _demand_clear(_meter: SmartMeter, record: EventRecord) -> bytes:
    return _stamp(record) + b"\xff" * 8 * 6 * _TOTALS


_LAYOUTS: Final[dict[EventKind, Callable[[SmartMeter, EventRecord], bytes]]] = {
    EventKind.POWER_DOWN: _span,
    EventKind.COVER_OPENED: _cover,
    EventKind.TERMINAL_COVER_OPENED: _cover,
    EventKind.PROGRAMMING: _programming,
    EventKind.EVENT_CLEAR: _event_clear,
    EventKind.TIME_SET: _time_set,
    EventKind.METER_CLEAR: _meter_clear,
    EventKind.DEMAND_CLEAR: _demand_clear,
}


def _reversed(meter: SmartMeter, di: int) -> bytes | None:
    if di >> 24 == _LATER_REVERSED:
        return _reversed_later(meter, di)
    phase, back = di >> 8 & 0xFF, di & 0xFF
    if phase == 0 and back == 0:
        logs = (meter.events(kind) for kind in REVERSED)
        return b"".join(unsigned(log.times, 3) + unsigned(log.seconds // 60, 3) for log in logs)
    if not 1 <= phase <= len(REVERSED) or back not in _RECORDS:
        return None
    record = meter.events(REVERSED[phase - 1]).nth(back)
    if record is None:
        return bytes(_size(di))
    return _span(meter, record) + _increments(meter, record)


def _increments(meter: SmartMeter, record: EventRecord) -> bytes:
    """How much flowed meanwhile: total, and each phase as far as the meter tells (FF)."""
    start = meter.flow_at(record.start)
    end = meter.flow if record.end is None else meter.flow_at(record.end)
    if start is None or end is None:
        return b"\xff" * 64
    forward = forward_ws(meter, end, 0) - forward_ws(meter, start, 0)
    reverse = reverse_ws(meter, end, 0) - reverse_ws(meter, start, 0)
    reactive = reactive_ws(meter, forward + reverse)
    total = b"".join(wire_energy(ws) for ws in (forward, reverse, reactive, 0))
    return total + b"\xff" * 48


def _reversed_later(meter: SmartMeter, di: int) -> bytes | None:
    phase, part, back = di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
    if not 1 <= phase <= len(REVERSED):
        return None
    log = meter.events(REVERSED[phase - 1])
    if part == 0 and back in (1, 2):
        return unsigned(log.times if back == 1 else log.seconds // 60, 3)
    if part not in (0x01, 0x25) or back not in _RECORDS:
        return None
    record = log.nth(back)
    if record is None:
        return bytes(6)
    return second_face(record.start_local if part == 0x01 else record.end_local)


def _contact(meter: SmartMeter, di: int) -> bytes | None:
    log = meter.flow.supply.log
    is_trip = di >> 24 == _TRIPS
    seconds = log.opened_at if is_trip else log.closed_at
    part, back = di >> 8 & 0xFFFF, di & 0xFF
    if part == 0 and back == 1:
        return unsigned(log.openings if is_trip else log.closings, 3)
    if part != 1 or back not in _RECORDS:
        return None
    return second_face(meter.clock.local(seconds[-back]) if back <= len(seconds) else None)


def _purchase(meter: SmartMeter, di: int) -> bytes | None:
    part, back = di >> 8 & 0xFF, di & 0xFF
    if not meter.counts_money or part not in _PURCHASE_PARTS or back not in _RECORDS:
        return None
    records = meter.account.records
    record = records[-back] if back <= len(records) else None
    if record is None:
        return bytes(_size(di))
    return _PURCHASE_PARTS[part](record)


_PURCHASE_PARTS: Final[dict[int, Callable[[PurchaseRecord], bytes]]] = {
    1: lambda record: minute_face(record.local),
    2: lambda record: unsigned(record.number, 2),
    3: lambda record: unsigned(record.amount, 4),
    4: lambda record: unsigned(max(0, record.before), 4),
    5: lambda record: unsigned(max(0, record.after), 4),
    6: lambda record: unsigned(record.total, 4),
}
