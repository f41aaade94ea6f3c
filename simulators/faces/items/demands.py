"""Class 01: greatest demands and when they were (spec section 4.2).

Simulated: forward active (01), combined reactive 1 and quadrant I (03, 05) as its share, forward
apparent (09).  Demands of reversed energy stand at zero.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

from simulators.faces.items.energies import BLOCK
from simulators.metering.bcd import limited, minute_face
from simulators.metering.demand import NO_PEAK, Peak, Peaks
from simulators.metering.electricity import FULL_PERMILLE, tangent_permille
from simulators.metering.freezes import FreezeKind
from simulators.metering.smart_meter import SmartMeter
from simulators.metering.tariff_plan import TARIFFS

_SETTLEMENTS: Final = 12
_QUANTITIES: Final = range(1, 0x0B)
_REACTIVE: Final = (3, 5)
_APPARENT: Final = 9


def read_demand(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item of class 01, or None where the meter has none such."""
    quantity, tariff, settlement = di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
    tariffs = range(TARIFFS + 1) if tariff == BLOCK else (tariff,)
    settlements = range(_SETTLEMENTS + 1) if settlement == BLOCK else (settlement,)
    if quantity not in _QUANTITIES or (len(tariffs) > 1 and len(settlements) > 1):
        return None
    if tariffs[-1] > TARIFFS or settlements[-1] > _SETTLEMENTS:
        return None
    found = b""
    for back in settlements:
        peaks = peaks_of(meter, back)
        for each in tariffs:
            peak = NO_PEAK if peaks is None else peaks.by_tariff[each]
            found += peak_bytes(meter, quantity, peak)
    return found


def peaks_of(meter: SmartMeter, settlement: int) -> Peaks | None:
    """The demands of this period (0), or of the n-th last settled one."""
    if settlement == 0:
        return meter.peaks()
    end = meter.frozen(FreezeKind.SETTLEMENT, settlement)
    if end is None:
        return None
    start = meter.frozen(FreezeKind.SETTLEMENT, settlement + 1)
    return meter.peaks_between(meter.begins if start is None else start.second, end.second)


def peak_bytes(meter: SmartMeter, quantity: int, peak: Peak) -> bytes:
    """XX.XXXX and ``mm hh DD MM YY``."""
    demand, local = derived(meter, quantity, peak.deciwatts), peak.local
    return limited(demand, 3) + minute_face(local if demand else None)


def derived(meter: SmartMeter, quantity: int, deciwatts: int) -> int:
    """A demand of class 01 that came with an active one."""
    if quantity == 1:
        return deciwatts
    reactive = deciwatts * tangent_permille(meter.seed) // FULL_PERMILLE
    if quantity in _REACTIVE:
        return reactive
    return isqrt(deciwatts**2 + reactive**2) if quantity == _APPARENT else 0
