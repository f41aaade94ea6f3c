"""Class 00: energies, now and at the last settlements; credit and money (spec section 4.1)."""

from __future__ import annotations

from typing import Final

from simulators.metering.bcd import signed, unsigned
from simulators.metering.flow import Flow
from simulators.metering.freezes import FreezeKind
from simulators.metering.prepayment import balance
from simulators.metering.registers import (
    WS_PER_STEP,
    apparent_ws,
    forward_ws,
    phase_ws,
    reactive_ws,
    reverse_ws,
    wire_energy,
)
from simulators.metering.smart_meter import SmartMeter
from simulators.metering.tariff_plan import TARIFFS

BLOCK: Final = 0xFF
EMPTY: Final = b"\xff" * 4
_SETTLEMENTS: Final = 12
_PREPAID: Final = 0x90
_USED: Final = 0x0B
_PHASES_FROM: Final = 0x15
_PHASE_STRIDE: Final = 0x14
_WH_PER_STEP: Final = 10


def read_energy(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item of class 00, or None where the meter has none such."""
    quantity, tariff, settlement = di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
    if quantity == _PREPAID:
        return _prepaid(meter, di & 0xFFFF)
    if quantity == _USED:
        return _used(meter, settlement) if tariff == 0 else None
    tariffs = range(TARIFFS + 1) if tariff == BLOCK else (tariff,)
    settlements = range(_SETTLEMENTS + 1) if settlement == BLOCK else (settlement,)
    if len(tariffs) > 1 and len(settlements) > 1:
        return None
    flows = [flow_of(meter, back) for back in settlements]
    if len(flows) == 1 and flows[0] is None and not 0 <= settlement <= _SETTLEMENTS:
        return None
    values = [energy_at(meter, flow, quantity, each) for flow in flows for each in tariffs]
    if None in values:
        return None
    return b"".join(value for value in values if value is not None)


def flow_of(meter: SmartMeter, settlement: int) -> Flow | None:
    """The state now (0), or at the n-th last settlement; None where there is none."""
    if settlement == 0:
        return meter.flow
    due = meter.frozen(FreezeKind.SETTLEMENT, settlement)
    return None if due is None else meter.flow_at(due.second)


def energy_at(meter: SmartMeter, flow: Flow | None, quantity: int, tariff: int) -> bytes | None:
    """One register; FF where its settlement is not known, None where it does not exist."""
    if not 0 <= tariff <= TARIFFS:
        return None
    known = flow if flow is not None else meter.flow
    if quantity in _QUANTITIES:
        wire = quantity_of(meter, known, quantity, tariff)
    else:
        phase, item = divmod(quantity - _PHASES_FROM, _PHASE_STRIDE)
        if quantity < _PHASES_FROM or phase >= 3 or item >= 10 or tariff:
            return None
        if phase >= meter.phases:
            return EMPTY
        wire = quantity_of(meter, known, item + 1, 0, phase)
    return EMPTY if flow is None else wire


_QUANTITIES: Final = range(0x0B)
_ACTIVE: Final = (1, 2)
_REACTIVE: Final = (5, 7)
"""Quadrants I and III; the others, and combined reactive 2, stay at zero."""
_APPARENT: Final = (9, 10)
_REVERSED: Final = (2, 7, 10)


def quantity_of(
    meter: SmartMeter, flow: Flow, quantity: int, tariff: int, phase: int | None = None
) -> bytes:
    """Quantity 00-0A in XXXXXX.XX."""
    forward, reverse = forward_ws(meter, flow, tariff), reverse_ws(meter, flow, tariff)
    if phase is not None:
        forward, reverse = phase_ws(meter, forward, phase), phase_ws(meter, reverse, phase)
    if quantity == 0:
        return signed((forward + reverse) // WS_PER_STEP, 4)
    if quantity == 3:
        return signed(reactive_ws(meter, forward + reverse) // WS_PER_STEP, 4)
    active = reverse if quantity in _REVERSED else forward
    if quantity in _REACTIVE:
        return wire_energy(reactive_ws(meter, active))
    if quantity in _APPARENT:
        return wire_energy(apparent_ws(meter, active))
    return wire_energy(active) if quantity in _ACTIVE else bytes(4)


def _prepaid(meter: SmartMeter, place: int) -> bytes | None:
    if place in (0x0100, 0x0101) and not meter.counts_money:
        left = meter.flow.supply.registers.remaining_wh // _WH_PER_STEP
        return unsigned(left, 4) if place == 0x0100 else bytes(4)
    if place in (0x0200, 0x0201) and meter.counts_money:
        left = balance(meter)
        return unsigned(max(0, left if place == 0x0200 else -left), 4)
    return None


def _used(meter: SmartMeter, back: int) -> bytes | None:
    """Combined energy of this settlement period (0) or the last one (1)."""
    if back not in (0, 1):
        return None
    end = meter.flow if back == 0 else flow_of(meter, 1)
    start = flow_of(meter, back + 1)
    if end is None:
        return EMPTY
    used = _combined(meter, end) - (0 if start is None else _combined(meter, start))
    return wire_energy(used)


def _combined(meter: SmartMeter, flow: Flow) -> int:
    return forward_ws(meter, flow, 0) + reverse_ws(meter, flow, 0)
