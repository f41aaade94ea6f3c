"""Registers as the meter shows them: since the last meter clear, and what is derived from them.

Active energy is what passed the contact, forwards or reversed.  Reactive energy is the meter's
fixed share of it (`electricity.tangent_permille`): quadrant I of what flowed forwards, quadrant III
of what was reversed.
"""

from __future__ import annotations

from math import isqrt
from typing import Final

from simulators.metering.bcd import unsigned
from simulators.metering.electricity import FULL_PERMILLE, share_permille, tangent_permille
from simulators.metering.flow import Flow
from simulators.metering.smart_meter import SmartMeter

WS_PER_STEP: Final = 36_000
"""XXXXXX.XX kWh: hundredths of a kWh."""


def forward_ws(meter: SmartMeter, flow: Flow, tariff: int) -> int:
    """Forward active energy of a tariff 1-4, or of all (0)."""
    if not tariff:
        return flow.total_forward_ws - meter.cleared.total_forward_ws
    return flow.forward_ws[tariff - 1] - meter.cleared.forward_ws[tariff - 1]


def reverse_ws(meter: SmartMeter, flow: Flow, tariff: int) -> int:
    """Reverse active energy of a tariff 1-4, or of all (0)."""
    if not tariff:
        return flow.total_reverse_ws - meter.cleared.total_reverse_ws
    return flow.reverse_ws[tariff - 1] - meter.cleared.reverse_ws[tariff - 1]


def reactive_ws(meter: SmartMeter, active_ws: int) -> int:
    """The reactive energy that came with some active energy, in var-seconds."""
    return active_ws * tangent_permille(meter.seed) // FULL_PERMILLE


def apparent_ws(meter: SmartMeter, active_ws: int) -> int:
    """The apparent energy that came with some active energy, in VA-seconds."""
    reactive = reactive_ws(meter, active_ws)
    return isqrt(active_ws * active_ws + reactive * reactive)


def phase_ws(meter: SmartMeter, active_ws: int, phase: int) -> int:
    """One phase's part (0-2) of some active energy."""
    return active_ws * share_permille(meter.seed, meter.phases, phase) // FULL_PERMILLE


def wire_energy(ws: int) -> bytes:
    """``XXXXXX.XX``: cut off, never rounded up."""
    return unsigned(ws // WS_PER_STEP, 4)
