"""Parameters as the wire reads them: what was written, or what the factory set (class 04)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from protocols.dlt645 import Edition
from protocols.dlt645.catalogue import find
from simulators.metering.bcd import unsigned
from simulators.metering.parameters import (
    ALARM_1,
    ALARM_2,
    ALL_LOAD_CLASSES,
    CLOSE_FROM,
    DEMAND_PERIOD,
    FIRST_PRICE,
    HOARDING,
    LOAD_CLASSES,
    LOAD_INTERVAL_1,
    METER_NUMBER,
    OVERDRAFT,
    SLOT_TABLE,
)
from simulators.metering.smart_meter import SmartMeter
from simulators.metering.tariff_plan import SLOTS_MAX, TARIFFS, TariffPlan


def read_parameter(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item of class 04 that is no clock, no status word and no block.

    Returns:
        None: the catalogue knows no such item, or it may not be read.
    """
    written = meter.parameters.written(di)
    if written is not None:
        return written
    factory = _FACTORY.get(di)
    if factory is not None:
        return factory(meter)
    if FIRST_PRICE <= di < FIRST_PRICE + TARIFFS:
        prices = meter.flow.prices or meter.type.prices
        return unsigned(prices[di - FIRST_PRICE], 4)
    item = find(di, Edition.Y2007)
    if item is None or "r" not in item.access or item.length is None:
        return None
    return bytes(item.length)


def _ascii(text: str, length: int) -> bytes:
    return text.encode("ascii")[:length].ljust(length, b"\0")[::-1]


def slots_on_the_wire(plan: TariffPlan) -> bytes:
    """A slot table: 14 times NN mm hh; unused places repeat the last slot."""
    slots = plan.slots + plan.slots[-1:] * (SLOTS_MAX - len(plan.slots))
    return b"".join(
        unsigned(tariff, 1) + unsigned(minute % 60, 1) + unsigned(minute // 60, 1)
        for minute, tariff in slots
    )


def _digits(text: str) -> bytes:
    return bytes.fromhex(text.zfill(12)[-12:])[::-1]


_FACTORY: Final[dict[int, Callable[[SmartMeter], bytes]]] = {
    DEMAND_PERIOD: lambda meter: unsigned(meter.type.demand_period_min, 1),
    0x04000104: lambda meter: unsigned(meter.type.demand_period_min, 1),
    0x04000201: lambda _: unsigned(1, 1),
    0x04000202: lambda _: unsigned(1, 1),
    0x04000203: lambda meter: unsigned(len(meter.flow.plan.slots), 1),
    0x04000204: lambda _: unsigned(TARIFFS, 1),
    0x04000306: lambda _: unsigned(1, 3),
    0x04000307: lambda _: unsigned(1, 3),
    0x04000401: lambda meter: _digits(meter.address),
    METER_NUMBER: lambda meter: _digits(meter.address),
    0x04000403: lambda meter: _ascii(meter.address, 32),
    0x04000404: lambda meter: _ascii(f"{meter.type.nominal_dv / 10:.1f}V", 6),
    0x04000405: lambda meter: _ascii(meter.type.rated_current, 6),
    0x04000406: lambda meter: _ascii(meter.type.current_max, 6),
    0x04000407: lambda _: _ascii("1.0", 4),
    0x04000408: lambda _: _ascii("2.0", 4),
    0x04000409: lambda meter: unsigned(meter.type.impulses_per_kwh, 3),
    0x0400040A: lambda meter: unsigned(meter.type.impulses_per_kwh, 3),
    0x0400040B: lambda meter: _ascii(meter.type.model, 10),
    0x0400040D: lambda _: _ascii("DL/T 645-2007", 16),
    0x0400040E: lambda meter: _digits(meter.account.client_number),
    0x04000601: lambda _: b"\x05",
    0x04000602: lambda _: b"\x41",
    0x04000603: lambda _: b"\x14",
    0x04000703: lambda _: b"\x08",
    LOAD_CLASSES: lambda _: bytes((ALL_LOAD_CLASSES,)),
    **{
        LOAD_INTERVAL_1 + place: lambda meter: unsigned(meter.type.load_interval_min, 2)
        for place in range(6)
    },
    0x04000B01: lambda _: bytes.fromhex("0001"),
    0x04000B02: lambda _: b"\x99\x99",
    0x04000B03: lambda _: b"\x99\x99",
    ALARM_1: lambda meter: unsigned(meter.type.alarm_1_minor, 4),
    ALARM_2: lambda meter: unsigned(meter.type.alarm_2_minor, 4),
    OVERDRAFT: lambda meter: unsigned(meter.type.overdraft_minor, 4),
    HOARDING: lambda meter: unsigned(meter.type.hoarding_minor, 4),
    CLOSE_FROM: lambda meter: unsigned(meter.type.close_from_minor, 4),
    0x04001202: lambda _: unsigned(60, 1),
    0x04001203: lambda _: bytes(2),
    SLOT_TABLE: lambda meter: slots_on_the_wire(meter.flow.plan),
    0x04800001: lambda meter: _ascii(meter.type.software, 32),
    0x04800002: lambda _: _ascii("simulated", 32),
    0x04800003: lambda meter: _ascii(meter.type.maker, 32),
}
