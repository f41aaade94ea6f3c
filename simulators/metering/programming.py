"""Writing to the meter by wire: which items may be written, and what some of them do.

An item is refused when the catalogue does not call it writable, when its length is another, when
its bytes are none of its format, or when it would make the meter one that cannot be.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from protocols.dlt645 import Edition, ErrorByte, MeterTime
from protocols.dlt645.catalogue import find
from protocols.dlt645.times import EVERY
from simulators.errors import SimulatorValueError
from simulators.load import MINUTES_PER_DAY
from simulators.metering.bcd import local_of_time, number
from simulators.metering.events import EventKind
from simulators.metering.freezes import FreezeKind
from simulators.metering.meter_clock import SECONDS_PER_DAY, midnight
from simulators.metering.parameters import (
    ALARM_1,
    ALARM_2,
    CLOSE_FROM,
    DEMAND_PERIOD,
    FIRST_PRICE,
    HOARDING,
    LOAD_INTERVAL_1,
    METER_NUMBER,
    OVERDRAFT,
    SLOT_TABLE,
)
from simulators.metering.prepayment import with_limits_of
from simulators.metering.schedules import Every, Monthly, Rule, daily, hourly
from simulators.metering.smart_meter import SmartMeter
from simulators.metering.tariff_plan import TARIFFS, TariffPlan

_DONE: Final = ErrorByte(0)
_REFUSED: Final = ErrorByte.OTHER
_ADDRESS: Final = 0x04000401
_DATE: Final = 0x04000101
_TIME: Final = 0x04000102
_DATE_TIME: Final = 0x0400010C
_SETTLEMENTS: Final = (0x04000B01, 0x04000B02, 0x04000B03)
_UNUSED_DAY: Final = b"\x99\x99"
_HOURLY_INTERVAL: Final = 0x04001202
_DAILY_TIME: Final = 0x04001203
_RESERVED_ADDRESS: Final = "99" * 6
_DAY_MAX: Final = 28
"""A settlement day beyond it would not be in every month."""


def write(meter: SmartMeter, di: int, data: bytes, operator: str, now: datetime) -> ErrorByte:
    """Write an item that its password has opened.

    Args:
        meter: the meter.
        di: the item, of 2007.
        data: its bytes in wire order.
        operator: eight digits, for the record.
        now: true time.

    Returns:
        Why it is refused; no bit at all: it is done.
    """
    meter.advance(now)
    if not is_sound(di, data):
        return ErrorByte.NO_REQUESTED_DATA if find(di, Edition.Y2007) is None else _REFUSED
    if di in (_DATE, _TIME, _DATE_TIME):
        return _set_clock(meter, di, data, operator, now)
    effect = _EFFECTS.get(di)
    if effect is not None:
        refusal = effect(meter, data, now)
        if refusal:
            return refusal
    elif di in range(FIRST_PRICE, FIRST_PRICE + TARIFFS):
        _set_price(meter, di - FIRST_PRICE, data, now)
    elif LOAD_INTERVAL_1 <= di < LOAD_INTERVAL_1 + 6 and not 1 <= (number(data) or 0) <= 1440:
        return _REFUSED
    if di != _ADDRESS:
        meter.parameters.write(di, data)
    if di in _AMOUNTS and meter.flow.supply.purse is not None:
        meter.set_purse(with_limits_of(meter, meter.flow.supply.purse), now)
    if di in _SETTLEMENTS:
        _set_settlements(meter, now)
    meter.record(EventKind.PROGRAMMING, operator=operator, detail=di)
    return _DONE


def is_sound(di: int, data: bytes) -> bool:
    """Whether the catalogue calls an item writable, and the bytes are a value of it."""
    item = find(di, Edition.Y2007)
    if item is None or "w" not in item.access or item.length != len(data):
        return False
    return all(
        reading.fault is None and reading.value is not None
        for reading in item.decode(data).readings
    )


def set_address(meter: SmartMeter, address: str) -> bool:
    """Give the meter another number; False where no meter can have it."""
    if not address.isdecimal() or len(address) != 12 or address == _RESERVED_ADDRESS:
        return False
    meter.address = address
    return True


def set_freeze(meter: SmartMeter, time: MeterTime, now: datetime) -> None:
    """Obey a freeze command (16H): now, or each hour, day, month or year from now on."""
    if time.minute == EVERY:
        meter.freeze_now(now)
        return
    minute = time.minute or 0
    day, hour = time.day, time.hour
    if hour is None or hour == EVERY:
        rule: Rule = hourly(minute)
    elif day is None or day == EVERY:
        rule = daily(hour * 60 + minute)
    else:
        month = None if time.month == EVERY else time.month
        rule = Monthly(((day, hour * 60 + minute),), month)
    meter.set_freeze_rule(FreezeKind.TIMED, rule, now)


# --- items that do something --------------------------------------------------------------------


def _set_clock(meter: SmartMeter, di: int, data: bytes, operator: str, now: datetime) -> ErrorByte:
    item = find(di, Edition.Y2007)
    assert item is not None, "it is sound"
    time = item.decode(data).readings[0].value
    if not isinstance(time, MeterTime):
        return _REFUSED
    local = meter.local
    if di == _DATE:
        local = local_of_time(time) + local % SECONDS_PER_DAY
    else:
        seconds = (time.hour or 0) * 3600 + (time.minute or 0) * 60 + (time.second or 0)
        day = midnight(local) if di == _TIME else midnight(local_of_time(time))
        local = day + seconds
    meter.set_clock(local, now, operator)
    return _DONE


def _set_address(meter: SmartMeter, data: bytes, _now: datetime) -> ErrorByte:
    return _DONE if set_address(meter, data[::-1].hex()) else _REFUSED


def _set_slots(meter: SmartMeter, data: bytes, now: datetime) -> ErrorByte:
    """14 times NN mm hh; equal entries at the end are unused places."""
    entries = [data[place : place + 3] for place in range(0, len(data), 3)]
    slots = dict[int, int]()
    for tariff, minute, hour in (
        (number(entry[i : i + 1]) or 0 for i in range(3)) for entry in entries
    ):
        slots.setdefault(hour * 60 + minute, tariff)
    try:
        plan = TariffPlan(tuple(slots.items()))
    except SimulatorValueError:
        return ErrorByte.DAY_SLOTS_EXCEEDED
    meter.set_tariffs(plan, meter.flow.prices, now)
    return _DONE


def _set_price(meter: SmartMeter, place: int, data: bytes, now: datetime) -> None:
    prices = meter.flow.prices
    if prices:
        price = number(data) or 0
        meter.set_tariffs(meter.flow.plan, (*prices[:place], price, *prices[place + 1 :]), now)


def _set_demand_period(_meter: SmartMeter, data: bytes, _now: datetime) -> ErrorByte:
    minutes = number(data) or 0
    return _DONE if 1 <= minutes <= 60 and 60 % minutes == 0 else _REFUSED


def _set_settlements(meter: SmartMeter, now: datetime) -> None:
    moments = []
    for place, di in enumerate(_SETTLEMENTS):
        data = meter.parameters.written(di)
        if data is None and place == 0:
            moments.append((1, 0))
        elif data is not None and data != _UNUSED_DAY:
            moments.append((number(data[1:]) or 1, (number(data[:1]) or 0) * 60))
    meter.set_freeze_rule(FreezeKind.SETTLEMENT, Monthly(tuple(moments)), now)


def _check_settlement(_meter: SmartMeter, data: bytes, _now: datetime) -> ErrorByte:
    if data == _UNUSED_DAY:
        return _DONE
    day, hour = number(data[1:]) or 0, number(data[:1])
    is_sound_day = 1 <= day <= _DAY_MAX and hour is not None and hour <= 23
    return _DONE if is_sound_day else _REFUSED


def _set_hourly_interval(meter: SmartMeter, data: bytes, now: datetime) -> ErrorByte:
    minutes = number(data) or 0
    if not 1 <= minutes <= 60:
        return _REFUSED
    meter.set_freeze_rule(FreezeKind.HOURLY, Every(minutes * 60), now)
    return _DONE


def _set_daily_time(meter: SmartMeter, data: bytes, now: datetime) -> ErrorByte:
    minute = (number(data[1:]) or 0) * 60 + (number(data[:1]) or 0)
    if minute >= MINUTES_PER_DAY:
        return _REFUSED
    meter.set_freeze_rule(FreezeKind.DAILY, daily(minute), now)
    return _DONE


def _refuse_number(_meter: SmartMeter, data: bytes, _now: datetime) -> ErrorByte:
    """The meter number is printed on the meter: it can be written once more, but not emptied."""
    return _DONE if any(data) else _REFUSED


_AMOUNTS: Final = (ALARM_1, ALARM_2, OVERDRAFT, HOARDING, CLOSE_FROM)
_EFFECTS: Final[dict[int, Callable[[SmartMeter, bytes, datetime], ErrorByte]]] = {
    _ADDRESS: _set_address,
    METER_NUMBER: _refuse_number,
    SLOT_TABLE: _set_slots,
    DEMAND_PERIOD: _set_demand_period,
    _HOURLY_INTERVAL: _set_hourly_interval,
    _DAILY_TIME: _set_daily_time,
    **dict.fromkeys(_SETTLEMENTS, _check_settlement),
}
