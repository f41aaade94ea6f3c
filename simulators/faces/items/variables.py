"""Class 02: what the meter measures now (spec section 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from simulators.faces.items.demands import derived
from simulators.faces.items.energies import BLOCK
from simulators.metering.bcd import limited, signed, unsigned
from simulators.metering.electricity import Moment, Phase, tangent_permille
from simulators.metering.smart_meter import SmartMeter

_PHASES: Final = 3
_SINGLES: Final = 0x80
_DEGREES_BETWEEN_PHASES: Final = 1_200
"""Tenths."""
_CLOCK_BATTERY_CV: Final = 360
_READING_BATTERY_CV: Final = 600


def _voltage(phase: Phase) -> bytes:
    return limited(phase.voltage_dv, 2)


def _current(phase: Phase) -> bytes:
    return signed(phase.current_ma, 3)


def _active(phase: Phase) -> bytes:
    return signed(phase.active_w * 10, 3)


def _reactive(phase: Phase) -> bytes:
    return signed(phase.reactive_var * 10, 3)


def _apparent(phase: Phase) -> bytes:
    return signed(phase.apparent_va * 10, 3)


def _factor(phase: Phase) -> bytes:
    return signed(phase.factor_permille, 2)


_BY_PHASE: Final[dict[int, tuple[Callable[[Phase], bytes], bool]]] = {
    0x01: (_voltage, False),
    0x02: (_current, False),
    0x03: (_active, True),
    0x04: (_reactive, True),
    0x05: (_apparent, True),
    0x06: (_factor, True),
}
"""DI2 → how a phase is written, and whether there is a total."""
_ANGLE: Final = 0x07
_DISTORTIONS: Final = (0x08, 0x09)
_HARMONICS: Final = (0x0A, 0x0B)
_HARMONIC_MAX: Final = 21


def read_variable(meter: SmartMeter, di: int) -> bytes | None:
    """The bytes of an item of class 02, or None where the meter has none such."""
    quantity, phase, last = di >> 16 & 0xFF, di >> 8 & 0xFF, di & 0xFF
    if quantity == _SINGLES:
        return _single(meter, last) if phase == 0 else None
    if quantity in _HARMONICS:
        return _harmonics(meter, phase, last)
    if last != 0:
        return None
    measured = meter.measured()
    if quantity in _BY_PHASE:
        write, has_total = _BY_PHASE[quantity]
        first = 0 if has_total else 1
        phases = range(first, _PHASES + 1) if phase == BLOCK else (phase,)
        if not first <= phases[0] <= _PHASES:
            return None
        return b"".join(_of_phase(measured, each, write) for each in phases)
    phases = range(1, _PHASES + 1) if phase == BLOCK else (phase,)
    if not 1 <= phases[0] <= _PHASES:
        return None
    if quantity == _ANGLE:
        return b"".join(_angle(meter, each) for each in phases)
    if quantity in _DISTORTIONS:
        return b"".join(limited(150, 2) if each <= meter.phases else b"\xff\xff" for each in phases)
    return None


def _of_phase(measured: Moment, phase: int, write: Callable[[Phase], bytes]) -> bytes:
    if phase == 0:
        return write(measured.total)
    if phase <= len(measured.phases):
        return write(measured.phases[phase - 1])
    return b"\xff" * len(write(measured.total))


def _angle(meter: SmartMeter, phase: int) -> bytes:
    """Between voltage and current, tenths of a degree; the tangent's angle, near enough."""
    if phase > meter.phases:
        return b"\xff\xff"
    tangent = tangent_permille(meter.seed)
    lag = tangent * 573 // 1_000 - tangent**3 * 191 // 1_000_000_000
    return unsigned(lag, 2)


def _harmonics(meter: SmartMeter, phase: int, harmonic: int) -> bytes | None:
    """Of this model: no harmonics but the first."""
    if not 1 <= phase <= _PHASES:
        return None
    wanted = range(1, _HARMONIC_MAX + 1) if harmonic == BLOCK else (harmonic,)
    if not 1 <= wanted[0] <= _HARMONIC_MAX:
        return None
    if phase > meter.phases:
        return b"\xff\xff" * len(wanted)
    return b"".join(unsigned(10_000 - 1 if each == 1 else 0, 2) for each in wanted)


def _single(meter: SmartMeter, number: int) -> bytes | None:
    measured = meter.measured()
    if number == 1:
        return signed(measured.total.current_ma if meter.phases == 1 else 0, 3)
    if number == 2:
        return unsigned(measured.frequency_chz, 2)
    if number == 3:
        return signed(measured.total.active_w * 10, 3)
    if number in (4, 5, 6):
        return signed(present_demand(meter, number), 3)
    if number == 7:
        return signed(measured.temperature_dc, 2)
    if number == 8:
        return unsigned(_CLOCK_BATTERY_CV, 2)
    if number == 9:
        return unsigned(_READING_BATTERY_CV, 2)
    if number == 10:
        return bytes(4)
    if number == 11:
        purse = meter.flow.supply.purse
        return None if purse is None else unsigned(purse.price, 4)
    return None


def present_demand(meter: SmartMeter, number: int) -> int:
    """The demand of the last full period: active (4), reactive (5), apparent (6)."""
    period_s = meter.parameters.demand_period_min(meter.type) * 60
    end = meter.clock.second_of(meter.local - meter.local % period_s, meter.second)
    if end is None:
        return 0
    before, after = meter.flow_at(end - period_s), meter.flow_at(end)
    if before is None or after is None:
        return 0
    ws = after.supply.registers.consumed_ws - before.supply.registers.consumed_ws
    return derived(meter, {4: 1, 5: 3, 6: 9}[number], ws * 10 // period_s)
