"""Voltages, currents and powers of a moment, derived from the load; whole numbers, no chance.

The same meter has the same values in the same second, however often it is asked: what looks like
noise is mixed from the meter's seed and the time.  Active power is exactly what is metered; its
phases add up to it.  Reactive power is a fixed share of it in each meter, so that power factors,
quadrants and energies agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Final

from simulators.load import mixed

FULL_PERMILLE: Final = 1000
_JITTER_S: Final = 10
_GRID_SEED: Final = 50
_SEED_OF_TANGENT: Final = -1
_SEED_OF_SHARES: Final = -2
_SEED_OF_LEVEL: Final = -3
"""And the two below it."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase.  Powers and current are negative while the current is reversed."""

    voltage_dv: int
    """Tenths of a volt."""
    current_ma: int
    active_w: int
    reactive_var: int
    apparent_va: int

    @property
    def factor_permille(self) -> int:
        """Power factor, 1000 without load."""
        if not self.apparent_va:
            return FULL_PERMILLE
        share = min(FULL_PERMILLE, abs(self.active_w) * FULL_PERMILLE // abs(self.apparent_va))
        return -share if self.active_w < 0 else share


@dataclass(frozen=True, slots=True)
class Moment:
    """All phases, and what is common to them."""

    phases: tuple[Phase, ...]
    """One or three."""
    total: Phase
    """Sums; voltage and current are those of phase A."""
    frequency_chz: int
    """Hundredths of a hertz."""
    temperature_dc: int
    """Tenths of a degree Celsius, inside the meter."""


def tangent_permille(seed: int) -> int:
    """Reactive over active power of a meter, 0.10-0.40: power factors of 0.995-0.928."""
    return 100 + mixed(seed, _SEED_OF_TANGENT) % 301


def moment(
    seed: int, second: int, watts: int, *, phases: int, nominal_dv: int, reversed_phases: int
) -> Moment:
    """What the meter measures at a second while it passes so many watts.

    Args:
        reversed_phases: phases whose current flows backwards, bit 0 for phase A.
    """
    tangent = tangent_permille(seed)
    slot = second // _JITTER_S
    measured = tuple(
        _phase(
            seed, phase, slot, share, nominal_dv, tangent, is_reversed=reversed_phases >> phase & 1
        )
        for phase, share in enumerate(_shares(seed, watts, phases))
    )
    active = sum(phase.active_w for phase in measured)
    reactive = sum(phase.reactive_var for phase in measured)
    apparent = isqrt(active * active + reactive * reactive)
    return Moment(
        phases=measured,
        total=Phase(
            voltage_dv=measured[0].voltage_dv,
            current_ma=measured[0].current_ma,
            active_w=active,
            reactive_var=reactive,
            apparent_va=-apparent if active < 0 else apparent,
        ),
        frequency_chz=4997 + mixed(_GRID_SEED, slot) % 7,
        temperature_dc=250 + mixed(seed, second // 600) % 61 - 30,
    )


def share_permille(seed: int, phases: int, phase: int) -> int:
    """The part of a meter's load that is on a phase (0-2); together they are 1000."""
    if phases == 1:
        return 0 if phase else FULL_PERMILLE
    draw = mixed(seed, _SEED_OF_SHARES)
    first, second = 280 + draw % 101, 280 + (draw >> 32) % 101
    return (first, second, FULL_PERMILLE - first - second)[phase]


def _shares(seed: int, watts: int, phases: int) -> tuple[int, ...]:
    if phases == 1:
        return (watts,)
    first = watts * share_permille(seed, phases, 0) // FULL_PERMILLE
    second = watts * share_permille(seed, phases, 1) // FULL_PERMILLE
    return (first, second, watts - first - second)


def _phase(
    seed: int,
    phase: int,
    slot: int,
    watts: int,
    nominal_dv: int,
    tangent: int,
    *,
    is_reversed: int,
) -> Phase:
    level = (
        mixed(seed, _SEED_OF_LEVEL - phase) % 41 - 20
    )  # the house's place on the line: within 1 %
    noise = mixed(seed + phase, slot) % 21 - 10
    voltage = nominal_dv + (level + noise) * nominal_dv // 2_200 - watts // 500
    voltage = max(voltage, 1)
    reactive = watts * tangent // FULL_PERMILLE
    apparent = isqrt(watts * watts + reactive * reactive)
    current = apparent * 10_000 // voltage
    sign = -1 if is_reversed else 1
    return Phase(voltage, sign * current, sign * watts, sign * reactive, sign * apparent)
