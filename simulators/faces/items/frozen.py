"""Class 05: freezes (spec section 4.6).

05 kk ii nn: kk the kind, ii what, nn how many back.  A block (ii = FF) is time, then each content
without separators; an hourly one is time and the two active energies only.
"""

from __future__ import annotations

from typing import Final

from simulators.faces.items.demands import peak_bytes
from simulators.faces.items.energies import BLOCK, quantity_of
from simulators.metering.bcd import minute_face, signed
from simulators.metering.demand import NO_PEAK
from simulators.metering.flow import Flow
from simulators.metering.freezes import FreezeKind
from simulators.metering.schedules import Due
from simulators.metering.smart_meter import SmartMeter
from simulators.metering.tariff_plan import TARIFFS

_KINDS: Final = {
    0x00: FreezeKind.TIMED,
    0x01: FreezeKind.INSTANT,
    0x04: FreezeKind.HOURLY,
    0x06: FreezeKind.DAILY,
    0x07: FreezeKind.SETTLEMENT,
}
"""05 07 is the monthly freeze here (D: for another source that of the step values)."""
_TIME: Final = 0x00
_ENERGIES: Final = range(0x01, 0x09)
_DEMANDS: Final = (0x09, 0x0A)
_VARIABLES: Final = 0x10
_HOURLY_ITEMS: Final = (_TIME, 0x01, 0x02)


def read_freeze(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item of class 05, or None where the meter has none such."""
    kind = _KINDS.get(di >> 16 & 0xFF)
    if kind is None:
        return None
    due = meter.frozen(kind, di & 0xFF)
    flow = None if due is None else meter.flow_at(due.second)
    if due is None or flow is None:
        return None
    item = di >> 8 & 0xFF
    if kind is FreezeKind.HOURLY:
        return _hourly(meter, due, flow, item)
    if item != BLOCK:
        return _item(meter, due, flow, item)
    items = (_TIME, *_ENERGIES, *_DEMANDS, _VARIABLES)
    return b"".join(_item(meter, due, flow, each) or b"" for each in items)


def _hourly(meter: SmartMeter, due: Due, flow: Flow, item: int) -> bytes | None:
    if item == BLOCK:
        return b"".join(_hourly(meter, due, flow, each) or b"" for each in _HOURLY_ITEMS)
    if item == _TIME:
        return minute_face(due.local)
    return quantity_of(meter, flow, item, 0) if item in _HOURLY_ITEMS else None


def _item(meter: SmartMeter, due: Due, flow: Flow, item: int) -> bytes | None:
    if item == _TIME:
        return minute_face(due.local)
    if item in _ENERGIES:
        return b"".join(quantity_of(meter, flow, item, tariff) for tariff in range(TARIFFS + 1))
    if item in _DEMANDS:
        return _demands(meter, due, 1 if item == _DEMANDS[0] else 2)
    if item == _VARIABLES:
        return _variables(meter, flow)
    return None


def _demands(meter: SmartMeter, due: Due, quantity: int) -> bytes:
    """The greatest since the settlement before, or since the meter knows."""
    since = meter.begins
    for back in range(1, meter.type.settlements_max + 1):
        settled = meter.frozen(FreezeKind.SETTLEMENT, back)
        if settled is None:
            break
        if settled.second < due.second:
            since = settled.second
            break
    peaks = meter.peaks_between(since, due.second) if quantity == 1 else None
    by_tariff = (NO_PEAK,) * (TARIFFS + 1) if peaks is None else peaks.by_tariff
    return b"".join(peak_bytes(meter, quantity, peak) for peak in by_tariff)


def _variables(meter: SmartMeter, flow: Flow) -> bytes:
    measured = meter.measured(flow)
    phases = (measured.total, *measured.phases)
    missing = b"\xff" * 3 * (3 - len(measured.phases))
    active = b"".join(signed(phase.active_w * 10, 3) for phase in phases)
    reactive = b"".join(signed(phase.reactive_var * 10, 3) for phase in phases)
    return active + missing + reactive + missing
